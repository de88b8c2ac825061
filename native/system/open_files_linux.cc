// Operations on an open file, on Linux. See system.h.
#if defined(__linux__)

#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "abi/abi.h"
#include "system/system.h"
#include "system/common.h"
#include "system/open_files.h"

namespace io::system {

namespace {

// Numbers of the kernel's binary interface (linux/fs.h, linux/falloc.h) that older headers lack.
constexpr int rwf_dsync = 0x02;      // 4.7
constexpr int rwf_no_wait = 0x08;    // 4.14
constexpr int rwf_append = 0x10;     // 4.16
constexpr int rwf_no_append = 0x20;  // 6.9
constexpr int rwf_atomic = 0x40;     // 6.11
constexpr int rwf_uncached = 0x80;   // 6.14, RWF_DONTCACHE
constexpr unsigned long ioctl_clone = 0x40049409;

short lock_type(uint32_t level) {
  if (level == abi::lock_level_shared) return F_RDLCK;
  return level == abi::lock_level_exclusive ? F_WRLCK : F_UNLCK;
}

// By its number, because musl has pwritev2() only since 1.2.5.
int32_t write_by_flags(int number, std::span<const iovec> vectors, int64_t offset, int flags) {
  constexpr long upper_half = 0;  // of the position, where a register has only half of it
  return result_of([&] {
    return ::syscall(SYS_pwritev2, number, vectors.data(), vectors.size(), offset, upper_half,
                     flags);
  });
}

// The kernel looks for flags that it does not know first (EOPNOTSUPP), and then whether two of them
// exclude each other (EINVAL): before 6.9 it does not know the second one.
bool knows_write_flag(int memory, int flag) {
  uint8_t byte = 0;
  const iovec one = {&byte, 1};
  constexpr int excluding = rwf_append | rwf_no_append;
  return write_by_flags(memory, std::span(&one, 1), 0, flag | excluding) == -EINVAL;
}

uint32_t find_write_features() {
  constexpr uint32_t always =
      abi::feature_write_data_sync | abi::feature_write_append | abi::feature_write_no_wait;
  const auto memory = static_cast<int>(::syscall(SYS_memfd_create, "io", 1u));  // close-on-exec
  if (memory < 0) return always;
  uint32_t features = always;
  if (knows_write_flag(memory, rwf_atomic)) features |= abi::feature_write_atomic;
  if (knows_write_flag(memory, rwf_uncached)) features |= abi::feature_write_uncached;
  ::close(memory);
  return features;
}

}  // namespace

// A lock of the open file description (3.15): that of flock(2) has no range, and POSIX's belongs to
// the process and ends with any descriptor of the file.
int lock_range(int number, uint32_t level, int64_t offset, int64_t length) {
  struct flock range = {};
  range.l_type = lock_type(level);
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = length;
  const int result = result_of([&] { return ::fcntl(number, F_OFD_SETLK, &range); });
  return result == -EACCES ? -EAGAIN : result;
}

int write_flags(uint32_t flags) {
  int how = 0;
  if ((flags & abi::write_flag_data_sync) != 0) how |= rwf_dsync;
  if ((flags & abi::write_flag_uncached) != 0) how |= rwf_uncached;
  if ((flags & abi::write_flag_atomic) != 0) how |= rwf_atomic;
  if ((flags & abi::write_flag_append) != 0) how |= rwf_append;
  if ((flags & abi::write_flag_no_wait) != 0) how |= rwf_no_wait;
  return how;
}

int32_t write_with(int number, std::span<const iovec> vectors, int64_t offset, uint32_t flags) {
  return write_by_flags(number, vectors, offset, write_flags(flags));
}

uint32_t write_features() {
  static const uint32_t features = find_write_features();
  return features;
}

int allocate_flags(uint32_t mode) {
  constexpr int keep_size = 0x01;
  switch (mode) {
    case abi::allocate_keep_size:
      return keep_size;
    case abi::allocate_punch_hole:
      return 0x02 | keep_size;
    case abi::allocate_collapse:
      return 0x08;
    case abi::allocate_zero_range:
      return 0x10;
    case abi::allocate_insert:
      return 0x20;
    default:
      return 0;
  }
}

int allocate(int number, int64_t offset, int64_t length, uint32_t mode) {
  return result_of([&] { return ::fallocate(number, allocate_flags(mode), offset, length); });
}

int advise(int number, int64_t offset, int64_t length, uint32_t advice) {
  return advise_by_posix(number, offset, length, advice);
}

int sync_range(int number, int64_t offset, int64_t length) {
  constexpr unsigned how =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  return result_of([&] { return ::sync_file_range(number, offset, length, how); });
}

int get_xattr(int number, const char* name, uint8_t* into, size_t size_bytes) {
  return result_of([&] { return ::fgetxattr(number, name, into, size_bytes); });
}

namespace {

int set_flags(uint32_t how) {
  if (how == abi::xattr_create) return XATTR_CREATE;
  return how == abi::xattr_replace ? XATTR_REPLACE : 0;
}

// Calls that begin at a directory are there since 6.13 only. The link that /proc has for its number
// leads to it. That of the last directory on the way is opened where the path becomes too long so.
template <class Call>
int on_path(const PathOf& file, Call call) {
  std::string path = file.path;
  if (file.folder == AT_FDCWD || path.front() == '/' || path.size() >= PATH_MAX) {
    return result_of([&] { return call(path.c_str()); });
  }
  const std::string whole = "/proc/self/fd/" + std::to_string(file.folder) + "/" + path;
  const size_t end = path.find_last_not_of('/');
  const size_t slash = end == std::string::npos ? end : path.find_last_of('/', end);
  if (whole.size() < PATH_MAX || slash == std::string::npos) {
    return result_of([&] { return call(whole.c_str()); });
  }
  path[slash] = 0;
  const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  const int last = result_of([&] { return ::openat(file.folder, path.c_str(), flags); });
  if (last < 0) return last;
  const PathOf below = {last, path.c_str() + slash + 1, file.follows};
  const int result = on_path(below, call);
  ::close(last);
  return result;
}

}  // namespace

int set_xattr(int number, const char* name, const uint8_t* value, size_t size_bytes, uint32_t how) {
  return result_of([&] { return ::fsetxattr(number, name, value, size_bytes, set_flags(how)); });
}

int get_xattr_at(const PathOf& file, const char* name, uint8_t* into, size_t size_bytes) {
  const auto call = file.follows ? ::getxattr : ::lgetxattr;
  return on_path(file, [&](const char* path) { return call(path, name, into, size_bytes); });
}

int set_xattr_at(const PathOf& file, const char* name, const uint8_t* value, size_t size_bytes,
                 uint32_t how) {
  const auto call = file.follows ? ::setxattr : ::lsetxattr;
  return on_path(
      file, [&](const char* path) { return call(path, name, value, size_bytes, set_flags(how)); });
}

int list_xattr_at(const PathOf& file, uint8_t* into, size_t size_bytes) {
  const auto call = file.follows ? ::listxattr : ::llistxattr;
  char* names = reinterpret_cast<char*>(into);
  return on_path(file, [&](const char* path) { return call(path, names, size_bytes); });
}

int remove_xattr_at(const PathOf& file, const char* name) {
  const auto call = file.follows ? ::removexattr : ::lremovexattr;
  return on_path(file, [&](const char* path) { return call(path, name); });
}

int list_xattr(int number, uint8_t* into, size_t size_bytes) {
  return result_of([&] { return ::flistxattr(number, reinterpret_cast<char*>(into), size_bytes); });
}

int remove_xattr(int number, const char* name) {
  return result_of([&] { return ::fremovexattr(number, name); });
}

// Some kernels cannot copy between two file systems (EXDEV before 5.19), and a file of /proc, whose
// size is 0, seems to be at its end.
int32_t copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length) {
  if (length == 0) return 0;
  const int32_t result = result_of([&] {
    int64_t source = from_offset;
    int64_t target = to_offset;
    return ::syscall(SYS_copy_file_range, from, &source, to, &target, length, 0u);
  });
  const bool by_hand = result == 0 || result == -EXDEV || result == -EOPNOTSUPP ||
                       result == -ENOSYS || result == -EPERM;
  return by_hand ? copied_by_hand(from, from_offset, to, to_offset, length) : result;
}

