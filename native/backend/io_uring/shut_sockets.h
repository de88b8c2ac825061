// The sockets of which the program has shut one direction, and what waits on them: the mechanism of
// receives_after_shutdown.h and sends_after_shutdown.h.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/descriptors.h"
#include "engine/operation.h"

namespace io::uring {

class ShutSockets {
 public:
  bool any() const { return count_ > 0; }
  bool has(int number) const {
    const auto index = static_cast<size_t>(number);
    return number >= 0 && index < is_shut_.size() && is_shut_[index];
  }
  // The number was closed, or names another socket from now on.
  void remove(int number) {
    if (!has(number)) return;
    is_shut_[static_cast<size_t>(number)] = false;
    count_--;
  }
  // Whether operations may wait on one that was shut since the last end_waiting().
  bool any_due() const { return !due_.empty(); }

 protected:
  void add(int number) {
    if (has(number)) return;
    const auto index = static_cast<size_t>(number);
    if (index >= is_shut_.size()) is_shut_.resize((index | 63) + 1);
    is_shut_[index] = true;
    count_++;
    due_.push_back(number);
  }

  // `end` ends an operation that `waits`; it returns false when that is not possible now.
  template <class Waits, class End>
  void end_waiting(Descriptors& descriptors, Waits waits, End end) {
    std::erase_if(due_, [&](int number) {
      if (!has(number)) return true;  // it was closed
      bool has_ended = true;
      descriptors.at(number).operations.each([&](Operation& operation) {
        if (operation.phase != Phase::active || !waits(operation)) return;
        has_ended = end(operation) && has_ended;
      });
      return has_ended;
    });
  }

 private:
  std::vector<bool> is_shut_;  // by number
  size_t count_ = 0;
  std::vector<int> due_;
};

}  // namespace io::uring
