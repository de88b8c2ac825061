// Zero-copy sends in the engine: the choice, the two steps, and the way back to a plain send. See
// engine.h and zero_copy.h.
//
// Such a send ends in two steps. With the first one it is *sent*: its count is known, the next send
// of its socket has its turn, and it does not keep its descriptor from being closed. Its slot and
// its memory stay in use until the second one, the notification that the kernel has released the
// memory. For TCP it comes when the peer has acknowledged the bytes.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "support/check.h"
#include "engine/engine.h"

namespace io {

using abi::Counter;

namespace {

// A closed connection keeps the memory of its unsent bytes. Linux gives a peer that answers and
// does not read forever; this is how long it may take to read on.
[[maybe_unused]] constexpr int release_limit_ms = 30'000;

// Errors that are not about the bytes, so that a plain send may well succeed. EOPNOTSUPP: the
// socket has no zero copy (a unix one). ENOMEM: more memory would be pinned than RLIMIT_MEMLOCK
// allows. EMSGSIZE: the message lies in more buffers than one packet can refer to; if it is too
// long, the plain send fails with the same error.
bool can_be_plain(int32_t result) {
  return result == -EOPNOTSUPP || result == -ENOMEM || result == -EMSGSIZE;
}

}  // namespace

ZeroCopy& Engine::zero_copy_of(Descriptor& descriptor) {
  if (!descriptor.zero_copy) descriptor.zero_copy = std::make_unique<ZeroCopy>();
  return *descriptor.zero_copy;
}

// Whether the backend and the socket support it.
bool Engine::can_spare_copy(const Operation& operation) const {
  // "auto" would not know whether it pays without the kernel's word on what became of it.
  uint32_t needed = operation.buffer != no_buffer ? abi::feature_send_zero_copy
                                                  : abi::feature_send_vectors_zero_copy;
  if (operation.zero_copy_mode == abi::zero_copy_auto) needed |= abi::feature_reports_copies;
  return (features_ & needed) == needed && !operation.unix_datagram;
}

// Which of the learned costs it goes by; none unless it is on "auto", without a threshold of the
// program's own.
uint32_t Engine::cost_class(const ZeroCopy& state, const Descriptor& descriptor,
                            const Operation& operation) {
  if (operation.zero_copy_mode != abi::zero_copy_auto) return SendCosts::no_class;
  if (state.has_threshold() || operation.length < SendCosts::shortest_bytes)
    return SendCosts::no_class;
  if (!send_costs_) send_costs_ = std::make_unique<SendCosts>();
  const bool registered = operation.registered_index != not_registered;
  const bool vectored = operation.buffer == no_buffer;
  return SendCosts::class_of(operation.length, !descriptor.is_stream, registered, vectored);
}

// Whether it should go without a copy, if it can.
bool Engine::wants_no_copy(const ZeroCopy& state, const Operation& operation,
                           uint32_t cost_class) const {
  const uint32_t mode = operation.zero_copy_mode;
  if (mode == abi::zero_copy_never) return false;
  if (mode == abi::zero_copy_always) return true;
  if (state.has_threshold()) return state.is_over_threshold(operation.length);
  if (cost_class == SendCosts::no_class) return false;
  if (send_costs_->spares(cost_class)) return true;
  return send_costs_->is_due(cost_class) && state.is_curious(operation.length);
}

void Engine::leave_trial(Operation& operation) {
  if (operation.trial != 0 && operation.zero_copy) send_costs_->ended(operation.trial);
  operation.trial = 0;
}

// Other operations that go to the backend while a trial goes on.
void Engine::measure_batch() {
  uint32_t others = 0;
  for (const Operation* operation : batch_) others += operation->trial == 0 ? 1 : 0;
  send_costs_->count_others(others);
}

// When an operation goes to the backend, and not before: a parked one knows by now the results of
// those before it. A member of a batch goes with a copy, or is not in the batch: false when it goes
// by itself, which is chosen when its turn comes.
bool Engine::choose_way(Descriptor& descriptor, Operation& operation, bool joins) {
  ZeroCopy& state = zero_copy_of(descriptor);
  const uint32_t number = cost_class(state, descriptor, operation);
  const bool can_spare = can_spare_copy(operation);
  // Where the kernel copies in the end, the cost of a send without a copy cannot be learned.
  if (number != SendCosts::no_class && state.is_trusted() && can_spare)
    send_costs_->begin_if_due(number);
  const bool wanted = wants_no_copy(state, operation, number);
  bool spared = false;
  if (wanted && can_spare) {
    if (joins && state.would_choose(operation.zero_copy_mode, operation.length)) return false;
    spared = state.chooses(operation.zero_copy_mode, operation.length);
  }
  operation.zero_copy = spared;
  operation.trial = 0;
  if (spared) operation.descriptor_generation = descriptor.generation;
  if (number != SendCosts::no_class) {
    if (!wanted) state.went_plainly(operation.length);  // otherwise chooses() has counted it
    operation.trial = send_costs_->handed_over(number, spared);
  }
  if (wanted && !spared && !operation.fallen_back) {
    operation.fallen_back = true;  // counted once, however often it is tried
    state.counts.fallen_back++;
    count(Counter::zero_copy_fallen_back)++;
  }
  return true;
}

// True when the operation is on its way once more.
bool Engine::goes_plainly(Operation& operation, int32_t result) {
  if (!can_be_plain(result) || operation.phase != Phase::active) return false;
  ZeroCopy& state = zero_copy_of(descriptors_.at(operation.number));
  if (result == -EOPNOTSUPP) {
    state.refuse();
  } else {
    state.back_off();
  }
  // The kernel has cancelled the operations that follow it in its chain already.
  if (operation.chain != 0) return false;
  leave_trial(operation);
  operation.zero_copy = false;
  state.counts.fallen_back++;
  count(Counter::zero_copy_fallen_back)++;
  batch_.push_back(&operation);
  return true;
}

// The first of the two steps was reported; the second will be.
void Engine::mark_sent(Operation& operation, int32_t result) {
  CHECK(operation.zero_copy);
  leave_descriptor(operation, result);
  operation.phase = Phase::sent;
  unreleased_++;
  if (ZeroCopy* state = zero_copy_of_sender(operation)) state->unreleased++;
}

// The kernel has released the memory, or has sent nothing.
void Engine::mark_released(Operation& operation, const Completed& completed) {
  leave_trial(operation);
  ZeroCopy* state = zero_copy_of_sender(operation);
  if (operation.phase == Phase::sent) {
    unreleased_--;
    if (state != nullptr) state->unreleased--;
  }
  if (completed.result < 0) {
    if (state != nullptr) state->trial_ended();
    return;
  }
  count(Counter::zero_copy_sends)++;
  count(Counter::zero_copy_bytes) += static_cast<uint64_t>(completed.result);
  if (completed.copied) count(Counter::zero_copy_copied)++;
  if (state == nullptr) return;
  state->counts.sends++;
  state->counts.bytes += static_cast<uint64_t>(completed.result);
  if (completed.copied) state->counts.copied++;
  if ((features_ & abi::feature_reports_copies) != 0) state->report(completed.copied);
}

// Null when the socket that it was sent on has been closed since.
ZeroCopy* Engine::zero_copy_of_sender(const Operation& operation) {
  Descriptor& descriptor = descriptors_.at(operation.number);
  if (!descriptor.open || descriptor.generation != operation.descriptor_generation) return nullptr;
  return descriptor.zero_copy.get();
}

// Of a receive into the area that the network device writes to; the sums of all are the backend's.
void Engine::count_chunk(const Operation& operation, int32_t size_bytes) {
  ZeroCopyCounts& counts = zero_copy_of(descriptors_.at(operation.number)).counts;
  counts.chunks++;
  counts.chunk_bytes += static_cast<uint64_t>(size_bytes);
}

void Engine::limit_release(int number) {
  const Descriptor& descriptor = descriptors_.at(number);
  if (!descriptor.zero_copy || descriptor.zero_copy->unreleased == 0) return;
#if defined(TCP_USER_TIMEOUT)  // Linux, which alone has sends without a copy
  // Fails on a socket that is not TCP, whose memory does not wait for a peer.
  ::setsockopt(number, IPPROTO_TCP, TCP_USER_TIMEOUT, &release_limit_ms, sizeof(release_limit_ms));
#endif
}

// At the end of the engine, which waits only for that memory. Bytes that peers have not
// acknowledged are thrown away. The other descriptors are closed too, since a peer that does not
// read may be one of them.
void Engine::reset_unreleased() {
  descriptors_.each_open([this](int number) {
    const Descriptor& descriptor = descriptors_.at(number);
    if (descriptor.zero_copy && descriptor.zero_copy->unreleased > 0) {
      const linger at_once = {.l_onoff = 1, .l_linger = 0};
      ::setsockopt(number, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    descriptors_.remove(number);
    ::close(number);
  });
}

int Engine::read_socket_counters(int32_t descriptor, double* out) {
  Descriptor* found = descriptors_.find(descriptor);
  if (found == nullptr || found->closing) return -EBADF;
  const ZeroCopy& state = zero_copy_of(*found);
  out[abi::socket_counter_zero_copy_sends] = static_cast<double>(state.counts.sends);
  out[abi::socket_counter_zero_copy_bytes] = static_cast<double>(state.counts.bytes);
  out[abi::socket_counter_zero_copy_copied] = static_cast<double>(state.counts.copied);
  out[abi::socket_counter_zero_copy_fallen_back] = static_cast<double>(state.counts.fallen_back);
  out[abi::socket_counter_zero_copy_unreleased] = state.unreleased;
  out[abi::socket_counter_zero_copy_chunks] = static_cast<double>(state.counts.chunks);
  out[abi::socket_counter_zero_copy_chunk_bytes] = static_cast<double>(state.counts.chunk_bytes);
  return 0;
}

double Engine::zero_copy_threshold(int32_t descriptor, double bytes) {
  Descriptor* found = descriptors_.find(descriptor);
  if (found == nullptr || found->closing) return -EBADF;
  ZeroCopy& zero_copy = zero_copy_of(*found);
  if (bytes >= 0) zero_copy.set_threshold(static_cast<size_t>(bytes));
  return static_cast<double>(zero_copy.threshold());
}

}  // namespace io
