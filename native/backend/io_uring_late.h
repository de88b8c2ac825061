// Operations whose deadline has passed and has not ended them. A deadline comes once: one that
// found the kernel busy with the operation, or handing it to a worker, has ended nothing, so the
// operation is cancelled until it has ended.
#pragma once

#include <cstdint>
#include <vector>

#include "../operation.h"

namespace io::uring {

class Late {
 public:
  bool any() const { return !late_.empty(); }
  void add(const Operation& operation) { late_.push_back({operation.slot, operation.generation}); }

  template <class Cancel>
  void look(const std::vector<Operation>& operations, Cancel cancel) {
    std::erase_if(late_, [&](const One& one) {
      const Operation& operation = operations[one.slot];
      if (operation.generation != one.generation || operation.result_known) return true;
      cancel(operation);
      return false;
    });
  }

 private:
  struct One {
    uint32_t slot;
    uint32_t generation;
  };
  std::vector<One> late_;
};

}  // namespace io::uring
