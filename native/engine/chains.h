// When the next operation of a chain starts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/operation.h"

namespace io {

// How much a read or a write is to move.
inline size_t wanted_bytes(const Operation& operation) {
  if (!is(operation.opcode, trait::more_buffers)) return operation.length;
  size_t wanted = 0;
  for (const iovec& vector : operation.extra->vectors) wanted += vector.iov_len;
  return wanted;
}

// The kernel's rule for io_uring, kept for all: reads and writes count only when they moved
// everything, sends and receives whenever they moved anything.
inline bool succeeded_in_full(const Operation& operation, int32_t result) {
  if (result < 0) return false;
  return !is(operation.opcode, trait::transfers) ||
         static_cast<size_t>(result) == wanted_bytes(operation);
}

// Of one that was started. A hard link holds whatever came of it.
inline bool lets_next_start(const Operation& operation, int32_t result) {
  return (operation.links & link_hard) != 0 || succeeded_in_full(operation, result);
}

}  // namespace io
