// The parts that are the same on every system. See ../system.h.
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "abi/abi.h"
#include "system/system.h"
#include "system/common.h"

namespace io::system {

namespace {

constexpr int64_t current_position = -1;

#if defined(MSG_MORE)
constexpr int more_flag = MSG_MORE;
#else
constexpr int more_flag = 0;
#endif

size_t capped(size_t length) {
  return std::min<size_t>(length, abi::transfer_limit_bytes);
}

}  // namespace

int common_open_flags(uint32_t flags) {
  const bool reads = (flags & abi::open_flag_read) != 0;
  const bool writes = (flags & (abi::open_flag_write | abi::open_flag_append)) != 0;
  int system_flags = O_CLOEXEC;
  system_flags |= writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY;
  if ((flags & abi::open_flag_append) != 0) system_flags |= O_APPEND;
  if ((flags & abi::open_flag_create) != 0) system_flags |= O_CREAT;
  if ((flags & abi::open_flag_exclusive) != 0) system_flags |= O_EXCL;
  if ((flags & abi::open_flag_truncate) != 0) system_flags |= O_TRUNC;
  if ((flags & abi::open_flag_directory) != 0) system_flags |= O_DIRECTORY;
  if ((flags & abi::open_flag_no_follow) != 0) system_flags |= O_NOFOLLOW;
#if defined(O_DSYNC)
  constexpr int data_sync = O_DSYNC;
#else
  constexpr int data_sync = O_SYNC;
#endif
  if ((flags & abi::open_flag_data_sync) != 0) system_flags |= data_sync;
  return system_flags;
}

// By a reference that is never released. Where it is not available (a program that contains the
// library), there is nothing to be unloaded.
void stay_loaded() {
  Dl_info info;
  if (::dladdr(reinterpret_cast<const void*>(&stay_loaded), &info) == 0) return;
  static const void* const reference = ::dlopen(info.dli_fname, RTLD_LAZY | RTLD_LOCAL);
  static_cast<void>(reference);
}

void limit_sends(int number, bool limited) {
  const timeval tick = {.tv_sec = 0, .tv_usec = limited ? 1 : 0};
  ::setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick));
}

int set_non_blocking(int number) {
  const int flags = ::fcntl(number, F_GETFL);
  if (flags < 0) return -errno;
  if ((flags & O_NONBLOCK) != 0) return 0;
  return ::fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

int duplicate(int number) {
  return result_of([&] { return ::fcntl(number, F_DUPFD_CLOEXEC, 0); });
}

bool pipe_ended_by_poll(int number) {
  pollfd polled = {.fd = number, .events = POLLIN, .revents = 0};
  return ::poll(&polled, 1, 0) > 0;
}

// With O_NONBLOCK a file that can wait (/proc/kmsg) would say EAGAIN. Should the second call fail
// it does so, and nothing else is lost.
int32_t wait_for_file(int32_t number, int system_flags) {
  struct stat status;
  if (number < 0 || ::fstat(number, &status) != 0) return number;
  const bool is_file =
      S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode);
  if (is_file) ::fcntl(number, F_SETFL, system_flags & ~O_NONBLOCK);
  return number;
}

// A file that was opened by its path alone can do nothing (O_PATH). It reserves the number, and
// code that still uses the number gets EBADF.
int move_number(int number) {
  const int moved = ::fcntl(number, F_DUPFD_CLOEXEC, number + 1);
  const int error = errno;
#if defined(O_PATH)
  const int stand_in = moved < 0 ? -1 : ::open("/", O_PATH | O_CLOEXEC);
  if (stand_in >= 0 && ::dup2(stand_in, number) == number) {
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
    ::close(stand_in);
    return moved;
  }
  if (stand_in >= 0) ::close(stand_in);
#endif
  ::close(number);
  return moved < 0 ? -error : moved;
}

// Interrupted, the number is free anyway on Linux, macOS and FreeBSD: to call again could
// close what another thread has just opened.
int close_number(int number) {
  if (::close(number) == 0 || errno == EINTR) return 0;
  return -errno;
}

