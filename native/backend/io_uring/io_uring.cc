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
#include "support/clock.h"
#include "engine/groups.h"
#include "backend/why_not.h"
#include "backend/reactor/attempt.h"
#include "backend/io_uring/buffer_rings.h"
#include "backend/io_uring/asked.h"
#include "backend/io_uring/bundle.h"
#include "backend/io_uring/deadlines.h"
#include "backend/io_uring/enter.h"
#include "backend/io_uring/files.h"
#include "backend/io_uring/kernel_traits.h"
#include "backend/io_uring/memory.h"
#include "backend/io_uring/prepare.h"
#include "backend/io_uring/resets.h"
#include "backend/io_uring/room.h"
#include "backend/io_uring/setup.h"
#include "backend/io_uring/shut.h"
#include "backend/io_uring/steps.h"
#include "backend/io_uring/threads.h"
#include "backend/io_uring/wakes.h"
#include "backend/io_uring/worker.h"
#include "backend/reactor/pieces.h"
#include "backend/io_uring/uapi.h"
#include "backend/zcrx/receives.h"

namespace io {

namespace {

using abi::Opcode;

// What user_data is otherwise: io_uring/prepare.h. These mark what is not an operation.
constexpr uint64_t internal_cancel = UINT64_MAX;
constexpr uint64_t internal_nudge = UINT64_MAX - 1;
constexpr uint64_t internal_nobody = UINT64_MAX - 2;  // never given to the kernel
constexpr uint64_t internal_room = UINT64_MAX - 3;
constexpr uint64_t internal_alarm = UINT64_MAX - 4;
constexpr uint64_t internal_threads = UINT64_MAX - 5;
constexpr uint64_t internal_least = internal_threads;
constexpr int64_t nudge_ns = 20'000'000;
// What failure_of() says of an operation that has not ended.
constexpr int32_t made_again = INT32_MIN;
constexpr int32_t made_later = INT32_MIN + 1;
// What stands in front of a message, and becomes the record of the sender.
constexpr auto head_bytes = static_cast<int32_t>(abi::peer_size_bytes);

class IoUring final : public Backend {
 public:
  IoUring(RingSetUp& made, const uring::KernelTraits& traits)
      : ring_(made.ring),
        registered_(made.registered),
        buffer_rings_(ring_, traits),
        memory_(ring_),
        area_(std::move(made.area)),
        setup_flags_(made.flags),
        traits_(traits),
        features_(uring::features_of(traits)),
        timespecs_(ring_.sq.ring_entries) {
    uring::number_entries(ring_);
  }

  ~IoUring() override {
    io_uring_queue_exit(&ring_);
    if (area_ != nullptr) area_->ring_closed();
    if (event_descriptor_ >= 0) ::close(event_descriptor_);
  }

  void submit(std::span<Operation* const> batch) override {
    if (!waiting_.empty()) take_waiting();
    size_t taken = 0;
    unsigned room = io_uring_sq_space_left(&ring_);
    while (taken < batch.size() && waiting_.empty()) {
      Operation& operation = *batch[taken];
      const size_t group = operation.linked ? group_length(batch.subspan(taken)) : 1;
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
      room -= needed;
      taken += whole;
    }
    waiting_.insert(waiting_.end(), batch.begin() + static_cast<ptrdiff_t>(taken), batch.end());
  }

  void flush() override {
    if (area_ != nullptr) area_->refill();
    set_alarm();
    if (threads_.wants_entry()) arm_threads();
    if (io_uring_sq_ready(&ring_) > 0) enter_without_waiting();
  }

  size_t ready() const override {
    return ended_.size() + (bundle_.empty() ? 0 : 1) + (threads_.has_finished() ? 1 : 0) +
           io_uring_cq_ready(&ring_);
  }

