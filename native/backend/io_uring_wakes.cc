// The trial of the eventfd: see io_uring_wakes.h.
#include "io_uring_wakes.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <initializer_list>

namespace io::uring {

namespace {

// RCU calls back after some milliseconds. A signal that is later still is believed to be lost, and
// then a ring of another kind is taken, which works as well.
constexpr int patience_ms = 100;

// The bit came with 6.12; a trial on kernels that are known to clear it would only take time.
bool is_suspect() {
  utsname name;
  int major = 0;
  int minor = 0;
  if (::uname(&name) != 0) return false;
  if (std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major == 6 && minor >= 12;
}

// Has the ring wait for the pipe, which is then written to; whether the eventfd tells of it.
bool tells_once(io_uring& ring, int readable, int writable, int told) {
  io_uring_prep_poll_add(io_uring_get_sqe(&ring), readable, POLLIN);
  char byte = 0;
  if (io_uring_submit(&ring) != 1 || ::write(writable, &byte, 1) != 1) return true;
  pollfd waited = {.fd = told, .events = POLLIN, .revents = 0};
  const bool told_in_time = ::poll(&waited, 1, patience_ms) != 0;
  io_uring_cqe* completion = nullptr;
  if (io_uring_wait_cqe(&ring, &completion) == 0) io_uring_cqe_seen(&ring, completion);
  eventfd_t count = 0;
  ::eventfd_read(told, &count);
  return ::read(readable, &byte, 1) != 1 || told_in_time;
}

bool try_twice() {
  io_uring ring;
  const unsigned flags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  if (io_uring_queue_init(2, &ring, flags) != 0) return true;
  bool keeps = true;
  const int told = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // No eventfd is polled: a signal that comes out of another one's is put off by every kernel.
  int ends[2] = {-1, -1};
  if (told >= 0 && ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 &&
      io_uring_register_eventfd(&ring, told) == 0) {
    for (int round = 0; round < 2 && keeps; round++) {
      keeps = tells_once(ring, ends[0], ends[1], told);
    }
  }
  io_uring_queue_exit(&ring);
  for (const int number : {told, ends[0], ends[1]}) {
    if (number >= 0) ::close(number);
  }
  return keeps;
}

}  // namespace

bool eventfd_keeps_telling() {
  static const bool keeps = !is_suspect() || try_twice();
  return keeps;
}

}  // namespace io::uring
