// Sends of one stream that wait for their turn go together, in one call. See engine.h.
//
// A program that sends many small messages at once would otherwise pay a call for each, since only
// the oldest send of a socket is with the backend. When that send goes there, the sends behind it
// join it: it is the *head* of a *batch*, a vectored send of all that wait, as many as the system
// takes in one call. The bytes that the kernel took are dealt out in order. Each member that was
// sent in full completes, and the first that was not heads the rest in the next call, without
// another look at any of them. After a short send the rest of it is sent first, so a message is not
// short because it was in a batch. If it is cancelled meanwhile, it completes with the bytes that
// were sent. No byte is sent twice, and no send overtakes another.
//
// There is no limit of bytes, since the kernel takes no more than the socket has space for.
//
// The memory of all members stays in use until each has completed by itself; the backend knows only
// the head. A cancel of a member cancels the head in the backend, whose completion then says how
// many bytes were sent. A head that was ended for a member's sake goes on. After that, and after an
// error, the members are parked again: some of them may have to end.
//
// IORING_RECVSEND_BUNDLE does the same within io_uring (6.10), from buffers in a ring of their own.
// A vector is one entry as well, and does it on every kernel and every backend.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "support/check.h"
#include "engine/engine.h"

namespace io {

using abi::Opcode;

// Whether it may be in a batch: only plain sends are alike. A send with a time limit has that in
// the kernel, a zero-copy send has steps of its own, and one that more follows has a flag.
bool Engine::can_coalesce(const Operation& operation) {
  return operation.opcode == Opcode::send && operation.chain == 0 && !operation.has_deadline &&
         !operation.zero_copy && operation.argument == 0;
}

// Whether the next waiting send goes in a call that has so many bytes.
bool Engine::joins(Descriptor& descriptor, Operation& next, size_t size_bytes) {
  if (!can_coalesce(next)) return false;
  if (size_bytes + next.left_length() > abi::transfer_limit_bytes) return false;
  return next.zero_copy_mode == abi::zero_copy_never || choose_way(descriptor, next, true);
}

std::unique_ptr<SendBatch> Engine::begin_send_batch(Operation& head) {
  if (spare_send_batches_.empty()) spare_send_batches_.push_back(std::make_unique<SendBatch>());
  std::unique_ptr<SendBatch> send_batch = std::move(spare_send_batches_.back());
  spare_send_batches_.pop_back();
  send_batch->members.clear();
  send_batch->vectors.clear();
  send_batch->members.push_back(&head);
  send_batch->vectors.push_back({head.left_address(), head.left_length()});
  send_batch->size_bytes = head.left_length();
  send_batch->has_cancelled = false;
  return send_batch;
}

// `head` is about to go to the backend. It is a batch head already when a part of its call was
// sent; sends that were parked meanwhile join behind the rest.
void Engine::coalesce(Operation& head) {
  if ((head.uses & uses_stream) == 0 || !can_coalesce(head)) return;
  Descriptor& descriptor = descriptors_.at(head.number);
  if (!descriptor.is_stream) return;  // datagrams would become one
  OperationQueue& line = descriptor.parked[direction_sends];
  SendBatch* send_batch = head.is_batch_head ? descriptor.send_batch.get() : nullptr;
  const size_t before = send_batch == nullptr ? 1 : send_batch->vectors.size();
  while (!line.empty() &&
         (send_batch == nullptr || send_batch->vectors.size() < abi::vector_limit)) {
    Operation* const first = line.first();
    Operation& next = *first;
    if (!joins(descriptor, next,
               send_batch == nullptr ? head.left_length() : send_batch->size_bytes))
      break;
    if (send_batch == nullptr) {
      descriptor.send_batch = begin_send_batch(head);
      send_batch = descriptor.send_batch.get();
      head.is_batch_head = true;
    }
    unpark_from(line, next);
    next.batched = true;
    batched_++;
    send_batch->members.push_back(first);
    send_batch->vectors.push_back({next.left_address(), next.left_length()});
    send_batch->size_bytes += next.left_length();
  }
  if (send_batch == nullptr) return;
  msghdr& message = head.need_extra().message;
  message = {};
  message.msg_iov = send_batch->vectors.data();
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(send_batch->vectors.size());
  count(abi::Counter::coalesced_sends) += send_batch->vectors.size() - before;
}

// Whether the backend's result is not just that of the operation: a batch head, a send that was
// partly sent before, or one that was partly sent now with others behind it, which would land in
// the middle of it.
bool Engine::goes_together(Operation& operation, int32_t result) {
  if (operation.is_batch_head) return true;
  if (operation.opcode != Opcode::send || operation.phase != Phase::active) return false;
  if (operation.went_bytes > 0) return true;
  if (result <= 0 || static_cast<uint32_t>(result) >= operation.left_length()) return false;
  const Descriptor& descriptor = descriptors_.at(operation.number);
  return descriptor.is_stream && descriptor.streaming[direction_sends] > 1 &&
         can_coalesce(operation);
}

// A part of a send was sent: the rest goes next.
void Engine::advance(Operation& operation, uint32_t size_bytes) {
  operation.went_bytes += size_bytes;
}

// Deals out the kernel's result of a batch head, or of a send that was partly sent, and leaves in
// `result` the operation's own. False when it is on its way once more.
bool Engine::end_send_batch(Operation& head, int32_t& result) {
  CHECK(!head.zero_copy);
  const bool has_gone = result >= 0;
  const uint32_t gone = has_gone ? static_cast<uint32_t>(result) : 0;
  const uint32_t own = std::min(gone, head.left_length());
  const bool in_full = has_gone && own == head.left_length();
  const bool was_torn = own > 0 && !in_full;
  if (has_gone) advance(head, own);
  if (in_full && head.is_batch_head) advance_batch(head, own, gone - own);
  const bool goes_on = (was_torn || result == -ECANCELED) && may_go_on(head);
  if (head.is_batch_head) {
    SendBatch& send_batch = *descriptors_.at(head.number).send_batch;
    send_batch.vectors.front() = {head.left_address(), head.left_length()};
    send_batch.size_bytes -= own;
    if (!was_torn || !goes_on || send_batch.has_cancelled) split_batch(head);
  }
  if (goes_on) {
    hand_over(head);
    return false;
  }
  if (has_gone || head.went_bytes > 0) result = static_cast<int32_t>(head.went_bytes);
  return true;
}

void Engine::leave_batch(Operation& member) {
  member.batched = false;
  batched_--;
}

// The call is over for the remaining members: they wait for their turn again, in their places, or
// end when the program has asked for that.
void Engine::split_batch(Operation& head) {
  Descriptor& descriptor = descriptors_.at(head.number);
  head.is_batch_head = false;
  std::unique_ptr<SendBatch> send_batch = std::move(descriptor.send_batch);
  std::vector<Operation*>& members = send_batch->members;
  for (size_t index = 1; index < members.size(); index++) leave_batch(*members[index]);
  // The last one first, since each is put before all that wait.
  for (size_t index = members.size() - 1; index > 0; index--) {
    if (may_go_on(*members[index])) park(*members[index], true);
  }
  for (size_t index = 1; index < members.size(); index++) {
    if (members[index]->phase == Phase::active) complete_batched(*members[index], -ECANCELED);
  }
  spare_send_batches_.push_back(std::move(send_batch));
}

// The head was sent in full, with so many bytes of its own, and so many of the members behind.
// Members that were sent in full as well have ended. The first that was not heads the rest, in the
// place of the old head.
void Engine::advance_batch(Operation& head, uint32_t own, uint32_t left) {
  Descriptor& descriptor = descriptors_.at(head.number);
  SendBatch& send_batch = *descriptor.send_batch;
  std::vector<Operation*>& members = send_batch.members;
  send_batch.size_bytes -= own + left;
  if (operations_.is_large()) {
    for (const Operation* member : members) OperationTable::fetch(*member);
    for (const Operation* member : members) buffers_.fetch(member->buffer);
  }
  size_t went = 1;
  while (went < members.size() && members[went]->left_length() <= left) {
    Operation& one = *members[went++];
    leave_batch(one);
    left -= one.left_length();
    advance(one, one.left_length());
    complete_batched(one, 0);
  }
  const auto gone = static_cast<ptrdiff_t>(went);
  if (went == members.size()) {
    members.resize(1);
    return split_batch(head);
  }
  advance(*members[went], left);
  if (send_batch.has_cancelled || descriptor.closing) {
    members.erase(members.begin() + 1, members.begin() + gone);
    return split_batch(head);
  }
  head.is_batch_head = false;
  head.uses &= static_cast<uint8_t>(~uses_stream);
  descriptor.streaming[direction_sends]--;
  members.erase(members.begin(), members.begin() + gone);
  send_batch.vectors.erase(send_batch.vectors.begin(), send_batch.vectors.begin() + gone);
  Operation& next = *members.front();
  leave_batch(next);
  send_batch.vectors.front() = {next.left_address(), next.left_length()};
  next.is_batch_head = true;
  hand_over(next);
}

// It completes, and no longer counts as waiting for its turn.
void Engine::complete_batched(Operation& operation, int32_t result) {
  operation.uses &= static_cast<uint8_t>(~uses_stream);
  descriptors_.at(operation.number).streaming[direction_sends]--;
  local_.push({&operation, result_with(operation, result)});
}

// A cancel of an operation that is with the backend, or in a batch that is.
void Engine::note_cancel(Operation& operation) {
  operation.cancel_wanted = true;
  if (operation.batched) descriptors_.at(operation.number).send_batch->has_cancelled = true;
}

// Cancels an operation that the backend has, or that is in a batch which it has.
bool Engine::cancel_in_backend(Operation& operation) {
  if (is_lost_) return true;
  if (!operation.batched) return backend_->cancel(operation);
  note_cancel(operation);
  return backend_->cancel(operations_[descriptors_.at(operation.number).send_slot]);
}

}  // namespace io
