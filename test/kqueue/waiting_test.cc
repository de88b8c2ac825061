// Waiting: time limits, signals, two threads, and which thread an event wakes.
#include <pthread.h>

#include <csignal>
#include <thread>

#include "support.h"

namespace kqueue_tests {

namespace {

constexpr int64_t millisecond_ns = 1'000'000;

int wait_for(const Kqueue& queue, struct kevent& event, const timespec* timeout) {
  return kevent(queue.number, nullptr, 0, &event, 1, timeout);
}

void ignore(int) {}

}  // namespace

// "To effect a poll, the timeout argument should be non-NULL, pointing to a zero-valued timespec."
NATIVE_TEST(waiting_zero_is_a_poll) {
  const Kqueue queue;
  struct kevent event;
  const timespec at_once = {};
  REQUIRE_EQUAL(wait_for(queue, event, &at_once), 0);
}

// "If the time limit expires, then kevent() returns 0", and not before.
NATIVE_TEST(waiting_ends_after_the_timeout) {
  const Kqueue queue;
  struct kevent event;
  const timespec timeout = {0, 30 * millisecond_ns};
  const int64_t start_ns = monotonic_ns();
  REQUIRE_EQUAL(wait_for(queue, event, &timeout), 0);
  REQUIRE(monotonic_ns() - start_ns >= 30 * millisecond_ns);
}

// "If timeout is a NULL pointer, kevent() waits indefinitely": until another thread makes something
// happen on a descriptor.
NATIVE_TEST(waiting_without_a_timeout) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ);
  std::thread writer([&] { write_text(pair.other, "now"); });
  struct kevent event;
  REQUIRE_EQUAL(wait_for(queue, event, nullptr), 1);
  REQUIRE_EQUAL(event.ident, pair.one);
  writer.join();
  close_both(pair);
}

// "When nevents is zero, kevent() will return immediately even if there is a timeout specified."
NATIVE_TEST(waiting_needs_room) {
  const Kqueue queue;
  const timespec hour = {3600, 0};
  REQUIRE_EQUAL(kevent(queue.number, nullptr, 0, nullptr, 0, &hour), 0);
  REQUIRE_EQUAL(kevent(queue.number, nullptr, 0, nullptr, 0, nullptr), 0);
}

// "EINVAL: the specified time limit is invalid", "the length of the lists is negative".
NATIVE_TEST(waiting_checks_its_arguments) {
  const Kqueue queue;
  struct kevent event;
  for (const timespec wrong : {timespec{-1, 0}, timespec{0, -1}, timespec{0, 1'000'000'000}}) {
    REQUIRE_EQUAL(wait_for(queue, event, &wrong), -1);
    REQUIRE_EQUAL(errno, EINVAL);
  }
  REQUIRE_EQUAL(kevent(queue.number, nullptr, 0, &event, -1, nullptr), -1);
  REQUIRE_EQUAL(errno, EINVAL);
  REQUIRE_EQUAL(kevent(queue.number, &event, -1, nullptr, 0, nullptr), -1);
  REQUIRE_EQUAL(errno, EINVAL);
}

// "EINTR: a signal was delivered before the timeout expired and before any events were placed on
// the kqueue. All changes in the changelist have been applied."
NATIVE_TEST(waiting_is_interrupted_by_signals) {
  const Kqueue queue;
  struct sigaction action = {};
  action.sa_handler = ignore;
  REQUIRE(sigaction(SIGUSR1, &action, nullptr) == 0);
  const pthread_t waiter = pthread_self();
  std::atomic<bool> ended = false;
  // Again and again, since the first may come before the wait.
  std::thread sender([&] {
    while (!ended) {
      pthread_kill(waiter, SIGUSR1);
      usleep(1000);
    }
  });
  struct kevent change;
  EV_SET(&change, 5, EVFILT_USER, EV_ADD, 0, 0, nullptr);
  struct kevent event;
  const int count = kevent(queue.number, &change, 1, &event, 1, nullptr);
  const int error = errno;
  ended = true;
  sender.join();
  REQUIRE_EQUAL(count, -1);
  REQUIRE_EQUAL(error, EINTR);
  REQUIRE_EQUAL(queue.change(5, EVFILT_USER, EV_DELETE), 0);
}

// A thread that waits already sees a change by another thread: a ready event that is added, and one
// that is triggered.
NATIVE_TEST(waiting_threads_see_changes_of_others) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  write_text(pair.other, "ready before it is added");
  for (int round = 0; round < 50; round++) {
    struct kevent event;
    std::thread waiter([&] { REQUIRE_EQUAL(wait_for(queue, event, nullptr), 1); });
    if (round % 2 == 0) {
      queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ, EV_ONESHOT);
    } else {
      queue.add(1, EVFILT_USER, EV_ONESHOT);
      REQUIRE_EQUAL(queue.change(1, EVFILT_USER, 0, NOTE_TRIGGER), 0);
    }
    waiter.join();
    REQUIRE_EQUAL(event.filter, round % 2 == 0 ? EVFILT_READ : EVFILT_USER);
  }
  close_both(pair);
}

