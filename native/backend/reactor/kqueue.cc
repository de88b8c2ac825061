// Readiness by kqueue: see reactor/kqueue.h. Of the systems that have it only the standard headers
// and <sys/event.h> are used, so that this file compiles over any implementation of it.
#include "backend/reactor/kqueue.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "support/check.h"
#include "support/clock.h"
#include "system/kevent_data.h"
#include "system/system.h"
#include "backend/reactor/open_reactor.h"

namespace io {

namespace {

constexpr size_t events_limit = 256;
[[maybe_unused]] constexpr size_t changes_limit = 2;
// Idents are per filter, so this one collides with no descriptor.
[[maybe_unused]] constexpr uintptr_t wake_up_ident = 0;

// Systems refuse a timeout that they cannot represent. A longer wait returns early with nothing,
// and the caller waits again.
constexpr int64_t longest_wait_ns = 86'400LL * 1'000'000'000;

struct kevent make_change(uintptr_t ident, int filter, unsigned flags, uint64_t token = 0) {
  struct kevent change;
  EV_SET(&change, ident, filter, flags, 0, 0, system::kevent_data_of(token));
  return change;
}

// On EVFILT_READ the peer will send no more. That says nothing about the other direction, unless
// there is an error. On EVFILT_WRITE the peer will not receive any more, so no answer can come
// either.
Ready ready_of(const struct kevent& event) {
  const bool ended = (event.flags & EV_EOF) != 0;
  const bool of_reading = event.filter == EVFILT_READ;
  const bool both = ended && (!of_reading || event.fflags != 0);
  return {
      .token = system::token_of(event.udata),
      .readable = of_reading || both,
      .writable = !of_reading || both,
      .ended = ended,
  };
}

// EVFILT_WRITE of a pipe whose other end is closed: FreeBSD, OpenBSD and macOS return EPIPE, and
// NetBSD EBADF (its pipe_kqfilter), although the number is open.
bool is_gone(int error) {
  return error == EPIPE || error == EBADF;
}

// Its end is no matter of waiting: EVFILT_READ would compare the position with the size.
bool is_file(const struct stat& status) {
  return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode);
}

}  // namespace

KqueuePoller::~KqueuePoller() {
  for (const int number : {queue_, wake_up_[0], wake_up_[1]}) {
    if (number >= 0) ::close(number);
  }
}

int KqueuePoller::fail(const char* call) {
  failed_call_ = call;
  return errno;
}

int KqueuePoller::open() {
  queue_ = ::kqueue();
  if (queue_ < 0) return fail("kqueue");
  // No child of fork(2) inherits a queue, so nothing can come in between.
  if (::fcntl(queue_, F_SETFD, FD_CLOEXEC) != 0) return fail("fcntl");
  kept_.reserve(events_limit);
  return open_wake_up();
}

#if defined(EVFILT_USER)

int KqueuePoller::open_wake_up() {
  struct kevent change = make_change(wake_up_ident, EVFILT_USER, EV_ADD | EV_CLEAR);
  return ::kevent(queue_, &change, 1, nullptr, 0, nullptr) == 0 ? 0 : fail("kevent");
}

void KqueuePoller::wake_up() {
  struct kevent change = make_change(wake_up_ident, EVFILT_USER, 0);
  change.fflags = NOTE_TRIGGER;
  while (::kevent(queue_, &change, 1, nullptr, 0, nullptr) != 0) {
    if (errno == EINTR) continue;
    lost_ = errno;
    return;
  }
}

bool KqueuePoller::is_wake_up(const struct kevent& event) const {
  return event.filter == EVFILT_USER;
}

void KqueuePoller::drain_wake_up() const {}

#else

int KqueuePoller::open_wake_up() {
  const int error = system::open_pipe(wake_up_);
  if (error != 0) {
    failed_call_ = "pipe";
    return -error;
  }
  const auto ident = static_cast<uintptr_t>(wake_up_[0]);
  struct kevent change = make_change(ident, EVFILT_READ, EV_ADD | EV_CLEAR);
  return ::kevent(queue_, &change, 1, nullptr, 0, nullptr) == 0 ? 0 : fail("kevent");
}

