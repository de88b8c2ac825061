// The times at which operations have to be looked at: a heap in which each operation knows
// its own place, so that one that ends early is removed at once.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "support/check.h"
#include "engine/operation.h"

namespace io {

// When a timeout of that duration rings that begins now: late by a quarter of it at most, and by a
// millisecond or so, as Node's timers are. Those that are due at nearly the same time ring
// together, so a thousand of them do not wake the thread a thousand times. Of all the times that it
// may choose, each takes the one with the most zero bits at its end, which most others can choose
// as well, whatever their durations: see docs/decisions/timers-that-ring-together.md.
inline constexpr int64_t lateness_limit_ns = 1 << 20;
inline int64_t rings_at_ns(int64_t now_ns, int64_t duration_ns) {
  const int64_t due_ns = now_ns + duration_ns;
  const int64_t last_ns = due_ns + std::min(duration_ns / 4, lateness_limit_ns);
  // The highest bit that the times before the first one do not have.
  const auto differing = static_cast<uint64_t>((due_ns - 1) ^ last_ns);
  const int zeros = std::bit_width(differing) - 1;
  return static_cast<int64_t>(static_cast<uint64_t>(last_ns) >> zeros << zeros);
}

// A timeout whose own deadline is earlier.
inline bool ends_early(const Operation& timeout) {
  return timeout.has_deadline && timeout.deadline_ns < timeout.offset;
}

class Timers {
 public:
  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  // The time of the first.
  int64_t due_ns() const { return heap_.front().due_ns; }
  Operation& first() const { return *heap_.front().operation; }
  Operation& at(size_t index) const { return *heap_[index].operation; }

  // Due then and not before.
  void add(Operation& operation, int64_t due_ns) { add(operation, due_ns, due_ns); }

  // A timeout that begins now.
  void add_timeout(Operation& timeout, int64_t now_ns) {
    const int64_t duration_ns = ends_early(timeout) ? timeout.deadline_ns : timeout.offset;
    add(timeout, now_ns + duration_ns, rings_at_ns(now_ns, duration_ns));
  }

  // Takes out what is due, in order, and calls `take` with each. When there is any, those go with
  // it that may ring already, since the thread is awake now and need not be woken for them again.
  template <class Take>
  void take_due(int64_t now_ns, Take take) {
    if (empty() || due_ns() > now_ns) return;
    while (!empty() && heap_.front().earliest_ns <= now_ns) {
      Operation& operation = first();
      remove(operation);
      take(operation);
    }
  }

  void remove(Operation& operation) {
    const size_t index = operation.timer_index - 1;
    CHECK(index < heap_.size());
    CHECK(heap_[index].operation == &operation);
    operation.timer_index = 0;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (index == heap_.size()) return;
    if (index > 0 && last.before(heap_[parent_of(index)])) {
      rise(index, last);
    } else {
      sink(index, last);
    }
  }

 private:
  struct Entry {
    int64_t due_ns;
    int64_t earliest_ns;
    uint64_t sequence;
    Operation* operation;
    // Of entries that are due together the one goes first that might have rung first, then the
    // older one.
    bool before(const Entry& other) const {
      if (due_ns != other.due_ns) return due_ns < other.due_ns;
      return earliest_ns != other.earliest_ns ? earliest_ns < other.earliest_ns
                                              : sequence < other.sequence;
    }
  };

  void add(Operation& operation, int64_t earliest_ns, int64_t due_ns) {
    CHECK(operation.timer_index == 0);
    CHECK(earliest_ns <= due_ns);
    const Entry entry = {due_ns, earliest_ns, sequence_++, &operation};
    heap_.push_back(entry);
    rise(heap_.size() - 1, entry);
  }

  void put(size_t index, const Entry& entry) {
    heap_[index] = entry;
    entry.operation->timer_index = static_cast<uint32_t>(index + 1);
  }

  // Each step writes to an operation, which is not in a near cache: four children make half as
  // many steps as two.
  static constexpr size_t children = 4;
  static size_t parent_of(size_t index) { return (index - 1) / children; }

  void rise(size_t index, const Entry& entry) {
    while (index > 0 && entry.before(heap_[parent_of(index)])) {
      put(index, heap_[parent_of(index)]);
      index = parent_of(index);
    }
    put(index, entry);
  }

  void sink(size_t index, const Entry& entry) {
    for (;;) {
      const size_t first = children * index + 1;
      if (first >= heap_.size()) break;
      const size_t end = std::min(first + children, heap_.size());
      size_t least = first;
      for (size_t child = first + 1; child < end; child++) {
        if (heap_[child].before(heap_[least])) least = child;
      }
      if (!heap_[least].before(entry)) break;
      put(index, heap_[least]);
      index = least;
    }
    put(index, entry);
  }

  std::vector<Entry> heap_;
  uint64_t sequence_ = 0;
};

}  // namespace io
