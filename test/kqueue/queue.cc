// Changes, the list of active knotes, and waiting. See queue.h.
#include "queue.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace kqueue_layer {

namespace {

constexpr uint64_t awake_id = 0;
constexpr uint64_t reading_id = 1;
constexpr uint64_t writing_id = 2;
constexpr int64_t second_ns = 1'000'000'000;
constexpr int64_t never = INT64_MAX;

int64_t now_ns() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * second_ns + now.tv_nsec;
}

bool is_valid(const timespec& timeout) {
  return timeout.tv_sec >= 0 && timeout.tv_nsec >= 0 && timeout.tv_nsec < second_ns;
}

int64_t end_of(const timespec* timeout) {
  if (timeout == nullptr) return never;
  const int64_t start = now_ns();
  // A wait of centuries is one without an end.
  if (timeout->tv_sec > (never - start) / second_ns - 1) return never;
  return start + timeout->tv_sec * second_ns + timeout->tv_nsec;
}

// Waits for news of the queue. False when a signal was faster.
bool wait_for(int number, int64_t end_ns) {
  pollfd poller = {number, POLLIN, 0};
  if (end_ns == never) return ::poll(&poller, 1, -1) >= 0;
  const int64_t left_ns = end_ns - now_ns();
  if (left_ns <= 0) return true;
  const timespec left = {left_ns / second_ns, left_ns % second_ns};
  return ::ppoll(&poller, 1, &left, nullptr) >= 0;
}

int enrol(int source, int number, uint64_t id) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = id;
  return ::epoll_ctl(source, EPOLL_CTL_ADD, number, &event) == 0 ? 0 : errno;
}

// The result of a change in the list of events: an error, or 0 for a receipt.
struct kevent result_of(const struct kevent& change, int error) {
  struct kevent result = change;
  result.flags |= EV_ERROR;
  result.data = error;
  return result;
}

bool is_closed(const struct kevent& change) {
  return takes_descriptor(change.filter) && ::fcntl(static_cast<int>(change.ident), F_GETFD) == -1;
}

}  // namespace

int Queue::open() {
  own_ = Owned(::epoll_create1(EPOLL_CLOEXEC));
  if (!own_.valid()) return errno;
  reading_ = Owned(::epoll_create1(EPOLL_CLOEXEC));
  if (!reading_.valid()) return errno;
  writing_ = Owned(::epoll_create1(EPOLL_CLOEXEC));
  if (!writing_.valid()) return errno;
  awake_ = Owned(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!awake_.valid()) return errno;
  int error = enrol(own_.get(), awake_.get(), awake_id);
  if (error == 0) error = enrol(own_.get(), reading_.get(), reading_id);
  if (error == 0) error = enrol(own_.get(), writing_.get(), writing_id);
  return error;
}

int Queue::make_number() const {
  return ::fcntl(own_.get(), F_DUPFD_CLOEXEC, 0);
}

int Queue::call(const struct kevent* changes, int change_count, struct kevent* events,
                int event_count, const struct timespec* timeout) {
  if (change_count < 0 || event_count < 0) return -EINVAL;
  if (timeout != nullptr && !is_valid(*timeout)) return -EINVAL;
  std::unique_lock lock(mutex_);
  int receipts = 0;
  for (int index = 0; index < change_count; index++) {
    const struct kevent change = changes[index];  // both lists may be the same array
    const int error = apply(change);
    if (error == 0 && (change.flags & EV_RECEIPT) == 0) continue;
    if (receipts == event_count) {
      sync_awake();
      return -error;
    }
    events[receipts++] = result_of(change, error);
  }
  sync_awake();
  if (receipts > 0 || event_count == 0) return receipts;

  const int64_t end_ns = end_of(timeout);
  for (bool interrupted = false;;) {
    if (closed_) return -EBADF;
    collect();
    const int count = scan(events, event_count);
    sync_awake();
    if (count > 0) return count;
    if (interrupted) return -EINTR;
    if (end_ns != never && now_ns() >= end_ns) return 0;
    lock.unlock();
    interrupted = !wait_for(own_.get(), end_ns);
    lock.lock();
  }
}

