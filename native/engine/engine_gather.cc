// Sends of one stream that wait for their turn go together, in one call. See engine.h.
//
// A program that sends many small messages at once would otherwise pay a call for each, since only
// the oldest send of a socket is with the backend. When it goes there, the ones behind it join it:
// it *leads*, as a vectored send, and they are its *company*: all that wait, as many as the system
// takes in one call. What the kernel took is dealt out in order: each that went in full completes,
// and the first that has not leads the rest in the next call, which takes nothing apart and looks
// at none of them again. One that was torn goes on with what is left of it, so that a small message
// is not short because it had company; when it is ended meanwhile, it completes with what had gone.
// No byte is sent twice, and none overtakes another.
//
// There is no limit of bytes, since the kernel takes no more than the socket has room for.
//
// The memory of all of them stays in use until each has completed by itself; the backend knows the
// leader only. Who asks for the end of one in the company asks the backend for the leader's, whose
// completion then tells what had gone. A leader that was ended for another's sake goes on. After
// that, and after an error, the company is parked again: some of it may have to end.
//
// IORING_RECVSEND_BUNDLE does the same within io_uring (6.10), of memory that stands in a ring of
// its own; a vector is one entry as well, and does it on every kernel and every backend.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "support/check.h"
#include "engine/engine.h"

