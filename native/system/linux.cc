// Linux, with glibc or musl. See ../system.h.
#if defined(__linux__)

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "abi/abi.h"
#include "system/system.h"
#include "system/common.h"

#if !defined(STATX_BASIC_STATS)  // musl before 1.2.5
#include <linux/stat.h>
#endif

namespace io::system {

namespace {

double milliseconds(const struct statx_timestamp& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
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
  return common_open_flags(flags) | ((flags & abi::open_flag_direct) != 0 ? O_DIRECT : 0);
}

int open_pipe(int (&ends)[2]) {
  return result_of([&] { return ::pipe2(ends, O_CLOEXEC | O_NONBLOCK); });
}

bool pipe_has_ended(int number) {
  return pipe_ended_by_poll(number);
}

bool tells_end_of_pipe(int) {
  return true;
}

int open_file(const char* path, uint32_t flags, uint32_t mode) {
  const int how = open_flags(flags);
  return wait_for_file(
      result_of([&] { return ::open(path, how | O_NONBLOCK, static_cast<mode_t>(mode)); }), how);
}

// fdatasync flushes the device's cache, so that the ordering that a barrier asks for is included;
// Linux has nothing weaker that would keep the promise.
int sync_file(int number, uint32_t level) {
  return result_of(
      [&] { return level == abi::sync_level_full ? ::fsync(number) : ::fdatasync(number); });
}

int allocate(int number, int64_t offset, int64_t length, bool keep_size) {
  constexpr int keep_size_flag = 1;  // FALLOC_FL_KEEP_SIZE, which musl hides
  return result_of(
      [&] { return ::fallocate(number, keep_size ? keep_size_flag : 0, offset, length); });
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
  } else {
    number = AT_FDCWD;
  }
  constexpr unsigned wanted = STATX_BASIC_STATS | STATX_BTIME;
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
