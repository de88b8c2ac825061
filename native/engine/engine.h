// One engine per IO: takes entries from the submission ring, checks them, hands them to the
// backend, and publishes completions. It decides all order and owns slots, descriptors and buffer
// handles.
//
// It runs on the thread that made it and on no other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "abi/abi.h"
#include "engine/backend.h"
#include "engine/bound_files.h"
#include "engine/buffers.h"
#include "support/check.h"
#include "engine/decode.h"
#include "engine/notifiers.h"
#include "engine/descriptors.h"
#include "support/fifo.h"
#include "engine/buffer_groups.h"
#include "engine/operation.h"
#include "engine/operation_list.h"
#include "engine/operation_table.h"
#include "engine/revisits.h"
#include "engine/send_costs.h"
#include "engine/shutdown.h"

namespace io {

// The memory that TypeScript and the engine share. V8 allocates it.
struct Shared {
  uint32_t* header;
  abi::Entry* entries;
  uint32_t entry_count;
  abi::CompletionEntry* completions;
  uint32_t completion_count;
  uint8_t* text;
  BackingStore backing_store;  // of all of it, as long as the engine lives
};

class Engine {
 public:
  // `max_slots`: operations that may be in flight at once. There is room for a first few of them.
  Engine(std::unique_ptr<Backend> backend, const Shared& shared, uint32_t max_slots);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Hands the queued entries to the kernel. Publishes nothing.
  void submit();
  // submit(), then collects completions into the completion ring, at most `max`; returns how many.
  // Waits for the first one up to `deadline_ns`, -1 for as long as it takes.
  uint32_t poll(int64_t deadline_ns, uint32_t max = UINT32_MAX);
  // Whether something is queued or in flight for which an event loop has to stay alive.
  bool keeps_alive() const { return in_flight_ > unref_ || has_queued() || has_unpublished(); }
  // Whether it is being ended, and something is in flight: an event loop stays alive for that.
  bool is_ending() const { return shutdown_.has_begun() && in_flight_ > 0; }

  // Whether operations in flight on a descriptor keep an event loop alive. A negative errno when it
  // is none of ours.
  int set_ref(int32_t descriptor, bool keeps);

  // True when nothing is queued and nothing is in flight.
  bool idle() const { return in_flight_ == 0 && !has_queued() && !has_unpublished(); }
  // True when poll() would make progress without the kernel saying anything.
  bool has_news() const {
    return has_unpublished() || revisits_.has_now() || is_loss_seen_ ||
           (is_lost_ && in_flight_ > 0);
  }
  size_t ready() const { return backend_->ready(); }
  bool has_queued() const {
    return shared_.header[abi::header_queued] != 0 || shared_.header[abi::header_returned] != 0;
  }

  // Makes room for more operations in flight; false when there may be no more of them.
  bool grow() { return operations_.grow(); }
  uint32_t slots() const { return operations_.size(); }

  // Attached mode: see Backend.
  int wait_descriptor() { return backend_->wait_descriptor(); }
  void wait_elsewhere() { backend_->wait_elsewhere(); }
  bool arm();
  bool wake() { return backend_->wake(); }
  // Why no operation of this engine can be carried out any more.
  Loss loss() const { return is_lost_ ? backend_->loss() : Loss{}; }

  uint32_t add_buffer(uint8_t* data, size_t size_bytes, BackingStore backing_store,
                      bool register_it);
  bool release_buffer(uint32_t handle);
  // Provided buffers: see buffer_groups.h.
  BufferGroups& groups() { return groups_; }
  int32_t adopt(int number) { return descriptors_.add(number); }
  // Takes over a new number, which may be a negative errno. Gives the descriptor, or a negative
  // errno, and then the number is closed.
  int32_t take_descriptor(int32_t number);
  // Takes over a number that other code has opened and gives up; a negative errno when it stays
  // that code's: -EEXIST when it is one of ours.
  int32_t adopt_number(int number);
  // Two new numbers, as descriptors; 0, or a negative errno, and both are closed.
  int open_pair(const int (&ends)[2], int32_t (&descriptors)[2]);
  // A descriptor that is readable when that process has ended; or a negative errno.
  int32_t open_process(int64_t process);
  // A descriptor for a duplicate of a number that other code owns, or a negative errno.
  int32_t borrow(int number);
  Notifiers& notifiers() { return notifiers_; }
  // A notifier, whose id is set, and its descriptor; or a negative errno.
  int32_t open_notifier(int64_t& id);
  // The system's number of an open descriptor, or -EBADF.
  int number_of(int32_t descriptor);

