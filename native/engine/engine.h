// One engine per IO: takes entries from the submission ring, checks them, hands them to the
// backend, and publishes completions. It decides all order and owns slots, descriptors and buffer
// handles.
//
// It runs on the thread that made it and on no other.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "abi/abi.h"
#include "engine/backend.h"
#include "engine/bound_files.h"
#include "engine/buffers.h"
#include "support/check.h"
#include "engine/decode.h"
#include "engine/descriptors.h"
#include "support/fifo.h"
#include "engine/groups.h"
#include "engine/operation.h"
#include "engine/operation_list.h"
#include "engine/operation_table.h"
#include "engine/send_costs.h"
#include "engine/timers.h"

namespace io {

// The memory that TypeScript and the engine share. V8 allocates it.
struct Shared {
  uint32_t* header;
  abi::Entry* entries;
  uint32_t entry_count;
  abi::CompletionEntry* completions;
  uint32_t completion_count;
  uint8_t* text;
  MemoryHold hold;  // of all of it, as long as the engine lives
};

class Engine {
 public:
  // `slots_most`: operations that may be in flight at once. There is room for a first few of them.
  Engine(std::unique_ptr<Backend> backend, const Shared& shared, uint32_t slots_most);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Hands the queued entries to the kernel. Publishes nothing.
  void submit();
  // submit(), then collects completions into the completion ring, `most` of them; returns how many.
  // Waits for the first one up to `deadline_ns`, -1 for as long as it takes.
  uint32_t poll(int64_t deadline_ns, uint32_t most = UINT32_MAX);
  // True when nothing is queued and nothing is in flight.
  // Whether something is queued or in flight for which an event loop has to stay alive.
  bool keeps_alive() const { return in_flight_ > unref_ || has_queued() || has_unpublished(); }

  // Whether what is in flight on a descriptor keeps an event loop alive. A negative errno when it
  // is none of ours.
  int set_ref(int32_t descriptor, bool keeps);

