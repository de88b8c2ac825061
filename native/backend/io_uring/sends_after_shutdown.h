// Stream sockets whose sending was shut down: no event ends a send that waits there.
//
// A shutdown wakes what waits at that moment. But unix_poll() of Linux 6.18 does not report a unix
// socket as writable after it, unless both directions are shut. The kernel makes a shutdown in a
// worker, so a send may begin to wait just after it: the rest of a send that waits for space before
// it is tried, or one that the writable epoll has (writable_sockets.h). Such a send would wait
// until the peer reads or closes. So a send that is given to the kernel later does not wait. One
// that waits at the time when the shutdown completes gets a cancel of our own, and ends with the
// EPIPE that a further try would get.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "engine/descriptors.h"
#include "engine/operation.h"

namespace io::uring {

class SendsAfterShutdown {
 public:
  bool any() const { return count_ > 0; }
  bool has(int number) const {
    const auto index = static_cast<size_t>(number);
    return number >= 0 && index < is_shut_.size() && is_shut_[index];
  }
  void remove(int number) {
    if (!has(number)) return;
    is_shut_[static_cast<size_t>(number)] = false;
    count_--;
  }

  // A shutdown has succeeded.
  void note(const Operation& shutdown, const Descriptor& descriptor) {
    if (shutdown.argument == SHUT_RD || !descriptor.is_stream || has(shutdown.number)) return;
    const auto index = static_cast<size_t>(shutdown.number);
    if (index >= is_shut_.size()) is_shut_.resize((index | 63) + 1);
    is_shut_[index] = true;
    count_++;
    due_.push_back(shutdown.number);
  }

  static bool is_send(abi::Opcode opcode) { return is(opcode, trait::sends | trait::writes); }

  // `end` ends a send that may wait; it returns false when that is not possible now.
  template <class End>
  void end_waiting(Descriptors& descriptors, End end) {
    std::erase_if(due_, [&](int number) {
      if (!has(number)) return true;  // it was closed
      bool asked = true;
      descriptors.at(number).operations.each([&](Operation& operation) {
        const bool waits = operation.phase == Phase::active && is_send(operation.opcode);
        if (waits && !operation.batched) asked = end(operation) && asked;
      });
      return asked;
    });
  }
  bool any_due() const { return !due_.empty(); }

 private:
  std::vector<bool> is_shut_;  // by number
  size_t count_ = 0;
  std::vector<int> due_;  // those on which sends may wait
};

}  // namespace io::uring