void KqueuePoller::wake_up() {
  const char byte = 0;
  // EAGAIN: the pipe is full, so an event is still pending.
  while (::write(wake_up_[1], &byte, 1) != 1) {
    if (errno == EAGAIN) return;
    if (errno == EINTR) continue;
    lost_ = errno;
    return;
  }
}

bool KqueuePoller::is_wake_up(const struct kevent& event) const {
  return event.filter == EVFILT_READ && event.ident == static_cast<uintptr_t>(wake_up_[0]);
}

// A full pipe raises no further event, since nothing is added to it.
void KqueuePoller::drain_wake_up() const {
  char bytes[64];
  while (::read(wake_up_[0], bytes, sizeof(bytes)) > 0) {
  }
}

#endif

// Makes the changes; the error of each, or 0, is then in its `data`.
void KqueuePoller::apply(std::span<struct kevent> changes) {
#if defined(EV_RECEIPT)
  struct kevent receipts[changes_limit];
  CHECK(changes.size() <= changes_limit);
  for (struct kevent& change : changes) change.flags |= EV_RECEIPT;
  const int count = static_cast<int>(changes.size());
  for (;;) {
    system_calls_.fetch_add(1, std::memory_order_relaxed);
    const int given = ::kevent(queue_, changes.data(), count, receipts, count, nullptr);
    if (given == count) break;
    // FreeBSD has applied them all by then; doing it again does no harm and gives the receipts.
    if (given < 0 && errno == EINTR) continue;
    lost_ = errno;
    return;
  }
  for (size_t index = 0; index < changes.size(); index++) {
    CHECK((receipts[index].flags & EV_ERROR) != 0);
    changes[index].data = receipts[index].data;
  }
#else
  for (struct kevent& change : changes) {
    system_calls_.fetch_add(1, std::memory_order_relaxed);
    const int result = ::kevent(queue_, &change, 1, nullptr, 0, nullptr);
    change.data = result == 0 ? 0 : errno;
  }
#endif
}

int KqueuePoller::watch(int number, uint64_t token) {
  struct stat status;
  if (::fstat(number, &status) != 0) return -errno;
  if (is_file(status)) return -EPERM;
  const auto ident = static_cast<uintptr_t>(number);
  struct kevent changes[] = {
      make_change(ident, EVFILT_READ, EV_ADD | EV_CLEAR, token),
      make_change(ident, EVFILT_WRITE, EV_ADD | EV_CLEAR, token),
  };
  // XNU refuses a device that counts no bytes unless it is asked for one byte (filt_specattach).
  // Not of sockets: an empty datagram has no byte.
  if (S_ISCHR(status.st_mode)) {
    for (struct kevent& change : changes) {
      change.fflags = NOTE_LOWAT;
      change.data = 1;
    }
  }
  apply(changes);
  const int errors[] = {static_cast<int>(changes[0].data), static_cast<int>(changes[1].data)};
  for (const int error : errors) {
    // Any other error says that there is no such filter for this descriptor; systems do not agree
    // on which.
    if (error != ENOMEM) continue;
    forget(number);
    return -error;
  }
  // An event that comes no more, and an operation may be waiting for it already.
  if (is_gone(errors[0]) || is_gone(errors[1])) {
    keep({.token = token, .readable = true, .writable = true, .ended = true});
    return 0;
  }
  // One direction alone is right for the end of a pipe.
  return errors[0] != 0 && errors[1] != 0 ? -EPERM : 0;
}

void KqueuePoller::forget(int number) {
  const auto ident = static_cast<uintptr_t>(number);
  struct kevent changes[] = {
      make_change(ident, EVFILT_READ, EV_DELETE),
      make_change(ident, EVFILT_WRITE, EV_DELETE),
  };
  // ENOENT: that direction was refused.
  apply(changes);
}