  bool idle() const { return in_flight_ == 0 && !has_queued() && !has_unpublished(); }
  // True when poll() would make progress without the kernel saying anything.
  bool has_news() const {
    return has_unpublished() || cancel_due_ || is_loss_seen_ || (is_lost_ && in_flight_ > 0);
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
  void disarm() { backend_->disarm(); }
  bool wake() { return backend_->wake(); }
  // Why no operation of this engine can be carried out any more.
  Loss loss() const { return is_lost_ ? backend_->loss() : Loss{}; }

  uint32_t add_buffer(uint8_t* data, size_t size_bytes, MemoryHold hold, bool register_it);
  bool release_buffer(uint32_t handle);
  // Memory that is lent: see groups.h.
  Groups& groups() { return groups_; }
  int32_t adopt(int number) { return descriptors_.add(number); }
  // The system's number of an open descriptor, or -EBADF.
  int number_of(int32_t descriptor);

  // Of one socket, what is counted for it: abi::socket_counters of them. 0 or -EBADF.
  int read_socket_counters(int32_t descriptor, double* out);
  // From how many bytes on "auto" spares the copy; 0 for the usual. 0 or -EBADF.
  int set_zero_copy_threshold(int32_t descriptor, uint32_t bytes);
  // The file that the bind of this socket has made is removed with it. 0 or a negative errno.
  int own_file(int32_t descriptor, std::string path);
  // When only the memory of zero-copy sends is still waited for: closes all descriptors, and resets
  // the connections whose peers have not acknowledged what was sent.
  void abort_unreleased();

  // Cancels everything and waits for every final completion, then closes the descriptors that are
  // left. False when something could not be ended in time: the engine must then be leaked, with its
  // memory, because the kernel may still write.
  bool shut_down();

  void count_wake_up() { count(abi::Counter::wake_ups)++; }
  void read_counters(double* out);
  const Backend& backend() const { return *backend_; }

 private:
  bool has_unpublished() const { return !batch_.empty() || !local_.empty() || !refused_.empty(); }

  struct Local {  // a completion that needed no kernel
    Operation* operation;
    int32_t result;
  };
  struct Refused {
    uint32_t sequence;
    int32_t result;
  };

  uint64_t& count(abi::Counter counter) { return counters_[static_cast<size_t>(counter)]; }
  DecodeContext context() { return {buffers_, descriptors_, groups_, shared_.text, unref_}; }

  void take_queued();
  int begin(const abi::Entry& entry);
  int begin_linked(const abi::Entry& entry);
  void fetch(const abi::Entry& entry);
  uint32_t take_at(uint32_t index, uint32_t queued);
  void take_one(const abi::Entry& entry);
  void take_group(std::vector<abi::Entry>& group);
  void route(Operation& operation);
  bool carry_out(Operation& operation);
  void begin_close(Operation& operation);
  void know_datagrams(int number, uint32_t family);
  void take_turn(Operation& operation);
  void hand_over(Operation& operation);
  void next_turn(const Operation& operation);
  // Sends that go together: engine_gather.cc.
  static bool is_gathered(const Operation& operation);
  void gather(Operation& lead);
  bool goes_together(Operation& operation, int32_t result);
  bool end_gather(Operation& lead, int32_t& result);
  bool may_join(Descriptor& descriptor, const Operation& next, size_t size_bytes);
  std::unique_ptr<GatheredSend> begin_gathered(Operation& lead);
  void part(Operation& lead);
  void pass_on(Operation& lead, uint32_t own, uint32_t left);
  void leaves(Operation& member);
  static void advance(Operation& operation, uint32_t size_bytes);
  // What is told of one of which some may have gone.
  static int32_t result_with(const Operation& operation, int32_t result) {
    return operation.went_bytes > 0 ? static_cast<int32_t>(operation.went_bytes) : result;
  }
  void leave_company(Operation& operation, int32_t result);
  bool cancel_in_backend(Operation& operation);
  void note_cancel(Operation& operation);
  void limit_send_wait(Descriptor& descriptor, int number);
  void be_patient(Operation& operation);
  void park(Operation& operation, bool first);
  void unpark(Operation& operation);
  void unpark_from(OperationQueue& line, Operation& operation);
  void begin_chained(Operation& operation, const Operation& next);
  void leave_chain(Operation& operation);
  Operation& next_in_chain(const Operation& operation) { return operations_[operation.chain - 1]; }
  void stall(Operation& operation);
  bool wait_for_room(Operation& operation);
  void go_on_in_room();
  bool may_go_on(const Operation& operation);
  void retry_stalled(size_t most);
  void resume(Operation& operation);
  void cancel_parked(Operation& operation, int32_t result);
  uint32_t cancel_parked_of(int number);
  uint32_t cancel_all_parked();
  bool cancel_here(Operation& operation);
  void after_cancel(const Operation& cancel, int32_t result);
  void end_late_parked();
  void lose_backend();
  void end_lost();
  void end_batch_without_backend();
  void on_nudge();
  void flush_batch();
  void take(const Completed& completed);
  void finish(const Completed& completed);
  void publish_local(size_t limit, size_t reserved);
  size_t most_to_collect() const;
  void leave_descriptor(Operation& operation);
  // Sends without a copy: engine_zero_copy.cc.
  static ZeroCopy& zero_copy_of(Descriptor& descriptor);
  ZeroCopy* zero_copy_of_sender(const Operation& operation);
  bool can_spare_copy(const Operation& operation) const;
  uint32_t cost_class(Descriptor& descriptor, const Operation& operation);
  bool wants_no_copy(Descriptor& descriptor, const Operation& operation, uint32_t cost_class);
  void note_way(Descriptor& descriptor, Operation& operation, uint32_t cost_class);
  void leave_trial(Operation& operation);
  void measure_batch();
  bool would_spare_copy(Descriptor& descriptor, const Operation& operation);
  void choose_way(Operation& operation);
  bool goes_plainly(Operation& operation, int32_t result);
  void mark_sent(Operation& operation);
  void mark_released(Operation& operation, const Completed& completed);
  void limit_release(int number);
  void count_chunk(const Operation& operation, int32_t size_bytes);
  void await_release();
  int32_t settle(Operation& operation, int32_t result);
  int32_t take_descriptor(int32_t number);
  int32_t take_socket(const Operation& operation, int32_t number);
  void go_on_closing(int number);
  void end_work_on(int number);
  bool end_in_backend(Operation& operation);
  bool is_closing(int number) { return number >= 0 && descriptors_.at(number).closing; }
  void end_again(int number);
  void ask_again();
  void publish(uint32_t slot, uint32_t generation, int32_t result, uint32_t flags) {
    CHECK(published_ < shared_.completion_count);
    shared_.completions[published_++] = {slot, generation, result, flags};
  }

  std::unique_ptr<Backend> backend_;
  Shared shared_;
  Buffers buffers_;
  Descriptors descriptors_;
  BoundFiles bound_files_;
  Groups groups_;
  OperationTable operations_;
  std::unique_ptr<SendCosts> send_costs_;  // made for the first send on "auto"
  std::vector<Operation*> batch_;
  std::vector<abi::Entry> group_;
  Fifo<Local> local_;
  std::vector<Refused> refused_;
  Completions completions_;
  uint32_t sequence_ = 0;    // of the next entry; TypeScript counts the same
  const uint32_t features_;  // of the backend: abi::feature_*
  uint32_t in_flight_ = 0;
  uint32_t unref_ = 0;       // of them, those that keep no event loop alive
  uint32_t unreleased_ = 0;  // of them, in the phase `sent`
  uint32_t parked_ = 0;      // of those in flight, the ones in that phase
  std::vector<std::unique_ptr<GatheredSend>> spare_gathered_;
  uint32_t led_ = 0;  // and those that go in the call of another one
  Timers parked_deadlines_;
  struct Token {
    uint32_t slot;
    uint32_t generation;
  };
  // What has stalled and waits for room that nothing tells of; some of it may have ended since.
  std::deque<Token> stalled_;
  std::vector<Token> missed_;  // what a cancel did not find although it is in flight
  std::vector<int> closing_;   // descriptors whose close waits for what is in flight on them
  std::vector<int> end_due_;   // of them, those that are asked for at once
  bool missed_due_ = false;
  bool cancel_due_ = false;
  bool is_loss_seen_ = false;  // by submit(): the next poll() ends what is in flight
  bool is_lost_ = false;       // the backend: engine_lost.cc
  std::vector<Token> left_;    // what it had then, and has not been ended yet
  uint32_t published_ = 0;
  uint32_t publish_limit_ = 0;  // of the poll() that is running
  uint64_t counters_[abi::counter_count] = {};
  size_t registered_bytes_ = 0;
};

}  // namespace io
