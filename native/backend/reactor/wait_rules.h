// Rules of the reactor about waiting: the direction of an operation, and when an attempt cannot
// succeed.
#pragma once

#include <cerrno>
#include <cstdint>

#include "engine/operation.h"
#include "system/system.h"
#include "backend/calls.h"
#include "backend/reactor/descriptor_table.h"

namespace io {

inline int direction_of(const Operation& operation) {
  if (abi::is_poll(operation.opcode)) {
    return operation.argument == abi::poll_readable ? direction_in : direction_out;
  }
  return is(operation.opcode, trait::incoming) ? direction_in : direction_out;
}

inline bool is_accept(abi::Opcode opcode) {
  return is(opcode, trait::accepts);
}

// Whether an attempt cannot succeed yet. An operation that the descriptor cannot perform (a receive
// on a listener, a second connect) is refused by the kernel at once, so it is not queued behind the
// others of its direction.
inline bool would_wait(const Operation& operation, const Watch& watch, int direction) {
  if (operation.opcode == abi::Opcode::connect) return false;
  const bool differs = direction == direction_in && is_accept(operation.opcode) != watch.accepts;
  return !differs && (!watch.ready[direction] || !watch.parked[direction].empty());
}

// Returns false: the operation has not ended.
inline bool must_wait(const Operation& operation, Watch& watch, int direction) {
  watch.ready[direction] = false;
  if (direction == direction_in) watch.accepts = is_accept(operation.opcode);
  return false;
}

inline bool is_connecting(const Watch& watch) {
  const Operation* first = watch.parked[direction_out].first();
  return first != nullptr && first->opcode == abi::Opcode::connect;
}

// A read of a pipe. A FIFO that has never had a writer returns 0 too, which is not the end; with a
// writer that has written nothing the read returns EAGAIN.
inline int32_t attempt_of_pipe(Operation& operation, Watch& watch) {
  if (watch.has_met_writer || wanted_bytes(operation) == 0) return attempt(operation);
  const bool ended = system::pipe_has_ended(operation.number);
  const int32_t result = attempt(operation);
  // A writer may have come and gone in between.
  const bool is_early = result == 0 && !ended && !system::pipe_has_ended(operation.number);
  watch.has_met_writer = !is_early && (result >= 0 || result == -EAGAIN);
  return is_early ? -EAGAIN : result;
}

// The result of an attempt, corrected where the call alone does not show the state.
inline int32_t meaning_of(Operation& operation, const Watch& watch, int32_t result) {
  const bool reads = direction_of(operation) == direction_in;
  // Linux returns EAGAIN for a datagram socket whose receiving was shut down.
  const bool receives = reads && is(operation.opcode, trait::receives | trait::reads);
  if (result == -EAGAIN && receives && watch.receive_shut) return nothing_received(operation);
  // Linux returns EAGAIN for a unix listener that was shut down, although no connection can come.
  const bool in_vain = result == -EAGAIN && is_accept(operation.opcode) && watch.ended;
  return in_vain && has_ended(operation.number) ? -EINVAL : result;
}

}  // namespace io
