// Reads and writes that move the position of a file, or append to it. Threads that make them side
// by side would mix them up, so those of one descriptor and direction are made in the order in
// which they were submitted. They wait in a queue like operations on a stream. When the last row
// has ended, the queued operations become the next row, which one thread of the pool makes.
#pragma once

#include <cstdint>

#include "support/check.h"
#include "engine/operation.h"
#include "backend/reactor/wait_rules.h"
#include "backend/reactor/descriptor_table.h"

namespace io {

// So that a cancel still finds most of a long line waiting.
inline constexpr uint32_t row_limit = 64;

// A device without data is retried later, and data that arrives meanwhile belongs to the same
// operation.
inline uint32_t row_limit_of(const Watch& watch) {
  return watch.kind == Kind::unwatched ? 1 : row_limit;
}

inline bool moves_position(const Operation& operation, const Watch& watch) {
  const bool writes = direction_of(operation) == direction_out;
  if (operation.offset < 0) return true;
  return writes && (watch.appends || (operation.argument & abi::write_flag_append) != 0);
}

// Calls `leave` with each operation of the next row, unless the last one has not ended.
template <class Leave>
void next_row(Watch& watch, int direction, Leave leave) {
  OperationQueue& line = watch.parked[direction];
  if (watch.in_row[direction] > 0) return;
  const uint32_t limit = row_limit_of(watch);
  while (!line.empty() && watch.in_row[direction] < limit) {
    Operation& operation = line.pop();
    operation.in_row = true;
    watch.in_row[direction]++;
    operation.joined = !line.empty() && watch.in_row[direction] < limit;
    leave(operation);
  }
}

// The operation has ended.
template <class Leave>
void leave_row(Operation& operation, Watch& watch, Leave leave) {
  const int direction = direction_of(operation);
  CHECK(watch.in_row[direction] > 0);
  operation.in_row = false;
  watch.in_row[direction]--;
  next_row(watch, direction, leave);
}

}  // namespace io
