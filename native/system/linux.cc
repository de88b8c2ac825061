// Linux, with glibc or musl. See ../system.h.
#if defined(__linux__)

#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "abi/abi.h"
#include "system/system.h"
#include "system/common.h"
#include "system/folder_entries.h"

#if !defined(STATX_BASIC_STATS)  // musl before 1.2.5
#include <linux/stat.h>
#endif

namespace io::system {

namespace {

double milliseconds(const struct statx_timestamp& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

int64_t nanoseconds(const struct statx_timestamp& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// What older headers have no names for; 0 where the kernel or the file system does not say.
void read_newer_fields(const uint8_t (&raw)[raw_status_bytes], double* fields) {
  struct {
    uint64_t mount;                  // 5.8
    uint32_t direct_memory_bytes;    // 6.1
    uint32_t direct_position_bytes;  // 6.1
    uint64_t subvolume;              // 6.10
    uint32_t atomic_min_bytes;       // 6.11
    uint32_t atomic_max_bytes;       // 6.11
    uint32_t atomic_segments;        // 6.11
  } newer;
  constexpr size_t begin = 0x90;
  static_assert(begin + sizeof(newer) <= raw_status_bytes);
  std::memcpy(&newer, raw + begin, sizeof(newer));
  fields[abi::stat_mount] = static_cast<double>(newer.mount);
  fields[abi::stat_direct_memory_bytes] = newer.direct_memory_bytes;
  fields[abi::stat_direct_position_bytes] = newer.direct_position_bytes;
  fields[abi::stat_atomic_min_bytes] = newer.atomic_min_bytes;
  fields[abi::stat_atomic_max_bytes] = newer.atomic_max_bytes;
  fields[abi::stat_atomic_segments] = newer.atomic_segments;
  write_exact(fields, abi::stat_exact_mount, static_cast<int64_t>(newer.mount));
}

void convert(const timespec& from, struct statx_timestamp& to) {
  to.tv_sec = from.tv_sec;
  to.tv_nsec = static_cast<uint32_t>(from.tv_nsec);
}

// Sandboxes that are older than statx (Linux 4.11) forbid it: then without the time of creation.
int stat_without_statx(int number, const char* path, int flags, struct statx& to) {
  struct stat from;
  const int result = result_of([&] { return ::fstatat(number, path, &from, flags); });
  if (result < 0) return result;
  std::memset(&to, 0, sizeof(to));
  to.stx_size = static_cast<uint64_t>(from.st_size);
  to.stx_mode = static_cast<uint16_t>(from.st_mode);
  to.stx_ino = from.st_ino;
  to.stx_dev_major = major(from.st_dev);
  to.stx_dev_minor = minor(from.st_dev);
  to.stx_nlink = static_cast<uint32_t>(from.st_nlink);
  to.stx_uid = from.st_uid;
  to.stx_gid = from.st_gid;
  to.stx_blksize = static_cast<uint32_t>(from.st_blksize);
  to.stx_blocks = static_cast<uint64_t>(from.st_blocks);
  convert(from.st_atim, to.stx_atime);
  convert(from.st_mtim, to.stx_mtime);
  convert(from.st_ctim, to.stx_ctime);
  return 0;
}

}  // namespace

const int send_flags = MSG_NOSIGNAL;

int open_flags(uint32_t flags) {
  int system_flags = common_open_flags(flags);
  if ((flags & abi::open_flag_direct) != 0) system_flags |= O_DIRECT;
  if ((flags & abi::open_flag_temporary) != 0) system_flags |= O_TMPFILE;
  if ((flags & abi::open_flag_no_access_time) != 0) system_flags |= O_NOATIME;
  return system_flags;
}

int open_pipe(int (&ends)[2]) {
  return result_of([&] { return ::pipe2(ends, O_CLOEXEC | O_NONBLOCK); });
}

bool pipe_has_ended(int number) {
  return pipe_ended_by_poll(number);
}

bool reports_end_of_pipe(int) {
  return true;
}

int open_file(int folder, const char* path, uint32_t flags, uint32_t mode) {
  const int how = open_flags(flags);
  const auto bits = static_cast<mode_t>(mode);
  return wait_for_file(result_of([&] { return ::openat(folder, path, how | O_NONBLOCK, bits); }),
                       how);
}

const int look_flags = O_PATH;

// Of linux/openat2.h, which older systems do not have.
uint64_t resolve_flags(uint32_t rules) {
  uint64_t resolve = 0;
  if ((rules & abi::resolve_no_symlinks) != 0) resolve |= 0x04;
  if ((rules & abi::resolve_beneath) != 0) resolve |= 0x08;
  if ((rules & abi::resolve_in_root) != 0) resolve |= 0x10;
  return resolve;
}

// 5.6. Sandboxes that are older forbid it, which is as if the kernel did not have it.
int open_file_under_rules(int folder, const char* path, uint32_t flags, uint32_t mode,
                          uint32_t rules) {
  constexpr long number_of_openat2 = 437;  // on every processor but the Alpha
  const int how = open_flags(flags);
  const bool creates = (flags & (abi::open_flag_create | abi::open_flag_temporary)) != 0;
  struct {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
  } const given = {static_cast<uint64_t>(how | O_NONBLOCK), creates ? mode : 0,
                   resolve_flags(rules)};
  const int number =
      result_of([&] { return ::syscall(number_of_openat2, folder, path, &given, sizeof(given)); });
  return number == -EPERM ? -ENOSYS : wait_for_file(number, how);
}

// By its number, because musl has renameat2() only since 1.2.6.
int rename_path(int folder, const char* from, int folder_to, const char* to, uint32_t flags) {
  if (flags == 0) return result_of([&] { return ::renameat(folder, from, folder_to, to); });
  return result_of([&] { return ::syscall(SYS_renameat2, folder, from, folder_to, to, flags); });
}

int path_of_number(int number, uint8_t* into, size_t size_bytes) {
  const std::string link = "/proc/self/fd/" + std::to_string(number);
  char text[PATH_MAX + 1];
  const int length =
      read_link(AT_FDCWD, link.c_str(), reinterpret_cast<uint8_t*>(text), sizeof(text) - 1);
  if (length < 0) return length;
  text[length] = 0;
  // What was removed has " (deleted)" behind its path, which is also the end of a name that may be
  // there; what lies outside the root of the process has no path from it.
  constexpr std::string_view removed = " (deleted)";
  if (text[0] != '/') return -ENOENT;
  if (std::string_view(text, static_cast<size_t>(length)).ends_with(removed)) {
    struct stat here;
    struct stat there;
    const bool same = ::fstat(number, &here) == 0 && ::lstat(text, &there) == 0 &&
                      here.st_dev == there.st_dev && here.st_ino == there.st_ino;
    if (!same) return -ENOENT;
  }
  if (static_cast<size_t>(length) > size_bytes) return -ERANGE;
  std::memcpy(into, text, static_cast<size_t>(length));
  return length;
}

int read_folder(int number, uint8_t* into, size_t size_bytes) {
  return next_entries(number, into, size_bytes, [](int folder, uint8_t* data, size_t size) {
    return result_of([&] { return ::syscall(SYS_getdents64, folder, data, size); });
  });
}

// fdatasync flushes the device's cache, so that the ordering that a barrier asks for is included;
// Linux has nothing weaker that would keep the promise.
int sync_file(int number, uint32_t level) {
  return result_of(
      [&] { return level == abi::sync_level_full ? ::fsync(number) : ::fdatasync(number); });
}

// By its number, because musl has statx() only since 1.2.5.
int stat_file(uint32_t of, int number, const char* path, uint8_t (&raw)[raw_status_bytes]) {
  static_assert(sizeof(struct statx) <= raw_status_bytes);
  struct statx status;
  int flags = 0;
  if (of == abi::stat_by_path_no_follow) flags = AT_SYMLINK_NOFOLLOW;
  if (of == abi::stat_by_descriptor) {
    flags = AT_EMPTY_PATH;
    path = "";
  }
  // 5.8, 6.1 and 6.11: the mount, the alignment of direct I/O, and atomic writes.
  constexpr unsigned newer = 0x1000 | 0x2000 | 0x10000;
  constexpr unsigned wanted = STATX_BASIC_STATS | STATX_BTIME | newer;
  int result =
      result_of([&] { return ::syscall(SYS_statx, number, path, flags, wanted, &status); });
  if (result == -ENOSYS || result == -EPERM) {
    result = stat_without_statx(number, path, flags, status);
  }
  if (result == 0) std::memcpy(raw, &status, sizeof(status));
  return result;
}

void read_status(const uint8_t (&raw)[raw_status_bytes], double* fields) {
  struct statx from;
  std::memcpy(&from, raw, sizeof(from));
  fields[abi::stat_size_bytes] = static_cast<double>(from.stx_size);
  fields[abi::stat_mode] = from.stx_mode;
  fields[abi::stat_inode] = static_cast<double>(from.stx_ino);
  fields[abi::stat_device] = static_cast<double>(makedev(from.stx_dev_major, from.stx_dev_minor));
  fields[abi::stat_links] = from.stx_nlink;
  fields[abi::stat_user] = from.stx_uid;
  fields[abi::stat_group] = from.stx_gid;
  fields[abi::stat_block_size_bytes] = from.stx_blksize;
  fields[abi::stat_allocated_bytes] = static_cast<double>(from.stx_blocks) * 512;
  fields[abi::stat_accessed_ms] = milliseconds(from.stx_atime);
  fields[abi::stat_modified_ms] = milliseconds(from.stx_mtime);
  fields[abi::stat_changed_ms] = milliseconds(from.stx_ctime);
  fields[abi::stat_created_ms] = milliseconds(from.stx_btime);
  write_exact(fields, abi::stat_exact_inode, static_cast<int64_t>(from.stx_ino));
  write_exact(fields, abi::stat_exact_size, static_cast<int64_t>(from.stx_size));
  write_exact(fields, abi::stat_accessed_ns, nanoseconds(from.stx_atime));
  write_exact(fields, abi::stat_modified_ns, nanoseconds(from.stx_mtime));
  write_exact(fields, abi::stat_changed_ns, nanoseconds(from.stx_ctime));
  write_exact(fields, abi::stat_created_ns, nanoseconds(from.stx_btime));
  read_newer_fields(raw, fields);
}

int open_socket(int family, int type) {
  return result_of([&] { return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
}

int accept_connection(int listener) {
  return result_of(
      [&] { return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); });
}

// A peer that is gone is a signal too (sendfile has no MSG_NOSIGNAL). Node.js ignores SIGPIPE, and
// the threads of the pool have it blocked.
int32_t send_file(int socket, int file, int64_t offset, size_t length) {
  return result_of([&] {
    off_t position = offset;
    return ::sendfile(socket, file, &position, std::min<size_t>(length, abi::transfer_limit_bytes));
  });
}

int prepare_socket(int number) {
  return set_non_blocking(number);
}

}  // namespace io::system

#endif