int Queue::apply(const struct kevent& change) {
  const Key key(change.filter, change.ident);
  auto found = knotes_.find(key);
  if (found != knotes_.end() && !found->second->alive()) {
    remove(key);
    found = knotes_.end();
  }
  if (is_closed(change)) return EBADF;
  if ((change.flags & EV_ADD) != 0 && (change.flags & EV_KEEPUDATA) != 0) return EINVAL;
  if (found == knotes_.end()) {
    if ((change.flags & EV_ADD) == 0 || (change.flags & EV_DELETE) != 0) return ENOENT;
    return add(key, change);
  }
  if ((change.flags & EV_DELETE) != 0) {
    remove(key);
    return 0;
  }
  Knote& knote = *found->second;
  if ((change.flags & EV_KEEPUDATA) == 0) knote.udata = change.udata;
  if ((change.flags & EV_ADD) != 0) knote.behaviour = change.flags & behaviour_flags;
  const int error = knote.touch(change);
  if (error != 0) return error;
  if ((change.flags & (EV_ADD | EV_ENABLE)) != 0) knote.disabled = false;
  if ((change.flags & EV_DISABLE) != 0) knote.disabled = true;
  if (!knote.disabled && (knote.active || knote.holds())) activate(knote);
  return 0;
}

int Queue::add(const Key& key, const struct kevent& change) {
  std::unique_ptr<Knote> made = make_knote(sources(), next_id_++, change);
  if (made == nullptr) return EINVAL;
  const int error = made->attach();
  if (error != 0) return error;
  Knote& knote = *made;
  by_id_.emplace(knote.id, &knote);
  knotes_.emplace(key, std::move(made));
  knote.disabled = (change.flags & EV_DISABLE) != 0;
  if (!knote.disabled && knote.holds()) activate(knote);
  return 0;
}

void Queue::remove(const Key& key) {
  const auto found = knotes_.find(key);
  by_id_.erase(found->second->id);
  knotes_.erase(found);
}

void Queue::activate(Knote& knote) {
  knote.active = true;
  if (knote.disabled || knote.queued) return;
  knote.queued = true;
  active_.push_back(knote.id);
}

void Queue::collect() {
  collect_from(own_.get());
}

// Takes the events of epoll. All but the layer's own three are edge-triggered, so a taken event is
// gone, and the ids of removed knotes mean nothing.
void Queue::collect_from(int source) {
  constexpr int batch = 64;
  epoll_event news[batch];
  for (int count = batch; count == batch;) {
    count = ::epoll_wait(source, news, batch, 0);
    for (int index = 0; index < count; index++) {
      const uint64_t id = news[index].data.u64;
      if (id == reading_id) collect_from(reading_.get());
      if (id == writing_id) collect_from(writing_.get());
      if (id == vnodes_id) vnodes_.collect([this](Knote& knote) { activate(knote); });
      const auto found = by_id_.find(id);
      if (found != by_id_.end()) activate(*found->second);
    }
  }
}

int Queue::scan(struct kevent* events, int event_count) {
  int count = 0;
  // Each at most once in a call, however often it comes back to the end of the list.
  for (size_t left = active_.size(); left > 0 && count < event_count; left--) {
    const auto found = by_id_.find(active_.front());
    active_.pop_front();
    if (found == by_id_.end()) continue;
    Knote& knote = *found->second;
    knote.queued = false;
    const Key key(knote.filter, knote.ident);
    if (!knote.alive()) {
      remove(key);
      continue;
    }
    if (knote.disabled) continue;  // and stays active, for when it is enabled
    knote.active = false;
    if (!knote.holds()) continue;
    events[count++] = knote.event();
    if ((knote.behaviour & EV_ONESHOT) != 0) {
      remove(key);
      continue;
    }
    if ((knote.behaviour & EV_CLEAR) != 0) knote.reset();
    if ((knote.behaviour & EV_DISPATCH) != 0) knote.disabled = true;
    if ((knote.behaviour & (EV_CLEAR | EV_DISPATCH)) == 0) activate(knote);
  }
  return count;
}

void Queue::sync_awake() {
  const bool wanted = !active_.empty() || closed_;
  if (wanted == awake_set_) return;
  uint64_t value = 1;
  const ssize_t done = wanted ? ::write(awake_.get(), &value, sizeof(value))
                              : ::read(awake_.get(), &value, sizeof(value));
  if (done == sizeof(value)) awake_set_ = wanted;
}

void Queue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  sync_awake();
}

void Queue::forget(int number) {
  const std::lock_guard lock(mutex_);
  const Key key(EVFILT_VNODE, static_cast<uintptr_t>(number));
  if (knotes_.contains(key)) remove(key);
}

void Queue::abandon() {
  // Not the destructors: they would act on the parent's descriptors too. The numbers stay where
  // they are, since the object is not used again.
  for (const Owned* owned : {&own_, &reading_, &writing_, &awake_}) {
    ::syscall(SYS_close, owned->get());
  }
  if (vnodes_.number() >= 0) ::syscall(SYS_close, vnodes_.number());
}

}  // namespace kqueue_layer
