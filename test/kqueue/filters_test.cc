// The filters that are not about reading and writing: user events, timers, processes, signals.
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>

#include "support.h"

namespace kqueue_tests {

namespace {

constexpr int64_t millisecond_ns = 1'000'000;

int handled = 0;

void handle(int) {
  handled++;
}

// The child waits for the end of the pipe, so that it ends when it is told to.
pid_t start_child(const Pair& gate, int status) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(gate.other);
    char byte;
    static_cast<void>(!read(gate.one, &byte, 1));
    _exit(status);
  }
  return child;
}

}  // namespace

// "A user event is triggered for output with NOTE_TRIGGER", and not by adding it.
NATIVE_TEST(user_events_are_triggered) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, EV_CLEAR);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, 0, NOTE_TRIGGER), 0);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  REQUIRE(queue.quiet());
  // "After the event is retrieved its state is reset": running the filter again finds nothing.
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, EV_ENABLE), 0);
  REQUIRE(queue.quiet());
}

// Without EV_CLEAR it stays triggered.
NATIVE_TEST(user_events_stay_triggered) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, 0, NOTE_TRIGGER);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  REQUIRE_EQUAL(queue.pending().size(), 1);
}

// "The lower 24 bits of fflags may be used for user defined flags": AND, OR, COPY and NOP.
NATIVE_TEST(user_events_have_flags) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, 0, 0x0ff);
  const auto told_after = [&](unsigned change) {
    REQUIRE_EQUAL(queue.change(1, EVFILT_USER, 0, change | NOTE_TRIGGER), 0);
    return queue.one().fflags;
  };
  REQUIRE_EQUAL(told_after(NOTE_FFNOP | 0xabc), 0x0ff);
  REQUIRE_EQUAL(told_after(NOTE_FFAND | 0x0f0), 0x0f0);
  REQUIRE_EQUAL(told_after(NOTE_FFOR | 0xf00), 0xff0);
  REQUIRE_EQUAL(told_after(NOTE_FFCOPY | 0xffffff), 0xffffff);
}

// "The timer will be periodic unless EV_ONESHOT is specified. data contains the number of times the
// timeout has expired since the last call." "The default is milliseconds."
NATIVE_TEST(timers_repeat_and_count) {
  const Kqueue queue;
  const int64_t start_ns = monotonic_ns();
  queue.add(1, EVFILT_TIMER, 0, 0, 5);
  int64_t expirations = 0;
  while (expirations < 4) expirations += queue.one().data;
  REQUIRE(monotonic_ns() - start_ns >= 20 * millisecond_ns);
  usleep(30'000);
  REQUIRE(queue.one().data >= 5);
}

NATIVE_TEST(timers_once) {
  const Kqueue queue;
  const int64_t start_ns = monotonic_ns();
  queue.add(1, EVFILT_TIMER, EV_ONESHOT, 0, 10);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.one().data, 1);
  REQUIRE(monotonic_ns() - start_ns >= 10 * millisecond_ns);
  REQUIRE_EQUAL(queue.change(1, EVFILT_TIMER, EV_DELETE), ENOENT);
}

