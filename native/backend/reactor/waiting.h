// Rules of what waits for what, for the reactor: which direction an operation belongs to, and when
// an attempt is known to be in vain.
#pragma once

#include <cerrno>
#include <cstdint>

#include "engine/operation.h"
#include "system/system.h"
#include "backend/reactor/attempt.h"
#include "backend/reactor/watches.h"

namespace io {

inline int direction_of(abi::Opcode opcode) {
  return is(opcode, trait::incoming) ? direction_in : direction_out;
}

// A timeout whose own deadline comes first.
inline bool ends_early(const Operation& timeout) {
  return timeout.has_deadline && timeout.deadline_ns < timeout.offset;
}

inline bool is_accept(abi::Opcode opcode) {
  return is(opcode, trait::accepts);
}

// Whether an attempt is known to be in vain. What does not go with the others of its direction is
// refused by the kernel at once, so it does not wait behind them: a receive on a listener, a
// second connect.
inline bool would_wait(const Operation& operation, const Watch& watch, int direction) {
  if (operation.opcode == abi::Opcode::connect) return false;
  const bool differs = direction == direction_in && is_accept(operation.opcode) != watch.accepts;
  return !differs && (!watch.ready[direction] || !watch.parked[direction].empty());
}

// Always false, which is the answer to whether it has ended.
inline bool must_wait(const Operation& operation, Watch& watch, int direction) {
  watch.ready[direction] = false;
  if (direction == direction_in) watch.accepts = is_accept(operation.opcode);
  return false;
}

inline bool is_connecting(const Watch& watch) {
  const Operation* first = watch.parked[direction_out].first();
  return first != nullptr && first->opcode == abi::Opcode::connect;
}

// A read of a pipe. One that nobody has opened for writing yet gives 0 as well, which is no end; a
// writer that has nothing to say for the moment makes it EAGAIN.
inline int32_t attempt_of_pipe(Operation& operation, Watch& watch) {
  if (watch.has_met_writer || wanted_bytes(operation) == 0) return attempt(operation);
  const bool ended = system::pipe_has_ended(operation.number);
  const int32_t result = attempt(operation);
  // A writer may have come and gone in between.
  const bool is_early = result == 0 && !ended && !system::pipe_has_ended(operation.number);
  watch.has_met_writer = !is_early && (result >= 0 || result == -EAGAIN);
  return is_early ? -EAGAIN : result;
}

// The result of an attempt, with what the call itself does not tell.
inline int32_t meaning_of(Operation& operation, const Watch& watch, int32_t result) {
  const bool reads = direction_of(operation.opcode) == direction_in;
  // Linux says EAGAIN of a datagram socket whose receiving was shut down.
  const bool receives = reads && !is_accept(operation.opcode);
  if (result == -EAGAIN && receives && watch.receive_shut) return nothing_received(operation);
  // Linux says EAGAIN of a unix listener that was shut down, although nobody will ever come.
  const bool in_vain = result == -EAGAIN && is_accept(operation.opcode) && watch.ended;
  return in_vain && has_ended(operation.number) ? -EINVAL : result;
}

}  // namespace io
