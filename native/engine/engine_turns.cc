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
// then one system call for many instead of one for each. io_uring tries each when it is handed
// over, in order, and the reactor too; so those that the socket has room for leave in the order of
// the calls. Of those that have to wait for room one may overtake another on io_uring, since every
// one of them is woken and tries again: no more than datagrams may on their way. A stream would be
// torn apart by that, and a unix datagram socket has promised to keep the order.
//
// At most so many: all that wait are woken together, for the room of a few. It is what the kernel
// takes in one call.
void Engine::know_datagrams(int number, uint32_t family) {
  constexpr uint32_t sends_at_once = 64;
  Descriptor& descriptor = descriptors_.at(number);
  descriptor.unix_datagram = family == AF_UNIX;
  if (!descriptor.unix_datagram) descriptor.turns[direction_sends] = sends_at_once;
}

// Of the receives of a socket only the oldest is with the backend, and of its sends too, unless it
// is one for UDP: among several that wait the kernel wakes the newest first, which would turn a
// stream's bytes around. One that is linked goes at once, because the kernel starts it.
//
// Accepts of a listener go one after the other as well: io_uring wakes one of those that wait for
// each connection (EPOLLEXCLUSIVE), and when that one is cancelled before it has run, or its time
// is up, the others sleep on beside a connection that nobody takes (seen on Linux 6.18).
void Engine::take_turn(Operation& operation) {
  Descriptor& descriptor = descriptors_.at(operation.number);
  const int direction = line_of(operation.opcode);
  operation.uses |= uses_stream;
  if (direction == direction_sends) limit_send_wait(descriptor, operation.number);
  if (operation.has_deadline) operation.extent = now_ns() + operation.deadline_ns;
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
  if (!operation.has_deadline) return;
  parked_deadlines_.add(operation, operation.extent);
  backend_->nudge_later();
}

void Engine::unpark(Operation& operation) {
  unpark_from(descriptors_.at(operation.number).parked[line_of(operation.opcode)], operation);
}

void Engine::unpark_from(OperationQueue& line, Operation& operation) {
  CHECK(operation.phase == Phase::parked);
  operation.phase = Phase::active;
  parked_--;
  line.remove(operation);
  if (operation.timer_index != 0) parked_deadlines_.remove(operation);
}

void Engine::hand_over(Operation& operation) {
  // What is left of a send that was torn goes plainly: it has one completion, and no steps. So does
  // one in whose call others go.
  if (operation.went_bytes > 0 || operation.leads) {
    operation.zero_copy = false;
  } else if (operation.zero_copy_mode != abi::zero_copy_never) {
    choose_way(operation);
  }
  if ((operation.uses & uses_stream) != 0) {
    Descriptor& descriptor = descriptors_.at(operation.number);
    operation.without_waiting = descriptor.awaits_room;
    if (is(operation.opcode, trait::sends)) descriptor.send_slot = operation.slot;
  }
  batch_.push_back(&operation);
}

// A stream socket, with the first send on it.
void Engine::limit_send_wait(Descriptor& descriptor, int number) {
  if (descriptor.send_wait_limited || descriptor.patient > 0 || !descriptor.is_stream) return;
  descriptor.send_wait_limited = true;
  backend_->limit_send_wait(number, true);
}

// The limit is the socket's, and these would end by it as well: writes and connects, and sends that
// are linked, where an EAGAIN would end the chain. While one is in flight there is no limit.
void Engine::be_patient(Operation& operation) {
  Descriptor& descriptor = descriptors_.at(operation.number);
  if (!descriptor.is_stream) return;
  operation.patient = true;
  descriptor.patient++;
  if (!descriptor.send_wait_limited) return;
  descriptor.send_wait_limited = false;
  backend_->limit_send_wait(operation.number, false);
}

// `next` is the one behind it in its chain, and the first one behind the last.
void Engine::begin_chained(Operation& operation, const Operation& next) {
  operation.chain = next.slot + 1;
  if (is(operation.opcode, trait::waits_for_space)) be_patient(operation);
}

// The next one of its chain has perhaps started, and nothing that was asked for before has found
// it.
void Engine::leave_chain(Operation& operation) {
  Operation* before = &operation;
  while (&next_in_chain(*before) != &operation) {
    before = &next_in_chain(*before);
    if (is_closing(before->number)) end_again(before->number);
    if (is_closing(before->source)) end_again(before->source);
  }
  before->chain = operation.chain;
  operation.chain = 0;
}