  // The counters of one socket: abi::socket_counters of them. 0 or -EBADF.
  int read_socket_counters(int32_t descriptor, double* out);
  // From how many bytes on "auto" spares the copy; 0 for the usual, and -1 to change nothing.
  // Returns what it is then, or -EBADF.
  double zero_copy_threshold(int32_t descriptor, double bytes);
  // The file that the bind of this socket has made is removed with it. 0 or a negative errno.
  int own_file(int32_t descriptor, std::string path);
  // From now on each poll() cancels the operations in flight, until there are none: shutdown.h.
  void end_all();

  // The same, and waits for every final completion, then closes the descriptors that are left.
  // False when something could not be ended in time: the engine must then be leaked, with its
  // memory, because the kernel may still write.
  bool shut_down();

  void count_wake_up() { count(abi::Counter::wake_ups)++; }
  void read_counters(double* out);
  const Backend& backend() const { return *backend_; }

 private:
  bool has_unpublished() const {
    return !batch_.empty() || !local_.empty() || !refused_.empty() || !due_.empty();
  }

  struct Local {  // a completion that needed no kernel
    Operation* operation;
    int32_t result;
  };
  struct Refused {
    uint32_t sequence;
    int32_t result;
  };

  uint64_t& count(abi::Counter counter) { return counters_[static_cast<size_t>(counter)]; }

  uint32_t poll_once(int64_t deadline_ns, uint32_t max);
  void take_queued();
  int begin(const abi::Entry& entry);
  void fetch(const abi::Entry& entry);
  uint32_t take_at(uint32_t index, uint32_t queued);
  void take_one(const abi::Entry& entry);
  // Chains: chains.cc.
  void take_group(const std::vector<abi::Entry>& group);
  int mark_links(const std::vector<abi::Entry>& group, size_t& refused);
  void refuse_group(const std::vector<abi::Entry>& group, uint32_t sequence, size_t begun,
                    size_t refused, int error);
  void hold(Operation& operation);
  int release_held(Operation& operation);
  void start_due();
  void start_held(Operation& first);
  void end_held(Operation& first);
  void start_apart(Operation& operation);
  int32_t give_to_chain(Operation& yielder, int32_t descriptor);
  void route(Operation& operation);
  bool carry_out(Operation& operation);
  void begin_close(Operation& operation);
  void know_datagrams(int number, uint32_t family);
  void take_turn(Operation& operation);
  void hand_over(Operation& operation);
  void next_turn(const Operation& operation);
  // Sends that go together: send_coalescing.cc.
  static bool can_coalesce(const Operation& operation);
  void coalesce(Operation& head);
  bool goes_together(Operation& operation, int32_t result);
  bool end_send_batch(Operation& head, int32_t& result);
  bool joins(Descriptor& descriptor, Operation& next, size_t size_bytes);
  std::unique_ptr<SendBatch> begin_send_batch(Operation& head);
  void split_batch(Operation& head);
  void advance_batch(Operation& head, uint32_t own, uint32_t left);
  void leave_batch(Operation& member);
  static void advance(Operation& operation, uint32_t size_bytes);
  // The result of a send that may have been partly sent.
  static int32_t result_with(const Operation& operation, int32_t result) {
    return operation.went_bytes > 0 ? static_cast<int32_t>(operation.went_bytes) : result;
  }
  void complete_batched(Operation& operation, int32_t result);
  bool cancel_in_backend(Operation& operation);
  void note_cancel(Operation& operation);
  void park(Operation& operation, bool first);
  void unpark(Operation& operation);
  void unpark_from(OperationQueue& line, Operation& operation);
  void leave_chain(Operation& operation, int32_t result);
  Operation& next_in_chain(const Operation& operation) { return operations_[operation.chain - 1]; }
  bool may_go_on(const Operation& operation);
  void resume(Operation& operation);
  void cancel_parked(Operation& operation, int32_t result);
  uint32_t cancel_parked_of(int number);
  uint32_t cancel_all_parked();
  bool cancel_here(Operation& operation);
  void after_cancel(const Operation& cancel, int32_t result);
  void end_late_parked(int64_t now);
  void lose_backend();
  void end_lost();
  void end_batch_without_backend();
  void visit_due();
  void visit(Operation& operation, Revisit why);
  void flush_batch();
  void take(const Completed& completed);
  void finish(const Completed& completed);
  void publish_local(size_t limit, size_t reserved);
  size_t max_to_collect() const;
  void leave_descriptor(Operation& operation, int32_t result);
  // Sends without a copy: zero_copy_sends.cc.
  static ZeroCopy& zero_copy_of(Descriptor& descriptor);
  ZeroCopy* zero_copy_of_sender(const Operation& operation);
  bool can_spare_copy(const Operation& operation) const;
  uint32_t cost_class(const ZeroCopy& state, const Descriptor& descriptor,
                      const Operation& operation);
  bool wants_no_copy(const ZeroCopy& state, const Operation& operation, uint32_t cost_class) const;
  void leave_trial(Operation& operation);
  void measure_batch();
  bool choose_way(Descriptor& descriptor, Operation& operation, bool joins);
  bool goes_plainly(Operation& operation, int32_t result);
  void mark_sent(Operation& operation, int32_t result);
  void mark_released(Operation& operation, const Completed& completed);
  void limit_release(int number);
  void count_chunk(const Operation& operation, int32_t size_bytes);
  void reset_unreleased();
  void go_on_ending(bool has_ended);
  int32_t settle(Operation& operation, int32_t result);
  enum class Sharing { none, with_owner, with_sender };
  int32_t take_number(int number, Sharing sharing);
  void take_control(Extra& extra);
  int32_t take_socket(const Operation& operation, int32_t number);
  void go_on_closing(int number);
  void end_work_on(int number);
  bool end_in_backend(Operation& operation);
  bool is_closing(int number) { return number >= 0 && descriptors_.at(number).closing; }
  void end_again(int number);
  void publish(uint32_t slot, uint32_t generation, int32_t result, uint32_t flags) {
    CHECK(published_ < shared_.completion_count);
    shared_.completions[published_++] = {slot, generation, result, flags};
  }

