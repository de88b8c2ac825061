// Helpers for the tests of the layer. Each test quotes, in its own words, the sentence of the
// manual page (kqueue(2) of FreeBSD; of macOS where they differ) that it holds the layer to.
#pragma once

#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "testing.h"

namespace kqueue_tests {

// A queue that asserts the result of every call.
class Kqueue {
 public:
  Kqueue() : number(kqueue()) { REQUIRE(number >= 0); }
  ~Kqueue() { close(number); }
  Kqueue(const Kqueue&) = delete;
  Kqueue& operator=(const Kqueue&) = delete;

  // Makes one change; 0 or the errno.
  int change(uintptr_t ident, int filter, unsigned flags, unsigned fflags = 0, int64_t data = 0,
             void* udata = nullptr) const {
    struct kevent event;
    EV_SET(&event, ident, filter, flags, fflags, data, udata);
    return kevent(number, &event, 1, nullptr, 0, nullptr) == 0 ? 0 : errno;
  }
  void add(uintptr_t ident, int filter, unsigned flags = 0, unsigned fflags = 0, int64_t data = 0,
           void* udata = nullptr) const {
    REQUIRE_EQUAL(change(ident, filter, EV_ADD | flags, fflags, data, udata), 0);
  }

  // The events that are pending now, at most `limit`.
  std::vector<struct kevent> pending(int limit = 16) const {
    const timespec at_once = {};
    return take(limit, &at_once);
  }
  // Waits, and requires that there is exactly one.
  struct kevent one() const {
    const timespec guard = {30, 0};
    const std::vector<struct kevent> events = take(16, &guard);
    REQUIRE_EQUAL(events.size(), 1);
    return events[0];
  }
  bool quiet() const { return pending().empty(); }

  const int number;

 private:
  std::vector<struct kevent> take(int limit, const timespec* timeout) const {
    std::vector<struct kevent> events(static_cast<size_t>(limit));
    const int count = kevent(number, nullptr, 0, events.data(), limit, timeout);
    REQUIRE(count >= 0);
    events.resize(static_cast<size_t>(count));
    return events;
  }
};

struct Pair {
  int one = -1;
  int other = -1;
};

Pair make_pipe();         // one is read, other is written
Pair make_socket_pair();  // unix stream
Pair make_tcp_pair();     // connected over loopback
int make_listener(uint16_t& port);
int connect_to(uint16_t port);
void write_text(int number, const std::string& text);
std::string read_text(int number, size_t limit = 65536);
void close_both(const Pair& pair);
// Writes until the descriptor, which is made non-blocking, takes no more. Returns how much it took.
size_t fill(int number);
int64_t monotonic_ns();

}  // namespace kqueue_tests
