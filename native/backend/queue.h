// A first-in first-out list of operations that links through the operations themselves, so that one
// of them can be taken out anywhere and nothing is allocated. An operation is in one list at most.
#pragma once

#include <cstddef>

#include "../check.h"
#include "../operation.h"

namespace io {

class OperationQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }
  Operation* first() const { return first_; }

  void push(Operation& operation) {
    CHECK(operation.next == nullptr);
    CHECK(operation.previous == nullptr);
    operation.previous = last_;
    (last_ == nullptr ? first_ : last_->next) = &operation;
    last_ = &operation;
    size_++;
  }

  // For one that was taken out and goes on waiting.
  void push_first(Operation& operation) {
    CHECK(operation.next == nullptr);
    CHECK(operation.previous == nullptr);
    operation.next = first_;
    (first_ == nullptr ? last_ : first_->previous) = &operation;
    first_ = &operation;
    size_++;
  }

  void remove(Operation& operation) {
    CHECK(size_ > 0);
    (operation.previous == nullptr ? first_ : operation.previous->next) = operation.next;
    (operation.next == nullptr ? last_ : operation.next->previous) = operation.previous;
    operation.next = nullptr;
    operation.previous = nullptr;
    size_--;
  }

  Operation& pop() {
    CHECK(first_ != nullptr);
    Operation& operation = *first_;
    remove(operation);
    return operation;
  }

 private:
  Operation* first_ = nullptr;
  Operation* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace io