// "NOTE_SECONDS, NOTE_MSECONDS, NOTE_USECONDS, NOTE_NSECONDS: data is in" that unit.
NATIVE_TEST(timers_have_units) {
  const Kqueue queue;
  const struct {
    unsigned unit;
    int64_t count;
    int64_t least_ns;
  } cases[] = {
      {NOTE_SECONDS, 1, 1000 * millisecond_ns},
      {NOTE_MSECONDS, 12, 12 * millisecond_ns},
      {NOTE_USECONDS, 3'000, 3 * millisecond_ns},
      {NOTE_NSECONDS, 4'000'000, 4 * millisecond_ns},
  };
  for (const auto& [unit, count, least_ns] : cases) {
    const int64_t start_ns = monotonic_ns();
    queue.add(1, EVFILT_TIMER, EV_ONESHOT, unit, count);
    queue.one();
    REQUIRE(monotonic_ns() - start_ns >= least_ns);
  }
}

// "NOTE_ABSTIME: the specified expiration time is absolute", it is not periodic, and "if a time is
// specified that has already passed, the event will fire as soon as possible."
NATIVE_TEST(timers_absolute) {
  const Kqueue queue;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t now_ms = now.tv_sec * 1000 + now.tv_nsec / millisecond_ns;
  const int64_t start_ns = monotonic_ns();
  queue.add(1, EVFILT_TIMER, 0, NOTE_ABSTIME, now_ms + 20);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.one().data, 1);
  REQUIRE(monotonic_ns() - start_ns >= 15 * millisecond_ns);
  REQUIRE(queue.quiet());
  queue.add(2, EVFILT_TIMER, 0, NOTE_ABSTIME | NOTE_SECONDS, 1);
  REQUIRE_EQUAL(queue.one().ident, 2);
}

// "Periodic timers with a timeout of 0 will be silently adjusted to timeout after 1 of the time
// units"; one that fires once does so at once.
NATIVE_TEST(timers_of_zero) {
  const Kqueue queue;
  queue.add(1, EVFILT_TIMER, EV_ONESHOT, 0, 0);
  REQUIRE_EQUAL(queue.one().data, 1);
  const int64_t start_ns = monotonic_ns();
  queue.add(2, EVFILT_TIMER, 0, 0, 0);
  int64_t expirations = 0;
  while (expirations < 3) expirations += queue.one().data;
  REQUIRE(monotonic_ns() - start_ns >= 3 * millisecond_ns);
  REQUIRE_EQUAL(queue.change(3, EVFILT_TIMER, EV_ADD, 0, -1), EINVAL);
}

