// Sends of one stream that wait for their turn go together, in one call. See engine.h.
//
// A program that sends many small messages at once would else pay a call for each, since only the
// oldest send of a socket is with the backend. When it goes there, the ones behind it join it: it
// *leads*, as a vectored send, and they are its *company*. What the kernel took is dealt out in
// order: each that went in full completes, and the others are parked again, in their places. One
// that was torn goes on with what is left of it, so that a small message is not short because it
// had company; when it is ended meanwhile, it completes with what had gone. No byte is sent twice,
// and none overtakes another.
//
// The memory of all of them stays in use until each has completed by itself; the backend knows the
// leader only. Who asks for the end of one in the company asks the backend for the leader's, whose
// completion then tells what had gone. A leader that was ended for another's sake goes on.
//
// IORING_RECVSEND_BUNDLE does the same within io_uring (6.10), of memory that stands in a ring of
// its own; a vector is one entry as well, and does it on every kernel and every backend.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "check.h"
#include "engine.h"

namespace io {

using abi::Opcode;

namespace {

// What one call takes. More would not make it cheaper, and a cancel has it all to deal out.
constexpr size_t sends_most = 64;
constexpr size_t bytes_most = 65536;

}  // namespace

// Whether it may lead or be led: only plain sends are alike. One with a time limit has that in the
// kernel, and one that spares the copy has steps of its own.
bool Engine::is_gathered(const Operation& operation) {
  return operation.opcode == Opcode::send && operation.chain == 0 && !operation.has_deadline &&
         !operation.zero_copy && operation.length < bytes_most;
}

// `lead` is about to go to the backend.
void Engine::gather(Operation& lead) {
  if ((lead.uses & uses_stream) == 0) return;
  Descriptor& descriptor = descriptors_.at(lead.number);
  // Datagrams would become one.
  if (!descriptor.is_stream || descriptor.streaming[direction_sends] < 2 || !is_gathered(lead))
    return;
  Operation* last = &lead;
  size_t count = 1;
  size_t size_bytes = lead.length;
  OperationQueue& line = descriptor.parked[direction_sends];
  while (count < sends_most && !line.empty()) {
    Operation& next = *line.first();
    if (!is_gathered(next) || next.stalled || size_bytes + next.length > bytes_most) break;
    if (wants_no_copy(descriptor, next)) {
      if (would_spare_copy(descriptor, next)) break;
      choose_way(next);
    }
    unpark(next);
    next.leader = &lead;
    led_++;
    last->company = &next;
    last = &next;
    count++;
    size_bytes += next.length;
  }
  if (count == 1) return;
  Extra& extra = lead.need_extra();
  extra.vectors.clear();
  for (Operation* one = &lead; one != nullptr; one = one->company) {
    extra.vectors.push_back({one->address, one->length});
  }
  extra.set_message();
  lead.opcode = Opcode::send_vectored;
  Engine::count(abi::Counter::gathered_sends) += count - 1;
}

// Whether the backend's word is about more than the operation itself, or less: a leader, one that
// was torn, or one that is being torn now with others behind it, which would go on in the middle of
// it.
bool Engine::goes_together(Operation& operation, int32_t result) {
  if (operation.company != nullptr) return true;
  if (operation.opcode != Opcode::send || operation.phase != Phase::active) return false;
  if (operation.went_bytes > 0) return true;
  if (result <= 0 || static_cast<uint32_t>(result) >= operation.length) return false;
  const Descriptor& descriptor = descriptors_.at(operation.number);
  return descriptor.is_stream && descriptor.streaming[direction_sends] > 1 &&
         is_gathered(operation);
}

// Some of a send has gone: what is left of it is what goes next.
void Engine::advance(Operation& operation, uint32_t size_bytes) {
  operation.went_bytes += size_bytes;
  operation.address += size_bytes;
  operation.length -= size_bytes;
}

// Deals out what the kernel said of a leader, or of one that was torn, and leaves in `result` what
// is its own. False when it is on its way once more.
bool Engine::end_gather(Operation& lead, int32_t& result) {
  CHECK(!lead.zero_copy);
  const bool has_gone = result >= 0;
  const auto own = std::min(static_cast<uint32_t>(std::max(result, 0)), lead.length);
  const bool in_full = has_gone && own == lead.length;
  if (lead.company != nullptr) {
    lead.opcode = Opcode::send;
    deal_out(lead, has_gone ? static_cast<uint32_t>(result) - own : 0, in_full);
  }
  if (result == -EAGAIN && may_go_on(lead)) return true;  // it is stalled
  const bool was_torn = own > 0 && !in_full;
  if (has_gone) advance(lead, own);
  if (was_torn) lead.told_of_room = false;  // there was some
  if ((was_torn || result == -ECANCELED) && may_go_on(lead)) {
    hand_over(lead);
    return false;
  }
  if (has_gone || lead.went_bytes > 0) result = static_cast<int32_t>(lead.went_bytes);
  return true;
}

// To the company of a leader; `in_full`: everything before it has gone.
void Engine::deal_out(Operation& lead, uint32_t left, bool in_full) {
  OperationQueue returned;
  Operation* next = std::exchange(lead.company, nullptr);
  while (next != nullptr) {
    Operation& one = *next;
    next = std::exchange(one.company, nullptr);
    one.leader = nullptr;
    led_--;
    const uint32_t gone = std::min(left, one.length);
    left -= gone;
    in_full = in_full && gone == one.length;
    advance(one, gone);
    if (in_full) {
      leave_company(one, 0);
    } else if (!may_go_on(one)) {
      leave_company(one, -ECANCELED);
    } else {
      returned.push(one);
    }
  }
  while (!returned.empty()) {
    Operation& one = *returned.last();
    returned.remove(one);
    park(one, true);
  }
}

// It completes, and is none of those any more that wait for their turn.
void Engine::leave_company(Operation& operation, int32_t result) {
  operation.uses &= static_cast<uint8_t>(~uses_stream);
  descriptors_.at(operation.number).streaming[direction_sends]--;
  local_.push_back({&operation, result_with(operation, result)});
}

// Of one operation that the backend has, or that goes with one which it has.
bool Engine::cancel_in_backend(Operation& operation) {
  if (operation.leader == nullptr) return backend_->cancel(operation);
  operation.cancel_wanted = true;
  return backend_->cancel(*operation.leader);
}

}  // namespace io
