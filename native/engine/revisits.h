// The operations that the engine looks at again after a while, because no event reports that it
// should: a cancel that missed its target, a close that still waits, an operation that its backend
// has to try again.
//
// Each revisit is of one operation, and comes 20 ms after it was asked for; one that was of no use
// comes twice as late the next time, and after 1.28 s at most. So only due revisits cost anything,
// and the cost of one operation does not grow with the number of the others, nor with the time that
// all of them take together: many closes at once wait for each other, and not for a cancel. The
// backend ends its wait when the first revisit is due; the engine makes the revisits and hands
// those that are not its own to Backend::revisit().
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "support/clock.h"
#include "support/fifo.h"
#include "engine/operation.h"
#include "engine/operation_table.h"
#include "engine/deadline_heap.h"

namespace io {

class Revisits {
 public:
  static constexpr int64_t never = std::numeric_limits<int64_t>::max();

  // An operation has one visit of a kind at a time. Its slot may have another operation by then, so
  // the generation is kept with it. `before`: how many visits were of no use.
  void add(Operation& operation, Revisit why, uint32_t before = 0) {
    if (!note(operation, why)) return;
    const uint32_t doublings = std::min(before, max_doublings);
    later_[doublings].push({now_ns() + (delay_ns << doublings), token_of(operation), why});
    later_count_++;
  }
  // The same, with the next batch.
  void add_now(Operation& operation, Revisit why) {
    if (note(operation, why)) now_.push({0, token_of(operation), why});
  }
  bool has_now() const { return !now_.empty(); }

  // Operations that wait for their turn have their deadlines here, and no backend knows them.
  Timers& deadlines() { return deadlines_; }

  // When the engine itself is to be looked at.
  void set_engine_due(int64_t due_ns) { engine_due_ns_ = due_ns; }

  // When the first visit or deadline is due. An operation that has ended wakes no thread.
  int64_t due_ns(const OperationTable& operations) {
    int64_t due_ns = engine_due_ns_;
    if (later_count_ > 0) due_ns = std::min(due_ns, later_due_ns(operations));
    if (!deadlines_.empty()) due_ns = std::min(due_ns, deadlines_.due_ns());
    return due_ns;
  }

  // Calls `visit` with each slot, generation and reason that was asked for with the next batch.
  template <class Visit>
  void visit_now(OperationTable& operations, Visit visit) {
    // Revisits that a revisit adds come with the batch after this one.
    for (size_t count = now_.size(); count > 0; count--) make(operations, now_.pop(), visit);
  }
  // The same with the due revisits.
  template <class Visit>
  void visit_due(OperationTable& operations, int64_t now, Visit visit) {
    for (Fifo<Entry>& later : later_) {
      while (!later.empty() && later.front().due_ns <= now) {
        later_count_--;
        make(operations, later.pop(), visit);
      }
    }
  }

  void clear() {
    now_ = {};
    later_ = {};
    later_count_ = 0;
  }

 private:
  static constexpr int64_t delay_ns = 20'000'000;
  static constexpr uint32_t max_doublings = 6;

  struct Token {
    uint32_t slot;
    uint32_t generation;
  };
  struct Entry {
    int64_t due_ns;
    Token token;
    Revisit why;
  };

  int64_t later_due_ns(const OperationTable& operations) {
    int64_t due_ns = never;
    for (Fifo<Entry>& later : later_) {
      while (!later.empty() && has_ended(operations, later.front().token)) {
        later.pop();
        later_count_--;
      }
      if (!later.empty()) due_ns = std::min(due_ns, later.front().due_ns);
    }
    return due_ns;
  }

  static bool has_ended(const OperationTable& operations, const Token& token) {
    const Operation& operation = operations[token.slot];
    return operation.generation != token.generation || operation.phase == Phase::free;
  }

  static Token token_of(const Operation& operation) {
    return {operation.slot, operation.generation};
  }

  static bool note(Operation& operation, Revisit why) {
    const auto bit = static_cast<uint8_t>(1u << static_cast<uint8_t>(why));
    if ((operation.revisits & bit) != 0) return false;
    operation.revisits |= bit;
    return true;
  }

  template <class Visit>
  static void make(OperationTable& operations, const Entry& entry, Visit visit) {
    Operation& operation = operations[entry.token.slot];
    if (operation.generation != entry.token.generation) return;
    operation.revisits &= static_cast<uint8_t>(~(1u << static_cast<uint8_t>(entry.why)));
    if (operation.phase != Phase::free) visit(operation, entry.why);
  }

  Fifo<Entry> now_;
  std::array<Fifo<Entry>, max_doublings + 1> later_;  // by how often the delay was doubled
  size_t later_count_ = 0;  // in all of them: mostly none, and due_ns() is asked for in each round
  Timers deadlines_;
  int64_t engine_due_ns_ = never;
};

}  // namespace io