// "If an existing timer is re-added, it will be effectively canceled (throwing away any undelivered
// record of previous expiration) and re-started using the new parameters."
NATIVE_TEST(timers_restart_when_added_again) {
  const Kqueue queue;
  queue.add(1, EVFILT_TIMER, 0, 0, 1);
  usleep(20'000);
  // Counted by the filter, and still not told.
  REQUIRE_EQUAL(queue.change(1, EVFILT_TIMER, EV_ENABLE), 0);
  queue.add(1, EVFILT_TIMER, EV_ONESHOT, NOTE_SECONDS, 3600);
  REQUIRE(queue.quiet());
  queue.add(1, EVFILT_TIMER, EV_ONESHOT, 0, 1);
  REQUIRE_EQUAL(queue.one().data, 1);
}

// "EVFILT_PROC, NOTE_EXIT: the process has exited. The exit status will be stored in data in the
// same format as the status returned by wait(2)." It stays the program's to wait for.
NATIVE_TEST(processes_tell_their_exit) {
  const Kqueue queue;
  const Pair gate = make_pipe();
  const pid_t child = start_child(gate, 7);
  queue.add(static_cast<uintptr_t>(child), EVFILT_PROC, 0, NOTE_EXIT);
  REQUIRE(queue.quiet());
  close_both(gate);
  const struct kevent event = queue.one();
  REQUIRE_EQUAL(event.fflags, NOTE_EXIT);
  REQUIRE(WIFEXITED(static_cast<int>(event.data)));
  REQUIRE_EQUAL(WEXITSTATUS(static_cast<int>(event.data)), 7);
  REQUIRE(queue.quiet());
  int status = 0;
  REQUIRE_EQUAL(waitpid(child, &status, 0), child);
  REQUIRE_EQUAL(status, event.data);
}

NATIVE_TEST(processes_that_are_killed) {
  const Kqueue queue;
  const Pair gate = make_pipe();
  const pid_t child = start_child(gate, 0);
  queue.add(static_cast<uintptr_t>(child), EVFILT_PROC, 0, NOTE_EXIT);
  REQUIRE(kill(child, SIGKILL) == 0);
  const struct kevent event = queue.one();
  REQUIRE(WIFSIGNALED(static_cast<int>(event.data)));
  REQUIRE_EQUAL(WTERMSIG(static_cast<int>(event.data)), SIGKILL);
  REQUIRE_EQUAL(waitpid(child, nullptr, 0), child);
  close_both(gate);
}

// "ESRCH: the specified process to attach to does not exist." What Linux cannot tell is refused.
NATIVE_TEST(processes_must_exist) {
  const Kqueue queue;
  const Pair gate = make_pipe();
  const pid_t child = start_child(gate, 0);
  close_both(gate);
  REQUIRE_EQUAL(waitpid(child, nullptr, 0), child);
  const auto ident = static_cast<uintptr_t>(child);
  REQUIRE_EQUAL(queue.change(ident, EVFILT_PROC, EV_ADD, NOTE_EXIT), ESRCH);
  REQUIRE_EQUAL(queue.change(ident, EVFILT_PROC, EV_ADD, NOTE_FORK), ENOTSUP);
}

// "EVFILT_SIGNAL: coexists with sigaction(). data returns the number of times the signal has
// occurred since the last call." "This filter automatically sets the EV_CLEAR flag."
NATIVE_TEST(signals_are_counted_and_handled) {
  struct sigaction action = {};
  action.sa_handler = handle;
  REQUIRE(sigaction(SIGUSR2, &action, nullptr) == 0);
  {
    const Kqueue queue;
    queue.add(SIGUSR2, EVFILT_SIGNAL);
    REQUIRE(queue.quiet());
    for (int times = 0; times < 3; times++) REQUIRE(raise(SIGUSR2) == 0);
    REQUIRE_EQUAL(queue.one().data, 3);
    REQUIRE(queue.quiet());
    REQUIRE_EQUAL(handled, 3);
  }
  // And the handler is the program's alone again.
  struct sigaction now;
  REQUIRE(sigaction(SIGUSR2, nullptr, &now) == 0);
  REQUIRE(now.sa_handler == handle);
  REQUIRE(raise(SIGUSR2) == 0);
  REQUIRE_EQUAL(handled, 4);
}

// "The filter will record all attempts to deliver a signal, even if it has been marked as SIG_IGN."
NATIVE_TEST(signals_that_are_ignored_are_counted) {
  REQUIRE(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
  const Kqueue one;
  const Kqueue other;
  one.add(SIGUSR2, EVFILT_SIGNAL);
  other.add(SIGUSR2, EVFILT_SIGNAL);
  REQUIRE(raise(SIGUSR2) == 0);
  REQUIRE_EQUAL(one.one().data, 1);
  REQUIRE_EQUAL(other.one().data, 1);
}

// "...except for SIGCHLD, which, if ignored, will not be recorded."
NATIVE_TEST(signals_of_ignored_children_are_not_counted) {
  REQUIRE(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
  const Kqueue queue;
  queue.add(SIGCHLD, EVFILT_SIGNAL);
  REQUIRE(raise(SIGCHLD) == 0);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(SIGCHLD, EVFILT_SIGNAL, EV_DELETE), 0);
  REQUIRE(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
  queue.add(SIGCHLD, EVFILT_SIGNAL);
  REQUIRE(raise(SIGCHLD) == 0);
  REQUIRE_EQUAL(queue.one().data, 1);
}

// What nobody handles does what it always does.
NATIVE_TEST(signals_that_end_the_process_still_do) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const Kqueue queue;
    queue.add(SIGTERM, EVFILT_SIGNAL);
    raise(SIGTERM);
    _exit(0);
  }
  int status = 0;
  REQUIRE_EQUAL(waitpid(child, &status, 0), child);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE_EQUAL(WTERMSIG(status), SIGTERM);
}

NATIVE_TEST(signals_must_exist) {
  const Kqueue queue;
  REQUIRE_EQUAL(queue.change(0, EVFILT_SIGNAL, EV_ADD), EINVAL);
  REQUIRE_EQUAL(queue.change(4096, EVFILT_SIGNAL, EV_ADD), EINVAL);
}

}  // namespace kqueue_tests