  void poll(int64_t deadline_ns, Completions& completed) override {
    if (area_ != nullptr) area_->refill();
    hand_over_left();
    if (ready() > 0 || !waiting_.empty() || !again_.empty()) deadline_ns = 0;
    if (threads_.wants_entry()) deadline_ns = 0;
    if (deadline_ns == 0) {
      if (io_uring_sq_ready(&ring_) > 0 || has_task_work()) enter_without_waiting();
    } else {
      enter_and_wait(deadline_ns);
    }
    if (steps_.any()) fetch_releases();
    reap(completed);
    if (threads_.any()) collect_from_threads(completed);
    if (room_told_) collect_room();
    if (std::exchange(alarm_rang_, false)) {
      deadlines_.expire(now_ns(), [this](const Operation& operation) { cancel(operation); });
    }
    if (!nudge_armed_ && wants_look()) look_again();
    if (!released_.empty()) submit(std::exchange(released_, {}));
    hand_over_left();
  }

  Loss loss() const override { return loss_; }

  // The kernel ends what is in the ring when nothing holds it any more, so that the other ends of
  // connections hear of it. Where its number is not ours any more, that could be another file.
  void give_up() override {
    const bool is_ours = loss_.error != EBADF || std::strcmp(loss_.call, "io_uring_enter") != 0;
    if (is_ours) io_uring_queue_exit(&ring_);
  }

  bool cancel(const Operation& target) override {
    if (threads_.has(target)) {
      end_on_thread((*operations_)[target.slot]);
      return true;
    }
    if (loss_.error != 0) return true;
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return false;
    asked_.for_one((*operations_)[target.slot]);
    io_uring_prep_cancel64(entry, uring::user_data_of(target), 0);
    return finish_internal(entry);
  }

  bool cancel_all() override {
    rooms_.end();
    end_on_threads(no_descriptor);
    if (loss_.error != 0) return true;
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return false;
    asked_.for_everything();
    io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    return finish_internal(entry);
  }

  void nudge_later() override {
    if (nudge_armed_ || loss_.error != 0) return;
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return;  // the caller asks again
    io_uring_prep_timeout(entry, timespec_for(entry, nudge_ns), 0, 0);
    io_uring_sqe_set_data64(entry, internal_nudge);
    nudge_armed_ = true;
  }

  bool nudged() override { return std::exchange(nudged_, false); }

  void limit_send_wait(int number, bool limited) override { rooms_.limit_wait(number, limited); }
  bool await_room(int number) override { return rooms_.await(number) && arm_rooms(); }
  std::vector<int> take_found_room() override { return rooms_.take_found(); }

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

  // With DEFER_TASKRUN the ring's own descriptor does not wake an epoll_wait; the eventfd does, on
  // the first piece of work since the last time the work was run. So: let it speak, then look once
  // more at what came while it was silent.
  bool arm() override {
    if (!waiting_.empty() || !again_.empty() || !ended_.empty() || !bundle_.empty()) return false;
    if (threads_.has_finished() || threads_.wants_entry()) return false;
    if (deadlines_.wants_alarm()) return false;
    if (io_uring_sq_ready(&ring_) > 0) return false;
    io_uring_cq_eventfd_toggle(&ring_, true);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (io_uring_cq_ready(&ring_) == 0 && !has_task_work()) return true;
    io_uring_cq_eventfd_toggle(&ring_, false);
    return false;
  }

  // Silence while the engine is reaping anyway: each signal is a write that nobody needs.
  void disarm() override {
    uint64_t value = 0;
    if (::read(event_descriptor_, &value, sizeof(value)) < 0 && errno != EAGAIN) lose("read");
    io_uring_cq_eventfd_toggle(&ring_, false);
  }

  bool wake() override {
    const uint64_t one = 1;
    if (::write(event_descriptor_, &one, sizeof(one)) == sizeof(one)) return true;
    lose("write");
    return false;
  }

  int32_t register_memory(uint8_t* data, size_t size_bytes) override {
    return memory_.add(data, size_bytes);
  }
  void unregister_memory(int32_t index) override { memory_.remove(index); }

