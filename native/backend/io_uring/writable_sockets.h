// Stream sockets whose sends wait until the socket is writable, without a worker of the kernel.
//
// io_uring waits for space in the send buffer with a poll that includes EPOLLRDHUP. Once the peer
// has shut down its sending, that poll is always ready: so a send to a peer that does not read is
// tried 128 times, and then blocks in a worker, of which there are only so many (Linux 6.18,
// IO_POLL_UNMASK and APOLL_MAX_RETRY). A poll entry of our own would have EPOLLRDHUP added as well.
//
// Here SO_SNDTIMEO ends such a send after one tick of the kernel's clock. Only calls that block
// obey that limit, so all others go on as before. The send fails with EAGAIN, and stays with the
// backend. An epoll of our own, which asks for EPOLLOUT only, reports when the socket is
// writable, and the send is tried once more; the ring waits for that epoll. From then on the sends
// of this socket are tried without waiting. A socket whose peer reads costs one call.
//
// The limit is the socket's, and it would end writes and connects as well, and sends in a chain,
// which an EAGAIN would end. While one of these is in flight there is no limit. Nor is there one
// for a socket that other code may have as well, as one that was passed to another process: it
// would end that one's sends. Its own are tried without waiting, always.
//
// Nothing here owns a descriptor but the epoll's own: a socket leaves it when it is closed.
#pragma once

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "engine/descriptors.h"
#include "engine/operation.h"
#include "system/system.h"

namespace io::uring {

class Writable {
 public:
  Writable() = default;
  Writable(const Writable&) = delete;
  Writable& operator=(const Writable&) = delete;
  ~Writable() {
    if (epoll_ >= 0) ::close(epoll_);
  }

  // An operation that may wait for space in the send buffer of a stream socket is about to be given
  // to the kernel.
  void begin(Operation& operation, Descriptor& descriptor) {
    Socket& socket = at(operation.number);
    const bool may_block = operation.chain != 0 || !is(operation.opcode, abi::trait::sends);
    if (may_block) {
      operation.may_block = true;
      socket.may_block++;
    } else {
      operation.without_waiting = socket.was_full || descriptor.is_shared;
    }
    const bool limited = socket.may_block == 0 && !descriptor.is_shared;
    if (limited != descriptor.sends_limited) limit(operation.number, descriptor, limited);
  }

  // One with `may_block` has ended.
  void end(Operation& operation) {
    operation.may_block = false;
    at(operation.number).may_block--;
  }

  // A thread of ours is about to make a sendfile, whose flags cannot say that it may not block: the
  // socket has to. The operations of io_uring do not look at that, they wait as before. Returns 0,
  // or the error of what is no socket.
  int never_block(int number) {
    Socket& socket = at(number);
    if (socket.is_non_blocking) return 0;
    int type = 0;
    socklen_t size = sizeof(type);
    system_calls_ += 3;
    if (::getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return -errno;
    const int error = system::set_non_blocking(number);
    socket.is_non_blocking = error == 0;
    return error;
  }

  // It is given away: to code whose sends may block, and are not to end after a tick.
  void release(int number, Descriptor& descriptor) {
    if (descriptor.sends_limited) limit(number, descriptor, false);
  }

  // The number is about to be given up.
  void forget(int number) {
    if (static_cast<size_t>(number) < sockets_.size()) at(number) = {};
  }

  // Reports `token`, once, when the socket is writable. False when it cannot be waited for.
  bool await(int number, uint64_t token) {
    at(number).was_full = true;
    if (epoll_ < 0) epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) return false;
    epoll_event wanted = {.events = EPOLLOUT | EPOLLONESHOT, .data = {.u64 = token}};
    system_calls_++;
    int result = ::epoll_ctl(epoll_, EPOLL_CTL_MOD, number, &wanted);
    if (result != 0 && errno == ENOENT) {
      system_calls_++;
      result = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, number, &wanted);
    }
    return result == 0;
  }

  // The ring waits for the epoll: one entry, as long as anything is awaited.
  bool armed() const { return armed_; }
  void arm(io_uring_sqe* entry) {
    io_uring_prep_poll_add(entry, epoll_, POLLIN);
    armed_ = true;
  }
  // That entry has completed, or was cancelled.
  void disarm() { armed_ = false; }

  // Everything ends: nothing is waited for any more.
  void close() { closed_ = true; }
  bool closed() const { return closed_; }

  uint64_t system_calls() const { return system_calls_; }

  // Calls `report` with the token of each socket that is writable. Bounded: further events make the
  // next wait end at once.
  template <class Report>
  void collect(Report report) {
    constexpr int max_events = 256;
    epoll_event events[max_events];
    system_calls_++;
    const int count = ::epoll_wait(epoll_, events, max_events, 0);
    for (int index = 0; index < count; index++) report(events[index].data.u64);
  }

 private:
  struct Socket {
    bool was_full = false;  // a send has failed with EAGAIN
    bool is_non_blocking = false;
    uint32_t may_block = 0;  // in flight, and not to be ended by the limit
  };

  Socket& at(int number) {
    const auto index = static_cast<size_t>(number);
    if (index >= sockets_.size()) sockets_.resize((index | 63) + 1);
    return sockets_[index];
  }

  void limit(int number, Descriptor& descriptor, bool limited) {
    descriptor.sends_limited = limited;
    system_calls_++;
    system::limit_sends(number, limited);
  }

  std::vector<Socket> sockets_;  // by number
  int epoll_ = -1;
  bool armed_ = false;
  bool closed_ = false;
  uint64_t system_calls_ = 0;
};

}  // namespace io::uring
