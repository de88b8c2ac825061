// The io_uring backend: checked operations become submission queue entries, completion queue
// entries become completions. Linux 5.19 or later.
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

#include "engine/backend.h"
#include "support/check.h"
#include "support/fifo.h"
#include "support/clock.h"
#include "system/vsock.h"
#include "engine/buffer_groups.h"
#include "backend/unavailable.h"
#include "backend/calls.h"
#include "backend/full_peers.h"
#include "backend/io_uring/buffer_rings.h"
#include "backend/io_uring/cancel_requests.h"
#include "backend/io_uring/receive_bundles.h"
#include "backend/io_uring/deadlines.h"
#include "backend/io_uring/enter.h"
#include "backend/io_uring/served_files.h"
#include "backend/io_uring/kernel_traits.h"
#include "backend/io_uring/registered_buffers.h"
#include "backend/io_uring/prepare.h"
#include "backend/io_uring/multishot_after_reset.h"
#include "backend/io_uring/setup.h"
#include "backend/io_uring/receives_after_shutdown.h"
#include "backend/io_uring/sends_after_shutdown.h"
#include "backend/io_uring/zero_copy_notifications.h"
#include "backend/io_uring/calls_on_threads.h"
#include "backend/io_uring/late_eventfd_signals.h"
#include "backend/io_uring/kernel_workers.h"
#include "backend/io_uring/writable_sockets.h"
#include "backend/reactor/buffer_pool.h"
#include "backend/io_uring/uapi.h"
#include "backend/zcrx/receives.h"

namespace io {

namespace {

using abi::Opcode;

// user_data of internal entries. That of operations: io_uring/prepare.h.
constexpr uint64_t internal_cancel = UINT64_MAX;
constexpr uint64_t internal_nobody = UINT64_MAX - 1;  // never given to the kernel
constexpr uint64_t internal_writable = UINT64_MAX - 2;
constexpr uint64_t internal_alarm = UINT64_MAX - 3;
constexpr uint64_t internal_threads = UINT64_MAX - 4;
constexpr uint64_t min_internal = internal_threads;
// Results of failure_of() for an operation that has not ended.
constexpr int32_t made_again = INT32_MIN;
constexpr int32_t made_later = INT32_MIN + 1;
// In the place of the time at which a batch begins, which is above 0.
constexpr int64_t no_batch_ns = -1;
constexpr int64_t unknown_ns = 0;
// The header in front of a message, which becomes the record of the sender.
constexpr auto head_bytes = static_cast<int32_t>(abi::peer_size_bytes);

class IoUring final : public Backend {
 public:
  IoUring(RingSetUp& made, const uring::KernelTraits& traits)
      : Backend(facts_of(traits)),
        ring_(made.ring),
        registered_(made.registered),
        buffer_rings_(ring_, traits),
        registered_buffers_(ring_),
        zcrx_(std::move(made.area)),
        setup_flags_(made.flags),
        traits_(traits),
        features_(facts().features),
        timespecs_(ring_.sq.ring_entries) {
    uring::number_entries(ring_);
    area_ = zcrx_.get();
  }

  ~IoUring() override {
    io_uring_queue_exit(&ring_);
    if (zcrx_ != nullptr) zcrx_->ring_closed();
    if (event_descriptor_ >= 0) ::close(event_descriptor_);
  }

  void submit(std::span<Operation* const> batch) override {
    if (!waiting_.empty()) take_waiting();
    batch_begun_ns_ = unknown_ns;
    size_t taken = 0;
    unsigned room = io_uring_sq_space_left(&ring_);
    while (taken < batch.size() && waiting_.empty()) {
      Operation& operation = *batch[taken];
      const size_t group = operation.is_linked() ? group_length(batch.subspan(taken)) : 1;
      const size_t whole = group + uring::hold_back(batch.subspan(taken), group);
      // Linked entries must reach the kernel in one call, so room for all of them is made first.
      const auto needed = static_cast<unsigned>(group);
      if (room < needed) {
        enter_without_waiting();
        room = io_uring_sq_space_left(&ring_);
        if (room < needed) break;
      }
      for (size_t index = 0; index < group; index++) {
        begin(*batch[taken + index], index + 1 < group ? batch[taken + index + 1] : nullptr);
      }
      uring::CancelRequests::put_off(batch.subspan(taken + group, whole - group));
      room -= needed;
      taken += whole;
    }
    const auto rest = batch.subspan(taken);
    uring::CancelRequests::put_off(rest);
    waiting_.insert(waiting_.end(), rest.begin(), rest.end());
    batch_begun_ns_ = no_batch_ns;
  }

  void flush() override {
    if (zcrx_ != nullptr) zcrx_->refill();
    set_alarm();
    if (threads_.wants_entry()) arm_threads();
    if (io_uring_sq_ready(&ring_) > 0) enter_without_waiting();
  }

  size_t ready() const override {
    return ended_.size() + (bundle_.empty() ? 0 : 1) + (threads_.has_finished() ? 1 : 0) +
           io_uring_cq_ready(&ring_);
  }

  void poll(int64_t deadline_ns, Completions& completed) override {
    if (armed_) disarm();
    if (zcrx_ != nullptr) zcrx_->refill();
    hand_over_left();
    if (ready() > 0 || !waiting_.empty() || !again_.empty()) deadline_ns = 0;
    if (threads_.wants_entry() || is_any_writable_ || full_peers_.any_with_room()) deadline_ns = 0;
    if (deadline_ns == 0) {
      if (io_uring_sq_ready(&ring_) > 0 || has_task_work()) enter_without_waiting();
    } else {
      enter_and_wait(deadline_ns);
    }
    if (notifications_.any()) fetch_releases();
    reap(completed);
    if (threads_.any()) collect_from_threads(completed);
    if (is_any_writable_) collect_writable();
    if (std::exchange(alarm_rang_, false)) {
      deadlines_.expire(now_ns(), [this](Operation& operation) {
        if (operation.opcode == Opcode::timeout) return ring(operation);
        cancel_once(operation);
        revisits_->add(operation, Revisit::deadline_passed);
      });
      push_ended(completed);
    }
    if (!full_peers_.empty()) go_on_with_full_peers(completed);
    if (!released_.empty()) submit(std::exchange(released_, {}));
    hand_over_left();
  }

  // The kernel ends the operations of the ring when nothing holds the ring any more, so that the
  // other ends of connections get an event. If its number is not ours any more, it could name
  // another file.
  void give_up() override {
    const bool is_ours = loss_.error != EBADF || std::strcmp(loss_.call, "io_uring_enter") != 0;
    if (is_ours) io_uring_queue_exit(&ring_);
  }

  bool cancel(const Operation& target) override {
    if (loss_.error == 0 && end_wait((*operations_)[target.slot])) return true;
    if (threads_.has(target)) {
      end_on_thread((*operations_)[target.slot]);
      return true;
    }
    if (loss_.error != 0) return true;
    Operation& operation = (*operations_)[target.slot];
    if (operation.end_given) return true;
    if (waits_for_memory(operation)) {
      // A result that says to try again is not its end.
      cancel_requests_.for_one(operation);
      return true;
    }
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return false;
    cancel_requests_.for_one(operation);
    io_uring_prep_cancel64(entry, uring::user_data_of(operation), 0);
    operation.end_given = true;
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;  // 5.17
    io_uring_sqe_set_data64(entry, uring::user_data_of_cancel(operation));
    return true;
  }

