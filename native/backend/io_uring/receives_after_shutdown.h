// Datagram sockets whose receiving was shut down.
//
// A receive that would wait there is at the end: a blocking one gets 0 from the kernel. A
// non-blocking one gets EAGAIN, and the poll that io_uring arms then reports readiness at once. So
// a single receive is tried 128 times, blocks in a worker, and ends, and a multishot one never ends
// (seen on Linux 6.18). Here receives do not wait on such a socket, and EAGAIN is the end. Receives
// that waited before get a cancel of our own.
#pragma once

#include <vector>

#include "engine/descriptors.h"
#include "engine/buffer_groups.h"
#include "backend/calls.h"

namespace io::uring {

class ReceivesAfterShutdown {
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

  void note(const Operation& shutdown, int32_t result) {
    if (!ends_datagrams(shutdown, result) || has(shutdown.number)) return;
    const auto index = static_cast<size_t>(shutdown.number);
    if (index >= is_shut_.size()) is_shut_.resize((index | 63) + 1);
    is_shut_[index] = true;
    count_++;
    due_.push_back(shutdown.number);
  }

  static bool is_receive(abi::Opcode opcode) { return is(opcode, trait::receives); }

  // `end` asks the kernel to cancel a waiting receive; it returns false when that cannot be asked
  // now.
  template <class End>
  void end_waiting(Descriptors& descriptors, End end) {
    std::erase_if(due_, [&](int number) {
      if (!has(number)) return true;  // it was closed
      bool asked = true;
      descriptors.at(number).operations.each([&](const Operation& operation) {
        const bool waits = operation.phase == Phase::active && is_receive(operation.opcode);
        if (waits) asked = end(operation) && asked;
      });
      return asked;
    });
  }
  bool any_due() const { return !due_.empty(); }

 private:
  std::vector<bool> is_shut_;  // by number
  size_t count_ = 0;
  std::vector<int> due_;  // those on which receives may wait
};

}  // namespace io::uring