// The kernel has no room for it and does not wait: it is tried again when the backend tells of
// room. Where that cannot be told, it is whenever something has ended, and after a while. It keeps
// its place before those that are parked behind it.
void Engine::stall(Operation& operation) {
  const bool was_told = operation.stalled && operation.told_of_room;
  if (operation.zero_copy) {
    zero_copy_of(descriptors_.at(operation.number)).trial_ended();
    leave_trial(operation);
  }
  operation.stalled = true;
  park(operation, true);
  // TCP that is out of memory reports room and has none, again and again: a send that was told of
  // room and found none is tried after a while.
  operation.told_of_room = !was_told && wait_for_room(operation);
  if (operation.told_of_room) return;
  stalled_.push_back({operation.slot, operation.generation});
  backend_->nudge_later();
}

// Of several sends of a stream only the oldest is with the backend, so at most one of them waits.
bool Engine::wait_for_room(Operation& operation) {
  Descriptor& descriptor = descriptors_.at(operation.number);
  if (!descriptor.send_wait_limited || !is(operation.opcode, trait::sends)) return false;
  descriptor.awaits_room = true;
  return backend_->await_room(operation.number);
}

// What the backend tells of may have been closed since, or have ended.
void Engine::go_on_in_room() {
  for (const int number : backend_->take_found_room()) {
    const Descriptor& descriptor = descriptors_.at(number);
    if (!descriptor.open || !descriptor.awaits_room) continue;
    Operation& operation = operations_[descriptor.send_slot];
    if (operation.phase != Phase::parked || operation.number != number) continue;
    if (operation.stalled) resume(operation);
  }
}

// Whether it may be tried again: nobody has asked for its end while the kernel had it.
bool Engine::may_go_on(const Operation& operation) {
  return !operation.cancel_wanted && !descriptors_.at(operation.number).closing;
}

// Of those that nothing tells of room, so many: the ones that have waited longest since they were
// tried.
void Engine::retry_stalled(size_t most) {
  while (most > 0 && !stalled_.empty()) {
    const Token token = stalled_.front();
    stalled_.pop_front();
    Operation& operation = operations_[token.slot];
    if (operation.generation != token.generation || operation.phase != Phase::parked) continue;
    resume(operation);
    most--;
  }
}

// From parked to the backend.
void Engine::resume(Operation& operation) {
  unpark(operation);
  if (operation.has_deadline) {
    operation.deadline_ns = std::max<int64_t>(1, operation.extent - now_ns());
  }
  hand_over(operation);
}

// What is parked has no deadline in the kernel. A nudge comes often enough for one to be late by no
// more than some milliseconds, and never early.
void Engine::end_late_parked() {
  const int64_t now = now_ns();
  while (!parked_deadlines_.empty() && parked_deadlines_.due_ns() <= now) {
    cancel_parked(parked_deadlines_.first(), -ETIMEDOUT);
  }
  if (!parked_deadlines_.empty()) backend_->nudge_later();
}

// The operation has ended, so the next one of its socket and direction has its turn.
void Engine::next_turn(const Operation& operation) {
  const int direction = line_of(operation.opcode);
  Descriptor& descriptor = descriptors_.at(operation.number);
  if (--descriptor.streaming[direction] < descriptor.turns[direction]) return;
  Operation* next = descriptor.parked[direction].first();
  while (next != nullptr && next->stalled)
    next = OperationQueue::after(*next);  // these have theirs
  CHECK(next != nullptr);
  resume(*next);
}

void Engine::cancel_parked(Operation& operation, int32_t result) {
  unpark(operation);
  // One that has stalled has had its turn, which its end gives to the next one.
  if (!operation.stalled) {
    operation.uses &= static_cast<uint8_t>(~uses_stream);
    descriptors_.at(operation.number).streaming[line_of(operation.opcode)]--;
  }
  local_.push({&operation, result_with(operation, result)});
}

// Ends what is parked on a descriptor, and notes that the rest is meant to end: a send may come
// back for want of room just now, and would be parked behind the cancel. Returns how many have
// ended, and how many go with another one, which the backend does not know.
uint32_t Engine::cancel_parked_of(int number) {
  uint32_t count = 0;
  const auto end = [&](Operation& operation) {
    if (operation.phase == Phase::parked) {
      cancel_parked(operation, -ECANCELED);
      count++;
    } else if (operation.phase == Phase::active && (operation.uses & uses_stream) != 0) {
      if (operation.led && !operation.cancel_wanted) count++;
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
