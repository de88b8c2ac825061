// Stream sockets whose sends wait for room without a worker of the kernel.
//
// io_uring waits for room by a poll that the end of the peer's sending (EPOLLRDHUP) keeps ready. So
// a send to a peer that has shut down its sending and does not read is tried 128 times, and then
// blocks in a worker, of which there are only so many (Linux 6.18, IO_POLL_UNMASK and
// APOLL_MAX_RETRY). Here such a send blocks for a tick of the kernel's clock and no longer
// (SO_SNDTIMEO, which nothing else looks at: what does not block does not wait). It then ends with
// EAGAIN, the engine parks it, and an epoll of our own, asked for room only, tells when to try it
// again; the ring waits for that epoll. Where there is always room soon, none of this costs
// anything but one call a socket.
//
// Nothing here owns a descriptor but the epoll's own: a socket leaves it when it is closed. If its
// number is used again meanwhile, the worst is that a send is tried once too often.
#pragma once

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "support/check.h"

namespace io::uring {

class Rooms {
 public:
  Rooms() = default;
  Rooms(const Rooms&) = delete;
  Rooms& operator=(const Rooms&) = delete;
  ~Rooms() {
    if (epoll_ >= 0) ::close(epoll_);
  }

  // Whether a send on the socket may block for a tick only, or forever. Where it fails, on what is
  // no socket, nothing is lost but the limit.
  void limit_wait(int number, bool limited) {
    system_calls_++;
    const timeval tick = {.tv_sec = 0, .tv_usec = limited ? 1 : 0};
    ::setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick));
  }

  // Tells, once, when the socket has room. False when it cannot be told: then the send is to be
  // tried again after a while.
  bool await(int number) {
    if (epoll_ < 0) epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) return false;
    epoll_event wanted = {.events = EPOLLOUT | EPOLLONESHOT, .data = {.fd = number}};
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

  // Everything ends: nobody is told any more.
  void end() { over_ = true; }
  bool over() const { return over_; }

  uint64_t system_calls() const { return system_calls_; }

  // Which sockets have room. Bounded: what is left makes the next wait end at once.
  void collect() {
    constexpr int events_most = 256;
    epoll_event events[events_most];
    system_calls_++;
    const int count = ::epoll_wait(epoll_, events, events_most, 0);
    for (int index = 0; index < count; index++) found_.push_back(events[index].data.fd);
  }
  std::vector<int> take_found() { return std::exchange(found_, {}); }

 private:
  int epoll_ = -1;
  bool armed_ = false;
  bool over_ = false;
  uint64_t system_calls_ = 0;
  std::vector<int> found_;
};

}  // namespace io::uring