  // A send without a copy that has its result: the kernel finds it no more, and the rest takes as
  // long as it takes.
  static bool waits_for_memory(const Operation& operation) {
    return operation.zero_copy && operation.result_known;
  }

  // For an end that the backend wants itself. A cancel that misses is not repeated here: by then
  // the operation may go on, and the caller asks again.
  bool cancel_once(Operation& operation) {
    if (end_wait(operation)) return true;
    if (threads_.has(operation)) {
      end_on_thread(operation);
      return true;
    }
    if (operation.end_given) return true;
    if (!end_unasked(operation)) return false;
    cancel_requests_.for_one(operation);
    return true;
  }

  bool cancel_all() override {
    writable_.close();
    if (loss_.error == 0) end_waits(no_descriptor);
    end_on_threads(no_descriptor);
    if (loss_.error != 0) return true;
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return false;
    cancel_requests_.for_everything();
    io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    return finish_internal(entry);
  }

  void revisit(Operation& operation, Revisit why) override {
    if (loss_.error != 0) return;
    if (why == Revisit::retry) return start_again(operation);
    const auto end = [this](Operation& target) { return cancel_once(target); };
    bool goes_on = false;
    if (why == Revisit::reset_suspected) {
      goes_on = uring::MultishotAfterReset::look(operation, end);
    } else if (uring::Deadlines::is_late(operation)) {
      goes_on = true;
      cancel_once(operation);
    }
    if (goes_on) revisits_->add(operation, why);
  }

  int wait_descriptor() override {
    if (event_descriptor_ < 0) {
      const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
      if (descriptor < 0) return -errno;
      const int error = io_uring_register_eventfd(&ring_, descriptor);
      if (error < 0) {
        ::close(descriptor);
        return error;
      }
      event_descriptor_ = descriptor;
    }
    return event_descriptor_;
  }

  void wait_elsewhere() override {
    pollfd waited = {.fd = event_descriptor_, .events = POLLIN, .revents = 0};
    ::poll(&waited, 1, -1);  // too early is no harm
  }

  // With DEFER_TASKRUN the ring's own descriptor does not wake an epoll_wait. The eventfd does, on
  // the first task work since the last time that work was run. So: enable its signals, then look
  // once more for work that came while they were off.
  bool arm() override {
    if (!waiting_.empty() || !again_.empty() || !ended_.empty() || !bundle_.empty()) return false;
    if (threads_.has_finished() || threads_.wants_entry()) return false;
    if (is_any_writable_ || full_peers_.any_with_room()) return false;
    if (deadlines_.wants_alarm(next_look_ns())) return false;
    if (io_uring_sq_ready(&ring_) > 0) return false;
    armed_ = true;
    io_uring_cq_eventfd_toggle(&ring_, true);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (io_uring_cq_ready(&ring_) == 0 && !has_task_work()) return true;
    io_uring_cq_eventfd_toggle(&ring_, false);
    return false;
  }

  bool wake() override {
    const uint64_t one = 1;
    if (::write(event_descriptor_, &one, sizeof(one)) == sizeof(one)) return true;
    lose("write");
    return false;
  }

  int32_t register_memory(uint8_t* data, size_t size_bytes) override {
    return registered_buffers_.add(data, size_bytes);
  }
  void unregister_memory(int32_t index) override { registered_buffers_.remove(index); }

  int add_group(uint32_t group, uint32_t capacity, GroupContent content) override {
    if (group >= by_hand_.size()) by_hand_.resize(group + 1);
    by_hand_[group] = content == GroupContent::message && traits_.multishot_receives_once;
    if (!by_hand(group)) return buffer_rings_.add(group, capacity, content == GroupContent::bytes);
    buffer_pool_.add(group);
    return 0;
  }
  void provide(uint32_t group, uint32_t buffer_id, uint8_t* data, uint32_t size_bytes) override {
    if (by_hand(group))
      buffer_pool_.provide(group, buffer_id, data, size_bytes);
    else
      buffer_rings_.provide(group, buffer_id, data, size_bytes);
  }
  void remove_group(uint32_t group) override {
    if (zcrx_ != nullptr && zcrx_->is_group(group))
      zcrx_->remove_group();
    else if (by_hand(group))
      buffer_pool_.remove(group);
    else
      buffer_rings_.remove(group);
  }

  void serve(OperationTable& operations, Descriptors& descriptors, Revisits& revisits) override {
    operations_ = &operations;
    descriptors_ = &descriptors;
    revisits_ = &revisits;
  }
  BackendCounters counters() const override {
    return {system_calls_ + writable_.system_calls(), *ring_.cq.koverflow,
            zcrx_ == nullptr ? AreaCounters{} : zcrx_->counters()};
  }

 private:
  static Facts facts_of(const uring::KernelTraits& traits) {
    const auto has = [&](Opcode opcode) {
      return opcode == Opcode::send_file || kernel_has(traits, opcode);  // a thread makes that call
    };
    return {lacking_of(has), uring::features_of(traits) | system::write_features()};
  }

  bool has_task_work() const {
    constexpr unsigned wanted = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
    if ((setup_flags_ & IORING_SETUP_TASKRUN_FLAG) == 0) {
      return (setup_flags_ & IORING_SETUP_DEFER_TASKRUN) != 0;
    }
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & wanted) != 0;
  }

  // No signals while the engine is reaping: each would be a write that wakes nothing.
  void disarm() {
    armed_ = false;
    uint64_t value = 0;
    if (::read(event_descriptor_, &value, sizeof(value)) < 0 && errno != EAGAIN) lose("read");
    io_uring_cq_eventfd_toggle(&ring_, false);
  }

  // ---- into the kernel

  void enter_without_waiting() {
    system_calls_++;
    look_at(io_uring_submit_and_get_events(&ring_));
  }

  void enter_and_wait(int64_t deadline_ns) {
    system_calls_++;
    look_at(uring::enter_and_wait(ring_, registered_, deadline_ns));
  }

  // The kernel runs about 20 deferred task works at a time (Linux 6.18, IO_LOCAL_TW_DEFAULT_MAX)
  // unless the wait is for more; the notifications of released memory are among them. A call for
  // the rest costs less than two completions for each send: measured, 8 % of the whole with
  // datagrams of 60,000 bytes, 64 at a time.
  void fetch_releases() {
    constexpr int rounds_limit = 4;
    for (int round = 0; round < rounds_limit && has_task_work(); round++) enter_without_waiting();
  }

  // EAGAIN, EBUSY and ENOMEM: the kernel could not take the entries now; they stay in the queue.
  // EINTR and ETIME: the wait ended early. After anything else the ring is of no use.
  void look_at(int result) {
    if (result >= 0 || result == -EAGAIN || result == -EBUSY || result == -ENOMEM ||
        result == -EINTR || result == -ETIME) {
      return;
    }
    errno = -result;
    lose("io_uring_enter");
  }

