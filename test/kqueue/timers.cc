// EVFILT_TIMER, in milliseconds. See layer.h.
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <cerrno>

#include "layer.h"
#include "real.h"

namespace kqueue_layer {

namespace {

class TimerKnote : public Knote {
 public:
  using Knote::Knote;

  int attach() override {
    if (parameter < 0) return EINVAL;
    timer_ = Owned(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer_.valid()) return errno;
    // "If data is 0": the shortest time that the kernels have.
    const int64_t duration_ns = parameter == 0 ? 1 : parameter * 1'000'000;
    itimerspec when = {};
    when.it_value = {duration_ns / 1'000'000'000, duration_ns % 1'000'000'000};
    if ((behaviour & EV_ONESHOT) == 0) when.it_interval = when.it_value;
    if (::timerfd_settime(timer_.get(), 0, &when, nullptr) != 0) return errno;
    behaviour |= EV_CLEAR;
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = id;
    return ::epoll_ctl(sources.own, EPOLL_CTL_ADD, timer_.get(), &event) == 0 ? 0 : errno;
  }

  bool holds() override {
    uint64_t rung = 0;
    if (__real_read(timer_.get(), &rung, sizeof(rung)) == sizeof(rung)) rung_ += rung;
    reported.data = static_cast<int64_t>(rung_);
    return rung_ > 0;
  }

  void reset() override { rung_ = 0; }

 private:
  Owned timer_;
  uint64_t rung_ = 0;
};

}  // namespace

std::unique_ptr<Knote> make_timer_knote(const Sources& sources, uint64_t id,
                                        const struct kevent& change) {
  return std::make_unique<TimerKnote>(sources, id, change);
}

}  // namespace kqueue_layer