int reflink(int from, int to) {
  const int result = result_of([&] { return ::ioctl(to, ioctl_clone, from); });
  return result == -ENOTTY ? -EOPNOTSUPP : result;
}

int stat_file_system_of(int number, double* fields) {
  struct statfs from;
  const int result = result_of([&] { return ::fstatfs(number, &from); });
  if (result < 0) return result;
  fields[abi::statfs_type] = static_cast<double>(from.f_type);
  fields[abi::statfs_block_size_bytes] = static_cast<double>(from.f_bsize);
  fields[abi::statfs_blocks] = static_cast<double>(from.f_blocks);
  fields[abi::statfs_free_blocks] = static_cast<double>(from.f_bfree);
  fields[abi::statfs_available_blocks] = static_cast<double>(from.f_bavail);
  fields[abi::statfs_files] = static_cast<double>(from.f_files);
  fields[abi::statfs_free_files] = static_cast<double>(from.f_ffree);
  return 0;
}

// By the number itself only with a right of its own (CAP_DAC_READ_SEARCH) before 6.10; without, the
// link that /proc has for the number is followed.
int link_open_file(int number, const char* path) {
  const int result = result_of([&] { return ::linkat(number, "", AT_FDCWD, path, AT_EMPTY_PATH); });
  if (result != -ENOENT) return result;
  char link[32];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", number);
  return result_of([&] { return ::linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW); });
}

int open_watch() {
  return result_of([&] { return ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK); });
}

// The kernel takes a path only. The link that /proc has for the number leads to the very file.
int add_watch(int watch, int file) {
  constexpr uint32_t in_directory = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
  constexpr uint32_t of_file = IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
  char link[32];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  return result_of([&] { return ::inotify_add_watch(watch, link, in_directory | of_file); });
}

int remove_watch(int watch, uint32_t added) {
  return result_of([&] { return ::inotify_rm_watch(watch, static_cast<int>(added)); });
}

bool is_watch(int) {
  return false;
}

int32_t read_watch(int watch, uint8_t* into, size_t size_bytes) {
  return result_of([&] { return ::read(watch, into, size_bytes); });
}

}  // namespace io::system

#endif