  void lose(const char* call) {
    if (loss_.error == 0) loss_ = {.call = call, .error = errno};
  }

  void take_waiting() {
    std::vector<Operation*> waiting(waiting_.begin(), waiting_.end());
    waiting_.clear();
    submit(waiting);
  }

  // Operations that the kernel could not take before, or that have to be made once more.
  void hand_over_left() {
    if (!waiting_.empty()) take_waiting();
    if (after_shutdown_.any_due()) end_shut_receives();
    if (sends_shut_.any_due()) end_shut_sends();
    while (!again_.empty() && io_uring_sq_space_left(&ring_) > 0) {
      again_.back()->end_given = false;
      start(*again_.back());
      again_.pop_back();
    }
    set_alarm();
    if (threads_.wants_entry()) arm_threads();
  }

  void end_shut_receives() {
    after_shutdown_.end_waiting(
        *descriptors_, [this](const Operation& operation) { return end_unasked(operation); });
  }

  void end_shut_sends() {
    sends_shut_.end_waiting(*descriptors_, [this](Operation& operation) {
      operation.without_waiting = true;
      if (threads_.has(operation)) return true;
      if (operation.wait == Wait::none) return end_unasked(operation);
      start_again(operation);
      return true;
    });
  }

  // The request is not recorded: the program has not asked for the end.
  bool end_unasked(const Operation& operation) {
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return false;
    io_uring_prep_cancel64(entry, uring::user_data_of(operation), 0);
    return finish_internal(entry);
  }

  // When something is due that no event reports, for the engine or here.
  int64_t next_look_ns() const {
    return std::min(revisits_->due_ns(*operations_), full_peers_.due_ns());
  }

  // When there is no room for the entry now, the next poll finds that it is wanted.
  void set_alarm() {
    const int64_t look_ns = next_look_ns();
    if (!deadlines_.wants_alarm(look_ns)) return;
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return;
    const bool moved = deadlines_.armed();
    time_of(entry) = uring::timespec_of(deadlines_.arm(look_ns));
    if (moved) {
      // An alarm that has just rung is not found, and is set again when its completion is seen.
      io_uring_prep_timeout_update(entry, &time_of(entry), internal_alarm, IORING_TIMEOUT_ABS);
      finish_internal(entry);
    } else {
      io_uring_prep_timeout(entry, &time_of(entry), 0, IORING_TIMEOUT_ABS);
      io_uring_sqe_set_data64(entry, internal_alarm);
    }
  }

  // The engine hands it over; the kernel starts `next` when it has succeeded.
  void begin(Operation& operation, Operation* next) {
    cancel_requests_.begin(operation);
    operation.after_failure = false;
    operation.repeats = 0;
    operation.linked_next = next;
    if (operation.zero_copy) notifications_.start(operation);
    const bool sleeps = operation.opcode == Opcode::timeout;
    if (operation.has_deadline && !sleeps) deadlines_.begin(operation, begun_ns());
    if (is(operation.opcode, trait::waits_for_space)) begin_waiting_for_space(operation);
    start(operation);
  }

  // When the time of an operation begins. All of a batch was queued before, and most are handed
  // over at once: one look at the clock serves them all.
  int64_t begun_ns() {
    if (batch_begun_ns_ == no_batch_ns) return now_ns();
    if (batch_begun_ns_ == unknown_ns) batch_begun_ns_ = now_ns();
    return batch_begun_ns_;
  }

  void begin_waiting_for_space(Operation& operation) {
    operation.was_writable = false;
    operation.without_waiting = false;
    operation.refusals = 0;
    operation.begun = false;
    Descriptor& descriptor = descriptors_->at(operation.number);
    if (descriptor.is_stream) writable_.begin(operation, descriptor);
    if (sends_shut_.has(operation.number)) operation.without_waiting = true;
  }

  void start(Operation& operation) {
    // One test for most operations: the rare cases are in a function of their own.
    const bool is_special = is(operation.opcode, trait::special_entry);
    if (is_special && starts_without_entry(operation)) return;
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
    operation.tries++;
    if (!is_special && !after_shutdown_.any() && !files_.any()) {
      uring::prepare(operation, features_, entry);
    } else {
      prepare_special(operation, entry);
    }
    io_uring_sqe_set_data64(entry, uring::user_data_of(operation));
    if (operation.linked_next != nullptr) entry->flags |= link_flag_of(operation);
  }

  [[gnu::noinline]] void prepare_special(Operation& operation, io_uring_sqe* entry) {
    const bool is_over = has_nothing_to_wait_for(operation);
    note(operation);
    if (operation.opcode == Opcode::cancel) {
      prepare_cancel(operation, entry);
    } else if (into_area(operation)) {
      zcrx_->prepare(operation, *entry);
    } else {
      uring::prepare(operation, features_, entry);
      if (is(operation.opcode, trait::buffer_select)) suit_kernel(operation, entry);
    }
    if (is_over) {
      entry->ioprio &= static_cast<uint16_t>(~IORING_RECVSEND_POLL_FIRST);
      entry->msg_flags |= MSG_DONTWAIT;
    }
    if (goes_elsewhere(operation)) entry->flags |= IOSQE_ASYNC;
  }

  static uint8_t link_flag_of(const Operation& operation) {
    return (operation.links & link_hard) != 0 ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK;
  }

  // ---- what the kernel does not have

  static bool kernel_has(const uring::KernelTraits& traits, Opcode opcode) {
    if (!is(opcode, trait::made_by_thread_else)) return true;
    return opcode == Opcode::truncate && !traits.truncate_by_thread;
  }
  // Of paths the kernel keeps rules in an open alone.
  bool kernel_has(const Operation& operation) const {
    if (operation.rules != 0 && operation.opcode != Opcode::open) return false;
    return kernel_has(traits_, operation.opcode);
  }

  size_t group_length(std::span<Operation* const> chain) const {
    return uring::group_length(chain, [this](const Operation& operation) {
      return kernel_has(operation) && !is_polled_here(operation) &&
             operation.opcode != Opcode::timeout;
    });
  }

  // It waits here, a thread makes its call, or it is the cancel of one of those.
  [[gnu::noinline]] bool starts_without_entry(Operation& operation) {
    if (operation.opcode == Opcode::timeout) {
      deadlines_.sleep(operation, begun_ns());
      operation.wait = Wait::alarm;
      return true;
    }
    if (operation.opcode == Opcode::detach) {
      writable_.release(operation.number, descriptors_->at(operation.number));
      forget(operation.number);
      end_here(operation, operation.number);
      return true;
    }
    if (!kernel_has(operation)) {
      start_on_thread(operation);
      return true;
    }
    if (abi::is_poll(operation.opcode)) {
      if (is_polled_here(operation)) {
        poll_here(operation);
        return true;
      }
      if (operation.opcode != Opcode::poll_multishot || !is_of_disk(operation.number)) return false;
      report_file_ready(operation);
      return true;
    }
    if (!threads_.any() && !any_waits()) return false;
    if (operation.opcode == Opcode::cancel_descriptor) {
      operation.ended_count += end_waits(operation.number) + end_on_threads(operation.number);
    } else if (operation.opcode == Opcode::cancel_all) {
      operation.ended_count += end_waits(no_descriptor) + end_on_threads(no_descriptor);
    } else if (Operation* target = target_of(operation); target != nullptr) {
      if (end_wait(*target)) {
        end_here(operation, 0);
        return true;
      }
      if (!threads_.has(*target)) return false;
      end_here(operation, end_on_thread(*target) ? 0 : -EALREADY);
      return true;
    }
    return false;
  }

