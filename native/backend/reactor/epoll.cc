// Readiness by epoll: see reactor/epoll.h.
#include "backend/reactor/epoll.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "support/check.h"
#include "support/clock.h"
#include "backend/reactor/open_reactor.h"

namespace io {

namespace {

// Tokens of the poller's own descriptors; those of others have a number in their lower half.
constexpr uint64_t wake_up_token = UINT64_MAX;
constexpr uint64_t alarm_token = UINT64_MAX - 1;

constexpr uint32_t both_directions = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
constexpr size_t events_limit = 256;

int64_t milliseconds_up(int64_t nanoseconds) {
  return std::min<int64_t>(INT_MAX, (nanoseconds + 999'999) / 1'000'000);
}

}  // namespace

EpollPoller::~EpollPoller() {
  for (const int number : {epoll_, wake_up_, alarm_}) {
    if (number >= 0) ::close(number);
  }
}

int EpollPoller::fail(const char* call) {
  failed_call_ = call;
  return errno;
}

int EpollPoller::open() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return fail("epoll_create1");
  wake_up_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_up_ < 0) return fail("eventfd");
  // Edge-triggered: each write is an event, and the count need not be read.
  if (add(wake_up_, EPOLLIN | EPOLLET, wake_up_token) != 0) return fail("epoll_ctl");
  return 0;
}

int EpollPoller::add(int number, uint32_t events, uint64_t token) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = token;
  system_calls_++;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, number, &event) == 0) return 0;
  const int error = errno;
  // EBADF is about either of the two. EINVAL says that the number is no longer an epoll, or that
  // the other one is a duplicate of it, which the caller may poll as any other descriptor.
  if (error == EBADF) is_there();
  if (error == EINVAL && !is_epoll()) lose("epoll_ctl", error);
  return -error;
}

bool EpollPoller::is_epoll() {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = wake_up_token;
  // Other code may have closed the eventfd: EBADF, ENOENT or EPERM then.
  return ::epoll_ctl(epoll_, EPOLL_CTL_MOD, wake_up_, &event) == 0 || errno != EINVAL;
}

int EpollPoller::watch(int number, uint64_t token) {
  return add(number, both_directions, token);
}

void EpollPoller::forget(int number) {
  system_calls_++;
  // Other code may have closed it, and its number may be any file by now: then the kernel has
  // forgotten it already, and refuses (EBADF, ENOENT, EPERM).
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, number, nullptr);
}

int EpollPoller::wait_for_events(std::span<epoll_event> events, int64_t deadline_ns) {
  const int room = static_cast<int>(events.size());
  system_calls_++;
  if (deadline_ns > 0 && has_nanoseconds_) {
    // By its number, because musl has no function for it. The kernel's time has 64 bits everywhere.
    const int64_t limit[2] = {deadline_ns / 1'000'000'000, deadline_ns % 1'000'000'000};
    const long count = ::syscall(SYS_epoll_pwait2, epoll_, events.data(), room, limit, nullptr, 0);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(count);
    has_nanoseconds_ = false;
  }
  const int limit_ms = deadline_ns > 0 ? static_cast<int>(milliseconds_up(deadline_ns))
                                       : static_cast<int>(deadline_ns);
  return ::epoll_wait(epoll_, events.data(), room, limit_ms);
}

// The waiting thread waits on this epoll, so the alarm has to be registered in it too. It is
// created now, because registering a descriptor may fail and setting an alarm may not.
int EpollPoller::descriptor() {
  if (alarm_ >= 0) return epoll_;
  alarm_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (alarm_ < 0) return -fail("timerfd_create");
  const int error = add(alarm_, EPOLLIN | EPOLLET, alarm_token);
  return error == 0 ? epoll_ : error;
}

size_t EpollPoller::wait(std::span<Ready> ready, int64_t deadline_ns) {
  epoll_event events[events_limit];
  const size_t room = std::min(ready.size(), events_limit);
  const int found = wait_for_events({events, room}, deadline_ns);
  if (found < 0 && errno != EINTR) lose("epoll_wait", errno);
  size_t count = 0;
  for (int index = 0; index < found; index++) {
    const uint32_t what = events[index].events;
    const uint64_t token = events[index].data.u64;
    if (token == alarm_token) alarm_due_ns_ = -1;
    if (token == alarm_token || token == wake_up_token) continue;
    const bool failed = (what & (EPOLLHUP | EPOLLERR)) != 0;
    ready[count++] = {
        .token = token,
        .readable = failed || (what & (EPOLLIN | EPOLLRDHUP | EPOLLPRI)) != 0,
        .writable = failed || (what & EPOLLOUT) != 0,
        // Urgent data stops a receive before it, so a short one says nothing then either.
        .ended = failed || (what & (EPOLLRDHUP | EPOLLPRI)) != 0,
    };
  }
  return count;
}

void EpollPoller::wake_up() {
  const uint64_t one = 1;
  // EAGAIN: the count is at its limit, so it has been written to and the event is there.
  if (::write(wake_up_, &one, sizeof(one)) >= 0 || errno == EAGAIN || alarm_ < 0) return;
  // Other code has closed the eventfd. The alarm wakes the thread as well.
  const itimerspec now = {.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = 1}};
  ::timerfd_settime(alarm_, TFD_TIMER_ABSTIME, &now, nullptr);
}

bool EpollPoller::is_there() {
  const bool is_there = ::fcntl(epoll_, F_GETFD) >= 0;
  if (!is_there) lose("fcntl of the epoll", errno);
  return is_there;
}

void EpollPoller::lose(const char* call, int error) {
  if (loss_.error == 0) loss_ = {.call = call, .error = error};
}

void EpollPoller::wait_elsewhere() {
  pollfd waited = {.fd = epoll_, .events = POLLIN, .revents = 0};
  ::poll(&waited, 1, -1);  // too early is no harm
}

void EpollPoller::set_alarm(int64_t due_ns) {
  if (due_ns < 0) return;
  // An alarm that rings too early is harmless, and cheaper than setting it again each time. One
  // whose time has passed has rung; if other code has closed it, no further event comes.
  const bool comes_early = alarm_due_ns_ >= 0 && alarm_due_ns_ <= due_ns;
  if (comes_early && alarm_due_ns_ > now_ns()) return;
  CHECK(alarm_ >= 0);
  itimerspec when = {};
  // All zero would turn it off.
  const int64_t at_ns = std::max<int64_t>(1, due_ns);
  when.it_value = {.tv_sec = at_ns / 1'000'000'000, .tv_nsec = at_ns % 1'000'000'000};
  system_calls_++;
  if (::timerfd_settime(alarm_, TFD_TIMER_ABSTIME, &when, nullptr) != 0)
    return lose("timerfd_settime", errno);
  alarm_due_ns_ = due_ns;
}

Opened open_epoll(const BackendOptions& options) {
  return open_reactor<EpollPoller>(options);
}

}  // namespace io
