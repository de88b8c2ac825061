// Datagram sockets whose receiving was shut down.
//
// A receive that would wait there has come to its end: a plain one that blocks is told 0 by the
// kernel. One that does not block is told EAGAIN, and the poll that io_uring makes of that says at
// once that there is something: so a plain receive is tried 128 times, blocks in a worker, and
// ends, and a multishot one never does (seen on Linux 6.18). Here they are not let wait, and EAGAIN
// is the end. Those that waited before are ended by a cancel of our own.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/groups.h"
#include "engine/operation_table.h"
#include "backend/reactor/attempt.h"

namespace io::uring {

class ShutReceives {
 public:
  bool any() const { return !numbers_.empty(); }
  bool has(int number) const {
    return std::find(numbers_.begin(), numbers_.end(), number) != numbers_.end();
  }
  void remove(int number) {
    if (numbers_.empty()) return;
    std::erase(numbers_, number);
    std::erase(due_, number);
  }

  void note(const Operation& shutdown, int32_t result) {
    if (!ends_datagrams(shutdown, result) || has(shutdown.number)) return;
    numbers_.push_back(shutdown.number);
    due_.push_back(shutdown.number);
  }

  static bool is_receive(abi::Opcode opcode) { return is(opcode, trait::receives); }

  // `end` asks the kernel to end one that waits; it returns false when that cannot be asked now.
  template <class End>
  void end_waiting(const OperationTable& operations, End end) {
    std::erase_if(due_, [&](int number) {
      bool asked = true;
      operations.each([&](const Operation& operation) {
        const bool waits = operation.phase == Phase::active && operation.number == number &&
                           is_receive(operation.opcode);
        if (waits) asked = end(operation) && asked;
      });
      return asked;
    });
  }
  bool any_due() const { return !due_.empty(); }

 private:
  std::vector<int> numbers_;
  std::vector<int> due_;  // those on which receives may wait
};

}  // namespace io::uring