  // What a write to an eventfd wakes must not signal another eventfd, as that of an attached ring.
  // The kernel defers the signal of a ring with DEFER_TASKRUN then, and drops all but the first one
  // (seen on 6.18: IO_EVENTFD_OP_SIGNAL_BIT stays set). So such a ring has no poll of an eventfd.
  bool is_polled_here(const Operation& operation) const {
    return abi::is_poll(operation.opcode) && event_descriptor_ >= 0 &&
           (setup_flags_ & IORING_SETUP_DEFER_TASKRUN) != 0 && is_eventfd(operation.number);
  }

  // It is looked at now and after a while, again and again. A multishot poll reports then what is
  // ready, also when that was reported before.
  void poll_here(Operation& operation) {
    const int32_t result = attempt(operation);
    const bool is_once = operation.opcode == Opcode::poll;
    if (result != -EAGAIN && is_once) return end_here(operation, result);
    if (result != -EAGAIN) ended_.push({&operation, result, true});
    operation.wait = Wait::event;
    awaited_.push(operation);
    revisits_->add(operation, Revisit::retry);
  }

  // A file is ready and stays so: there is one event. The kernel would end the poll with it.
  void report_file_ready(Operation& operation) {
    ended_.push({&operation, attempt(operation), true});
    operation.wait = Wait::event;
    awaited_.push(operation);
  }

  // ---- operations that wait outside of the kernel

  // Operations that the kernel has given back, because it would block a worker for them, or because
  // nothing reports when they can go on. They stay with the backend until that is so.
  bool any_waits() const {
    return !awaited_.empty() || !retried_.empty() || full_peers_.size() > 0 || deadlines_.any();
  }

  // The engine has one receive or send of a socket with the backend, which is not in a chain.
  static bool may_wait(const Operation& operation) { return (operation.uses & uses_stream) != 0; }

  // It got EAGAIN. It has ended when its end was asked for meanwhile.
  int32_t wait_to_go_on(Operation& operation) {
    if (cancel_requests_.of(operation)) return -ECANCELED;
    if (is_of_shut_sending(operation)) return -EPIPE;
    // TCP that is out of memory is writable and takes nothing, again and again: a send that was
    // tried for that reason is tried the next time after a while.
    const bool was_writable = std::exchange(operation.was_writable, false);
    operation.result_known = false;
    if (operation.unix_datagram && is(operation.opcode, trait::sends)) {
      operation.wait = Wait::full_peer;
      full_peers_.add(operation, now_ns());
    } else if (!was_writable && may_wait(operation) && awaits_writable(operation)) {
      operation.wait = Wait::event;
      awaited_.push(operation);
    } else {
      operation.wait = Wait::retry;
      retried_.push(operation);
      revisits_->add(operation, Revisit::retry);
    }
    return made_later;
  }

  bool awaits_writable(Operation& operation) {
    if (!is(operation.opcode, trait::sends)) return false;
    if (!descriptors_->at(operation.number).is_stream || writable_.closed()) return false;
    operation.without_waiting = true;
    if (!writable_.await(operation.number, uring::user_data_of(operation))) return false;
    if (may_stall(operation, *descriptors_)) {
      revisits_->add(operation, Revisit::retry, operation.refusals);
      if (operation.refusals < UINT8_MAX) operation.refusals++;
    }
    if (!writable_.armed()) is_any_writable_ = true;  // armed at the end of this poll
    return true;
  }

  void ring(Operation& timeout) {
    leave_wait(timeout);
    end_here(timeout, ends_early(timeout) ? -ETIMEDOUT : 0);
  }

  void leave_wait(Operation& operation) {
    if (operation.wait == Wait::alarm)
      deadlines_.wake(operation);
    else if (operation.wait == Wait::full_peer)
      full_peers_.remove(operation);
    else
      (operation.wait == Wait::event ? awaited_ : retried_).remove(operation);
    operation.wait = Wait::none;
  }

  // False when it does not wait.
  bool end_wait(Operation& operation) {
    if (operation.wait == Wait::none) return false;
    leave_wait(operation);
    end_here(operation, -ECANCELED);
    return true;
  }

  // Of those on a descriptor, or of all.
  uint32_t end_waits(int number) {
    uint32_t count = 0;
    const auto end = [&](Operation& operation) { count += end_wait(operation) ? 1 : 0; };
    if (number != no_descriptor) {
      descriptors_->at(number).operations.each(end);
    } else {
      deadlines_.each_timeout(end);
      awaited_.each(end);
      retried_.each(end);
      full_peers_.each(end);
    }
    return count;
  }

  void start_again(Operation& operation) {
    if (operation.wait == Wait::none) return;
    leave_wait(operation);
    const bool connects = operation.opcode == Opcode::connect;
    if (connects && operation.begun) return go_on_connecting(operation);
    if (is_transfer_of_socket(operation) && never_blocks(operation)) return try_transfer(operation);
    if (operation.zero_copy) notifications_.start(operation);
    again_.push_back(&operation);
  }

  void go_on_with_full_peers(const Completions& completed) {
    for (const Completed& one : completed.items()) full_peers_.went(*one.operation, one.result);
    full_peers_.note_received(completed.items());
    full_peers_.go(now_ns(), [this](Operation& operation) {
      operation.wait = Wait::none;
      again_.push_back(&operation);
    });
  }

  bool arm_writable() {
    if (writable_.armed()) return true;
    io_uring_sqe* entry = writable_.closed() ? nullptr : internal_entry();
    if (entry == nullptr) return false;
    writable_.arm(entry);
    io_uring_sqe_set_data64(entry, internal_writable);
    return true;
  }

  // A socket that is not reported yet, or cannot be waited for now, is looked at by the next poll.
  // The token may be of an operation that has ended.
  void collect_writable() {
    writable_.collect([this](uint64_t token) {
      const uint32_t slot = uring::slot_of(token);
      if (slot >= operations_->size()) return;
      Operation& operation = (*operations_)[slot];
      if (token != uring::user_data_of(operation) || operation.wait != Wait::event) return;
      operation.was_writable = true;
      start_again(operation);
    });
    is_any_writable_ = !arm_writable() && !writable_.closed();
  }

  void start_on_thread(Operation& operation) {
    if (operation.opcode == Opcode::send_file) {
      // Its file system may never answer: a worker of the kernel can be ended that waits for it.
      if (files_.is_served(operation.source())) return end_here(operation, -EOPNOTSUPP);
      const int error = writable_.never_block(operation.number);
      if (error != 0) return end_here(operation, error);
    }
    if (!threads_.start(operation)) take_made(operation);
  }

  // A thread that has begun is waited for. What it was refused is not tried again then.
  bool end_on_thread(Operation& target) {
    if (!threads_.withdraw(target)) {
      cancel_requests_.for_one(target);
      return false;
    }
    end_here(target, -ECANCELED);
    return true;
  }

