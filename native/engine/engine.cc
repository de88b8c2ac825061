// The engine: order, ownership and bookkeeping. See engine.h.
#include "engine/engine.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "system/address.h"
#include "system/control.h"
#include "support/check.h"
#include "support/clock.h"
#include "system/system.h"

namespace io {

using abi::Counter;
using abi::Opcode;

Engine::Engine(std::unique_ptr<Backend> backend, const Shared& shared, uint32_t max_slots)
    : backend_(std::move(backend)),
      shared_(shared),
      groups_(buffers_, *backend_),
      operations_(max_slots),
      completions_(shared.completion_count),
      features_(backend_->facts().features),
      has_send_file_(backend_->facts().has(Opcode::send_file)) {
  backend_->serve(operations_, descriptors_, revisits_);
  batch_.reserve(shared.entry_count);
  // The text area is buffer handle 0. It outlives the engine, so it needs no hold.
  const uint32_t handle = buffers_.add(shared.text, abi::text_size_bytes, BackingStore());
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
  if (opcode == Opcode::send_file && !has_send_file_) return -EOPNOTSUPP;
  const int error = decode(entry, context_, operation);
  if (error != 0) return error;
  operation.phase = Phase::active;
  return 0;
}

void Engine::submit() {
  take_queued();
  backend_->flush();
  is_loss_seen_ = !is_lost_ && backend_->loss().error != 0;
}

void Engine::take_queued() {
  if (send_costs_ && send_costs_->is_measuring()) send_costs_->tick(thread_used_ns());
  if (revisits_.has_now()) {
    flush_batch();  // the backend does not find operations that it has not got yet
    revisits_.visit_now(operations_, [this](Operation& one, Revisit why) { visit(one, why); });
  }
  // Before the entries: a receive among them may need a released buffer.
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
    count(Counter::max_in_flight) = std::max<uint64_t>(count(Counter::max_in_flight), in_flight_);
    shared_.header[abi::header_queued] = 0;
    shared_.header[abi::header_text_used] = 0;
  }
  if (!due_.empty()) start_due();
  flush_batch();
}

// Nothing is believed of the entry yet.
void Engine::fetch(const abi::Entry& entry) {
  operations_.fetch(entry.slot);
  buffers_.fetch(entry.buffer);
}

// Takes the entry at `index`, or the chain that begins there; returns how many entries that was.
// Each is copied, once: other code with access to the ring's memory could write to it meanwhile,
// and the checked values must be the ones that are used.
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
      Operation* const one = &operation;  // a temporary would be moved, by a call
      batch_.push_back(one);
    }
  } else {
    refused_.push_back({sequence, error});
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
  else
    is_done = carry_out(operation);
  if (!is_done) batch_.push_back(&operation);
}

// Ends what the backend does not know. True when there is nothing left for the backend to do.
bool Engine::cancel_here(Operation& operation) {
  if (operation.opcode != Opcode::cancel) {
    const bool all = operation.opcode == Opcode::cancel_all;
    operation.ended_count = all ? cancel_all_parked() : cancel_parked_of(operation.number);
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
  if ((target.links & link_held) != 0) {
    target.links |= link_broken;  // it ends when its turn comes
    local_.push({&operation, -EALREADY});
    return true;
  }
  // Operations that wait behind it may still join it, and the cancel is for it alone.
  if (target.opcode == Opcode::send) target.cancel_wanted = true;
  if (!target.batched && target.went_bytes == 0) return false;
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
  } else if (operation.opcode == Opcode::disconnect) {
    flush_batch();  // what was sent before it goes to the peer
    backend_->flush();
    result = system::disconnect_socket(operation.number);
  } else {
    return false;
  }
  local_.push({&operation, result == 0 ? 0 : -errno});
  return true;
}

// Closing stops new operations on the descriptor, cancels those in flight, and waits for them.
void Engine::begin_close(Operation& operation) {
  Descriptor& descriptor = descriptors_.at(operation.number);
  CHECK(!descriptor.closing);
  descriptor.closing = true;
  // The file of a unix socket goes with the socket.
  if (operation.opcode == Opcode::detach)
    bound_files_.forget(operation.number);
  else
    bound_files_.remove(operation.number);
  if (!descriptor.has_work()) {
    if (operation.opcode == Opcode::close) limit_release(operation.number);
    descriptors_.remove(operation.number);
    batch_.push_back(&operation);
    return;
  }
  descriptor.closing_slot = operation.slot;
  operation.phase = Phase::closing;
  operation.looks = 0;
  flush_batch();  // the backend must have the earlier operations to cancel them
  end_work_on(operation.number);
}