// Returns 0 when a signal ended the wait.
int KqueuePoller::ask(std::span<struct kevent> events, int64_t deadline_ns) {
  const int64_t limit_ns = std::min(deadline_ns, longest_wait_ns);
  const timespec limit = {
      .tv_sec = static_cast<time_t>(limit_ns / 1'000'000'000),
      .tv_nsec = static_cast<long>(limit_ns % 1'000'000'000),
  };
  system_calls_.fetch_add(1, std::memory_order_relaxed);
  const int found = ::kevent(queue_, nullptr, 0, events.data(), static_cast<int>(events.size()),
                             deadline_ns < 0 ? nullptr : &limit);
  if (found >= 0) return found;
  if (errno != EINTR) lost_ = errno;
  return 0;
}

// How long a wait may last for the alarm; -1 when there is none. Under the lock.
int64_t KqueuePoller::until_alarm_ns() const {
  return alarm_due_ns_ < 0 ? -1 : std::max<int64_t>(0, alarm_due_ns_ - now_ns());
}

// The events that the waiting thread left. If it left any, or only the request to end the wait,
// this call does not wait. It never waits past the alarm.
size_t KqueuePoller::take_kept(std::span<Ready> ready, int64_t& deadline_ns) {
  const std::lock_guard lock(mutex_);
  if (interrupted_ || !kept_.empty()) deadline_ns = 0;
  interrupted_ = false;
  const int64_t alarm_ns = until_alarm_ns();
  if (alarm_ns >= 0 && (deadline_ns < 0 || alarm_ns < deadline_ns)) deadline_ns = alarm_ns;
  if (alarm_ns == 0) alarm_due_ns_ = -1;
  const size_t count = std::min(ready.size(), kept_.size());
  const auto end = kept_.begin() + static_cast<std::ptrdiff_t>(count);
  std::copy(kept_.begin(), end, ready.begin());
  kept_.erase(kept_.begin(), end);
  return count;
}

void KqueuePoller::keep(const Ready& event) {
  {
    const std::lock_guard lock(mutex_);
    kept_.push_back(event);
  }
  // The thread may be waiting, and the kernel knows nothing of this.
  wake_up();
}

size_t KqueuePoller::wait(std::span<Ready> ready, int64_t deadline_ns) {
  size_t count = take_kept(ready, deadline_ns);
  const size_t room = std::min(ready.size() - count, events_limit);
  if (room == 0) return count;
  struct kevent events[events_limit];
  const int found = ask({events, room}, deadline_ns);
  for (int index = 0; index < found; index++) {
    const struct kevent& event = events[index];
    if (is_wake_up(event)) {
      drain_wake_up();
    } else {
      ready[count++] = ready_of(event);
    }
  }
  return count;
}

void KqueuePoller::wait_elsewhere() {
  int64_t deadline_ns = -1;
  {
    const std::lock_guard lock(mutex_);
    if (interrupted_ || !kept_.empty()) return;
    deadline_ns = until_alarm_ns();
    waiting_ = true;
    waiting_until_ns_ = alarm_due_ns_;
  }
  struct kevent events[events_limit];
  const int found = ask(events, deadline_ns);
  const std::lock_guard lock(mutex_);
  waiting_ = false;
  for (int index = 0; index < found; index++) {
    const struct kevent& event = events[index];
    if (is_wake_up(event)) {
      drain_wake_up();
      interrupted_ = true;
    } else {
      kept_.push_back(ready_of(event));
    }
  }
}

void KqueuePoller::set_alarm(int64_t due_ns) {
  {
    const std::lock_guard lock(mutex_);
    alarm_due_ns_ = due_ns;
    if (!waiting_ || due_ns < 0) return;
    if (waiting_until_ns_ >= 0 && waiting_until_ns_ <= due_ns) return;
  }
  // The thread has begun to wait for longer than that. It comes back, and waits again.
  wake_up();
}

Opened open_kqueue(const BackendOptions& options) {
  return open_reactor<KqueuePoller>(options);
}

}  // namespace io
