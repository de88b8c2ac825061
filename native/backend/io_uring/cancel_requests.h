// The cancels that the kernel was asked for: of an operation, of those of a descriptor, or of
// everything.
//
// An interrupted kernel worker returns the same error whether we asked for it or not, and where no
// worker can be made the kernel cancels the operation that needed one. Only a record of the
// requests can tell these cases apart. Nothing is kept of operations that have ended: each notes
// the count of requests when it began.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/operation.h"

namespace io::uring {

class CancelRequests {
 public:
  void begin(Operation& operation) const {
    operation.asked_before = count_;
    operation.end_asked = false;
    operation.end_given = false;
  }

  // They begin later. What the last operations of their slots had counts no more.
  static void put_off(std::span<Operation* const> later) {
    for (Operation* operation : later) {
      operation->end_given = false;
      operation->result_known = false;
    }
  }

  void for_one(Operation& operation) { operation.end_asked = true; }
  void for_descriptor(int number) {
    const auto index = static_cast<size_t>(number);
    if (index >= of_descriptor_.size()) of_descriptor_.resize((index | 63) + 1);
    of_descriptor_[index] = ++count_;
  }
  void for_everything() { of_all_ = ++count_; }

  bool of(const Operation& operation) const {
    if (operation.end_asked || of_all_ > operation.asked_before) return true;
    const auto index = static_cast<size_t>(operation.number);
    return operation.number >= 0 && index < of_descriptor_.size() &&
           of_descriptor_[index] > operation.asked_before;
  }

 private:
  uint64_t count_ = 0;
  uint64_t of_all_ = 0;
  std::vector<uint64_t> of_descriptor_;
};

}  // namespace io::uring