// Cancels the operations in flight on a descriptor, each by itself: by descriptor the kernel would
// also look at the operations that wait on any other.
void Engine::end_work_on(int number) {
  count(Counter::cancels)++;
  Descriptor& descriptor = descriptors_.at(number);
  bool asked = true;
  const auto end = [&](Operation& operation) { asked = end_in_backend(operation) && asked; };
  descriptor.operations.each(end);
  descriptor.senders.each(end);
  cancel_parked_of(number);
  if (!asked) end_again(number);
  Operation& close = operations_[descriptor.closing_slot];
  revisits_.add(close, Revisit::close_pending, close.looks);
}

// False when the backend cannot take the request now. It does not find a linked operation that has
// not started, so the one that runs is ended, the first that is left of the chain. What stands
// behind a hard link is not touched: it starts then.
bool Engine::end_in_backend(Operation& operation) {
  if (is_lost_ || operation.phase != Phase::active || operation.batched) return true;
  Operation* last = &operation;
  while (operation.chain != 0 && (last->links & link_next) != 0) last = &next_in_chain(*last);
  Operation& first = operation.chain != 0 ? next_in_chain(*last) : operation;
  bool asked = backend_->cancel(operation);
  if (&first == &operation || first.phase != Phase::active) return asked;
  if ((first.links & link_held) == 0) asked = backend_->cancel(first) && asked;
  return asked;
}

// Of a closing descriptor: the kernel had no space for a cancel, or a linked operation may have
// started after the last look.
void Engine::end_again(int number) {
  revisits_.add_now(operations_[descriptors_.at(number).closing_slot], Revisit::close_at_once);
}

// The revisits that are due by now.
void Engine::visit_due() {
  const int64_t now = now_ns();
  if (revisits_.due_ns(operations_) > now) return;
  flush_batch();  // the backend does not find operations that it has not got yet
  end_late_parked(now);
  revisits_.visit_due(operations_, now, [this](Operation& one, Revisit why) { visit(one, why); });
  publish_local(publish_limit_, 0);
}

void Engine::visit(Operation& operation, Revisit why) {
  switch (why) {
    case Revisit::close_pending:
      if (operation.looks < UINT8_MAX) operation.looks++;
      [[fallthrough]];
    case Revisit::close_at_once:
      if (operation.phase == Phase::closing) end_work_on(operation.number);
      return;
    case Revisit::cancel_missed:
      if (operation.phase == Phase::parked) return cancel_parked(operation, -ECANCELED);
      if (operation.phase != Phase::active) return;
      // It was cancelled for a send of its batch, and goes on.
      if (operation.opcode == Opcode::send && may_go_on(operation)) return;
      cancel_in_backend(operation);
      return revisits_.add(operation, why);
    default:
      return backend_->revisit(operation, why);
  }
}

// A cancel does not find an operation that the kernel is working on. The program still wants its
// end, so the cancel is repeated until it has ended.
void Engine::after_cancel(const Operation& cancel, int32_t result) {
  if ((result != -ENOENT && result != -EALREADY) || is_lost_) return;
  if (cancel.argument >= operations_.size()) return;
  Operation& target = operations_[cancel.argument];
  if (target.generation != cancel.argument_extra) return;
  if (target.phase == Phase::parked) return cancel_parked(target, -ECANCELED);
  if (target.phase != Phase::active) return;
  if ((target.links & link_held) != 0) return;  // it is not started: cancel_here()
  revisits_.add(target, Revisit::cancel_missed);
}

void Engine::flush_batch() {
  if (batch_.empty()) return;
  if (is_lost_) return end_batch_without_backend();
  for (Operation* operation : batch_) {
    if (operation->opcode == Opcode::send) coalesce(*operation);
  }
  if (send_costs_ && send_costs_->is_measuring()) measure_batch();
  backend_->submit(batch_);
  batch_.clear();
}

// A wait of the backend also ends for what is looked at again, which mostly completes nothing.
uint32_t Engine::poll(int64_t deadline_ns, uint32_t max) {
  const int64_t end_ns = deadline_ns > 0 ? now_ns() + deadline_ns : 0;
  for (;;) {
    const uint32_t published = poll_once(deadline_ns, max);
    if (published > 0 || end_ns == 0 || is_lost_) return published;
    deadline_ns = end_ns - now_ns();
    if (deadline_ns <= 0) return 0;
  }
}

