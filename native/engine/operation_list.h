// A first-in first-out list of operations that links through the operations themselves, so that one
// of them can be taken out anywhere and nothing is allocated.
#pragma once

#include <cstddef>

#include "support/check.h"
#include "engine/operation.h"

namespace io {

// `links_of` says which links of the operation the list uses. An operation is in one list at most
// for each of them.
template <Links& (*links_of)(Operation&)>
class OperationList {
 public:
  bool empty() const { return first_ == nullptr; }
  Operation* first() const { return first_; }
  Operation* last() const { return last_; }
  static Operation* after(Operation& operation) { return links_of(operation).next; }

  void push(Operation& operation) {
    Links& links = links_of(operation);
    CHECK(links.next == nullptr);
    CHECK(links.previous == nullptr);
    links.previous = last_;
    (last_ == nullptr ? first_ : links_of(*last_).next) = &operation;
    last_ = &operation;
  }

  // For an operation that was removed and goes on waiting.
  void push_first(Operation& operation) {
    Links& links = links_of(operation);
    CHECK(links.next == nullptr);
    CHECK(links.previous == nullptr);
    links.next = first_;
    (first_ == nullptr ? last_ : links_of(*first_).previous) = &operation;
    first_ = &operation;
  }

  void remove(Operation& operation) {
    CHECK(first_ != nullptr);
    Links& links = links_of(operation);
    (links.previous == nullptr ? first_ : links_of(*links.previous).next) = links.next;
    (links.next == nullptr ? last_ : links_of(*links.next).previous) = links.previous;
    links.next = nullptr;
    links.previous = nullptr;
  }

  Operation& pop() {
    CHECK(first_ != nullptr);
    Operation& operation = *first_;
    remove(operation);
    return operation;
  }

  // The visit may take the operation out that it is given, and no other.
  template <class Visit>
  void each(Visit visit) const {
    Operation* next = nullptr;
    for (Operation* operation = first_; operation != nullptr; operation = next) {
      next = after(*operation);
      visit(*operation);
    }
  }

 private:
  Operation* first_ = nullptr;
  Operation* last_ = nullptr;
};

// One that knows its length. The lists of a descriptor do not: there is one descriptor for each
// connection, and the engine never needs that length.
template <Links& (*links_of)(Operation&)>
class CountedList : public OperationList<links_of> {
 public:
  size_t size() const { return size_; }
  void push(Operation& operation) {
    OperationList<links_of>::push(operation);
    size_++;
  }
  void remove(Operation& operation) {
    OperationList<links_of>::remove(operation);
    size_--;
  }
  Operation& pop() {
    Operation& operation = OperationList<links_of>::pop();
    size_--;
    return operation;
  }
  void push_first(Operation& operation) = delete;

 private:
  size_t size_ = 0;
};

inline Links& links_in_line(Operation& operation) {
  return operation.in_line;
}
inline Links& links_on_descriptor(Operation& operation) {
  return operation.on_descriptor;
}
inline Links& links_from_source(Operation& operation) {
  return operation.extra->from_source;
}

// Operations that wait: with the engine for their turn, or with the reactor.
using OperationQueue = OperationList<links_in_line>;
using CountedQueue = CountedList<links_in_line>;
// The operations in flight on one descriptor, wherever they wait.
using OnDescriptor = OperationList<links_on_descriptor>;
// The operations that send from one file.
using FromSource = OperationList<links_from_source>;

}  // namespace io