namespace io {

using abi::Opcode;

// Whether it may lead or be led: only plain sends are alike. One with a time limit has that in the
// kernel, and one that spares the copy has steps of its own.
bool Engine::is_gathered(const Operation& operation) {
  return operation.opcode == Opcode::send && operation.chain == 0 && !operation.has_deadline &&
         !operation.zero_copy;
}

// Whether the next one that waits goes in a call that has so many bytes.
bool Engine::may_join(Descriptor& descriptor, const Operation& next, size_t size_bytes) {
  if (!is_gathered(next) || next.stalled) return false;
  if (size_bytes + next.length > abi::transfer_limit_bytes) return false;
  if (next.zero_copy_mode == abi::zero_copy_never) return true;
  return !wants_no_copy(descriptor, next, cost_class(descriptor, next)) ||
         !would_spare_copy(descriptor, next);
}

std::unique_ptr<GatheredSend> Engine::begin_gathered(Operation& lead) {
  if (spare_gathered_.empty()) spare_gathered_.push_back(std::make_unique<GatheredSend>());
  std::unique_ptr<GatheredSend> gathered = std::move(spare_gathered_.back());
  spare_gathered_.pop_back();
  gathered->members.clear();
  gathered->vectors.clear();
  gathered->members.push_back(&lead);
  gathered->vectors.push_back({lead.address, lead.length});
  gathered->size_bytes = lead.length;
  gathered->has_cancelled = false;
  return gathered;
}

// `lead` is about to go to the backend. It leads already when a part of its call has gone; what has
// come to wait meanwhile joins behind the rest.
void Engine::gather(Operation& lead) {
  if ((lead.uses & uses_stream) == 0 || !is_gathered(lead)) return;
  Descriptor& descriptor = descriptors_.at(lead.number);
  if (!descriptor.is_stream) return;  // datagrams would become one
  OperationQueue& line = descriptor.parked[direction_sends];
  if (!lead.leads) {
    if (line.empty() || !may_join(descriptor, *line.first(), lead.length)) return;
    descriptor.gathered = begin_gathered(lead);
    lead.leads = true;
  }
  GatheredSend& gathered = *descriptor.gathered;
  const size_t before = gathered.vectors.size();
  while (gathered.vectors.size() < abi::vector_limit && !line.empty()) {
    Operation& next = *line.first();
    if (!may_join(descriptor, next, gathered.size_bytes)) break;
    if (next.zero_copy_mode != abi::zero_copy_never) choose_way(next);
    unpark_from(line, next);
    next.led = true;
    led_++;
    gathered.members.push_back(&next);
    gathered.vectors.push_back({next.address, next.length});
    gathered.size_bytes += next.length;
  }
  msghdr& message = lead.need_extra().message;
  message = {};
  message.msg_iov = gathered.vectors.data();
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(gathered.vectors.size());
  lead.opcode = Opcode::send_vectored;
  count(abi::Counter::gathered_sends) += gathered.vectors.size() - before;
}

// Whether the backend's word is about more than the operation itself, or less: a leader, one that
// was torn, or one that is being torn now with others behind it, which would go on in the middle of
// it.
bool Engine::goes_together(Operation& operation, int32_t result) {
  if (operation.leads) return true;
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
  if (lead.leads) lead.opcode = Opcode::send;
  const bool has_gone = result >= 0;
  const uint32_t gone = has_gone ? static_cast<uint32_t>(result) : 0;
  const uint32_t own = std::min(gone, lead.length);
  const bool in_full = has_gone && own == lead.length;
  const bool was_torn = own > 0 && !in_full;
  if (has_gone) advance(lead, own);
  if (was_torn) lead.told_of_room = false;  // there was some
  if (in_full && lead.leads) pass_on(lead, own, gone - own);
  const bool goes_on = (was_torn || result == -ECANCELED) && may_go_on(lead);
  if (lead.leads) {
    GatheredSend& gathered = *descriptors_.at(lead.number).gathered;
    gathered.vectors.front() = {lead.address, lead.length};
    gathered.size_bytes -= own;
    if (!was_torn || !goes_on || gathered.has_cancelled) part(lead);
  }
  if (result == -EAGAIN && may_go_on(lead)) return true;  // it is stalled
  if (goes_on) {
    hand_over(lead);
    return false;
  }
  if (has_gone || lead.went_bytes > 0) result = static_cast<int32_t>(lead.went_bytes);
  return true;
}

void Engine::leaves(Operation& member) {
  member.led = false;
  led_--;
}

// The call is over for those that are left of the company: they wait for their turn again, in their
// places, or end when somebody has asked for that.
void Engine::part(Operation& lead) {
  Descriptor& descriptor = descriptors_.at(lead.number);
  lead.leads = false;
  std::unique_ptr<GatheredSend> gathered = std::move(descriptor.gathered);
  std::vector<Operation*>& members = gathered->members;
  for (size_t index = 1; index < members.size(); index++) leaves(*members[index]);
  // The last one first, since each is put before all that wait.
  for (size_t index = members.size() - 1; index > 0; index--) {
    if (may_go_on(*members[index])) park(*members[index], true);
  }
  for (size_t index = 1; index < members.size(); index++) {
    if (members[index]->phase == Phase::active) leave_company(*members[index], -ECANCELED);
  }
  spare_gathered_.push_back(std::move(gathered));
}

// The leader went in full, with so many bytes of its own, and so many of its company. Those of it
// that went in full as well have ended. The first one that has not leads the rest, and takes the
// place of the one that led it.
void Engine::pass_on(Operation& lead, uint32_t own, uint32_t left) {
  Descriptor& descriptor = descriptors_.at(lead.number);
  GatheredSend& gathered = *descriptor.gathered;
  std::vector<Operation*>& members = gathered.members;
  gathered.size_bytes -= own + left;
  if (operations_.is_large()) {
    for (const Operation* member : members) OperationTable::fetch(*member);
    for (const Operation* member : members) buffers_.fetch(member->buffer);
  }
  size_t went = 1;
  while (went < members.size() && members[went]->length <= left) {
    Operation& one = *members[went++];
    leaves(one);
    left -= one.length;
    advance(one, one.length);
    leave_company(one, 0);
  }
  const auto gone = static_cast<ptrdiff_t>(went);
  if (went == members.size()) {
    members.resize(1);
    return part(lead);
  }
  advance(*members[went], left);
  if (gathered.has_cancelled || descriptor.closing) {
    members.erase(members.begin() + 1, members.begin() + gone);
    return part(lead);
  }
  lead.leads = false;
  lead.uses &= static_cast<uint8_t>(~uses_stream);
  descriptor.streaming[direction_sends]--;
  members.erase(members.begin(), members.begin() + gone);
  gathered.vectors.erase(gathered.vectors.begin(), gathered.vectors.begin() + gone);
  Operation& next = *members.front();
  leaves(next);
  gathered.vectors.front() = {next.address, next.length};
  next.leads = true;
  hand_over(next);
}

// It completes, and is none of those any more that wait for their turn.
void Engine::leave_company(Operation& operation, int32_t result) {
  operation.uses &= static_cast<uint8_t>(~uses_stream);
  descriptors_.at(operation.number).streaming[direction_sends]--;
  local_.push({&operation, result_with(operation, result)});
}

// Somebody asks for the end of one that is with the backend, or goes with one that is.
void Engine::note_cancel(Operation& operation) {
  operation.cancel_wanted = true;
  if (operation.led) descriptors_.at(operation.number).gathered->has_cancelled = true;
}

// Of one operation that the backend has, or that goes with one which it has.
bool Engine::cancel_in_backend(Operation& operation) {
  if (!operation.led) return backend_->cancel(operation);
  note_cancel(operation);
  return backend_->cancel(operations_[descriptors_.at(operation.number).send_slot]);
}

}  // namespace io