uint32_t Engine::poll_once(int64_t deadline_ns, uint32_t max) {
  take_queued();
  published_ = 0;
  publish_limit_ = std::min(max, shared_.completion_count);
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
  completions_.limit(max_to_collect());
  backend_->poll(published_ != 0 ? 0 : deadline_ns, completions_);
  // Drained first: from here on the backend holds none of the published operations.
  size_t left = completions_.size();
  for (const Completed& completed : completions_.items()) {
    take(completed);
    left--;
    // The members of its batch, so that they complete together: also beyond the number that the
    // caller asked for, because the program would send the next ones in two parts.
    if (!local_.empty()) publish_local(shared_.completion_count, left);
  }
  if (revisits_.due_ns(operations_) != Revisits::never) visit_due();
  if (!due_.empty()) start_due();
  count(Counter::completed) += published_;
  if (shutdown_.has_begun()) go_on_ending(published_ > 0);
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

// As many completions as there is space for, including the members of batches. If these came after
// all the others, the program would send the next ones in two parts.
size_t Engine::max_to_collect() const {
  const size_t room = publish_limit_ - published_;
  if (batched_ == 0 || room == 0) return room;
  const size_t collected = in_flight_ - parked_ - batched_;
  return std::max<size_t>(1, room * collected / (collected + batched_));
}

bool Engine::arm() {
  if (has_queued() || has_news()) return false;
  if (is_lost_) return true;
  return backend_->arm() && backend_->loss().error == 0;
}

// A report of the backend about an operation, which may not be its last.
void Engine::take(const Completed& completed) {
  Operation& operation = *completed.operation;
  // What has no turn among others of its socket, and no steps, is over or goes on as it is.
  if ((operation.uses & uses_stream) == 0 && !operation.zero_copy) return finish(completed);
  int32_t result = completed.result;
  if (goes_together(operation, result) && !end_send_batch(operation, result)) return;
  if (operation.zero_copy && goes_plainly(operation, result)) return;
  Completed settled = completed;
  settled.result = result;
  finish(settled);
}

void Engine::finish(const Completed& completed) {
  Operation& operation = *completed.operation;
  CHECK(operation.phase == Phase::active || operation.phase == Phase::sent);
  int32_t result = completed.result;
  if (is(operation.opcode, trait::settled)) {
    result = settle(operation, result);
    if ((operation.links & link_yields) != 0) result = give_to_chain(operation, result);
  }
  uint32_t flags = 0;
  if (completed.buffer_id != no_buffer_id) {
    flags = groups_.mark_held(operation.argument, completed.buffer_id, completed.buffer_open);
    if (groups_.is_area(operation.argument)) count_chunk(operation, result);
  }
  if (completed.more) {
    publish(operation.slot, operation.generation, result, flags | abi::completion_flag_more);
    if (operation.zero_copy) mark_sent(operation, result);
    return;
  }
  const bool is_receive =
      is(operation.opcode, trait::receives) && !is(operation.opcode, trait::multishot);
  if (is_receive && operation.number != no_descriptor) {
    // A failed receive says nothing about the socket. With poll-first on a descriptor that is not a
    // socket, the receive would never complete.
    const bool emptied = completed.receive_empty && result > 0;
    descriptors_.at(operation.number).receive_empty = emptied;
  }
  publish(operation.slot, operation.generation, result, flags);
  if (operation.zero_copy) mark_released(operation, completed);
  if ((operation.uses | operation.chain) != 0) {
    leave_descriptor(operation, result);
    let_go(context_, operation);
  }
  operation.phase = Phase::free;
  operation.generation++;
  CHECK(in_flight_ > 0);
  in_flight_--;
  if (operation.opcode == Opcode::cancel) after_cancel(operation, result);
  if ((operation.uses & uses_source) != 0) go_on_closing(operation.source());
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
void Engine::leave_descriptor(Operation& operation, int32_t result) {
  if (operation.chain != 0) leave_chain(operation, result);
  const uint8_t uses = operation.uses;
  operation.uses &= static_cast<uint8_t>(~uses_stream);
  if ((uses & uses_stream) != 0) next_turn(operation);
  if ((uses & uses_descriptor) == 0) return;
  let_go_of_descriptor(context_, operation);
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
  if (close.opcode == Opcode::close) limit_release(number);
  descriptors_.remove(number);
  batch_.push_back(&close);
}

// Other code of the process has closed a number of ours, which it mistook for its own. A user of
// the old descriptor must not reach the new file.
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
  descriptors_.at(taken).unix_connection =
      operation.argument_extra != SOCK_DGRAM && operation.argument == AF_UNIX;
  if (operation.argument_extra == SOCK_DGRAM) know_datagrams(taken, operation.argument);
  // The kernel sends its messages by the code for datagrams.
  const bool is_seqpacket = operation.argument_extra == SOCK_SEQPACKET;
  if (is_seqpacket) descriptors_.at(taken).unix_datagram = operation.argument == AF_UNIX;
  return descriptor;
}

// From what the kernel said to what JavaScript sees. Not for the hottest operations, which need no
// room on the stack for it.
[[gnu::noinline]] int32_t Engine::settle(Operation& operation, int32_t result) {
  switch (operation.opcode) {
    case Opcode::socket:
      return take_socket(operation, result);
    case Opcode::open:
    case Opcode::watch:
      return take_descriptor(result);
    case Opcode::accept:
    case Opcode::accept_multishot: {
      const int32_t descriptor = take_descriptor(result);
      if (descriptor < 0) return descriptor;
      const Descriptor& listener = descriptors_.at(operation.number);
      Descriptor& accepted = descriptors_.at(Descriptors::number(descriptor));
      accepted.is_stream = listener.is_stream;
      accepted.unix_connection = listener.unix_connection;
      accepted.unix_datagram = listener.unix_datagram;
      return descriptor;
    }
    case Opcode::cancel_descriptor:
    case Opcode::cancel_all: {
      const auto ended = static_cast<int32_t>(operation.ended_count);
      if (ended == 0) return result;
      return result > 0 ? result + ended : ended;
    }
    case Opcode::stat:
      if (result == 0) {
        auto* fields = reinterpret_cast<double*>(operation.address);
        system::read_status(operation.extra->raw_status, fields);
      }
      return result;
    case Opcode::receive_message:
    case Opcode::peek_message:
      if (result >= 0) {
        const Extra& extra = *operation.extra;
        write_sender(extra.message, extra.address, extra.peer);
      }
      return result;
    case Opcode::receive_control:
      if (result >= 0) take_control(*operation.extra);
      return result;
    default:
      return result;
  }
}

// Descriptors that came with a message are the engine's from here on.
void Engine::take_control(Extra& extra) {
  uint8_t* record = extra.peer;
  std::vector<int> passed;
  read_control(extra.message, record, passed);
  write_sender(extra.message, extra.address, record + abi::control_peer);
  uint32_t count = 0;
  for (const int number : passed) {
    const int32_t descriptor = take_number(number, Sharing::with_sender);
    if (descriptor < 0) {
      uint32_t flags = 0;
      std::memcpy(&flags, record + abi::control_flags * sizeof(flags), sizeof(flags));
      flags |= abi::control_was_truncated;
      std::memcpy(record + abi::control_flags * sizeof(flags), &flags, sizeof(flags));
      continue;
    }
    std::memcpy(record + abi::control_list + count * sizeof(descriptor), &descriptor,
                sizeof(descriptor));
    count++;
  }
  std::memcpy(record + abi::control_descriptors * sizeof(count), &count, sizeof(count));
}

uint32_t Engine::add_buffer(uint8_t* data, size_t size_bytes, BackingStore backing_store,
                            bool register_it) {
  const uint32_t handle = buffers_.add(data, size_bytes, std::move(backing_store));
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

// What came from elsewhere: what the engine knows of its own sockets is asked for.
int32_t Engine::take_number(int number, Sharing sharing) {
  const int kind = system::kind_of(number);
  const int32_t descriptor = take_descriptor(number);
  if (descriptor < 0) return descriptor;
  const int taken = Descriptors::number(descriptor);
  const bool is_listener = kind == abi::descriptor_kind_listener;
  descriptors_.at(taken).is_stream = is_listener || kind == abi::descriptor_kind_socket;
  descriptors_.at(taken).is_shared = sharing != Sharing::none;
  if (descriptors_.at(taken).is_stream)
    descriptors_.at(taken).unix_connection = system::family_of(taken) == AF_UNIX;
  if (kind == abi::descriptor_kind_datagram) {
    const int family = system::family_of(taken);
    know_datagrams(taken, static_cast<uint32_t>(family < 0 ? AF_UNSPEC : family));
  }
  // A kernel that waits by itself is asked by a number that blocks; the reactor sees to its own.
  // What a peer has passed changes for the peer too, so that waits until the program adopts it.
  const bool waits = kind == abi::descriptor_kind_pipe || kind == abi::descriptor_kind_terminal ||
                     kind == abi::descriptor_kind_device;
  if (waits && sharing != Sharing::with_sender) system::set_blocking(taken);
  return descriptor;
}

// Nothing is taken when it fails.
int32_t Engine::adopt_number(int number) {
  constexpr int standard_numbers = 3;  // which every program expects to be there
  const bool is_shared = number < standard_numbers;
  if (!is_shared && descriptors_.is_open(number)) return -EEXIST;
  if (number >= Descriptors::number_limit) return -EMFILE;  // before take_descriptor() closes it
  const int own = system::make_own(number, is_shared);
  return own < 0 ? own : take_number(own, is_shared ? Sharing::with_owner : Sharing::none);
}

int Engine::open_pair(const int (&ends)[2], int32_t (&descriptors)[2]) {
  descriptors[0] = take_number(ends[0], Sharing::none);
  if (descriptors[0] < 0) {
    ::close(ends[1]);
    return descriptors[0];
  }
  descriptors[1] = take_number(ends[1], Sharing::none);
  if (descriptors[1] >= 0) return 0;
  const int number = Descriptors::number(descriptors[0]);
  descriptors_.remove(number);
  ::close(number);
  return descriptors[1];
}

int32_t Engine::open_process(int64_t process) {
  return take_descriptor(system::open_process(process));
}

int32_t Engine::borrow(int number) {
  return take_descriptor(system::duplicate(number));
}

int32_t Engine::open_notifier(int64_t& id) {
  int number = no_descriptor;
  const int error = notifiers_.open(id, number);
  if (error < 0) return error;
  const int32_t descriptor = take_descriptor(number);
  if (descriptor < 0) notifiers_.close(id);
  return descriptor;
}

void Engine::end_all() {
  submit();  // the backend does not find operations that it has not got yet
  if (!shutdown_.has_begun()) shutdown_.begin(now_ns());
  go_on_ending(false);
  backend_->flush();
}

void Engine::go_on_ending(bool has_ended) {
  if (is_lost_) return;  // everything ends by itself, and the backend's lists are of no use
  switch (shutdown_.next(now_ns(), in_flight_, unreleased_, has_ended)) {
    case Shutdown::Step::cancel:
      flush_batch();
      cancel_all_parked();
      backend_->cancel_all();
      break;
    case Shutdown::Step::reset:
      reset_unreleased();
      break;
    case Shutdown::Step::wait:
      break;
  }
  revisits_.set_engine_due(in_flight_ > 0 ? shutdown_.due_ns() : Revisits::never);
}

bool Engine::shut_down() {
  constexpr int64_t round_ns = 10'000'000;
  constexpr int64_t max_ns = 30'000'000'000;  // a disk that answers at all has answered
  shared_.header[abi::header_queued] = 0;     // entries that were only queued never start
  notifiers_.close_all();
  bound_files_.remove_all();
  end_all();
  const int64_t latest_ns = now_ns() + max_ns;
  while (in_flight_ > 0 && now_ns() < latest_ns && !shutdown_.has_failed(now_ns())) poll(round_ns);
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
  const BackendCounters backend = backend_->counters();
  count(Counter::system_calls) = backend.system_calls;
  count(Counter::overflows) = backend.overflows;
  count(Counter::descriptors) = descriptors_.count();
  count(Counter::buffers) = buffers_.count();
  count(Counter::buffer_bytes) = buffers_.size_bytes();
  count(Counter::registered_bytes) = registered_bytes_;
  count(Counter::buffers_held) = groups_.held();
  count(Counter::releases_refused) = groups_.refused();
  count(Counter::zero_copy_unreleased) = unreleased_;
  const AreaCounters& area = backend.area;
  count(Counter::zero_copy_chunks) = area.chunks;
  count(Counter::zero_copy_chunk_bytes) = area.bytes;
  count(Counter::zero_copy_chunks_held) = area.held;
  count(Counter::zero_copy_refused) = area.refused;
  count(Counter::zero_copy_refill_full) = area.refill_full;
  count(Counter::zero_copy_flushes) = area.flushes;
  for (size_t index = 0; index < abi::counter_count; index++) {
    out[index] = static_cast<double>(counters_[index]);
  }
}

}  // namespace io
