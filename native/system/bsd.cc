// FreeBSD, NetBSD, OpenBSD and DragonFly. See ../system.h. Written to their manual pages: no build
// of ours runs there yet.
#if defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

#include "abi/abi.h"
#include "system/system.h"
#include "system/common.h"
#include "system/folder_entries.h"

namespace io::system {

const int send_flags = MSG_NOSIGNAL;

int open_pipe(int (&ends)[2]) {
  return result_of([&] { return ::pipe2(ends, O_CLOEXEC | O_NONBLOCK); });
}

bool pipe_has_ended(int number) {
  return pipe_ended_by_poll(number);
}

bool reports_end_of_pipe(int) {
  return true;
}

int open_flags(uint32_t flags) {
#if defined(O_DIRECT)
  if ((flags & abi::open_flag_direct) != 0) return common_open_flags(flags) | O_DIRECT;
#endif
  return common_open_flags(flags);
}

int open_file(int folder, const char* path, uint32_t flags, uint32_t mode) {
  if ((flags & of_linux_alone) != 0) return -ENOTSUP;
#if !defined(O_DIRECT)
  if ((flags & abi::open_flag_direct) != 0) return -EINVAL;  // as a file system without it says
#endif
  const int how = open_flags(flags);
  const int number =
      wait_for_file(result_of([&] {
                      return ::openat(folder, path, how | O_NONBLOCK, static_cast<mode_t>(mode));
                    }),
                    how);
  // O_NOFOLLOW at a link is ELOOP on Linux, macOS and OpenBSD, and has names of its own here.
  const bool no_follow = (flags & abi::open_flag_no_follow) != 0;
#if defined(__FreeBSD__) || defined(__DragonFly__)
  if (number == -EMLINK && no_follow) return -ELOOP;
#elif defined(__NetBSD__)
  if (number == -EFTYPE && no_follow) return -ELOOP;
#else
  static_cast<void>(no_follow);
#endif
  return number;
}

const int look_flags = O_RDONLY | O_NONBLOCK;

uint64_t resolve_flags(uint32_t) {
  return 0;
}

int open_file_under_rules(int, const char*, uint32_t, uint32_t, uint32_t) {
  return -ENOSYS;
}

int rename_path(int folder, const char* from, int folder_to, const char* to, uint32_t flags) {
  if (flags != 0) return -ENOTSUP;
  return result_of([&] { return ::renameat(folder, from, folder_to, to); });
}

#if defined(__NetBSD__) && defined(F_GETPATH)

int path_of_number(int number, uint8_t* into, size_t size_bytes) {
  char path[PATH_MAX];
  const int result = result_of([&] { return ::fcntl(number, F_GETPATH, path); });
  if (result < 0) return result;
  const size_t length = std::strlen(path);
  if (length > size_bytes) return -ERANGE;
  std::memcpy(into, path, length);
  return static_cast<int>(length);
}

#else

int path_of_number(int, uint8_t*, size_t) {
  return -ENOSYS;
}

#endif

int read_folder(int number, uint8_t* into, size_t size_bytes) {
  return next_entries(number, into, size_bytes, [](int folder, uint8_t* data, size_t size) {
    return result_of([&] {
#if defined(__OpenBSD__)
      return ::getdents(folder, data, size);
#else
      return ::getdents(folder, reinterpret_cast<char*>(data), size);
#endif
    });
  });
}

#if defined(__NetBSD__)

// fsync() leaves the bytes in the device's cache. fsync_range() empties it, and refuses a number
// that cannot write (EBADF), as that of a folder: for those fsync() is all there is.
int sync_file(int number, uint32_t level) {
  const int how = (level == abi::sync_level_full ? FFILESYNC : FDATASYNC) | FDISKSYNC;
  const int result = result_of([&] { return ::fsync_range(number, how, 0, 0); });
  if (result != -EBADF) return result;
  return result_of([&] { return ::fsync(number); });
}

#else

int sync_file(int number, uint32_t level) {
  return result_of(
      [&] { return level == abi::sync_level_full ? ::fsync(number) : ::fdatasync(number); });
}

#endif

#if defined(__FreeBSD__) || defined(__NetBSD__)

// There is no way to reserve space without growing the file. EINVAL is what a file system says that
// cannot reserve (ZFS); the engine has checked the numbers, but for a length of zero.
int allocate(int number, int64_t offset, int64_t length, uint32_t mode) {
#if defined(SPACECTL_DEALLOC)  // FreeBSD 14
  if (mode == abi::allocate_punch_hole && length > 0) {
    const spacectl_range range = {.r_offset = offset, .r_len = length};
    return result_of([&] { return ::fspacectl(number, SPACECTL_DEALLOC, &range, 0, nullptr); });
  }
#endif
  if (mode != abi::allocate_grow) return length > 0 ? -EOPNOTSUPP : -EINVAL;
  for (int times = 1;; times++) {
    const int error = ::posix_fallocate(number, offset, length);
    if (error == EINTR && times < max_interruptions) continue;
    return error == EINVAL && length > 0 ? -EOPNOTSUPP : -error;
  }
}

#else

int allocate(int, int64_t, int64_t length, uint32_t) {
  return length > 0 ? -EOPNOTSUPP : -EINVAL;  // as Linux says
}

#endif

// A socket on "::" takes IPv4 too on Linux and macOS. On FreeBSD, NetBSD and DragonFly it does once
// that is asked for; OpenBSD refuses it.
int open_socket(int family, int type) {
  const int number =
      result_of([&] { return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
  if (number < 0 || family != AF_INET6) return number;
  const int off = 0;
  static_cast<void>(::setsockopt(number, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
  return number;
}

int accept_connection(int listener) {
  return result_of(
      [&] { return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); });
}

#if defined(__FreeBSD__) || defined(__DragonFly__)

// The count is set even when the call fails, because the socket was full or a signal came.
int32_t send_file(int socket, int file, int64_t offset, size_t length) {
  if (length == 0) return 0;  // to the system it would mean all of the file
  const size_t limit = length > abi::transfer_limit_bytes ? abi::transfer_limit_bytes : length;
  for (int times = 1;; times++) {
    off_t count = 0;
    const int result = ::sendfile(file, socket, offset, limit, nullptr, &count, 0);
    if (result == 0 || count > 0) return static_cast<int32_t>(count);
    if (errno != EINTR || times == max_interruptions) return -errno;
  }
}

#else

int32_t send_file(int, int, int64_t, size_t) {
  return -ENOSYS;
}

#endif

int prepare_socket(int number) {
  return set_non_blocking(number);
}

}  // namespace io::system

#endif