int32_t read_file(int number, uint8_t* data, size_t length, int64_t offset) {
  return result_of([&] {
    if (offset == current_position) return ::read(number, data, capped(length));
    return ::pread(number, data, capped(length), offset);
  });
}

int32_t write_file(int number, const uint8_t* data, size_t length, int64_t offset) {
  return result_of_send(result_of([&] {
    if (offset == current_position) return ::write(number, data, capped(length));
    return ::pwrite(number, data, capped(length), offset);
  }));
}

int32_t read_vectors(int number, std::span<const iovec> vectors, int64_t offset) {
  const int count = static_cast<int>(vectors.size());
  return result_of([&] {
    if (offset == current_position) return ::readv(number, vectors.data(), count);
    return ::preadv(number, vectors.data(), count, offset);
  });
}

int32_t write_vectors(int number, std::span<const iovec> vectors, int64_t offset) {
  const int count = static_cast<int>(vectors.size());
  return result_of_send(result_of([&] {
    if (offset == current_position) return ::writev(number, vectors.data(), count);
    return ::pwritev(number, vectors.data(), count, offset);
  }));
}

int truncate_file(int number, int64_t length) {
  return result_of([&] { return ::ftruncate(number, length); });
}

// Interrupted, it goes on by itself: to call again would be EALREADY.
int connect_socket(int number, const sockaddr* address, socklen_t address_size_bytes) {
  if (::connect(number, address, address_size_bytes) == 0) return 0;
  return errno == EINTR ? -EINPROGRESS : -errno;
}

// connect(2): an address of AF_UNSPEC ends the connection. macOS and the BSDs refuse the address,
// and end it too.
int disconnect_socket(int number) {
  int type = 0;
  socklen_t size = sizeof(type);
  if (::getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return -1;
  if (type != SOCK_DGRAM) {
    errno = EOPNOTSUPP;
    return -1;
  }
  sockaddr unspecified = {};
  unspecified.sa_family = AF_UNSPEC;
  if (::connect(number, &unspecified, sizeof(unspecified)) == 0) return 0;
#if defined(__linux__)
  return -1;
#else
  return errno == EAFNOSUPPORT || errno == EINVAL ? 0 : -1;
#endif
}

int connect_result(int number) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -errno;
  return -error;
}

// MSG_DONTWAIT too, because another process that shares the file behind the number can make it
// blocking again. XNU's sosendcheck() looks at O_NONBLOCK alone, so there such a send would wait.
int32_t send_bytes(int number, const uint8_t* data, size_t length, bool more) {
  const int flags = send_flags | MSG_DONTWAIT | (more ? more_flag : 0);
  return result_of_send(result_of([&] { return ::send(number, data, capped(length), flags); }));
}

int32_t send_message(int number, const msghdr& message, bool more) {
  const int flags = send_flags | MSG_DONTWAIT | (more ? more_flag : 0);
  const int32_t result = result_of([&] { return ::sendmsg(number, &message, flags); });
  // With an address EPROTOTYPE says that a socket of another type is there.
  return message.msg_name == nullptr ? result_of_send(result) : result;
}

int32_t receive_bytes(int number, uint8_t* data, size_t length) {
  return result_of([&] { return ::recv(number, data, capped(length), MSG_DONTWAIT); });
}

int32_t peek_bytes(int number, uint8_t* data, size_t length) {
  return result_of([&] { return ::recv(number, data, capped(length), MSG_PEEK | MSG_DONTWAIT); });
}

int32_t receive_message(int number, msghdr& message, int flags) {
  return result_of([&] { return ::recvmsg(number, &message, MSG_DONTWAIT | flags); });
}

#if defined(MSG_CMSG_CLOEXEC)
const int control_flags = MSG_CMSG_CLOEXEC;
#else
const int control_flags = 0;
#endif

int shut_down_socket(int number, int direction) {
  return ::shutdown(number, direction) == 0 ? 0 : -errno;
}

}  // namespace io::system