  int add_group(uint32_t group, uint32_t capacity, Lot lot) override {
    if (group >= by_hand_.size()) by_hand_.resize(group + 1);
    by_hand_[group] = lot == Lot::message && traits_.multishot_receives_once;
    if (!by_hand(group)) return buffer_rings_.add(group, capacity, lot == Lot::bytes);
    pieces_.add(group);
    return 0;
  }
  void give(uint32_t group, uint32_t piece, uint8_t* data, uint32_t size_bytes) override {
    if (by_hand(group))
      pieces_.give(group, piece, data, size_bytes);
    else
      buffer_rings_.give(group, piece, data, size_bytes);
  }
  void remove_group(uint32_t group) override {
    if (area_ != nullptr && area_->is_group(group))
      area_->remove_group();
    else if (by_hand(group))
      pieces_.remove(group);
    else
      buffer_rings_.remove(group);
  }

  int add_area(uint32_t group, uint32_t capacity) override {
    return area_ == nullptr ? -EOPNOTSUPP : area_->add_group(group, capacity);
  }
  uint32_t offset_of(uint32_t chunk) const override { return area_->offset_of(chunk); }
  bool take_back(uint32_t chunk) override { return area_->take_back(chunk); }
  AreaCounters area_counters() const override {
    return area_ == nullptr ? AreaCounters{} : area_->counters();
  }

  bool supports(Opcode opcode) const override {
    // Splicing costs what reading and sending do: packages/core/src/sockets/file_sender.ts.
    return opcode != Opcode::send_file && kernel_has(opcode);
  }

  uint32_t features() const override { return features_; }
  void serve(OperationTable& operations, Descriptors& descriptors) override {
    operations_ = &operations;
    descriptors_ = &descriptors;
  }
  uint64_t system_calls() const override { return system_calls_ + rooms_.system_calls(); }
  uint64_t overflows() const override { return io_uring_cq_overflow(); }

 private:
  uint64_t io_uring_cq_overflow() const { return *ring_.cq.koverflow; }

  bool has_task_work() const {
    constexpr unsigned wanted = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
    if ((setup_flags_ & IORING_SETUP_TASKRUN_FLAG) == 0) {
      return (setup_flags_ & IORING_SETUP_DEFER_TASKRUN) != 0;
    }
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & wanted) != 0;
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

  // The kernel works off about 20 of the things that it has put off at a time (Linux 6.18,
  // IO_LOCAL_TW_DEFAULT_MAX) unless it is waited for more; its words that memory is free are among
  // them. A call for the rest costs less than telling the program twice of each send: measured, 8 %
  // of the whole with datagrams of 60,000 bytes, 64 at a time.
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

  // What the kernel could not take before, or has to be made once more.
  void hand_over_left() {
    if (!waiting_.empty()) take_waiting();
    if (shut_.any_due()) end_shut_receives();
    while (!again_.empty() && io_uring_sq_space_left(&ring_) > 0) {
      start(*again_.back());
      again_.pop_back();
    }
    set_alarm();
    if (threads_.wants_entry()) arm_threads();
  }

  // Nobody has asked for the end of these, so it is not noted as a wish.
  void end_shut_receives() {
    shut_.end_waiting(*descriptors_, [this](const Operation& operation) {
      io_uring_sqe* entry = internal_entry();
      if (entry == nullptr) return false;
      io_uring_prep_cancel64(entry, uring::user_data_of(operation), 0);
      return finish_internal(entry);
    });
  }

  // When there is no room for the entry now, the next poll finds that it is wanted.
  void set_alarm() {
    if (!deadlines_.wants_alarm()) return;
    io_uring_sqe* entry = internal_entry();
    if (entry == nullptr) return;
    const bool moved = deadlines_.armed();
    time_of(entry) = uring::timespec_of(deadlines_.arm());
    if (moved) {
      // One that has just rung is not found, and is set again when its completion is seen.
      io_uring_prep_timeout_update(entry, &time_of(entry), internal_alarm, IORING_TIMEOUT_ABS);
      finish_internal(entry);
    } else {
      io_uring_prep_timeout(entry, &time_of(entry), 0, IORING_TIMEOUT_ABS);
      io_uring_sqe_set_data64(entry, internal_alarm);
    }
  }

