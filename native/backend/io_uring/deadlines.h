// Deadlines of operations, and timeouts: a heap of our own, and one timeout in the kernel, the
// alarm, for the first of them. A timeout of the kernel for each would be a timer for each, and its
// cancel would look at all the others (io_timeout_extract() of Linux 6.18).
//
// The kernel's linked timeouts would end an operation without us. But an operation that a kernel
// worker gets at once (an open that may create, IOSQE_ASYNC) is never ended by one: nothing arms
// the timeout there (seen on Linux 6.18). And a linked timeout is a second entry and a second
// completion for each.
//
// An operation whose deadline has passed is cancelled, and cancelled again until it has ended
// (Revisit::deadline_passed): a cancel misses an operation that the kernel is working on, or is
// handing to a worker. The alarm is set for the engine's revisits as well.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/revisits.h"
#include "engine/deadline_heap.h"

namespace io::uring {

class Deadlines {
 public:
  // The kernel was given the operation.
  void begin(Operation& operation, int64_t now_ns) {
    operation.result_known = false;
    operation.deadline_fired = false;
    timers_.add(operation, operation.deadline_at(now_ns));
  }

  // A timeout begins.
  void sleep(Operation& timeout, int64_t now_ns) {
    timeout.deadline_fired = false;
    timers_.add_timeout(timeout, now_ns);
  }
  // It ends, or has rung.
  void wake(Operation& timeout) {
    if (timeout.timer_index != 0) timers_.remove(timeout);
  }

  // A deadline or a timeout.
  bool any() const { return !timers_.empty(); }
  // Calls back with each timeout, which may end it.
  template <class Visit>
  void each_timeout(Visit visit) {
    std::vector<Operation*> timeouts;
    for (size_t index = 0; index < timers_.size(); index++) {
      Operation& operation = timers_.at(index);
      if (operation.opcode == abi::Opcode::timeout) timeouts.push_back(&operation);
    }
    for (Operation* timeout : timeouts) visit(*timeout);
  }

  // The kernel has ended it. Returns its result.
  int32_t end(Operation& operation, int32_t result) {
    if (operation.timer_index != 0) timers_.remove(operation);
    operation.result_known = true;
    return operation.deadline_fired && result == -ECANCELED ? -ETIMEDOUT : result;
  }

  // Whether the kernel has an alarm to be set, for a deadline or for what else is due then, and
  // when it is to ring.
  bool wants_alarm(int64_t other_ns) const {
    const int64_t due_ns = first_ns(other_ns);
    return due_ns != Revisits::never && (!armed_ || due_ns < alarm_ns_);
  }
  bool armed() const { return armed_; }
  int64_t arm(int64_t other_ns) {
    armed_ = true;
    alarm_ns_ = first_ns(other_ns);
    return alarm_ns_;
  }
  // It has rung, or was cancelled.
  void disarm() { armed_ = false; }

  // Calls `cancel` with the operations whose deadlines have passed, and with timeouts that ring.
  template <class Cancel>
  void expire(int64_t now_ns, Cancel cancel) {
    timers_.take_due(now_ns, [&](Operation& operation) {
      operation.deadline_fired = true;
      cancel(operation);
    });
  }

  static bool is_late(const Operation& operation) {
    return operation.has_deadline && operation.deadline_fired && !operation.result_known;
  }

 private:
  int64_t first_ns(int64_t other_ns) const {
    return timers_.empty() ? other_ns : std::min(other_ns, timers_.due_ns());
  }

  Timers timers_;
  int64_t alarm_ns_ = 0;
  bool armed_ = false;
};

}  // namespace io::uring
