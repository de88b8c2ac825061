// Rules of what waits for what, for the reactor: which direction an operation belongs to, and when
// an attempt is known to be in vain.
#pragma once

#include <cerrno>
#include <cstdint>

#include "../operation.h"
#include "attempt.h"
#include "watches.h"

namespace io {

inline int direction_of(abi::Opcode opcode) {
  switch (opcode) {
    case abi::Opcode::read:
    case abi::Opcode::read_vectored:
    case abi::Opcode::receive:
    case abi::Opcode::receive_message:
    case abi::Opcode::accept:
    case abi::Opcode::accept_multishot:
    case abi::Opcode::receive_multishot:
    case abi::Opcode::receive_message_multishot:
      return direction_in;
    default:
      return direction_out;
  }
}

// A timeout whose own deadline comes first.
inline bool ends_early(const Operation& timeout) {
  return timeout.has_deadline && timeout.deadline_ns < timeout.offset;
}

inline bool is_accept(abi::Opcode opcode) {
  return opcode == abi::Opcode::accept || opcode == abi::Opcode::accept_multishot;
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

// The result of an attempt, with what the call itself does not tell.
inline int32_t meaning_of(Operation& operation, const Watch& watch, int32_t result) {
  const bool reads = direction_of(operation.opcode) == direction_in;
  // Linux says EAGAIN of a datagram socket whose receiving was shut down.
  const bool receives = reads && !is_accept(operation.opcode);
  if (result == -EAGAIN && receives && watch.receive_shut) return nothing_received(operation);
  if (result == 0 && reads && watch.kind == Kind::pipe && waits_for_writer(operation.number))
    return -EAGAIN;
  // Linux says EAGAIN of a unix listener that was shut down, although nobody will ever come.
  const bool in_vain = result == -EAGAIN && is_accept(operation.opcode) && watch.ended;
  return in_vain && has_ended(operation.number) ? -EINVAL : result;
}

}  // namespace io