  // The engine hands it over; the kernel starts `next` when it has succeeded.
  void begin(Operation& operation, Operation* next) {
    asked_.begin(operation);
    operation.after_failure = false;
    operation.repeats = 0;
    operation.linked_next = next;
    if (operation.zero_copy) steps_.start(operation);
    if (operation.has_deadline) deadlines_.begin(operation, now_ns());
    start(operation);
  }

  void start(Operation& operation) {
    // One test for most operations: what is about few of them stands elsewhere.
    const bool is_special = is(operation.opcode, trait::special_entry);
    if (is_special && starts_without_entry(operation)) return;
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
    operation.tries++;
    if (!is_special && !shut_.any() && !files_.any()) {
      uring::prepare(operation, features_, time_of(entry), entry);
    } else {
      prepare_special(operation, entry);
    }
    io_uring_sqe_set_data64(entry, uring::user_data_of(operation));
    if (operation.linked_next != nullptr) entry->flags |= IOSQE_IO_LINK;
  }

  [[gnu::noinline]] void prepare_special(Operation& operation, io_uring_sqe* entry) {
    const bool is_over = has_nothing_to_wait_for(operation);
    if (is_over) operation.poll_first = false;
    note(operation);
    if (operation.opcode == Opcode::cancel) {
      prepare_cancel(operation, entry);
    } else if (into_area(operation)) {
      area_->prepare(operation, *entry);
    } else {
      uring::prepare(operation, features_, time_of(entry), entry);
      if (is(operation.opcode, trait::buffer_select)) suit_kernel(operation, entry);
    }
    if (is_over) entry->msg_flags |= MSG_DONTWAIT;
    if (goes_elsewhere(operation)) entry->flags |= IOSQE_ASYNC;
  }

  // ---- what the kernel does not have

  bool kernel_has(Opcode opcode) const {
    if (!is(opcode, trait::made_by_thread_else)) return true;
    return opcode == Opcode::truncate && !traits_.truncate_by_thread;
  }

  size_t group_length(std::span<Operation* const> chain) const {
    return uring::group_length(
        chain, [this](const Operation& operation) { return kernel_has(operation.opcode); });
  }

  // A thread makes its call, or it is the cancel of one for which a thread does.
  [[gnu::noinline]] bool starts_without_entry(Operation& operation) {
    if (!kernel_has(operation.opcode)) {
      if (!threads_.start(operation)) end_here(operation, operation.result);
      return true;
    }
    if (!threads_.any()) return false;
    if (operation.opcode == Opcode::cancel_descriptor) {
      operation.extent += end_on_threads(operation.number);
    } else if (operation.opcode == Opcode::cancel_all) {
      operation.extent += end_on_threads(no_descriptor);
    } else if (Operation* target = target_of(operation); target != nullptr) {
      if (!threads_.has(*target)) return false;
      end_here(operation, end_on_thread(*target) ? 0 : -EALREADY);
      return true;
    }
    return false;
  }

  bool end_on_thread(Operation& target) {
    if (!threads_.withdraw(target)) return false;
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
    for (Operation* operation : finished) end_here(*operation, operation->result);
    give_ended(completed);
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
    ended_.push_back({&operation, result});
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
      shut_.remove(operation.number);
    } else if (operation.opcode == Opcode::cancel_descriptor) {
      asked_.for_descriptor(operation.number);
    } else if (operation.opcode == Opcode::cancel_all) {
      operation.argument = own_entries();
      asked_.for_everything();
    }
  }

  bool has_nothing_to_wait_for(const Operation& operation) const {
    return shut_.any() && shut_.has(operation.number) &&
           uring::ShutReceives::is_receive(operation.opcode);
  }

  // Whether a worker makes the call from the beginning.
  bool goes_elsewhere(const Operation& operation) {
    if (operation.opcode == Opcode::open) return files_.opens_elsewhere();
    // The rest of what is done to a file always goes to a worker.
    return files_.any() && is(operation.opcode, trait::transfers) &&
           files_.is_served(operation.number);
  }

  bool into_area(const Operation& operation) const {
    return area_ != nullptr && area_->serves(operation);
  }

