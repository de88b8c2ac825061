// The engine: order, ownership and bookkeeping. See engine.h.
#include "engine/engine.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "system/address.h"
#include "support/check.h"
#include "support/clock.h"
#include "system/system.h"

namespace io {

using abi::Counter;
using abi::Opcode;

Engine::Engine(std::unique_ptr<Backend> backend, const Shared& shared, uint32_t slots_most)
    : backend_(std::move(backend)),
      shared_(shared),
      groups_(buffers_, *backend_),
      operations_(slots_most),
      completions_(shared.completion_count),
      features_(backend_->features()) {
  backend_->serve(operations_, descriptors_);
  batch_.reserve(shared.entry_count);
  // The text area is buffer handle 0. It outlives the engine, so it needs no hold.
  const uint32_t handle = buffers_.add(shared.text, abi::text_size_bytes, MemoryHold());
  CHECK(handle == abi::text_handle);
}

Engine::~Engine() {
  CHECK(in_flight_ == 0);
}

int Engine::begin(const abi::Entry& entry) {
  if (entry.slot >= operations_.size()) return -EINVAL;
  Operation& operation = operations_[entry.slot];
  if (operation.phase != Phase::free) return -EINVAL;
  if (operation.generation != entry.generation) return -EINVAL;
  const auto opcode = static_cast<Opcode>(entry.operation & 0xff);
  if (opcode == Opcode::send_file && !backend_->supports(opcode)) return -EOPNOTSUPP;
  const int error = decode(entry, context(), operation);
  if (error != 0) return error;
  operation.chain = 0;
  operation.phase = Phase::active;
  return 0;
}

int Engine::begin_linked(const abi::Entry& entry) {
  const auto opcode = static_cast<Opcode>(entry.operation & 0xff);
  return is(opcode, trait::linkable) ? begin(entry) : -EINVAL;
}

void Engine::submit() {
  take_queued();
  backend_->flush();
  is_loss_seen_ = !is_lost_ && backend_->loss().error != 0;
}

void Engine::take_queued() {
  if (send_costs_ && send_costs_->is_measuring()) send_costs_->tick(thread_used_ns());
  if (cancel_due_) ask_again();
  // Before the entries: a receive among them may need what was returned.
  if (shared_.header[abi::header_returned] != 0) {
    shared_.header[abi::header_returned] = 0;
    groups_.take_returned();
  }
  uint32_t queued = shared_.header[abi::header_queued];
  if (queued != 0) {
    // The header is shared with JavaScript: a count beyond the ring is garbage.
    queued = std::min(queued, shared_.entry_count);
    uint32_t index = 0;
    const size_t refused_before = refused_.size();
    const uint32_t fetched = operations_.is_large() ? OperationTable::ahead : queued;
    while (index < queued) {
      if (fetched < queued - index) fetch(shared_.entries[index + fetched]);
      index += take_at(index, queued);
    }
    count(Counter::submitted) += queued - (refused_.size() - refused_before);
    count(Counter::in_flight_most) = std::max<uint64_t>(count(Counter::in_flight_most), in_flight_);
    shared_.header[abi::header_queued] = 0;
    shared_.header[abi::header_text_used] = 0;
  }
  flush_batch();
}

// Nothing is believed of the entry yet.
void Engine::fetch(const abi::Entry& entry) {
  operations_.fetch(entry.slot);
  buffers_.fetch(entry.buffer);
}

// Takes the entry at `index`, or the chain that begins there; returns how many entries that was.
// Each is copied, once: whoever has found a way to the ring's memory could write to it meanwhile,
// and what was checked must be what is done.
uint32_t Engine::take_at(uint32_t index, uint32_t queued) {
  const abi::Entry entry = shared_.entries[index];
  std::atomic_signal_fence(std::memory_order_acq_rel);  // no second look by the compiler
  if ((entry.operation & abi::entry_flag_linked) == 0) {
    take_one(entry);
    return 1;
  }
  group_.clear();
  group_.push_back(entry);
  while ((group_.back().operation & abi::entry_flag_linked) != 0 &&
         index + group_.size() < queued) {
    group_.push_back(shared_.entries[index + group_.size()]);
  }
  take_group(group_);
  return static_cast<uint32_t>(group_.size());
}

void Engine::take_one(const abi::Entry& entry) {
  const uint32_t sequence = sequence_++;
  const int error = begin(entry);
  if (error == 0) {
    Operation& operation = operations_[entry.slot];
    in_flight_++;
    if (is(operation.opcode, trait::routed)) {
      route(operation);
    } else {
      batch_.push_back(&operation);
    }
  } else {
    refused_.push_back({sequence, error});
    count(Counter::refused)++;
  }
}

// Entries that are linked stand or fall together: when one is refused, none of them starts. One
// that is linked to nothing was to be followed by others, so none of its chain starts either.
void Engine::take_group(std::vector<abi::Entry>& group) {
  const uint32_t first_sequence = sequence_;
  sequence_ += static_cast<uint32_t>(group.size());
  size_t begun = 0;
  const bool is_torn = (group.back().operation & abi::entry_flag_linked) != 0;
  int error = group.size() > abi::chain_limit ? -EINVAL : 0;
  while (error == 0 && begun < group.size()) {
    error = begin_linked(group[begun]);
    if (error == 0) begun++;
  }
  if (error == 0 && !is_torn) {
    for (size_t index = 0; index < group.size(); index++) {
      Operation& operation = operations_[group[index].slot];
      in_flight_++;
      begin_chained(operation, operations_[group[(index + 1) % group.size()].slot]);
      hand_over(operation);
    }
    return;
  }
  for (size_t index = 0; index < group.size(); index++) {
    const uint32_t sequence = first_sequence + static_cast<uint32_t>(index);
    if (index < begun) {
      Operation& operation = operations_[group[index].slot];
      let_go(context(), operation);
      operation.phase = Phase::free;
    }
    refused_.push_back({sequence, index == begun ? error : -ECANCELED});
    count(Counter::refused)++;
  }
}

void Engine::route(Operation& operation) {
  const Opcode opcode = operation.opcode;
  if (is(opcode, trait::in_order)) return take_turn(operation);
  if (is(opcode, trait::closes)) return begin_close(operation);
  bool is_done = false;
  if (is(opcode, trait::cancels))
    is_done = cancel_here(operation);
  else if (is(opcode, trait::waits_for_space))
    be_patient(operation);
  else
    is_done = carry_out(operation);
  if (!is_done) batch_.push_back(&operation);
}

// Ends what the backend does not know. True when there is nothing left for the backend to do.
bool Engine::cancel_here(Operation& operation) {
  if (operation.opcode != Opcode::cancel) {
    const bool all = operation.opcode == Opcode::cancel_all;
    operation.extent = all ? cancel_all_parked() : cancel_parked_of(operation.number);
    return false;
  }
  if (operation.argument >= operations_.size()) return false;
  Operation& target = operations_[operation.argument];
  if (target.generation != operation.argument_extra) return false;
  if (target.phase == Phase::parked) {
    const int32_t result = target.went_bytes > 0 ? -EALREADY : 0;
    cancel_parked(target, -ECANCELED);
    local_.push({&operation, result});
    return true;
  }
  // What waits behind it may still join it, and only it is meant.
  if (target.opcode == Opcode::send || target.leads) target.cancel_wanted = true;
  if (!target.led && target.went_bytes == 0) return false;
  // Some of it may have gone, so this is asked for, again if need be, and not done: after_cancel().
  target.cancel_wanted = true;
  flush_batch();
  cancel_in_backend(target);
  local_.push({&operation, -EALREADY});
  return true;
}

// Calls that never wait are made here and now, on every backend alike. True when it was one.
bool Engine::carry_out(Operation& operation) {
  int result = 0;
  if (operation.opcode == Opcode::bind) {
    const Extra& extra = *operation.extra;
    result = ::bind(operation.number, reinterpret_cast<const sockaddr*>(&extra.address),
                    extra.address_size_bytes);
  } else if (operation.opcode == Opcode::listen) {
    result = ::listen(operation.number, static_cast<int>(operation.argument));
  } else {
    return false;
  }
  local_.push({&operation, result == 0 ? 0 : -errno});
  return true;
}

// Closing stops new work on the descriptor, ends what is in flight, and waits for it.
void Engine::begin_close(Operation& operation) {
  Descriptor& descriptor = descriptors_.at(operation.number);
  CHECK(!descriptor.closing);
  descriptor.closing = true;
  bound_files_.remove(operation.number);
  if (!descriptor.has_work()) {
    limit_release(operation.number);
    descriptors_.remove(operation.number);
    batch_.push_back(&operation);
    return;
  }
  descriptor.closing_slot = operation.slot;
  operation.phase = Phase::closing;
  descriptor.closing_index = static_cast<uint32_t>(closing_.size());
  closing_.push_back(operation.number);
  flush_batch();  // what was queued before must be there to be cancelled
  end_work_on(operation.number);
}

// Asks for the end of what is in flight on a descriptor, of each by itself: by descriptor the
// kernel would look at everything that waits on any other one as well.
void Engine::end_work_on(int number) {
  count(Counter::cancels)++;
  Descriptor& descriptor = descriptors_.at(number);
  bool asked = true;
  const auto end = [&](Operation& operation) { asked = end_in_backend(operation) && asked; };
  descriptor.operations.each(end);
  descriptor.senders.each(end);
  cancel_parked_of(number);
  if (!asked) end_again(number);
  backend_->nudge_later();
}

// False when the backend cannot take the request now. It finds no linked operation before that has
// started, so the whole chain is ended.
bool Engine::end_in_backend(Operation& operation) {
  if (operation.phase != Phase::active || operation.led) return true;
  bool asked = backend_->cancel(operation);
  if (operation.chain == 0) return asked;
  for (Operation* one = &next_in_chain(operation); one != &operation; one = &next_in_chain(*one)) {
    asked = backend_->cancel(*one) && asked;
  }
  return asked;
}

// Of one that is being closed: the kernel had no room for a cancel, or a linked operation may have
// started after the last one looked.
void Engine::end_again(int number) {
  Descriptor& descriptor = descriptors_.at(number);
  cancel_due_ = true;
  if (descriptor.end_due) return;
  descriptor.end_due = true;
  end_due_.push_back(number);
}

void Engine::ask_again() {
  cancel_due_ = false;
  flush_batch();  // what is not with the backend yet is not found there
  for (const int number : std::exchange(end_due_, {})) {
    Descriptor& descriptor = descriptors_.at(number);
    const bool is_wanted = std::exchange(descriptor.end_due, false);
    if (is_wanted && descriptor.closing && descriptor.has_work()) end_work_on(number);
  }
  if (!std::exchange(missed_due_, false)) return;
  std::erase_if(missed_, [&](const Token& token) {
    Operation& target = operations_[token.slot];
    if (target.generation != token.generation) return true;
    if (target.phase == Phase::parked) cancel_parked(target, -ECANCELED);
    if (target.phase != Phase::active) return true;
    cancel_in_backend(target);
    return false;
  });
  if (!missed_.empty()) backend_->nudge_later();
}

// A while has passed since something asked to be looked at again.
void Engine::on_nudge() {
  for (const int number : closing_) end_again(number);
  missed_due_ = !missed_.empty();
  if (missed_due_) cancel_due_ = true;
  if (!parked_deadlines_.empty()) end_late_parked();
  retry_stalled(stalled_.size());
}

// A cancel does not find an operation that the kernel is just working on. Whoever asked for its end
// still wants it, so it is asked for again until it has come.
void Engine::after_cancel(const Operation& cancel, int32_t result) {
  if ((result != -ENOENT && result != -EALREADY) || is_lost_) return;
  if (cancel.argument >= operations_.size()) return;
  Operation& target = operations_[cancel.argument];
  if (target.generation != cancel.argument_extra) return;
  if (target.phase == Phase::parked) return cancel_parked(target, -ECANCELED);  // stalled
  if (target.phase != Phase::active) return;
  missed_.push_back({target.slot, target.generation});
  backend_->nudge_later();
}

void Engine::flush_batch() {
  if (batch_.empty()) return;
  if (is_lost_) return end_batch_without_backend();
  for (Operation* operation : batch_) {
    if (operation->opcode == Opcode::send) gather(*operation);
  }
  if (send_costs_ && send_costs_->is_measuring()) measure_batch();
  backend_->submit(batch_);
  batch_.clear();
}

uint32_t Engine::poll(int64_t deadline_ns, uint32_t most) {
  take_queued();
  published_ = 0;
  publish_limit_ = std::min(most, shared_.completion_count);
  size_t taken = 0;
  while (taken < refused_.size() && published_ < publish_limit_) {
    const Refused& refused = refused_[taken++];
    publish(refused.sequence, 0, refused.result, abi::completion_flag_refused);
  }
  refused_.erase(refused_.begin(), refused_.begin() + static_cast<ptrdiff_t>(taken));
  publish_local(publish_limit_, 0);
  if (is_lost_) {
    end_lost();
    count(Counter::completed) += published_;
    return published_;
  }

  completions_.clear();
  completions_.limit(most_to_collect());
  backend_->poll(published_ != 0 ? 0 : deadline_ns, completions_);
  // Drained first: from here on the backend holds nothing of what is published.
  size_t left = completions_.size();
  for (const Completed& completed : completions_.items()) {
    take(completed);
    left--;
    // Those that went in its call, so that they stay together: also beyond what the caller asked
    // for, because the program would send the next ones in two parts.
    if (!local_.empty()) publish_local(shared_.completion_count, left);
  }
  count(Counter::completed) += published_;
  if (backend_->nudged()) on_nudge();
  go_on_in_room();
  if (!stalled_.empty()) retry_stalled(published_);
  if (backend_->loss().error != 0) lose_backend();
  return published_;
}

// Up to `limit` in all, and with room left for so many others.
void Engine::publish_local(size_t limit, size_t reserved) {
  while (!local_.empty() && published_ + reserved < limit) {
    const Local local = local_.pop();
    finish({local.operation, local.result, false, false});
  }
}

// As many as there is room for, with those that have gone in the calls of others. If these came
// after all the others, the program would send the next ones in two parts.
size_t Engine::most_to_collect() const {
  const size_t room = publish_limit_ - published_;
  if (led_ == 0 || room == 0) return room;
  const size_t collected = in_flight_ - parked_ - led_;
  return std::max<size_t>(1, room * collected / (collected + led_));
}

bool Engine::arm() {
  if (has_queued() || has_news()) return false;
  if (is_lost_) return true;
  return backend_->arm() && backend_->loss().error == 0;
}

// What the backend says of an operation, which is perhaps not its end.
void Engine::take(const Completed& completed) {
  Operation& operation = *completed.operation;
  int32_t result = completed.result;
  if (goes_together(operation, result) && !end_gather(operation, result)) return;
  if (result == -EAGAIN && (operation.uses & uses_stream) != 0) {
    const bool is_late = operation.has_deadline && operation.extent <= now_ns();
    if (may_go_on(operation) && !is_late) return stall(operation);
    result = is_late ? -ETIMEDOUT : -ECANCELED;
  }
  if (operation.zero_copy && goes_plainly(operation, result)) return;
  Completed settled = completed;
  settled.result = result;
  finish(settled);
}

void Engine::finish(const Completed& completed) {
  Operation& operation = *completed.operation;
  CHECK(operation.phase == Phase::active || operation.phase == Phase::sent);
  int32_t result = completed.result;
  operation.stalled = false;
  if (is(operation.opcode, trait::settled)) result = settle(operation, result);
  uint32_t flags = 0;
  if (completed.piece != no_piece) {
    flags = groups_.lend(operation.argument, completed.piece, completed.piece_open);
    if (groups_.is_area(operation.argument)) count_chunk(operation, result);
  }
  if (completed.more) {
    publish(operation.slot, operation.generation, result, flags | abi::completion_flag_more);
    if (operation.zero_copy) mark_sent(operation);
    return;
  }
  if (is(operation.opcode, trait::receives) && !is(operation.opcode, trait::multishot)) {
    // A failure tells nothing of the socket; what is none would be waited for until the end of
    // time.
    const bool emptied = completed.receive_empty && result > 0;
    descriptors_.at(operation.number).receive_empty = emptied;
  }
  publish(operation.slot, operation.generation, result, flags);
  if (operation.zero_copy) mark_released(operation, completed);
  if (operation.uses != 0 || operation.chain != 0) {
    leave_descriptor(operation);
    let_go(context(), operation);
  }
  operation.phase = Phase::free;
  operation.generation++;
  CHECK(in_flight_ > 0);
  in_flight_--;
  if (operation.opcode == Opcode::cancel) after_cancel(operation, result);
  if ((operation.uses & uses_source) != 0) go_on_closing(operation.source);
}

int Engine::set_ref(int32_t value, bool keeps) {
  Descriptor* descriptor = descriptors_.find(value);
  if (descriptor == nullptr) return -EBADF;
  if (descriptor->unref == !keeps) return 0;
  descriptor->unref = !keeps;
  if (keeps) {
    CHECK(unref_ >= descriptor->in_flight);
    unref_ -= descriptor->in_flight;
  } else {
    unref_ += descriptor->in_flight;
  }
  return 0;
}

// The kernel does nothing any more on its descriptor, or for its chain.
void Engine::leave_descriptor(Operation& operation) {
  if (operation.patient) {
    operation.patient = false;
    descriptors_.at(operation.number).patient--;
  }
  if (operation.chain != 0) leave_chain(operation);
  const uint8_t uses = operation.uses;
  operation.uses &= static_cast<uint8_t>(~uses_stream);
  if ((uses & uses_stream) != 0) next_turn(operation);
  if ((uses & uses_descriptor) == 0) return;
  let_go_of_descriptor(context(), operation);
  if (is_closing(operation.number)) go_on_closing(operation.number);
}

// An operation ended on a descriptor that is closing; it was perhaps the last one.
void Engine::go_on_closing(int number) {
  Descriptor& descriptor = descriptors_.at(number);
  if (!descriptor.closing || descriptor.has_work()) return;
  Operation& close = operations_[descriptor.closing_slot];
  CHECK(close.phase == Phase::closing);
  CHECK(close.number == number);
  close.phase = Phase::active;
  CHECK(closing_[descriptor.closing_index] == number);
  descriptors_.at(closing_.back()).closing_index = descriptor.closing_index;
  closing_[descriptor.closing_index] = closing_.back();
  closing_.pop_back();
  limit_release(number);
  descriptors_.remove(number);
  batch_.push_back(&close);
}

// A number that is ours already was closed by other code of the process, which mistook it for its
// own. Whoever uses the old descriptor must not meet the new file.
int32_t Engine::take_descriptor(int32_t number) {
  if (number < 0) return number;
  int32_t descriptor = descriptors_.add(number);
  while (descriptor == -EEXIST) {
    number = system::move_number(number);
    if (number < 0) return number;
    descriptor = descriptors_.add(number);
  }
  if (descriptor < 0) ::close(number);
  return descriptor;
}

int32_t Engine::take_socket(const Operation& operation, int32_t number) {
  const int32_t descriptor = take_descriptor(number);
  if (descriptor < 0) return descriptor;
  const int taken = Descriptors::number(descriptor);
  descriptors_.at(taken).is_stream = operation.argument_extra == SOCK_STREAM;
  if (operation.argument_extra == SOCK_DGRAM) know_datagrams(taken, operation.argument);
  return descriptor;
}

// From what the kernel said to what JavaScript sees.
int32_t Engine::settle(Operation& operation, int32_t result) {
  switch (operation.opcode) {
    case Opcode::socket:
      return take_socket(operation, result);
    case Opcode::open:
      return take_descriptor(result);
    case Opcode::accept:
    case Opcode::accept_multishot: {
      const int32_t descriptor = take_descriptor(result);
      if (descriptor < 0) return descriptor;
      const bool is_stream = descriptors_.at(operation.number).is_stream;
      descriptors_.at(Descriptors::number(descriptor)).is_stream = is_stream;
      return descriptor;
    }
    case Opcode::cancel_descriptor:
    case Opcode::cancel_all: {
      const auto parked = static_cast<int32_t>(operation.extent);
      if (parked == 0) return result;
      return result > 0 ? result + parked : parked;
    }
    case Opcode::stat:
      if (result == 0) {
        auto* fields = reinterpret_cast<double*>(operation.address);
        system::read_status(operation.extra->raw_status, fields);
      }
      return result;
    case Opcode::receive_message:
      if (result >= 0) {
        const Extra& extra = *operation.extra;
        write_sender(extra.message, extra.address, extra.peer);
      }
      return result;
    default:
      return result;
  }
}

uint32_t Engine::add_buffer(uint8_t* data, size_t size_bytes, MemoryHold hold, bool register_it) {
  const uint32_t handle = buffers_.add(data, size_bytes, std::move(hold));
  if (handle == UINT32_MAX || !register_it) return handle;
  Buffer& buffer = *buffers_.find(handle);
  buffer.registered_index = backend_->register_memory(data, size_bytes);
  if (buffer.registered_index != not_registered) registered_bytes_ += size_bytes;
  return handle;
}

bool Engine::release_buffer(uint32_t handle) {
  Buffer* buffer = handle == abi::text_handle ? nullptr : buffers_.find(handle);
  if (buffer == nullptr) return false;
  if (buffer->registered_index != not_registered) {
    // The kernel keeps the pages until the operations that use them have completed.
    backend_->unregister_memory(buffer->registered_index);
    registered_bytes_ -= buffer->size_bytes;
  }
  return buffers_.release(handle);
}

int Engine::number_of(int32_t descriptor) {
  const Descriptor* found = descriptors_.find(descriptor);
  if (found == nullptr || found->closing) return -EBADF;
  return Descriptors::number(descriptor);
}

bool Engine::shut_down() {
  constexpr int64_t round_ns = 10'000'000;
  constexpr int64_t most_ns = 30'000'000'000;  // a disk that answers at all has answered
  const int64_t latest_ns = now_ns() + most_ns;
  shared_.header[abi::header_queued] = 0;  // what was only queued never starts
  bound_files_.remove_all();
  flush_batch();
  while (in_flight_ > unreleased_ && now_ns() < latest_ns) {
    // Again in every round: a cancel does not see what starts after it.
    cancel_all_parked();
    backend_->cancel_all();
    poll(round_ns);
  }
  if (in_flight_ == unreleased_) await_release();
  if (in_flight_ > 0) return false;
  if (!is_lost_) groups_.remove_all();
  descriptors_.each_open([this](int number) {
    descriptors_.remove(number);
    ::close(number);
  });
  if (is_lost_) backend_->give_up();
  return !is_lost_;
}

int Engine::own_file(int32_t descriptor, std::string path) {
  const int number = number_of(descriptor);
  return number < 0 ? number : bound_files_.add(number, std::move(path));
}

void Engine::read_counters(double* out) {
  count(Counter::in_flight) = in_flight_;
  count(Counter::system_calls) = backend_->system_calls();
  count(Counter::overflows) = backend_->overflows();
  count(Counter::descriptors) = descriptors_.count();
  count(Counter::buffers) = buffers_.count();
  count(Counter::buffer_bytes) = buffers_.size_bytes();
  count(Counter::registered_bytes) = registered_bytes_;
  count(Counter::buffers_held) = groups_.lent();
  count(Counter::releases_refused) = groups_.refused();
  count(Counter::zero_copy_unreleased) = unreleased_;
  const AreaCounters area = backend_->area_counters();
  count(Counter::zero_copy_chunks) = area.chunks;
  count(Counter::zero_copy_chunk_bytes) = area.bytes;
  count(Counter::zero_copy_chunks_held) = area.lent;
  count(Counter::zero_copy_refused) = area.refused;
  count(Counter::zero_copy_refill_full) = area.refill_full;
  count(Counter::zero_copy_flushes) = area.flushes;
  for (size_t index = 0; index < abi::counter_count; index++) {
    out[index] = static_cast<double>(counters_[index]);
  }
}

}  // namespace io
