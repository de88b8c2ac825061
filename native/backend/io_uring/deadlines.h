// Deadlines of operations: a heap of our own, and one timeout in the kernel, the alarm, for the one
// that is due first.
//
// The kernel's linked timeouts would end an operation without us, but one that is given to a kernel
// worker at once (an open that may create, IOSQE_ASYNC) is never ended by one: nothing arms it
// there (seen on Linux 6.18). And a linked timeout is a second entry and a second completion for
// each.
//
// What is due is cancelled, and cancelled again until it has ended: a cancel misses what the kernel
// is just working on, or is handing to a worker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/operation_table.h"
#include "engine/timers.h"

namespace io::uring {

class Deadlines {
 public:
  // The kernel was given the operation.
  void begin(Operation& operation, int64_t now_ns) {
    operation.result_known = false;
    operation.deadline_fired = false;
    timers_.add(operation, now_ns + operation.deadline_ns);
  }

  // The kernel has ended it: what came of it.
  int32_t end(Operation& operation, int32_t result) {
    if (operation.timer_index != 0) timers_.remove(operation);
    operation.result_known = true;
    return operation.deadline_fired && result == -ECANCELED ? -ETIMEDOUT : result;
  }

  // Whether the kernel has an alarm to be set, and when it is to ring.
  bool wants_alarm() const { return !timers_.empty() && (!armed_ || timers_.due_ns() < alarm_ns_); }
  bool armed() const { return armed_; }
  int64_t arm() {
    armed_ = true;
    alarm_ns_ = timers_.due_ns();
    return alarm_ns_;
  }
  // It has rung, or was cancelled.
  void disarm() { armed_ = false; }

  // Cancels what is due.
  template <class Cancel>
  void expire(int64_t now_ns, Cancel cancel) {
    while (!timers_.empty() && timers_.due_ns() <= now_ns) {
      Operation& operation = timers_.first();
      timers_.remove(operation);
      operation.deadline_fired = true;
      late_.push_back({operation.slot, operation.generation, operation.tries});
      cancel(operation);
    }
  }

  // Those that were due and have not ended.
  bool any_late() const { return !late_.empty(); }
  template <class Cancel>
  void look_at_late(OperationTable& operations, Cancel cancel) {
    std::erase_if(late_, [&](const Late& late) {
      Operation& operation = operations[late.slot];
      if (operation.generation != late.generation || operation.tries != late.tries) return true;
      if (operation.result_known) return true;
      cancel(operation);
      return false;
    });
  }

 private:
  struct Late {
    uint32_t slot;
    uint32_t generation;
    uint16_t tries;
  };

  Timers timers_;
  std::vector<Late> late_;
  int64_t alarm_ns_ = 0;
  bool armed_ = false;
};

}  // namespace io::uring