  // One that is not there any more is not found, as it should be.
  void prepare_cancel(const Operation& operation, io_uring_sqe* entry) {
    Operation* target = target_of(operation);
    if (target != nullptr) asked_.for_one(*target);
    const uint64_t name = target != nullptr ? uring::user_data_of(*target) : internal_nobody;
    io_uring_prep_cancel64(entry, name, 0);
  }

  // Linux 5.19 has no multishot receive, and until 6.17 there is none with a limit: then a receive
  // gives one completion and is made again, which `argument_extra` says of it. Of messages it would
  // not give empty ones a piece, so there the kernel waits and the call is ours.
  void suit_kernel(Operation& operation, io_uring_sqe* entry) const {
    const bool once =
        traits_.multishot_receives_once || (operation.extent != 0 && traits_.limited_receives_once);
    operation.argument_extra = once ? 1 : 0;
    const bool bundles = bulk_.begin(operation) && buffer_rings_.bundles() && !once;
    if (bundles) uring::receive_in_bundles(entry, buffer_rings_.piece_bytes(entry->buf_group));
    if (!once) return;
    if (by_hand(group_of(operation)))
      io_uring_prep_poll_add(entry, operation.number, POLLIN);
    else
      uring::prepare_receive_once(operation, entry);
  }

  __kernel_timespec& time_of(const io_uring_sqe* entry) {
    return timespecs_[static_cast<size_t>(entry - ring_.sq.sqes)];
  }