  std::unique_ptr<Backend> backend_;
  Shared shared_;
  Buffers buffers_;
  Descriptors descriptors_;
  BoundFiles bound_files_;
  Notifiers notifiers_;
  BufferGroups groups_;
  OperationTable operations_;
  std::unique_ptr<SendCosts> send_costs_;  // made for the first send on "auto"
  std::vector<Operation*> batch_;
  std::vector<abi::Entry> group_;
  Fifo<Local> local_;
  Fifo<Operation*> due_;  // held ones of chains, whose turn has come
  std::vector<Refused> refused_;
  Completions completions_;
  uint32_t sequence_ = 0;    // of the next entry; TypeScript counts the same
  const uint32_t features_;  // of the backend: abi::feature_*
  const bool has_send_file_;
  uint32_t in_flight_ = 0;
  uint32_t unref_ = 0;       // operations among them that keep no event loop alive
  uint32_t unreleased_ = 0;  // of them, in the phase `sent`
  uint32_t parked_ = 0;      // of those in flight, the ones in that phase
  std::vector<std::unique_ptr<SendBatch>> spare_send_batches_;
  uint32_t batched_ = 0;  // operations among them that go in the call of a batch head
  Revisits revisits_;
  Shutdown shutdown_;
  struct Token {
    uint32_t slot;
    uint32_t generation;
  };
  bool is_loss_seen_ = false;  // by submit(): the next poll() ends the operations in flight
  bool is_lost_ = false;       // the backend: backend_loss.cc
  std::vector<Token> left_;    // operations that it had then, and that have not been ended yet
  uint32_t published_ = 0;
  uint32_t publish_limit_ = 0;  // of the poll() that is running
  uint64_t counters_[abi::counter_count] = {};
  size_t registered_bytes_ = 0;
  DecodeContext context_{buffers_, descriptors_, groups_, shared_.text, unref_};
};

}  // namespace io
