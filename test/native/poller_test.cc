// The guarantees of a poller to the reactor (native/backend/reactor/poller.h), the same for each
// that is built here.
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <string>
#include <thread>

#include "testing.h"

#if defined(__linux__)
#include "backend/reactor/epoll.h"
#endif
#if IO_HAVE_KQUEUE
#include "backend/reactor/kqueue.h"
#endif

namespace native_tests {

namespace {

using io::Ready;

#if defined(__linux__)
#define ON_EPOLL(name)               \
  NATIVE_TEST(poller_epoll_##name) { \
    name<io::EpollPoller>();         \
  }
#else
#define ON_EPOLL(name)
#endif
#if IO_HAVE_KQUEUE
static_assert(io::Poller<io::KqueuePoller>);
#define ON_KQUEUE(name)               \
  NATIVE_TEST(poller_kqueue_##name) { \
    name<io::KqueuePoller>();         \
  }
#else
#define ON_KQUEUE(name)
#endif

#define POLLER_TEST(name) \
  template <class P>      \
  void name();            \
  ON_EPOLL(name)          \
  ON_KQUEUE(name)         \
  template <class P>      \
  void name()

constexpr int64_t millisecond_ns = 1'000'000;
constexpr int64_t guard_ns = 30'000 * millisecond_ns;
constexpr int64_t forever = -1;

struct Pair {
  int one;
  int other;
  void close_both() const {
    close(one);
    close(other);
  }
};

Pair sockets() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  return {ends[0], ends[1]};
}

Pair pipe_ends() {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  return {ends[0], ends[1]};
}

Pair connected_over_loopback() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  REQUIRE(bind(listener, generic, size) == 0 && listen(listener, 1) == 0);
  REQUIRE(getsockname(listener, generic, &size) == 0);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(connect(client, generic, size) == 0);
  const int served = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  REQUIRE(served >= 0);
  close(listener);
  return {client, served};
}