  __kernel_timespec* timespec_for(io_uring_sqe* entry, int64_t nanoseconds) {
    time_of(entry) = uring::timespec_of(nanoseconds);
    return &time_of(entry);
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
    give_ended(completed);
    bundle_.tell(completed);
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

  bool arm_rooms() {
    if (rooms_.armed()) return true;
    io_uring_sqe* entry = rooms_.over() ? nullptr : internal_entry();
    if (entry == nullptr) return false;
    rooms_.arm(entry);
    io_uring_sqe_set_data64(entry, internal_room);
    return true;
  }

  // What is not told of yet, or cannot be waited for now, is looked at by the next poll.
  void collect_room() {
    rooms_.collect();
    room_told_ = !arm_rooms() && !rooms_.over();
  }

  // Of our own entries that wait, how many a cancel of everything finds that is queued now.
  uint32_t own_entries() const {
    return (nudge_armed_ ? 1 : 0) + (rooms_.armed() ? 2 : 0) + (deadlines_.armed() ? 4 : 0) +
           (threads_.armed() ? 8 : 0);
  }

  void take_internal(uint64_t mark) {
    if (mark == internal_nudge) {
      nudge_armed_ = false;
      nudged_ = true;
      try_later_ones();
    } else if (mark == internal_room) {
      rooms_.disarm();
      room_told_ = true;
    } else if (mark == internal_alarm) {
      deadlines_.disarm();
      alarm_rang_ = true;
    } else if (mark == internal_threads) {
      threads_.disarm();
    }
  }

  void take_completion(const io_uring_cqe& entry, Completions& completed) {
    if (entry.user_data >= internal_least) return take_internal(entry.user_data);
    const uint32_t slot = uring::slot_of(entry.user_data);
    if (slot >= operations_->size()) return;
    Operation& operation = (*operations_)[slot];
    // A word on the memory of a send whose slot has another operation by now, or none.
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
    if (operation.linked_next != nullptr) note_link(operation, result);
    completed.push({&operation, result, more, empty});
    if (operation.successor == nullptr) return;
    go_on(operation, result);
    give_ended(completed);
  }

  // The kernel ends what follows in its chain when one has failed, and then only.
  static void note_link(Operation& operation, int32_t result) {
    if (!succeeded_in_full(operation, result)) operation.linked_next->after_failure = true;
  }

  // What was held back behind an operation starts after it, or ends with it.
  void go_on(Operation& operation, int32_t result) {
    const bool starts = succeeded_in_full(operation, result);
    Operation* next = std::exchange(operation.successor, nullptr);
    while (next != nullptr) {
      if (starts)
        released_.push_back(next);
      else
        ended_.push_back({next, -ECANCELED});
      next = std::exchange(next->successor, nullptr);
    }
  }

  void give_ended(Completions& completed) {
    while (!ended_.empty() && !completed.full()) {
      completed.push({ended_.front().operation, ended_.front().result, false, false});
      ended_.pop_front();
    }
  }

  void take_received(Operation& operation, const io_uring_cqe& entry, Completions& completed) {
    const bool more = (entry.flags & IORING_CQE_F_MORE) != 0;
    const bool has_piece = (entry.flags & IORING_CQE_F_BUFFER) != 0;
    const auto piece = static_cast<uint16_t>(entry.flags >> IORING_CQE_BUFFER_SHIFT);
    const bool message = operation.opcode == Opcode::receive_message_multishot;
    if (message && operation.argument_extra != 0) return take_by_hand(operation, entry, completed);
    if (entry.res > 0) {
      const uint32_t group = group_of(operation);
      if (!has_piece || !buffer_rings_.claim(group, piece)) buffer_rings_.distrust(group);
      if (message && entry.res < head_bytes) buffer_rings_.distrust(group);
      if (buffer_rings_.is_distrusted(group)) return end_distrusted(operation, more, completed);
      int32_t result = entry.res;
      if (message) {
        uring::settle_message_head(buffer_rings_.data_of(group, piece));
        result -= head_bytes;
      }
      const bool again = operation.argument_extra != 0 && goes_on(operation, result);
      if (!message) note_received(operation, static_cast<uint32_t>(result), more);
      if (buffer_rings_.fills_up(group)) {
        bundle_.take(operation, static_cast<uint32_t>(result), more || again);
        return bundle_.tell(completed);
      }
      completed.push({.operation = &operation,
                      .result = result,
                      .more = more || again,
                      .receive_empty = false,
                      .piece = piece});
      return;
    }
    if (has_piece) buffer_rings_.give_again(group_of(operation), piece);
    // Nothing is left of such a connection, so its limit does not matter any more.
    if (entry.res == -ECANCELED && resets_.takes_up(operation)) {
      return waiting_.push_back(&operation);
    }
    int32_t result = entry.res < 0 ? stream_failure_of(operation, entry.res) : entry.res;
    if (result == 0 && message) result = nothing_received(operation);
    if (buffer_rings_.is_distrusted(group_of(operation))) result = -EIO;
    completed.push({&operation, result, more, false});
  }

  // The kernel has filled other memory than it says, so nobody knows where the bytes are. The
  // receive ends with EIO, and so does each that gets bytes from this group later.
  void end_distrusted(Operation& operation, bool more, Completions& completed) {
    if (more) {
      cancel(operation);  // asked for again with each completion that still comes
    } else {
      completed.push({&operation, -EIO, false, false});
    }
  }

  // Of a send or receive that has more than one completion.
  int32_t stream_failure_of(Operation& operation, int32_t error) const {
    if (has_come_to_end(operation, error)) return nothing_received(operation);
    if (!uring::is_interruption(error)) return error;
    return asked_.of(operation) ? -ECANCELED : -EAGAIN;
  }

  void note_received(Operation& operation, uint32_t size_bytes, bool more) {
    operation.received_bytes += size_bytes;
    if (!more) return bulk_.ended(operation);
    resets_.note(operation, size_bytes, buffer_rings_.piece_bytes(group_of(operation)));
  }

  // Before 6.0 the kernel only tells that there is a message, or why there will be none.
  void take_by_hand(Operation& operation, const io_uring_cqe& entry, Completions& completed) {
    if (entry.res < 0)
      return completed.push({&operation, stream_failure_of(operation, entry.res), false, false});
    system_calls_++;
    std::vector<Completed> told;
    const Pieces::Received received = pieces_.receive(operation, false, told);
    for (const Completed& one : told) completed.push(one);
    const bool is_over = received.result == -EAGAIN && has_nothing_to_wait_for(operation);
    if (!is_over && (received.result == -EAGAIN || !told.empty())) {
      return waiting_.push_back(&operation);
    }
    const int32_t result = is_over ? nothing_received(operation) : received.result;
    completed.push({&operation, result, false, false});
  }

  bool by_hand(uint32_t group) const { return group < by_hand_.size() && by_hand_[group]; }

  void take_from_area(Operation& operation, const io_uring_cqe& entry, Completions& completed) {
    Completed told;
    switch (area_->take(operation, entry, told)) {
      case ZcrxReceives::Step::tell:
        return completed.push(told);
      case ZcrxReceives::Step::again:
        return waiting_.push_back(&operation);
      case ZcrxReceives::Step::cancel:
        // Asked for again with each chunk that still comes, so it need not succeed at once.
        cancel(operation);
        return;
    }
  }

  bool goes_on(Operation& operation, int32_t received) {
    if (operation.extent != 0) {
      operation.extent -= received;
      if (operation.extent <= 0) return false;
    }
    waiting_.push_back(&operation);
    return true;
  }

  static uint32_t group_of(const Operation& operation) {
    return Groups::index_of(operation.argument);
  }

  // An operation has succeeded, or so the kernel says.
  int32_t success_of(Operation& operation, const io_uring_cqe& entry) {
    switch (operation.opcode) {
      case Opcode::cancel_all:
        if (entry.res > 0) {
          // Our own entries have ended with the others: those that were there before it, and whose
          // completions are still to come.
          const uint32_t found = operation.argument & own_entries();
          return std::max(0, entry.res - std::popcount(found));
        }
        return entry.res;
      case Opcode::shutdown:
        shut_.note(operation, 0);
        return entry.res;
      case Opcode::read:
        return entry.res == 0 && reads_nothing(operation) ? nothing_read(operation) : entry.res;
      case Opcode::open:
        return opened(operation, entry.res);
      default:
        return entry.res;
    }
  }

  // It has failed: with what, or made_again.
  int32_t failure_of(Operation& operation, int32_t error) {
    // A timeout that elapsed has succeeded; ETIME is an error that not every system has.
    if (error == -ETIME && operation.opcode == Opcode::timeout) return 0;
    if (has_come_to_end(operation, error)) return nothing_received(operation);
    if (uring::is_interruption(error)) return interruption_of(operation);
    if (error == -ECANCELED) return cancellation_of(operation);
    if (error == -EAGAIN && operation.opcode == Opcode::open) return asked_later(operation);
    if (error == -ENOTCONN && operation.opcode == Opcode::shutdown) shut_.note(operation, error);
    // What the kernel linked to it, the kernel has cancelled already: then it stays refused.
    if (error == -EOPNOTSUPP && operation.linked_next == nullptr) {
      return made_plainly(operation, error);
    }
    return error;
  }

  // Of a receive on a datagram socket that was shut down: whether it has ended by that.
  bool has_come_to_end(const Operation& operation, int32_t error) const {
    if (!has_nothing_to_wait_for(operation)) return false;
    return error == -EAGAIN || (error == -ECANCELED && !asked_.of(operation));
  }

  // A worker's call was interrupted: because we asked for its end, or by what interrupts any call.
  int32_t interruption_of(Operation& operation) {
    // The number was given up before the file system was asked (close(2)): to close it again could
    // close what another thread has just opened.
    if (operation.opcode == Opcode::close) return 0;
    if (asked_.of(operation)) return -ECANCELED;
    if ((operation.uses & uses_stream) != 0) return -EAGAIN;  // the engine tries again
    if (operation.opcode == Opcode::connect) return -EINTR;   // it goes on by itself
    return may_repeat(operation) ? made_again : -EINTR;
  }

  // Somebody has a lease on the file, and nothing tells when that is given up: so it is opened once
  // more after a while. A worker that waited for it would be one less for the others.
  int32_t asked_later(Operation& operation) {
    if (asked_.of(operation)) return -ECANCELED;
    later_.push_back(&operation);
    return made_later;
  }

  void try_later_ones() {
    for (Operation* operation : std::exchange(later_, {})) again_.push_back(operation);
  }

  int32_t cancellation_of(Operation& operation) {
    const bool asked = asked_.of(operation);
    if (operation.opcode == Opcode::close) {
      // Else that was the file system's own word on what it has closed.
      if (!uring::Files::is_still_open(operation)) return -ECANCELED;
      operation.repeats = 1;  // what is known of its file is known
      return asked || uring::threads_are_given() ? made_again : perform(operation);
    }
    // The last one: nothing but the want of a worker makes the kernel cancel by itself.
    if (asked || operation.after_failure || operation.opcode == Opcode::timeout) return -ECANCELED;
    if (!uring::threads_are_given()) return made_without_worker(operation);
    return (operation.uses & uses_stream) == 0 && may_repeat(operation) ? made_again : -ECANCELED;
  }

  bool may_repeat(Operation& operation) {
    if (operation.linked_next != nullptr) return false;
    return ++operation.repeats < system::interruptions_most;
  }

  // As epoll makes it where there are no threads: here, or not at all when that could take
  // forever.
  int32_t made_without_worker(Operation& operation) {
    const bool waits = files_.is_served(operation.number);
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

  void look_again() {
    const auto end = [this](const Operation& operation) { return cancel(operation); };
    deadlines_.look_at_late(*operations_, end);
    resets_.look(*operations_, end);
    if (wants_look()) nudge_later();
  }

  bool wants_look() const { return deadlines_.any_late() || resets_.any() || !later_.empty(); }

  void take_step(Operation& operation, const io_uring_cqe& entry, Completions& completed) {
    if (uring::Steps::is_release(entry)) {
      uring::Steps::take_release(operation, entry);
    } else {
      operation.result = entry.res < 0 ? stream_failure_of(operation, entry.res) : entry.res;
      if (operation.has_deadline) operation.result = deadlines_.end(operation, operation.result);
      operation.result_known = true;
      uring::Steps::take_result(operation, entry);
    }
    steps_.tell(operation, completed);
    if (!operation.result_known) return;
    if (operation.linked_next != nullptr) note_link(operation, operation.result);
    if (operation.successor == nullptr) return;
    go_on(operation, operation.result);
    give_ended(completed);
  }

  io_uring ring_;
  bool registered_;  // its descriptor, with this thread
  uring::Steps steps_;
  BufferRings buffer_rings_;
  uring::Bundle bundle_{buffer_rings_};
  uring::BulkReceives bulk_;
  uring::Resets resets_;
  uring::RegisteredMemory memory_;
  Pieces pieces_;                       // of groups that the kernel knows nothing of
  std::vector<bool> by_hand_;           // which ones these are
  std::unique_ptr<ZcrxReceives> area_;  // null: there is none
  uint32_t setup_flags_;
  const uring::KernelTraits traits_;
  uint32_t features_;
  std::vector<__kernel_timespec> timespecs_;
  std::deque<Operation*> waiting_;  // checked, but the kernel had no room
  struct Ended {
    Operation* operation;
    int32_t result;
  };
  std::deque<Ended> ended_;           // without a completion of the kernel, and not told of yet
  std::vector<Operation*> released_;  // held back behind what has succeeded
  OperationTable* operations_ = nullptr;
  Descriptors* descriptors_ = nullptr;
  int event_descriptor_ = -1;
  uring::Asked asked_;
  uring::Deadlines deadlines_;
  uring::Files files_;
  uring::ShutReceives shut_;
  std::vector<Operation*> again_;  // to be made once more
  std::vector<Operation*> later_;  // the same, after a while
  bool alarm_rang_ = false;
  uint64_t system_calls_ = 0;
  Loss loss_;
  bool nudge_armed_ = false;
  bool nudged_ = false;
  uring::Rooms rooms_;
  uring::Threads threads_;
  bool room_told_ = false;
};

// Releases a ring that turned out to be of no use.
Opened give_up(RingSetUp& made, const char* call, int error) {
  io_uring_queue_exit(&made.ring);
  if (made.area != nullptr) made.area->ring_closed();
  return refuse_io_uring(call, error);
}

// For tests: nothing of what came after Linux 5.19, but for sends without a copy.
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
    // Which tells no error; the same call without room for an answer does.
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
