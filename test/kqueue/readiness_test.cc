// EVFILT_READ and EVFILT_WRITE of sockets and pipes: when they hold, and their values.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "support.h"

namespace kqueue_tests {

namespace {

uintptr_t ident_of(int number) {
  return static_cast<uintptr_t>(number);
}

// Closing with SO_LINGER of nothing resets the connection.
void reset(int number) {
  const linger at_once = {1, 0};
  REQUIRE(setsockopt(number, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
  close(number);
}

int open_stream() {
  const int number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  REQUIRE(number >= 0);
  return number;
}

// A port without a listener.
uint16_t unused_port() {
  uint16_t port = 0;
  close(make_listener(port));
  return port;
}

int begin_connect(int number, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect(number, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

}  // namespace

// "Sockets: return when there is data to be read. data contains the number of bytes."
NATIVE_TEST(reading_counts_bytes_of_sockets) {
  const Kqueue queue;
  const Pair pair = make_tcp_pair();
  queue.add(ident_of(pair.other), EVFILT_READ);
  REQUIRE(queue.quiet());
  write_text(pair.one, "seven b");
  const struct kevent event = queue.one();
  REQUIRE_EQUAL(event.data, 7);
  REQUIRE((event.flags & EV_EOF) == 0);
  close_both(pair);
}

// "Sockets which have previously been passed to listen() return when there is an incoming
// connection pending. data contains the size of the listen backlog."
NATIVE_TEST(reading_counts_connections_of_listeners) {
  const Kqueue queue;
  uint16_t port = 0;
  const int listener = make_listener(port);
  queue.add(ident_of(listener), EVFILT_READ);
  REQUIRE(queue.quiet());
  const int one = connect_to(port);
  const int other = connect_to(port);
  REQUIRE_EQUAL(queue.one().data, 2);
  close(accept(listener, nullptr, nullptr));
  REQUIRE_EQUAL(queue.one().data, 1);
  close(accept(listener, nullptr, nullptr));
  REQUIRE(queue.quiet());
  for (const int number : {one, other, listener}) close(number);
}

// An EV_CLEAR listener reports each further connection although the first was not accepted.
NATIVE_TEST(reading_listeners_tell_of_each_connection) {
  const Kqueue queue;
  uint16_t port = 0;
  const int listener = make_listener(port);
  queue.add(ident_of(listener), EVFILT_READ, EV_CLEAR);
  const int one = connect_to(port);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  REQUIRE(queue.quiet());
  const int other = connect_to(port);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  for (const int number : {one, other, listener}) close(number);
}

// "Subject to a per-filter low water mark by setting NOTE_LOWAT and specifying it in data."
NATIVE_TEST(reading_waits_for_the_low_water_mark) {
  const Kqueue queue;
  const Pair pair = make_socket_pair();
  queue.add(ident_of(pair.one), EVFILT_READ, 0, NOTE_LOWAT, 4);
  write_text(pair.other, "abc");
  REQUIRE(queue.quiet());
  write_text(pair.other, "d");
  REQUIRE_EQUAL(queue.one().data, 4);
  close_both(pair);
}

// "If the read direction has shutdown, the filter also sets EV_EOF. It is possible for EOF to be
// returned while there is still data pending in the socket buffer."
NATIVE_TEST(reading_end_comes_with_unread_data) {
  for (const Pair pair : {make_tcp_pair(), make_socket_pair()}) {
    const Kqueue queue;
    queue.add(ident_of(pair.one), EVFILT_READ, EV_CLEAR);
    write_text(pair.other, "rest");
    REQUIRE(shutdown(pair.other, SHUT_WR) == 0);
    struct kevent event = queue.one();
    while ((event.flags & EV_EOF) == 0) event = queue.one();
    REQUIRE_EQUAL(event.data, 4);
    REQUIRE_EQUAL(event.fflags, 0);
    close_both(pair);
  }
}

// "...and returns the socket error (if any) in fflags", of a connection that was reset, in both
// directions. The error is still the program's to get.
NATIVE_TEST(reading_reset_is_an_error) {
  const Kqueue queue;
  const Pair pair = make_tcp_pair();
  queue.add(ident_of(pair.other), EVFILT_READ, EV_CLEAR);
  REQUIRE(queue.quiet());
  reset(pair.one);
  const struct kevent event = queue.one();
  REQUIRE((event.flags & EV_EOF) != 0);
  REQUIRE_EQUAL(event.fflags, ECONNRESET);
  char byte;
  REQUIRE_EQUAL(recv(pair.other, &byte, 1, 0), -1);
  REQUIRE_EQUAL(errno, ECONNRESET);
  close(pair.other);
}

NATIVE_TEST(writing_reset_is_an_error) {
  const Kqueue queue;
  const Pair pair = make_tcp_pair();
  fill(pair.other);
  queue.add(ident_of(pair.other), EVFILT_WRITE, EV_CLEAR);
  REQUIRE(queue.quiet());
  reset(pair.one);
  const struct kevent event = queue.one();
  REQUIRE((event.flags & EV_EOF) != 0);
  REQUIRE_EQUAL(event.fflags, ECONNRESET);
  close(pair.other);
}

// A socket that is not connected is neither readable nor writable; it is writable when a connect
// has ended well, and at its end, with the error, when it has not.
NATIVE_TEST(writing_reports_the_end_of_a_connect) {
  uint16_t port = 0;
  const int listener = make_listener(port);
  for (const bool refused : {false, true}) {
    const Kqueue queue;
    const int number = open_stream();
    queue.add(ident_of(number), EVFILT_READ, EV_CLEAR);
    queue.add(ident_of(number), EVFILT_WRITE, EV_CLEAR);
    REQUIRE(queue.quiet());
    REQUIRE_EQUAL(begin_connect(number, refused ? unused_port() : port), -1);
    REQUIRE_EQUAL(errno, EINPROGRESS);
    bool writable = false;
    while (!writable) {
      for (const struct kevent& event : queue.pending()) {
        if (event.filter != EVFILT_WRITE) continue;
        writable = true;
        REQUIRE_EQUAL((event.flags & EV_EOF) != 0, refused);
        REQUIRE_EQUAL(event.fflags, refused ? ECONNREFUSED : 0);
      }
    }
    close(number);
  }
  close(listener);
}

// An empty datagram is something to receive although it has no bytes.
NATIVE_TEST(reading_empty_datagrams) {
  const Kqueue queue;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0);
  queue.add(ident_of(ends[0]), EVFILT_READ);
  REQUIRE_EQUAL(send(ends[1], nullptr, 0, 0), 0);
  REQUIRE_EQUAL(queue.one().data, 0);
  close_both({ends[0], ends[1]});
}

// "EVFILT_WRITE: returns whenever it is possible to write; data contains the amount of space
// remaining in the write buffer."
NATIVE_TEST(writing_reports_the_room) {
  for (const Pair pair : {make_tcp_pair(), make_socket_pair(), make_pipe()}) {
    const Kqueue queue;
    queue.add(ident_of(pair.other), EVFILT_WRITE);
    REQUIRE(queue.one().data > 1000);
    fill(pair.other);
    REQUIRE(queue.quiet());
    while (queue.quiet()) read_text(pair.one, 1 << 20);
    REQUIRE(queue.one().data > 0);
    close_both(pair);
  }
}

// With EV_CLEAR, what arrives in one direction is no news of the other.
NATIVE_TEST(writing_is_not_news_of_reading) {
  const Kqueue queue;
  const Pair pair = make_tcp_pair();
  queue.add(ident_of(pair.one), EVFILT_READ, EV_CLEAR);
  queue.add(ident_of(pair.one), EVFILT_WRITE, EV_CLEAR);
  REQUIRE_EQUAL(queue.one().filter, EVFILT_WRITE);
  for (int round = 0; round < 20; round++) {
    write_text(pair.other, "x");
    REQUIRE_EQUAL(queue.one().filter, EVFILT_READ);
  }
  close_both(pair);
}

// "The filter will set EV_EOF when the reader disconnects."
NATIVE_TEST(writing_ends_with_the_reader) {
  const Kqueue queue;
  const Pair pipe = make_pipe();
  fill(pipe.other);
  queue.add(ident_of(pipe.other), EVFILT_WRITE, EV_CLEAR);
  close(pipe.one);
  REQUIRE((queue.one().flags & EV_EOF) != 0);
  close(pipe.other);

  const Pair sockets = make_socket_pair();
  fill(sockets.one);
  queue.add(ident_of(sockets.one), EVFILT_WRITE, EV_CLEAR);
  close(sockets.other);
  REQUIRE((queue.one().flags & EV_EOF) != 0);
  close(sockets.one);
}

// For sockets EV_EOF of EVFILT_WRITE says that nothing can be sent, which may be one's own doing.
NATIVE_TEST(writing_ends_with_ones_own_shutdown) {
  const Kqueue queue;
  const Pair pair = make_tcp_pair();
  queue.add(ident_of(pair.one), EVFILT_WRITE, EV_CLEAR);
  REQUIRE((queue.one().flags & EV_EOF) == 0);
  REQUIRE(shutdown(pair.one, SHUT_WR) == 0);
  queue.add(ident_of(pair.one), EVFILT_WRITE, EV_CLEAR);
  REQUIRE((queue.one().flags & EV_EOF) != 0);
  close_both(pair);
}

// "Fifos, pipes: return when there is data to read; when the last writer disconnects, the filter
// will set EV_EOF."
NATIVE_TEST(reading_pipes) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  queue.add(ident_of(pair.one), EVFILT_READ);
  REQUIRE(queue.quiet());
  write_text(pair.other, "abc");
  REQUIRE_EQUAL(queue.one().data, 3);
  close(pair.other);
  struct kevent event = queue.one();
  REQUIRE_EQUAL(event.data, 3);
  REQUIRE((event.flags & EV_EOF) != 0);
  read_text(pair.one);
  event = queue.one();
  REQUIRE_EQUAL(event.data, 0);
  REQUIRE((event.flags & EV_EOF) != 0);
  close(pair.one);
}

// "EV_EOF will be cleared when a new writer connects, at which point the filter will resume waiting
// for data."
NATIVE_TEST(reading_fifos_resume_with_a_new_writer) {
  const Kqueue queue;
  REQUIRE(mkfifo("fifo", 0600) == 0);
  const int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  queue.add(ident_of(reader), EVFILT_READ);
  int writer = open("fifo", O_WRONLY | O_CLOEXEC);
  REQUIRE(writer >= 0);
  close(writer);
  REQUIRE((queue.one().flags & EV_EOF) != 0);
  writer = open("fifo", O_WRONLY | O_CLOEXEC);
  REQUIRE(writer >= 0);
  REQUIRE(queue.quiet());
  write_text(writer, "again");
  const struct kevent event = queue.one();
  REQUIRE_EQUAL(event.data, 5);
  REQUIRE((event.flags & EV_EOF) == 0);
  close(writer);
  close(reader);
}

// The wrong end of a pipe is refused (the manual page is silent, and not every kernel does), and so
// is writing to a pipe whose reader is gone (as FreeBSD and macOS do).
NATIVE_TEST(pipes_have_one_direction) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  REQUIRE_EQUAL(queue.change(ident_of(pair.one), EVFILT_WRITE, EV_ADD), EINVAL);
  REQUIRE_EQUAL(queue.change(ident_of(pair.other), EVFILT_READ, EV_ADD), EINVAL);
  close(pair.one);
  REQUIRE_EQUAL(queue.change(ident_of(pair.other), EVFILT_WRITE, EV_ADD), EPIPE);
  close(pair.other);
}

// "Eventfds: returns when the counter is greater than 0." (Linux does not show the counter.)
NATIVE_TEST(reading_eventfds) {
  const Kqueue queue;
  const int counter = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  queue.add(ident_of(counter), EVFILT_READ);
  REQUIRE(queue.quiet());
  const uint64_t five = 5;
  REQUIRE_EQUAL(write(counter, &five, sizeof(five)), sizeof(five));
  REQUIRE(queue.one().data >= 1);
  close(counter);
}

// A device that cannot be waited for is refused.
NATIVE_TEST(reading_devices_that_cannot_wait) {
  const Kqueue queue;
  const int device = open("/dev/null", O_RDWR | O_CLOEXEC);
  REQUIRE_EQUAL(queue.change(ident_of(device), EVFILT_READ, EV_ADD), ENODEV);
  close(device);
}

}  // namespace kqueue_tests
