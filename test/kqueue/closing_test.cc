// Closing: of a watched descriptor, of the queue, and fork.
#include <fcntl.h>
#include <sys/wait.h>

#include <thread>

#include "support.h"

namespace kqueue_tests {

namespace {

uintptr_t ident_of(int number) {
  return static_cast<uintptr_t>(number);
}

}  // namespace

// "Calling close() on a file descriptor will remove any kevents that reference the descriptor."
NATIVE_TEST(closing_drops_events) {
  const Kqueue queue;
  const Pair pair = make_socket_pair();
  queue.add(ident_of(pair.one), EVFILT_READ);
  queue.add(ident_of(pair.one), EVFILT_WRITE);
  write_text(pair.other, "x");
  close(pair.one);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(ident_of(pair.one), EVFILT_READ, EV_DELETE), EBADF);
  close(pair.other);
}

// The next file with the number is not watched, whatever happens to it.
NATIVE_TEST(closing_frees_the_number) {
  const Kqueue queue;
  const Pair first = make_socket_pair();
  queue.add(ident_of(first.one), EVFILT_READ);
  queue.add(ident_of(first.one), EVFILT_WRITE, EV_CLEAR);
  close(first.one);
  const Pair second = make_socket_pair();
  REQUIRE_EQUAL(second.one, first.one);
  write_text(second.other, "x");
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(ident_of(second.one), EVFILT_READ, EV_DELETE), ENOENT);
  queue.add(ident_of(second.one), EVFILT_READ);
  REQUIRE_EQUAL(queue.one().data, 1);
  close_both(second);
  close(first.other);
}

// A knote belongs to the number: another descriptor of the same socket that stays open keeps
// nothing alive.
NATIVE_TEST(closing_drops_events_of_duplicates) {
  const Kqueue queue;
  const Pair pair = make_socket_pair();
  const int duplicate = fcntl(pair.one, F_DUPFD_CLOEXEC, 0);
  queue.add(ident_of(pair.one), EVFILT_READ);
  close(pair.one);
  write_text(pair.other, "x");
  REQUIRE(queue.quiet());
  // The same socket on the same number again is new to the queue.
  REQUIRE_EQUAL(dup2(duplicate, pair.one), pair.one);
  queue.add(ident_of(pair.one), EVFILT_READ);
  REQUIRE_EQUAL(queue.one().data, 1);
  for (const int number : {pair.one, pair.other, duplicate}) close(number);
}

// The queue holds nothing open: the peer sees the end at once.
NATIVE_TEST(closing_is_not_delayed_by_the_queue) {
  const Kqueue queue;
  const Pair pair = make_tcp_pair();
  queue.add(ident_of(pair.one), EVFILT_READ);
  close(pair.one);
  REQUIRE_EQUAL(read_text(pair.other).size(), 0);
  close(pair.other);
}

// "kqueues are destroyed upon close()": main() counts the descriptors of every test, so here it is
// only the events that are pending, and the number.
NATIVE_TEST(closing_a_queue_destroys_it) {
  const int number = kqueue();
  struct kevent change;
  EV_SET(&change, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, nullptr);
  REQUIRE_EQUAL(kevent(number, &change, 1, nullptr, 0, nullptr), 0);
  REQUIRE(close(number) == 0);
  REQUIRE_EQUAL(kevent(number, &change, 1, nullptr, 0, nullptr), -1);
  REQUIRE_EQUAL(errno, EBADF);
  const Kqueue next;
  REQUIRE_EQUAL(next.number, number);
  REQUIRE(next.quiet());
}

// A call that waits on a queue which another thread closes ends with EBADF.
NATIVE_TEST(closing_a_queue_ends_waits) {
  const int number = kqueue();
  std::atomic<bool> waits = false;
  std::thread waiter([&] {
    struct kevent event;
    waits = true;
    REQUIRE_EQUAL(kevent(number, nullptr, 0, &event, 1, nullptr), -1);
    REQUIRE_EQUAL(errno, EBADF);
  });
  while (!waits) std::this_thread::yield();
  REQUIRE(close(number) == 0);
  waiter.join();
}

// "The queue is not inherited by a child created with fork(2)", and goes on in the parent.
NATIVE_TEST(closing_by_fork) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, 0, NOTE_TRIGGER);
  const size_t before = native_tests::open_descriptors();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    struct kevent event;
    const timespec at_once = {};
    const int count = kevent(queue.number, nullptr, 0, &event, 1, &at_once);
    const bool gone = count == -1 && errno == EBADF && fcntl(queue.number, F_GETFD) == -1;
    // The number and the four descriptors behind it.
    _exit(gone && native_tests::open_descriptors() == before - 5 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE_EQUAL(status, 0);
  REQUIRE_EQUAL(queue.pending().size(), 1);
}

// A program that is started does not have it either.
NATIVE_TEST(closing_by_exec) {
  const Kqueue queue;
  const int flags = fcntl(queue.number, F_GETFD);
  REQUIRE((flags & FD_CLOEXEC) != 0);
}

}  // namespace kqueue_tests
