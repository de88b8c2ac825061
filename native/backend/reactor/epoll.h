// Readiness by epoll: Linux hosts where io_uring is missing or forbidden. See poller.h.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>

#include "backend/reactor/poller.h"

namespace io {

class EpollPoller {
 public:
  static constexpr const char* name = "epoll";
  // epoll(7): with EPOLLET, a stream that gave less than was asked for has been emptied.
  static constexpr bool short_transfer_drains = true;

  EpollPoller() = default;
  ~EpollPoller();
  EpollPoller(const EpollPoller&) = delete;
  EpollPoller& operator=(const EpollPoller&) = delete;

  int open();
  const char* failed_call() const { return failed_call_; }
  int watch(int number, uint64_t token);
  // The kernel forgets a descriptor only when no copy of it is left, in whatever process: until
  // then every change would wake us.
  void forget(int number);
  size_t wait(std::span<Ready> ready, int64_t deadline_ns);
  void wake_up();
  int descriptor();
  void wait_elsewhere();
  void set_alarm(int64_t due_ns);
  // Whether a wake-up reaches the event loop.
  bool is_there();
  bool is_epoll();
  Loss loss() const { return loss_; }
  uint64_t system_calls() const { return system_calls_; }

 private:
  void lose(const char* call, int error);
  int fail(const char* call);
  int add(int number, uint32_t events, uint64_t token);
  int wait_for_events(std::span<epoll_event> events, int64_t deadline_ns);

  int epoll_ = -1;
  int wake_up_ = -1;  // an eventfd
  int alarm_ = -1;    // a timerfd, in attached mode
  int64_t alarm_due_ns_ = -1;
  bool has_nanoseconds_ = true;  // epoll_pwait2, Linux 5.11
  const char* failed_call_ = "";
  Loss loss_;
  uint64_t system_calls_ = 0;
};

static_assert(Poller<EpollPoller>);

}  // namespace io
