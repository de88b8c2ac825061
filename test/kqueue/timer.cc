// EVFILT_TIMER on a timerfd, which counts expirations as the filter does. See layer.h.
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>

#include "layer.h"

namespace kqueue_layer {

namespace {

constexpr int64_t second_ns = 1'000'000'000;
// What fits into 64 bits of nanoseconds, in seconds; longer timers are set to that.
constexpr int64_t longest_s = INT64_MAX / second_ns;

timespec time_of(int64_t count, uint32_t unit) {
  int64_t units_per_second = 1000;
  if ((unit & NOTE_SECONDS) != 0) units_per_second = 1;
  if ((unit & NOTE_USECONDS) != 0) units_per_second = 1'000'000;
  if ((unit & NOTE_NSECONDS) != 0) units_per_second = second_ns;
  timespec time = {};
  time.tv_sec = count / units_per_second < longest_s ? count / units_per_second : longest_s;
  time.tv_nsec = count % units_per_second * (second_ns / units_per_second);
  return time;
}

class TimerKnote : public Knote {
 public:
  TimerKnote(const Sources& sources, uint64_t id, const struct kevent& change)
      : Knote(sources, id, change) {
    behaviour |= EV_CLEAR;  // the filter sets it itself
  }

  int attach() override { return start(wanted, parameter); }

  int touch(const struct kevent& change) override {
    if ((change.flags & EV_ADD) == 0) return 0;
    behaviour |= EV_CLEAR;
    return start(change.fflags, change.data);
  }

  bool holds() override {
    uint64_t expirations = 0;
    if (::read(timer_.get(), &expirations, sizeof(expirations)) == sizeof(expirations)) {
      told.data += static_cast<int64_t>(expirations);
    }
    return told.data != 0;
  }

  void reset() override { told.data = 0; }

 private:
  // A timer that is there already begins again, and its expirations that were not told are dropped.
  int start(uint32_t unit, int64_t count) {
    if (count < 0) return EINVAL;
    const bool absolute = (unit & NOTE_ABSTIME) != 0;
    const bool once = absolute || (behaviour & EV_ONESHOT) != 0;
    if (count == 0 && !once) count = 1;
    itimerspec setting = {};
    setting.it_value = time_of(count, unit);
    if (!once) setting.it_interval = setting.it_value;
    // Zero would stop a timerfd; what is meant is at once.
    if (setting.it_value.tv_sec == 0 && setting.it_value.tv_nsec == 0) setting.it_value.tv_nsec = 1;
    // A timerfd has one clock for its life, so each start makes a new one.
    Owned timer(
        ::timerfd_create(absolute ? CLOCK_REALTIME : CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer.valid()) return errno;
    if (::timerfd_settime(timer.get(), absolute ? TFD_TIMER_ABSTIME : 0, &setting, nullptr) != 0) {
      return errno;
    }
    const int error = watch_own(timer.get());
    if (error != 0) return error;
    timer_ = std::move(timer);
    told.data = 0;
    wanted = unit;
    parameter = count;
    return 0;
  }

  Owned timer_;
};

}  // namespace

std::unique_ptr<Knote> make_timer_knote(const Sources& sources, uint64_t id,
                                        const struct kevent& change) {
  return std::make_unique<TimerKnote>(sources, id, change);
}

}  // namespace kqueue_layer