  uint32_t end_on_threads(int number) {
    std::vector<Operation*> withdrawn;
    threads_.withdraw_all(number, withdrawn);
    for (Operation* operation : withdrawn) end_here(*operation, -ECANCELED);
    return static_cast<uint32_t>(withdrawn.size());
  }

  [[gnu::noinline]] void collect_from_threads(Completions& completed) {
    std::vector<Operation*> finished;
    threads_.take(finished);
    for (Operation* operation : finished) take_made(*operation);
    push_ended(completed);
  }

  // Its call was made by a thread, or here where there is none. A full socket has taken nothing of
  // a file.
  void take_made(Operation& operation) {
    int32_t result = operation.result;
    if (result == -EAGAIN && operation.opcode == Opcode::send_file)
      result = wait_to_go_on(operation);
    else if (result == -EAGAIN && waits_for_others(operation))
      result = asked_later(operation);
    if (result != made_later) end_here(operation, result);
  }

  // When there is no room for the entry now, the next poll finds that it is wanted.
  void arm_threads() {
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return;
    threads_.arm(entry);
    io_uring_sqe_set_data64(entry, internal_threads);
  }

  // It has ended without a completion of the kernel.
  void end_here(Operation& operation, int32_t result) {
    if (operation.has_deadline) result = deadlines_.end(operation, result);
    if (operation.may_block) writable_.end(operation);
    ended_.push({&operation, result});
    if (operation.successor != nullptr) go_on(operation, result);
  }

  // The operation that a cancel names, or null when it is not there any more.
  Operation* target_of(const Operation& cancel) const {
    if (cancel.opcode != Opcode::cancel || cancel.argument >= operations_->size()) return nullptr;
    Operation& found = (*operations_)[cancel.argument];
    return found.generation == cancel.argument_extra ? &found : nullptr;
  }

  void note(Operation& operation) {
    if (operation.opcode == Opcode::close && operation.repeats == 0) {
      files_.closing(operation);
      forget(operation.number);
    } else if (operation.opcode == Opcode::cancel_descriptor) {
      cancel_requests_.for_descriptor(operation.number);
    } else if (operation.opcode == Opcode::cancel_all) {
      operation.own_entries = own_entries();
      cancel_requests_.for_everything();
    }
  }

  // It is not ours any more.
  void forget(int number) {
    files_.forget(number);
    after_shutdown_.remove(number);
    sends_shut_.remove(number);
    writable_.forget(number);
  }

  bool has_nothing_to_wait_for(const Operation& operation) const {
    return after_shutdown_.any() && after_shutdown_.has(operation.number) &&
           uring::ReceivesAfterShutdown::is_receive(operation.opcode);
  }

  // Whether a worker makes the call from the beginning.
  bool goes_elsewhere(const Operation& operation) {
    if (operation.opcode == Opcode::open) return files_.opens_elsewhere();
    // The other operations on a file always go to a worker.
    return files_.any() && is(operation.opcode, trait::transfers) &&
           files_.is_served(operation.number);
  }

  bool is_of_shut_sending(const Operation& operation) const {
    return uring::SendsAfterShutdown::is_send(operation.opcode) &&
           sends_shut_.has(operation.number);
  }

  bool into_area(const Operation& operation) const {
    return zcrx_ != nullptr && zcrx_->serves(operation);
  }

  // A target that has ended is not found, as it should be.
  void prepare_cancel(const Operation& operation, io_uring_sqe* entry) {
    Operation* target = target_of(operation);
    if (target != nullptr) cancel_requests_.for_one(*target);
    const uint64_t name = target != nullptr ? uring::user_data_of(*target) : internal_nobody;
    io_uring_prep_cancel64(entry, name, 0);
  }

  // Linux 5.19 has no multishot receive, and until 6.17 there is none with a limit: then a receive
  // gives one completion and is made again, which `made_once` records. An empty message would
  // not get a buffer there, so the kernel polls and the call is ours.
  void suit_kernel(Operation& operation, io_uring_sqe* entry) const {
    const bool once =
        traits_.multishot_receives_once || (operation.extent != 0 && traits_.limited_receives_once);
    operation.made_once = once;
    uring::MultishotAfterReset::begin(operation);
    const bool bundles = bulk_.begin(operation) && buffer_rings_.bundles() && !once;
    if (bundles)
      uring::receive_in_bundles(entry, buffer_rings_.buffer_size_bytes(entry->buf_group));
    if (!once) return;
    if (by_hand(group_of(operation)))
      io_uring_prep_poll_add(entry, operation.number, POLLIN);
    else
      uring::prepare_receive_once(operation, entry);
  }

  __kernel_timespec& time_of(const io_uring_sqe* entry) {
    return timespecs_[static_cast<size_t>(entry - ring_.sq.sqes)];
  }

  // Null when the kernel takes nothing now, or when older operations still wait for it: a cancel
  // that overtakes its target would miss it.
  io_uring_sqe* internal_entry() {
    if (!waiting_.empty()) take_waiting();
    if (!waiting_.empty()) return nullptr;
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry != nullptr) return entry;
    enter_without_waiting();
    return io_uring_get_sqe(&ring_);
  }

  static bool finish_internal(io_uring_sqe* entry) {
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;  // 5.17
    io_uring_sqe_set_data64(entry, internal_cancel);
    return true;
  }

  // ---- out of the kernel

  void reap(Completions& completed) {
    unsigned head;
    unsigned seen = 0;
    io_uring_cqe* entry;
    push_ended(completed);
    bundle_.report(completed);
    const bool fetches = operations_->is_large();
    io_uring_for_each_cqe(&ring_, head, entry) {
      if (completed.full() || !bundle_.empty()) break;
      seen++;
      if (fetches) operations_->fetch(slot_ahead(head));
      take_completion(*entry, completed);
    }
    if (seen > 0) io_uring_cq_advance(&ring_, seen);
  }

  // Of a completion that comes soon, or that stood there before.
  uint32_t slot_ahead(unsigned head) const {
    const unsigned mask = ring_.cq.ring_entries - 1;
    const unsigned index = io_uring_cqe_index(&ring_, head + OperationTable::ahead, mask);
    return uring::slot_of(ring_.cq.cqes[index].user_data);
  }

  // Of our own entries that wait, how many a cancel of everything finds that is queued now.
  uint8_t own_entries() const {
    return static_cast<uint8_t>((writable_.armed() ? 1 : 0) + (deadlines_.armed() ? 2 : 0) +
                                (threads_.armed() ? 4 : 0));
  }

  void take_internal(uint64_t mark) {
    if (mark == internal_writable) {
      writable_.disarm();
      is_any_writable_ = true;
    } else if (mark == internal_alarm) {
      deadlines_.disarm();
      alarm_rang_ = true;
    } else if (mark == internal_threads) {
      threads_.disarm();
    }
  }

