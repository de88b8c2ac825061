// The engine's order of receives and sends: which of a socket's operations is with the backend, and
// which are parked. See engine.h.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "support/check.h"
#include "support/clock.h"
#include "engine/engine.h"

namespace io {

using abi::Opcode;

namespace {

int line_of(Opcode opcode) {
  if (is(opcode, trait::accepts)) return direction_accepts;
  return is(opcode, trait::receives) ? direction_receives : direction_sends;
}

}  // namespace

// Sends of UDP go to the backend at once, without waiting for the one before: a pipeline of them is
// then one system call for many instead of one for each. io_uring tries each when it is submitted,
// in order, and so does the reactor. So the sends that the socket has space for leave in the order
// of the calls. Sends that wait for space may overtake each other on io_uring, since all of them
// are woken and try again; datagrams may overtake each other on their way as well. A stream would
// be torn apart by that, and a unix datagram socket guarantees the order.
//
// At most so many: all waiting sends are woken together, for the space of a few. It is the number
// that the kernel takes in one call.
void Engine::know_datagrams(int number, uint32_t family) {
  constexpr uint8_t sends_at_once = 64;
  Descriptor& descriptor = descriptors_.at(number);
  descriptor.unix_datagram = family == AF_UNIX;
  if (!descriptor.unix_datagram) descriptor.turns[direction_sends] = sends_at_once;
}

// Only the oldest receive of a socket is with the backend, and only the oldest send, unless it is
// one for UDP: among several waiting ones the kernel wakes the newest first, which would reverse
// the bytes of a stream. A linked operation goes at once, because the kernel starts it.
//
// Accepts of a listener go one after the other as well: io_uring wakes one waiting accept for each
// connection (EPOLLEXCLUSIVE). When that accept is cancelled before it has run, or its time is up,
// the others sleep on beside a connection that is not taken (seen on Linux 6.18).
void Engine::take_turn(Operation& operation) {
  Descriptor& descriptor = descriptors_.at(operation.number);
  const int direction = line_of(operation.opcode);
  operation.uses |= uses_stream;
  if (operation.has_deadline) operation.due_ns = now_ns() + operation.deadline_ns;
  if (descriptor.streaming[direction]++ < descriptor.turns[direction]) return hand_over(operation);
  park(operation, false);
}

// It waits for its turn: behind all others of its direction, or before them.
void Engine::park(Operation& operation, bool first) {
  OperationQueue& line = descriptors_.at(operation.number).parked[line_of(operation.opcode)];
  operation.phase = Phase::parked;
  parked_++;
  if (first)
    line.push_first(operation);
  else
    line.push(operation);
  if (operation.has_deadline) revisits_.deadlines().add(operation, operation.due_ns);
}

void Engine::unpark(Operation& operation) {
  unpark_from(descriptors_.at(operation.number).parked[line_of(operation.opcode)], operation);
}

void Engine::unpark_from(OperationQueue& line, Operation& operation) {
  CHECK(operation.phase == Phase::parked);
  operation.phase = Phase::active;
  parked_--;
  line.remove(operation);
  if (operation.timer_index != 0) revisits_.deadlines().remove(operation);
}

void Engine::hand_over(Operation& operation) {
  // The rest of a partly sent send goes with a copy: it has one completion, and no steps. So does a
  // batch head.
  if (operation.went_bytes > 0 || operation.is_batch_head) {
    operation.zero_copy = false;
  } else if (operation.zero_copy_mode != abi::zero_copy_never) {
    choose_way(descriptors_.at(operation.number), operation, false);
  }
  if ((operation.uses & uses_stream) != 0) {
    Descriptor& descriptor = descriptors_.at(operation.number);
    if (is(operation.opcode, trait::sends)) descriptor.send_slot = operation.slot;
  }
  batch_.push_back(&operation);
}

// Whether it may be tried again: the program has not asked for its end while the kernel had it.
bool Engine::may_go_on(const Operation& operation) {
  return !operation.cancel_wanted && !descriptors_.at(operation.number).closing;
}

// From parked to the backend.
void Engine::resume(Operation& operation) {
  unpark(operation);
  hand_over(operation);
}

// No backend knows the deadline of an operation that waits for its turn.
void Engine::end_late_parked(int64_t now) {
  Timers& deadlines = revisits_.deadlines();
  while (!deadlines.empty() && deadlines.due_ns() <= now) {
    cancel_parked(deadlines.first(), -ETIMEDOUT);
  }
}

// The operation has ended, so the next one of its socket and direction has its turn.
void Engine::next_turn(const Operation& operation) {
  const int direction = line_of(operation.opcode);
  Descriptor& descriptor = descriptors_.at(operation.number);
  if (--descriptor.streaming[direction] < descriptor.turns[direction]) return;
  Operation* next = descriptor.parked[direction].first();
  CHECK(next != nullptr);
  resume(*next);
}

void Engine::cancel_parked(Operation& operation, int32_t result) {
  unpark(operation);
  operation.uses &= static_cast<uint8_t>(~uses_stream);
  descriptors_.at(operation.number).streaming[line_of(operation.opcode)]--;
  local_.push({&operation, result_with(operation, result)});
}

// Ends the parked operations of a descriptor, and notes that the rest is meant to end: a send may
// be partly sent just now, and its rest would go on. Returns how many have ended, and how many are
// in a batch, which the backend does not know.
uint32_t Engine::cancel_parked_of(int number) {
  uint32_t count = 0;
  const auto end = [&](Operation& operation) {
    if (operation.phase == Phase::parked) {
      cancel_parked(operation, -ECANCELED);
      count++;
    } else if (operation.phase == Phase::active && (operation.uses & uses_stream) != 0) {
      if (operation.batched && !operation.cancel_wanted) count++;
      note_cancel(operation);
    }
  };
  descriptors_.at(number).operations.each(end);
  descriptors_.at(number).senders.each(end);
  return count;
}

uint32_t Engine::cancel_all_parked() {
  uint32_t count = 0;
  descriptors_.each_open([&](int number) { count += cancel_parked_of(number); });
  return count;
}

}  // namespace io