// An EV_CLEAR event that two threads wait for goes to one of them: nothing is lost and nothing
// comes twice.
NATIVE_TEST(waiting_threads_share_events) {
  const Kqueue queue;
  constexpr int total = 400;
  std::atomic<int> taken = 0;
  constexpr uintptr_t end = 1000;
  queue.add(end, EVFILT_USER);
  const auto work = [&] {
    for (;;) {
      struct kevent event;
      REQUIRE_EQUAL(wait_for(queue, event, nullptr), 1);
      if (event.ident == end) return;
      taken++;
    }
  };
  std::thread one(work);
  std::thread other(work);
  for (uintptr_t ident = 0; ident < total; ident++) {
    queue.add(ident, EVFILT_USER, EV_ONESHOT, NOTE_TRIGGER);
  }
  while (taken != total) std::this_thread::yield();
  REQUIRE_EQUAL(queue.change(end, EVFILT_USER, 0, NOTE_TRIGGER), 0);
  one.join();
  other.join();
  REQUIRE_EQUAL(taken.load(), total);
}

// Streams of events while descriptors come and go on another thread.
NATIVE_TEST(waiting_threads_and_changing_descriptors) {
  const Kqueue queue;
  constexpr uintptr_t end = 1000;
  queue.add(end, EVFILT_USER);
  size_t reported = 0;
  std::thread waiter([&] {
    for (;;) {
      struct kevent events[8];
      const int count = kevent(queue.number, nullptr, 0, events, 8, nullptr);
      REQUIRE(count > 0);
      for (int index = 0; index < count; index++) {
        if (events[index].filter == EVFILT_USER) return;
        reported++;
      }
    }
  });
  for (int round = 0; round < 300; round++) {
    const Pair pair = make_socket_pair();
    queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ, EV_CLEAR);
    queue.add(static_cast<uintptr_t>(pair.one), EVFILT_WRITE, EV_CLEAR);
    write_text(pair.other, "x");
    if (round % 2 == 0) queue.change(static_cast<uintptr_t>(pair.one), EVFILT_READ, EV_DELETE);
    close_both(pair);
  }
  REQUIRE_EQUAL(queue.change(end, EVFILT_USER, 0, NOTE_TRIGGER), 0);
  waiter.join();
}

// A kqueue can itself be waited for: it is readable while something is pending.
NATIVE_TEST(waiting_for_a_kqueue_in_a_kqueue) {
  const Kqueue inner;
  const Kqueue outer;
  inner.add(1, EVFILT_USER);
  outer.add(static_cast<uintptr_t>(inner.number), EVFILT_READ);
  REQUIRE(outer.quiet());
  REQUIRE_EQUAL(inner.change(1, EVFILT_USER, 0, NOTE_TRIGGER), 0);
  REQUIRE_EQUAL(outer.one().ident, inner.number);
  REQUIRE_EQUAL(inner.change(1, EVFILT_USER, EV_DELETE), 0);
  REQUIRE(inner.quiet());
  REQUIRE(outer.quiet());
}

}  // namespace kqueue_tests
