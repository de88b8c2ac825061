// The trial of the eventfd: see io_uring/late_eventfd_signals.h.
#include "backend/io_uring/late_eventfd_signals.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <mutex>

namespace io::uring {

namespace {

// A ring with an eventfd, and a descriptor that it waits for. All of it is released at the end.
class Trial {
 public:
  Trial(int readable, int writable) : readable_(readable), writable_(writable) {
    constexpr unsigned flags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    signalled_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signalled_ < 0 || io_uring_queue_init(2, &ring_, flags) != 0) return;
    has_ring_ = true;
    works_ = io_uring_register_eventfd(&ring_, signalled_) == 0;
  }

  ~Trial() {
    if (has_ring_) io_uring_queue_exit(&ring_);
    if (signalled_ >= 0) ::close(signalled_);
  }

  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  bool works() const { return works_; }

  // Has the ring wait and ends the wait. Whether the signal comes within `patience_ms`; with 0,
  // whether it is there when the write has returned.
  Signals try_once(int patience_ms) {
    io_uring_prep_poll_add(io_uring_get_sqe(&ring_), readable_, POLLIN);
    uint64_t word = 1;
    if (io_uring_submit(&ring_) != 1) return Signals::unknown;
    if (::write(writable_, &word, sizeof(word)) != sizeof(word)) return Signals::unknown;
    eventfd_t count = 0;
    bool came = ::eventfd_read(signalled_, &count) == 0;
    if (!came && patience_ms > 0) {
      pollfd waited = {.fd = signalled_, .events = POLLIN, .revents = 0};
      came = ::poll(&waited, 1, patience_ms) != 0;
    }
    io_uring_cqe* completion = nullptr;
    int error = -EINTR;
    while (error == -EINTR) error = io_uring_wait_cqe(&ring_, &completion);
    if (error != 0) return Signals::unknown;
    io_uring_cqe_seen(&ring_, completion);
    if (::read(readable_, &word, sizeof(word)) != sizeof(word)) return Signals::unknown;
    // The completion has signalled too.
    ::eventfd_read(signalled_, &count);
    return came ? Signals::prompt : Signals::late;
  }

 private:
  int readable_;
  int writable_;
  int signalled_ = -1;
  io_uring ring_ = {};
  bool has_ring_ = false;
  bool works_ = false;
};

// A pipe wakes the ring as a socket does. An eventfd would not do: a signal that comes out of
// another eventfd's is put off by every kernel.
template <class Use>
Signals with_pipe(Use use) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Signals::unknown;
  const Signals found = use(ends[0], ends[1]);
  ::close(ends[0]);
  ::close(ends[1]);
  return found;
}

// The result that one thread has found for all.
class Found {
 public:
  template <class Find>
  Signals get(Find find) {
    const std::lock_guard lock(mutex_);
    if (signals_ == Signals::unknown) signals_ = find();
    return signals_;
  }

 private:
  std::mutex mutex_;
  Signals signals_ = Signals::unknown;
};

}  // namespace

// No time is measured, so neither load nor emulation matters: on a kernel that delays nothing the
// write itself raises the signal. A kernel that delays it can look prompt only if the thread stands
// still for a grace period between two calls, and then not every time.
Signals try_signals(int readable, int writable) {
  constexpr int rounds = 4;
  Trial trial(readable, writable);
  if (!trial.works()) return Signals::unknown;
  for (int round = 0; round < rounds; round++) {
    const Signals found = trial.try_once(0);
    if (found != Signals::prompt) return found;
  }
  return Signals::prompt;
}

Signals deferred_signals() {
  static Found found;
  return found.get([] { return with_pipe(try_signals); });
}

bool late_signals_come() {
  // Only on a kernel that loses signals does this wait last so long.
  constexpr int patience_ms = 1000;
  static Found found;
  const Signals second = found.get([] {
    return with_pipe([](int readable, int writable) {
      Trial trial(readable, writable);
      if (!trial.works()) return Signals::unknown;
      const Signals first = trial.try_once(patience_ms);
      return first == Signals::prompt ? trial.try_once(patience_ms) : first;
    });
  });
  return second == Signals::prompt;
}

}  // namespace io::uring
