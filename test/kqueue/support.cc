// The helpers of the layer's tests: see support.h.
#include "support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

#include <ctime>

namespace kqueue_tests {

Pair make_pipe() {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  return {ends[0], ends[1]};
}

Pair make_socket_pair() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  return {ends[0], ends[1]};
}

int make_listener(uint16_t& port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(listener >= 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  REQUIRE(bind(listener, generic, size) == 0);
  REQUIRE(listen(listener, 8) == 0);
  REQUIRE(getsockname(listener, generic, &size) == 0);
  port = ntohs(address.sin_port);
  return listener;
}

int connect_to(uint16_t port) {
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(client >= 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return client;
}

Pair make_tcp_pair() {
  uint16_t port = 0;
  const int listener = make_listener(port);
  const int client = connect_to(port);
  const int served = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(served >= 0);
  close(listener);
  return {client, served};
}

void write_text(int number, const std::string& text) {
  REQUIRE_EQUAL(write(number, text.data(), text.size()), text.size());
}

std::string read_text(int number, size_t limit) {
  std::string text(limit, '\0');
  const ssize_t size = read(number, text.data(), limit);
  REQUIRE(size >= 0);
  text.resize(static_cast<size_t>(size));
  return text;
}

void close_both(const Pair& pair) {
  close(pair.one);
  close(pair.other);
}

size_t fill(int number) {
  REQUIRE(fcntl(number, F_SETFL, O_NONBLOCK) == 0);
  const std::string block(4096, 'x');
  size_t total = 0;
  for (;;) {
    const ssize_t written = write(number, block.data(), block.size());
    if (written < 0) {
      REQUIRE_EQUAL(errno, EAGAIN);
      return total;
    }
    total += static_cast<size_t>(written);
  }
}

int64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace kqueue_tests