void reset(int number) {
  const linger at_once = {1, 0};
  REQUIRE(setsockopt(number, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
  close(number);
}

void put(int number, const char* text) {
  const std::string bytes(text);
  REQUIRE_EQUAL(write(number, bytes.data(), bytes.size()), bytes.size());
}

void fill(int number) {
  const std::string block(4096, 'x');
  while (write(number, block.data(), block.size()) > 0) {
  }
  REQUIRE_EQUAL(errno, EAGAIN);
}

void drain(int number) {
  std::array<char, 65536> bytes;
  while (read(number, bytes.data(), bytes.size()) > 0) {
  }
}

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// A poller in use, and its reports of one token since the last look.
template <class P>
struct Watching {
  Watching() { REQUIRE_EQUAL(poller.open(), 0); }

  Ready look(uint64_t token, int64_t deadline_ns = 0) {
    std::array<Ready, 16> ready;
    Ready sum = {token, false, false, false};
    const size_t count = poller.wait(ready, deadline_ns);
    for (size_t index = 0; index < count; index++) {
      if (ready[index].token != token) continue;
      sum.readable |= ready[index].readable;
      sum.writable |= ready[index].writable;
      sum.ended |= ready[index].ended;
    }
    return sum;
  }

  // Waits until one of the three is reported.
  Ready until(uint64_t token, bool Ready::*what) {
    const int64_t end_ns = now_ns() + guard_ns;
    while (now_ns() < end_ns) {
      const Ready ready = look(token, guard_ns);
      if (ready.*what) return ready;
    }
    fail(__FILE__, __LINE__, "it was never reported");
  }

  P poller;
};

void nothing(int) {}

// As poller.h says of attached mode: descriptor() comes first.
template <class P>
void begin_attached(P& poller) {
  const int descriptor = poller.descriptor();
  REQUIRE(descriptor >= 0 || descriptor == -ENOTSUP);
}

}  // namespace

POLLER_TEST(reports_what_was_ready_before) {
  Watching<P> watching;
  const Pair pair = sockets();
  put(pair.other, "early");
  REQUIRE_EQUAL(watching.poller.watch(pair.one, 7), 0);
  Ready ready = watching.look(7, guard_ns);
  const Ready more = watching.look(7);
  ready.readable |= more.readable;
  ready.writable |= more.writable;
  REQUIRE(ready.readable);
  REQUIRE(ready.writable);
  REQUIRE(!ready.ended);
  watching.poller.forget(pair.one);
  pair.close_both();
}

// Changes are reported, and unchanged states are not.
POLLER_TEST(reports_changes_once) {
  Watching<P> watching;
  const Pair pair = sockets();
  REQUIRE_EQUAL(watching.poller.watch(pair.one, 7), 0);
  watching.until(7, &Ready::writable);
  put(pair.other, "x");
  watching.until(7, &Ready::readable);
  for (int round = 0; round < 3; round++) REQUIRE(!watching.look(7).readable);
  put(pair.other, "y");
  watching.until(7, &Ready::readable);
  watching.poller.forget(pair.one);
  pair.close_both();
}

POLLER_TEST(reports_when_there_is_room) {
  Watching<P> watching;
  for (const Pair pair : {sockets(), connected_over_loopback(), pipe_ends()}) {
    fill(pair.other);
    REQUIRE_EQUAL(watching.poller.watch(pair.other, 9), 0);
    while (watching.look(9).writable) {
    }
    fcntl(pair.one, F_SETFL, O_NONBLOCK);
    drain(pair.one);
    watching.until(9, &Ready::writable);
    watching.poller.forget(pair.other);
    pair.close_both();
  }
}

// A token is the reactor's: all of its bits come back.
POLLER_TEST(gives_tokens_back) {
  Watching<P> watching;
  const Pair pair = sockets();
  const uint64_t token = 0xfedc'ba98'0000'0000u + static_cast<uint64_t>(pair.one);
  REQUIRE_EQUAL(watching.poller.watch(pair.one, token), 0);
  watching.until(token, &Ready::writable);
  watching.poller.forget(pair.one);
  pair.close_both();
}

POLLER_TEST(reports_the_end_of_a_peer) {
  Watching<P> watching;
  for (const Pair pair : {sockets(), connected_over_loopback()}) {
    REQUIRE_EQUAL(watching.poller.watch(pair.other, 5), 0);
    put(pair.one, "last bytes");
    REQUIRE(shutdown(pair.one, SHUT_WR) == 0);
    REQUIRE(watching.until(5, &Ready::ended).readable);
    watching.poller.forget(pair.other);
    pair.close_both();
  }
}

// A sender or receiver has to get the report that waiting is of no use.
POLLER_TEST(reports_a_reset_in_both_directions) {
  Watching<P> watching;
  const Pair pair = connected_over_loopback();
  fill(pair.other);
  REQUIRE_EQUAL(watching.poller.watch(pair.other, 5), 0);
  while (watching.look(5).writable) {
  }
  reset(pair.one);
  Ready ready = watching.until(5, &Ready::ended);
  while (!ready.readable || !ready.writable) {
    const Ready more = watching.look(5, guard_ns);
    ready.readable |= more.readable;
    ready.writable |= more.writable;
  }
  char byte;
  REQUIRE_EQUAL(read(pair.other, &byte, 1), -1);
  REQUIRE_EQUAL(errno, ECONNRESET);
  watching.poller.forget(pair.other);
  close(pair.other);
}

POLLER_TEST(reports_a_refused_connect) {
  Watching<P> watching;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  // A socket that has listened: NetBSD drops segments to a port that is bound and does not listen.
  const int unused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(bind(unused, generic, size) == 0);
  REQUIRE(listen(unused, 1) == 0);
  REQUIRE(getsockname(unused, generic, &size) == 0);
  close(unused);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  REQUIRE_EQUAL(connect(client, generic, size), -1);
  REQUIRE_EQUAL(watching.poller.watch(client, 3), 0);
  watching.until(3, &Ready::writable);
  watching.poller.forget(client);
  close(client);
}

// macOS counts no bytes of most devices, and has to be asked for one.
POLLER_TEST(watches_a_device_that_counts_no_bytes) {
  Watching<P> watching;
  const int device = open("/dev/random", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(device >= 0);
  REQUIRE_EQUAL(watching.poller.watch(device, 8), 0);
  watching.until(8, &Ready::readable);
  watching.poller.forget(device);
  close(device);
}

// The ends of a pipe have one direction each, and that is enough.
POLLER_TEST(watches_both_ends_of_a_pipe) {
  Watching<P> watching;
  const Pair pair = pipe_ends();
  REQUIRE_EQUAL(watching.poller.watch(pair.one, 1), 0);
  REQUIRE_EQUAL(watching.poller.watch(pair.other, 2), 0);
  watching.until(2, &Ready::writable);
  put(pair.other, "x");
  watching.until(1, &Ready::readable);
  watching.poller.forget(pair.other);
  close(pair.other);
  watching.until(1, &Ready::readable);
  watching.poller.forget(pair.one);
  close(pair.one);
}

// A reader that closes while the writer begins to be watched, or just before, must be reported:
// otherwise the write would wait forever.
POLLER_TEST(reports_the_end_of_a_reader) {
  for (const bool before : {false, true}) {
    Watching<P> watching;
    const Pair pair = pipe_ends();
    fill(pair.other);
    if (before) close(pair.one);
    REQUIRE_EQUAL(watching.poller.watch(pair.other, 4), 0);
    if (!before) {
      REQUIRE(!watching.look(4).writable);
      close(pair.one);
    }
    REQUIRE(watching.until(4, &Ready::writable).ended);
    watching.poller.forget(pair.other);
    close(pair.other);
  }
}

POLLER_TEST(refuses_files) {
  Watching<P> watching;
  const int file = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE_EQUAL(watching.poller.watch(file, 1), -EPERM);
  close(file);
  const int device = open("/dev/null", O_RDWR | O_CLOEXEC);
  REQUIRE_EQUAL(watching.poller.watch(device, 1), -EPERM);
  close(device);
  REQUIRE_EQUAL(watching.poller.watch(file, 1), -EBADF);
}

// A forgotten descriptor is reported no more, also when its number is watched again.
POLLER_TEST(forgets) {
  Watching<P> watching;
  Pair pair = sockets();
  const int number = pair.one;
  REQUIRE_EQUAL(watching.poller.watch(number, 1), 0);
  put(pair.other, "x");
  watching.poller.forget(number);
  pair.close_both();
  pair = sockets();
  REQUIRE_EQUAL(pair.one, number);
  REQUIRE_EQUAL(watching.poller.watch(number, 2), 0);
  std::array<Ready, 16> ready;
  const size_t count = watching.poller.wait(ready, guard_ns);
  REQUIRE(count > 0);
  for (size_t index = 0; index < count; index++) REQUIRE_EQUAL(ready[index].token, 2);
  watching.poller.forget(number);
  pair.close_both();
}

// More is ready than there is space for: the rest comes with the next wait.
//
// A child or another process may have it as well: its events there are not our business.
POLLER_TEST(forgets_though_a_copy_is_left) {
  Watching<P> watching;
  const Pair pair = sockets();
  const int copy = dup(pair.one);
  REQUIRE(copy >= 0);
  REQUIRE_EQUAL(watching.poller.watch(pair.one, 3), 0);
  watching.until(3, &Ready::writable);
  watching.poller.forget(pair.one);
  close(pair.one);
  put(pair.other, "for the copy");
  std::array<Ready, 16> ready;
  REQUIRE_EQUAL(watching.poller.wait(ready, 0), 0);
  // The number is given to the same file again.
  REQUIRE_EQUAL(dup2(copy, pair.one), pair.one);
  REQUIRE_EQUAL(watching.poller.watch(pair.one, 4), 0);
  REQUIRE(watching.until(4, &Ready::readable).readable);
  watching.poller.forget(pair.one);
  pair.close_both();
  close(copy);
}

POLLER_TEST(reports_the_rest_later) {
  Watching<P> watching;
  std::vector<Pair> pairs;
  for (uint64_t token = 0; token < 40; token++) {
    pairs.push_back(pipe_ends());
    put(pairs.back().other, "x");
    REQUIRE_EQUAL(watching.poller.watch(pairs.back().one, token), 0);
  }
  std::vector<int> reported(40);
  std::array<Ready, 3> ready;
  for (size_t count = 1; count > 0;) {
    count = watching.poller.wait(ready, 0);
    for (size_t index = 0; index < count; index++) reported[ready[index].token]++;
  }
  for (const int times : reported) REQUIRE_EQUAL(times, 1);
  for (const Pair& pair : pairs) {
    watching.poller.forget(pair.one);
    pair.close_both();
  }
}

POLLER_TEST(waits_as_long_as_it_is_asked_to) {
  Watching<P> watching;
  std::array<Ready, 4> ready;
  REQUIRE_EQUAL(watching.poller.wait(ready, 0), 0);
  const int64_t start_ns = now_ns();
  REQUIRE_EQUAL(watching.poller.wait(ready, 20 * millisecond_ns + 1), 0);
  REQUIRE(now_ns() - start_ns >= 20 * millisecond_ns);
}

// wake_up() ends the wait that is under way, or the next one, and only one.
POLLER_TEST(is_woken_up) {
  Watching<P> watching;
  std::array<Ready, 4> ready;
  watching.poller.wake_up();
  watching.poller.wake_up();
  REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
  const int64_t start_ns = now_ns();
  REQUIRE_EQUAL(watching.poller.wait(ready, 10 * millisecond_ns), 0);
  REQUIRE(now_ns() - start_ns >= 10 * millisecond_ns);
  for (int round = 0; round < 200; round++) {
    std::thread other([&] { watching.poller.wake_up(); });
    REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
    other.join();
  }
}

// It does not matter how often: nothing fills up.
POLLER_TEST(is_woken_up_very_often) {
  Watching<P> watching;
  std::array<Ready, 4> ready;
  for (int round = 0; round < 3; round++) {
    for (int times = 0; times < 70'000; times++) watching.poller.wake_up();
    REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
    watching.poller.wake_up();
    REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
  }
}

// A signal ends a wait early, which is no error.
POLLER_TEST(survives_signals) {
  Watching<P> watching;
  struct sigaction action = {};
  action.sa_handler = nothing;
  REQUIRE(sigaction(SIGUSR1, &action, nullptr) == 0);
  const pthread_t waiter = pthread_self();
  std::atomic<bool> ended = false;
  std::thread sender([&] {
    while (!ended) {
      pthread_kill(waiter, SIGUSR1);
      usleep(500);
    }
  });
  std::array<Ready, 4> ready;
  for (int round = 0; round < 20; round++) {
    REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
  }
  ended = true;
  sender.join();
}

// The thread that waits elsewhere takes nothing away: its events come with the next wait().
POLLER_TEST(waits_elsewhere) {
  Watching<P> watching;
  begin_attached(watching.poller);
  const Pair pair = sockets();
  REQUIRE_EQUAL(watching.poller.watch(pair.one, 8), 0);
  watching.until(8, &Ready::writable);
  for (int round = 0; round < 100; round++) {
    std::thread elsewhere([&] { watching.poller.wait_elsewhere(); });
    put(pair.other, "x");
    elsewhere.join();
    // May be woken for nothing new, but not forever.
    bool readable = watching.look(8).readable;
    while (!readable) readable = watching.look(8, guard_ns).readable;
    drain(pair.one);
  }
  watching.poller.forget(pair.one);
  pair.close_both();
}

// It ends when the engine wakes it up, and at once when that was before.
POLLER_TEST(waiting_elsewhere_can_be_ended) {
  Watching<P> watching;
  begin_attached(watching.poller);
  std::array<Ready, 4> ready;
  for (int round = 0; round < 200; round++) {
    std::thread elsewhere([&] { watching.poller.wait_elsewhere(); });
    watching.poller.wake_up();
    elsewhere.join();
    REQUIRE_EQUAL(watching.poller.wait(ready, round % 2 == 0 ? forever : 0), 0);
  }
}

// A wait that the kernel can no longer report on ends, too.
POLLER_TEST(waiting_elsewhere_sees_a_reader_that_is_gone) {
  Watching<P> watching;
  begin_attached(watching.poller);
  const Pair pair = pipe_ends();
  close(pair.one);
  std::thread elsewhere([&] { watching.poller.wait_elsewhere(); });
  REQUIRE_EQUAL(watching.poller.watch(pair.other, 6), 0);
  elsewhere.join();
  REQUIRE(watching.until(6, &Ready::ended).writable);
  watching.poller.forget(pair.other);
  close(pair.other);
}

// Events that two threads take out of the kernel at the same time: none is lost.
POLLER_TEST(loses_nothing_between_two_threads) {
  Watching<P> watching;
  begin_attached(watching.poller);
  constexpr size_t count = 16;
  std::vector<Pair> pairs;
  for (uint64_t token = 0; token < count; token++) {
    pairs.push_back(pipe_ends());
    REQUIRE_EQUAL(watching.poller.watch(pairs.back().one, token), 0);
  }
  std::atomic<bool> ending = false;
  std::thread elsewhere([&] {
    while (!ending) {
      watching.poller.wait_elsewhere();
      std::this_thread::yield();
    }
  });
  std::array<Ready, 5> ready;
  for (int round = 0; round < 300; round++) {
    for (const Pair& pair : pairs) put(pair.other, "x");
    std::vector<bool> reported(count);
    size_t missing = count;
    const int64_t end_ns = now_ns() + guard_ns;
    while (missing > 0) {
      REQUIRE(now_ns() < end_ns);
      const size_t found = watching.poller.wait(ready, 0);
      for (size_t index = 0; index < found; index++) {
        const auto token = static_cast<size_t>(ready[index].token);
        if (!ready[index].readable || reported[token]) continue;
        reported[token] = true;
        missing--;
      }
    }
    for (const Pair& pair : pairs) drain(pair.one);
  }
  ending = true;
  watching.poller.wake_up();
  elsewhere.join();
  for (const Pair& pair : pairs) {
    watching.poller.forget(pair.one);
    pair.close_both();
  }
}

// An alarm ends waits, on either thread, not before its time; and what replaces it counts.
POLLER_TEST(rings_at_the_alarm) {
  Watching<P> watching;
  begin_attached(watching.poller);
  std::array<Ready, 4> ready;
  for (const int64_t delay_ns : {20 * millisecond_ns, int64_t{1}, -millisecond_ns, int64_t{0}}) {
    const int64_t due_ns = now_ns() + delay_ns;
    watching.poller.set_alarm(due_ns);
    REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
    REQUIRE(now_ns() >= due_ns);
  }
  const int64_t hour_ns = 3'600'000 * millisecond_ns;
  watching.poller.set_alarm(now_ns() + hour_ns);
  const int64_t due_ns = now_ns() + 5 * millisecond_ns;
  watching.poller.set_alarm(due_ns);
  watching.poller.wait_elsewhere();
  REQUIRE(now_ns() >= due_ns);
  REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
  // It has rung, so the next one is set again although it is later.
  watching.poller.set_alarm(now_ns() + 5 * millisecond_ns);
  REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
  watching.poller.set_alarm(-1);
  watching.poller.set_alarm(INT64_MAX);
}

// An alarm that is set while the thread waits already, for something later or forever.
POLLER_TEST(rings_on_a_thread_that_waits_already) {
  Watching<P> watching;
  begin_attached(watching.poller);
  std::array<Ready, 4> ready;
  for (int round = 0; round < 50; round++) {
    std::thread elsewhere([&] { watching.poller.wait_elsewhere(); });
    watching.poller.set_alarm(now_ns() + millisecond_ns);
    elsewhere.join();
    REQUIRE_EQUAL(watching.poller.wait(ready, forever), 0);
  }
}

POLLER_TEST(counts_system_calls) {
  Watching<P> watching;
  std::array<Ready, 4> ready;
  const uint64_t before = watching.poller.system_calls();
  watching.poller.wait(ready, 0);
  REQUIRE_EQUAL(watching.poller.system_calls(), before + 1);
}

}  // namespace native_tests
