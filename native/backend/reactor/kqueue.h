// Readiness by kqueue, for macOS, FreeBSD, NetBSD and OpenBSD: see poller.h.
//
// A kqueue has one event per descriptor and filter, so a descriptor has two, both of them EV_CLEAR.
// Each is reported by itself, with the token that watch() was given.
//
// libuv must not poll the kqueue, since it would put it into a kqueue of its own (libuv#883). So a
// thread waits in wait_elsewhere() and takes the events out of the kernel. With EV_CLEAR the kernel
// does not report them again, so the thread keeps them under a mutex for wait(), which looks there
// first.
//
// An alarm limits how long a wait may last. It is no EVFILT_TIMER: the system could refuse that
// when memory or a limit is reached, its units differ, and zero means something else.
#pragma once

#include <sys/types.h>
#include <sys/event.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "backend/reactor/poller.h"

namespace io {

class KqueuePoller {
 public:
  static constexpr const char* name = "kqueue";
  // EV_EOF may come together with the last bytes, and only once: a receive that leaves the end
  // behind gets no further event. And `data` does not say on every system how many bytes there are.
  static constexpr bool short_transfer_drains = false;

  KqueuePoller() = default;
  ~KqueuePoller();
  KqueuePoller(const KqueuePoller&) = delete;
  KqueuePoller& operator=(const KqueuePoller&) = delete;

  int open();
  const char* failed_call() const { return failed_call_; }
  int watch(int number, uint64_t token);
  void forget(int number);
  size_t wait(std::span<Ready> ready, int64_t deadline_ns);
  void wake_up();
  int descriptor() const { return -ENOTSUP; }
  void wait_elsewhere();
  void set_alarm(int64_t due_ns);
  bool is_there() const { return lost_.load(std::memory_order_relaxed) == 0; }
  Loss loss() const { return {.call = "kevent", .error = lost_.load(std::memory_order_relaxed)}; }
  uint64_t system_calls() const { return system_calls_.load(std::memory_order_relaxed); }

 private:
  int fail(const char* call);
  int open_wake_up();
  void drain_wake_up() const;
  bool is_wake_up(const struct kevent& event) const;
  void apply(std::span<struct kevent> changes);
  int ask(std::span<struct kevent> events, int64_t deadline_ns);
  size_t take_kept(std::span<Ready> ready, int64_t& deadline_ns);
  int64_t until_alarm_ns() const;
  void keep(const Ready& event);

  int queue_ = -1;
  // Only where the system has no user events: a pipe, read and written.
  int wake_up_[2] = {-1, -1};
  const char* failed_call_ = "";
  std::atomic<uint64_t> system_calls_ = 0;
  std::atomic<int> lost_ = 0;  // an errno

  std::mutex mutex_;
  // Guarded by `mutex_`: events that the waiting thread took out of the kernel for wait().
  std::vector<Ready> kept_;
  bool interrupted_ = false;
  // Guarded by `mutex_` too. The thread is waiting, and until when; -1 is forever.
  int64_t alarm_due_ns_ = -1;
  bool waiting_ = false;
  int64_t waiting_until_ns_ = -1;
};

}  // namespace io