  // A cancel of ours completes only when it has failed: the kernel is working on the operation, or
  // has done it already. One that is still in flight after a while is cancelled again.
  void take_missed_cancel(uint64_t user_data) {
    const uint32_t slot = uring::target_slot_of(user_data);
    if (!uring::is_cancel(user_data) || slot >= operations_->size()) return;
    Operation& target = (*operations_)[slot];
    if (target.phase != Phase::active || !uring::names_target(user_data, target)) return;
    target.end_given = false;
    revisits_->add(target, Revisit::cancel_missed);
  }

  void take_completion(const io_uring_cqe& entry, Completions& completed) {
    if (entry.user_data >= min_internal) return take_internal(entry.user_data);
    const uint32_t slot = uring::slot_of(entry.user_data);
    if (slot >= operations_->size()) return take_missed_cancel(entry.user_data);
    Operation& operation = (*operations_)[slot];
    // A notification for a slot that has another operation by now, or none.
    if (entry.user_data != uring::user_data_of(operation)) return;
    if (operation.zero_copy) return take_step(operation, entry, completed);
    if (operation.phase != Phase::active) return;
    if (is(operation.opcode, trait::buffer_select)) {
      if (into_area(operation)) return take_from_area(operation, entry, completed);
      return take_received(operation, entry, completed);
    }
    const bool more = (entry.flags & IORING_CQE_F_MORE) != 0;
    const bool empty = (entry.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
    int32_t result = entry.res;
    if (result < 0) {
      result = failure_of(operation, result);
      if (result == made_again) return again_.push_back(&operation);
      if (result == made_later) return;
    } else if (is(operation.opcode, trait::special_result)) {
      result = success_of(operation, entry);
    }
    if (operation.has_deadline) result = deadlines_.end(operation, result);
    if (operation.may_block) writable_.end(operation);
    if (operation.linked_next != nullptr) note_link(operation, result);
    completed.push({&operation, result, more, empty});
    if (operation.successor == nullptr) return;
    go_on(operation, result);
    push_ended(completed);
  }

  // The kernel ends all that follows in its chain when one has failed whose link is not hard, and
  // then only.
  static void note_link(Operation& operation, int32_t result) {
    if (!starts_next(operation, result)) operation.linked_next->after_failure = true;
  }
  static bool starts_next(const Operation& operation, int32_t result) {
    return !operation.after_failure && lets_next_start(operation, result);
  }

  // The operations that were held back behind this one start now, or end with it.
  void go_on(Operation& operation, int32_t result) {
    const bool starts = starts_next(operation, result);
    Operation* next = std::exchange(operation.successor, nullptr);
    while (next != nullptr) {
      if (starts)
        released_.push_back(next);
      else
        ended_.push({next, -ECANCELED});
      next = std::exchange(next->successor, nullptr);
    }
  }

  void push_ended(Completions& completed) {
    while (!ended_.empty() && !completed.full()) {
      const Ended ended = ended_.pop();
      completed.push({ended.operation, ended.result, ended.more, false});
    }
  }

  void take_received(Operation& operation, const io_uring_cqe& entry, Completions& completed) {
    const bool more = (entry.flags & IORING_CQE_F_MORE) != 0;
    const bool has_buffer = (entry.flags & IORING_CQE_F_BUFFER) != 0;
    const auto buffer_id = static_cast<uint16_t>(entry.flags >> IORING_CQE_BUFFER_SHIFT);
    const bool message = operation.opcode == Opcode::receive_message_multishot;
    if (message && operation.made_once) return take_by_hand(operation, entry, completed);
    if (entry.res > 0) {
      const uint32_t group = group_of(operation);
      if (!has_buffer || !buffer_rings_.claim(group, buffer_id)) buffer_rings_.distrust(group);
      if (message && entry.res < head_bytes) buffer_rings_.distrust(group);
      if (buffer_rings_.is_distrusted(group)) return end_distrusted(operation, more, completed);
      int32_t result = entry.res;
      if (message) {
        uring::settle_message_head(buffer_rings_.data_of(group, buffer_id));
        result -= head_bytes;
      }
      const bool again = operation.made_once && goes_on(operation, result);
      if (!message) note_received(operation, static_cast<uint32_t>(result), more);
      if (buffer_rings_.fills_up(group)) {
        bundle_.take(operation, static_cast<uint32_t>(result), more || again);
        return bundle_.report(completed);
      }
      completed.push({.operation = &operation,
                      .result = result,
                      .more = more || again,
                      .receive_empty = false,
                      .buffer_id = buffer_id});
      return;
    }
    if (has_buffer) buffer_rings_.provide_again(group_of(operation), buffer_id);
    // Nothing is left of such a connection, so its limit does not matter any more.
    if (entry.res == -ECANCELED && uring::MultishotAfterReset::takes_up(operation)) {
      return waiting_.push_back(&operation);
    }
    int32_t result = entry.res < 0 ? stream_failure_of(operation, entry.res) : entry.res;
    if (result == -EAGAIN && !more && may_wait(operation)) result = wait_to_go_on(operation);
    if (result == made_later) return;
    if (result == 0 && message) result = nothing_received(operation);
    if (buffer_rings_.is_distrusted(group_of(operation))) result = -EIO;
    completed.push({&operation, result, more, false});
  }

  // The kernel has filled other memory than it names, so the place of the bytes is unknown. The
  // receive ends with EIO, and so does each that gets bytes from this group later.
  void end_distrusted(Operation& operation, bool more, Completions& completed) {
    if (more) {
      cancel_once(operation);  // asked for again with each completion that still comes
    } else {
      completed.push({&operation, -EIO, false, false});
    }
  }

  // Of a send or receive that has more than one completion.
  int32_t stream_failure_of(Operation& operation, int32_t error) const {
    if (has_come_to_end(operation, error)) return nothing_received(operation);
    if (error == -ECANCELED && is_of_shut_sending(operation) && !cancel_requests_.of(operation)) {
      return -EPIPE;
    }
    if (!uring::is_interruption(error)) return error;
    return cancel_requests_.of(operation) ? -ECANCELED : -EAGAIN;
  }

  void note_received(Operation& operation, uint32_t size_bytes, bool more) {
    operation.received_bytes += size_bytes;
    if (!more) return bulk_.ended(operation);
    const uint32_t buffer_size_bytes = buffer_rings_.buffer_size_bytes(group_of(operation));
    if (uring::MultishotAfterReset::is_suspect(operation, size_bytes, buffer_size_bytes))
      revisits_->add(operation, Revisit::reset_suspected);
  }

  // Before 6.0 the kernel only reports that there is a message, or an error.
  void take_by_hand(Operation& operation, const io_uring_cqe& entry, Completions& completed) {
    if (entry.res < 0) {
      int32_t result = stream_failure_of(operation, entry.res);
      if (result == -EAGAIN && may_wait(operation)) result = wait_to_go_on(operation);
      if (result != made_later) completed.push({&operation, result, false, false});
      return;
    }
    system_calls_++;
    std::vector<Completed> reported;
    const BufferPool::Received received = buffer_pool_.receive(operation, false, reported);
    for (const Completed& one : reported) completed.push(one);
    const bool is_over = received.result == -EAGAIN && has_nothing_to_wait_for(operation);
    if (!is_over && (received.result == -EAGAIN || !reported.empty())) {
      return waiting_.push_back(&operation);
    }
    const int32_t result = is_over ? nothing_received(operation) : received.result;
    completed.push({&operation, result, false, false});
  }

  bool by_hand(uint32_t group) const { return group < by_hand_.size() && by_hand_[group]; }

  void take_from_area(Operation& operation, const io_uring_cqe& entry, Completions& completed) {
    Completed reported;
    switch (zcrx_->take(operation, entry, reported)) {
      case ZcrxReceives::Step::report:
        return completed.push(reported);
      case ZcrxReceives::Step::again:
        return waiting_.push_back(&operation);
      case ZcrxReceives::Step::cancel:
        // Asked for again with each chunk that still comes, so it need not succeed at once.
        cancel_once(operation);
        return;
    }
  }

  bool goes_on(Operation& operation, int32_t received) {
    if (operation.extent != 0) {
      operation.left_bytes -= received;
      if (operation.left_bytes <= 0) return false;
    }
    waiting_.push_back(&operation);
    return true;
  }

  static uint32_t group_of(const Operation& operation) {
    return BufferGroups::index_of(operation.argument);
  }

  // An operation has succeeded, or so the kernel says.
  int32_t success_of(Operation& operation, const io_uring_cqe& entry) {
    switch (operation.opcode) {
      case Opcode::cancel_all:
        if (entry.res > 0) {
          // Our own entries have ended with the others: those that were there before it, and whose
          // completions are still to come.
          const uint32_t found = operation.own_entries & own_entries();
          return std::max(0, entry.res - std::popcount(found));
        }
        return entry.res;
      case Opcode::shutdown:
        after_shutdown_.note(operation, 0);
        sends_shut_.note(operation, descriptors_->at(operation.number));
        return entry.res;
      case Opcode::read:
        return entry.res == 0 && reads_nothing(operation) ? nothing_read(operation) : entry.res;
      case Opcode::open:
        return opened(operation, entry.res);
      case Opcode::poll:
      case Opcode::poll_multishot:
        return events_of_poll(static_cast<unsigned>(entry.res));
      default:
        return entry.res;
    }
  }

  // It has failed: with what, or made_again.
  int32_t failure_of(Operation& operation, int32_t error) {
    if (has_come_to_end(operation, error)) return nothing_received(operation);
    if (uring::is_interruption(error)) return interruption_of(operation);
    if (error == -ECANCELED) return cancellation_of(operation);
    if (error == -EAGAIN) {
      if (operation.opcode == Opcode::open) return asked_later(operation);
      if (may_wait(operation) || is_transfer_of_socket(operation)) return wait_to_go_on(operation);
      // The kernel leaves most writes of files to workers, and says so before it has asked the file
      // system (io_write() of Linux 6.18). The call asks it, and does not wait either.
      if (refuses_to_wait(operation) && is_of_disk(operation.number)) return perform(operation);
    }
    // vsock wakes the kernel's poll for a connect a moment before that has ended, and says so when
    // the kernel tries it again (seen on Linux 7.3). It goes on by itself.
    if (error == -EALREADY && is_connect_of_vsock(operation)) return connection_of(operation);
    // The kernel's operation closes no ring (io_close()), as close(2) does.
    if (error == -EBADF && operation.opcode == Opcode::close && is_ring(operation.number)) {
      return perform(operation);
    }
    if (error == -ENOTCONN && operation.opcode == Opcode::shutdown)
      after_shutdown_.note(operation, error);
    // The kernel has cancelled already the operations that it linked to this one: so it stays
    // refused.
    if (error == -EOPNOTSUPP && operation.linked_next == nullptr) {
      return made_plainly(operation, error);
    }
    return error;
  }

  // A read or write of a socket that does not block. After 128 tries the kernel's worker
  // gives EAGAIN: a poll that is always ready, as when the peer has shut down sending, makes that
  // many (IO_POLL_UNMASK and APOLL_MAX_RETRY of Linux 6.18).
  bool is_transfer_of_socket(const Operation& operation) const {
    if (!is(operation.opcode, trait::transfers) || refuses_to_wait(operation)) return false;
    const Descriptor& descriptor = descriptors_->at(operation.number);
    return operation.linked_next == nullptr && (descriptor.is_stream || descriptor.unix_datagram);
  }

  // The kernel has cancelled what it has linked to it, so such a one stays refused.
  static bool is_connect_of_vsock(const Operation& operation) {
    return operation.opcode == Opcode::connect && operation.linked_next == nullptr &&
           operation.extra->address.ss_family == vsock_family();
  }

  // How far the kernel is with a connect, or made_later.
  int32_t connection_of(Operation& operation) {
    operation.begun = true;
    const int32_t result = attempt(operation);
    return result == -EAGAIN ? asked_later(operation) : result;
  }

  void go_on_connecting(Operation& connect) {
    const int32_t result = connection_of(connect);
    if (result != made_later) end_here(connect, result);
  }

  // One that blocks has its own time limit, as by SO_SNDTIMEO.
  bool never_blocks(const Operation& transfer) {
    system_calls_++;
    const int flags = ::fcntl(transfer.number, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
  }

  // By a call, since the kernel's operation would make 128 tries once more.
  void try_transfer(Operation& transfer) {
    system_calls_++;
    int32_t result = attempt(transfer);
    if (result == -EAGAIN) result = has_come_to_end(transfer, result) ? 0 : asked_later(transfer);
    if (result != made_later) end_here(transfer, result);
  }

  // Of a receive on a datagram socket that was shut down: whether it has ended by that. The kernel
  // ends a read there by itself.
  bool has_come_to_end(const Operation& operation, int32_t error) const {
    if (is(operation.opcode, trait::reads))
      return error == -EAGAIN && after_shutdown_.any() && after_shutdown_.has(operation.number);
    if (!has_nothing_to_wait_for(operation)) return false;
    return error == -EAGAIN || (error == -ECANCELED && !cancel_requests_.of(operation));
  }

  // A worker's call was interrupted: because we asked for its end, or by what interrupts any call.
  int32_t interruption_of(Operation& operation) {
    // The number was given up before the file system was asked (close(2)): to close it again could
    // close what another thread has just opened.
    if (operation.opcode == Opcode::close) return 0;
    if (cancel_requests_.of(operation)) return -ECANCELED;
    if (may_wait(operation)) return wait_to_go_on(operation);
    if (operation.opcode == Opcode::connect) return -EINTR;  // it goes on by itself
    return may_repeat(operation) ? made_again : -EINTR;
  }

  // Another process has a lease or a lock on the file, and no event says when that ends. So the
  // operation is repeated after a while. A worker that waited for it would be missing for others.
  int32_t asked_later(Operation& operation) {
    if (cancel_requests_.of(operation)) return -ECANCELED;
    operation.wait = Wait::event;
    awaited_.push(operation);
    revisits_->add(operation, Revisit::retry);
    return made_later;
  }

  // The kernel says that it was cancelled: its result, or made_again.
  int32_t cancellation_of(Operation& operation) {
    const bool asked = cancel_requests_.of(operation);
    if (operation.opcode == Opcode::close) {
      // A file that is closed was not cancelled: its file system gave ECANCELED as the result.
      if (!uring::Files::is_still_open(operation)) return -ECANCELED;
      operation.repeats = 1;  // its file has been classified
      return asked || uring::threads_are_given() ? made_again : perform(operation);
    }
    // We asked for it, or an earlier one of its chain has failed. Otherwise the kernel cancels only
    // what it has no worker for.
    if (asked || operation.after_failure) return -ECANCELED;
    if (is_of_shut_sending(operation)) return -EPIPE;
    if (!uring::threads_are_given()) return made_without_worker(operation);
    return (operation.uses & uses_stream) == 0 && may_repeat(operation) ? made_again : -ECANCELED;
  }

  bool may_repeat(Operation& operation) {
    if (operation.linked_next != nullptr) return false;
    return ++operation.repeats < system::max_interruptions;
  }

  // As epoll makes it where there are no threads: here, or not at all when that could take
  // forever.
  int32_t made_without_worker(Operation& operation) {
    const bool waits = files_.is_served(operation.number);
    if (may_wait(operation)) return wait_to_go_on(operation);
    if (waits || !can_be_performed(operation)) return -EAGAIN;
    const int32_t result = perform(operation);
    if (operation.opcode != Opcode::open) return result;
    return result == -EAGAIN ? asked_later(operation) : opened(operation, result);
  }

  int32_t opened(const Operation& operation, int32_t number) {
    if (number < 0) return number;
    files_.opened(number);
    uring::wait_again(number, operation);
    return number;
  }

  void take_step(Operation& operation, const io_uring_cqe& entry, Completions& completed) {
    if (uring::ZeroCopyNotifications::is_release(entry)) {
      uring::ZeroCopyNotifications::take_release(operation, entry);
    } else {
      operation.result = entry.res < 0 ? stream_failure_of(operation, entry.res) : entry.res;
      operation.result_known = true;
      uring::ZeroCopyNotifications::take_result(operation, entry);
    }
    if (operation.result_known && operation.result == -EAGAIN && may_wait(operation)) {
      if (operation.release == Release::pending) return;
      operation.result = wait_to_go_on(operation);
      if (operation.result == made_later) return notifications_.release();
    }
    if (operation.result_known) {
      if (operation.has_deadline) operation.result = deadlines_.end(operation, operation.result);
      if (operation.may_block) writable_.end(operation);
    }
    notifications_.report(operation, completed);
    if (!operation.result_known) return;
    if (operation.linked_next != nullptr) note_link(operation, operation.result);
    if (operation.successor == nullptr) return;
    go_on(operation, operation.result);
    push_ended(completed);
  }

  io_uring ring_;
  bool registered_;  // its descriptor, with this thread
  uring::ZeroCopyNotifications notifications_;
  BufferRings buffer_rings_;
  uring::Bundle bundle_{buffer_rings_};
  uring::BulkReceives bulk_;
  uring::RegisteredBuffers registered_buffers_;
  BufferPool buffer_pool_;              // of groups that the kernel knows nothing of
  std::vector<bool> by_hand_;           // which ones these are
  std::unique_ptr<ZcrxReceives> zcrx_;  // null: there is none
  uint32_t setup_flags_;
  const uring::KernelTraits traits_;
  uint32_t features_;
  std::vector<__kernel_timespec> timespecs_;
  std::deque<Operation*> waiting_;  // checked, but the kernel had no room
  struct Ended {
    Operation* operation;
    int32_t result;
    bool more = false;
  };
  Fifo<Ended> ended_;                 // without a completion of the kernel, and not reported yet
  std::vector<Operation*> released_;  // held back behind operations that have succeeded
  OperationTable* operations_ = nullptr;
  Descriptors* descriptors_ = nullptr;
  Revisits* revisits_ = nullptr;
  int event_descriptor_ = -1;
  uring::CancelRequests cancel_requests_;
  uring::Deadlines deadlines_;
  uring::Files files_;
  uring::ReceivesAfterShutdown after_shutdown_;
  uring::SendsAfterShutdown sends_shut_;
  std::vector<Operation*> again_;  // to be made once more
  OperationQueue awaited_;         // until their socket is writable; opens and locks, for a while
  OperationQueue retried_;         // for a while
  FullPeers full_peers_;
  bool alarm_rang_ = false;
  int64_t batch_begun_ns_ = no_batch_ns;
  uint64_t system_calls_ = 0;
  uring::Writable writable_;
  uring::Threads threads_;
  bool is_any_writable_ = false;
  bool armed_ = false;  // the event descriptor is signalled
};

// Releases a ring that turned out to be of no use.
Opened give_up(RingSetUp& made, const char* call, int error) {
  io_uring_queue_exit(&made.ring);
  if (made.area != nullptr) made.area->ring_closed();
  return refuse_io_uring(call, error);
}

// For tests: no feature newer than Linux 5.19, except zero-copy sends.
void take_for_oldest(uring::KernelTraits& traits) {
  traits.truncate_by_thread = true;
  traits.multishot_receives_once = true;
  traits.limited_receives_once = true;
  traits.buffers_filled_once = true;
  traits.no_bundles = true;
}

// Attached mode does without DEFER_TASKRUN then, unless IO_TASKRUN says otherwise.
bool is_late(const RingSetUp& made) {
  return (made.flags & IORING_SETUP_DEFER_TASKRUN) == 0 &&
         uring::deferred_signals() == uring::Signals::late;
}

}  // namespace

Opened open_io_uring(const BackendOptions& options) {
  RingSetUp made;
  Opened opened;
  int error = set_up_ring(options, made, opened);
  if (error != 0) return refuse_io_uring("io_uring_setup", error);
  io_uring& ring = made.ring;

  // Saves looking up the descriptor in every call; without it everything works the same.
  made.registered = io_uring_register_ring_fd(&ring) == 1;
  constexpr unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                              IORING_FEAT_RW_CUR_POS | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
  // A seccomp profile can allow the set-up and forbid the other two calls.
  error = -std::min(io_uring_get_events(&ring), 0);
  if (error != 0) return give_up(made, "io_uring_enter", error);
  io_uring_probe* known = io_uring_get_probe_ring(&ring);
  if (known == nullptr) {
    // It returns no error; the same call without space for an answer does.
    return give_up(made, "io_uring_register", -io_uring_register_probe(&ring, nullptr, 0));
  }
  if ((ring.features & needed) != needed || !io_uring_opcode_supported(known, IORING_OP_SOCKET)) {
    io_uring_free_probe(known);
    return give_up(made, "io_uring_setup", EINVAL);
  }
  // A child that forks without exec must not share the rings.
  io_uring_ring_dontfork(&ring);
  // [bounded, unbounded] kernel workers: blocking calls may not start thousands of threads.
  unsigned workers[2] = {32, 64};
  io_uring_register_iowq_max_workers(&ring, workers);

  uring::KernelTraits traits = uring::kernel_traits(ring, *known);
  io_uring_free_probe(known);
  if (options.oldest_kernel) take_for_oldest(traits);
  traits.late_signals = options.attached && is_late(made);
  const std::string active = uring::active_traits(traits);
  if (!active.empty()) opened.reason += "; what this kernel needs: " + active;
  opened.backend = std::make_unique<IoUring>(made, traits);
  return opened;
}

}  // namespace io
