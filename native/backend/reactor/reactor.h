// The readiness backends, epoll and kqueue: everything but the kernel interface, which is the
// template parameter (poller.h).
//
// Every operation on a stream is tried first. Only when it would have to wait is it parked in the
// queue of its descriptor and direction, and tried again when the poller reports a change.
// Operations that may wait for a disk go to the pool. Chains, deadlines and multishot operations
// are kept here, since no kernel interface does that for us.
//
// Who owns an operation: the reactor, from submit() until it is in `done_`, where poll() takes it.
// Meanwhile it is in exactly one place (Operation::place), or waits for its predecessor in a chain.
// Its memory is touched only inside an attempt, or by the thread of the pool that has it. So an
// operation that is ended while it is parked has moved no byte, and one that a thread has begun is
// waited for.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend.h"
#include "engine/buffers.h"
#include "support/check.h"
#include "support/clock.h"
#include "engine/descriptors.h"
#include "engine/operation_list.h"
#include "system/system.h"
#include "engine/deadline_heap.h"
#include "backend/unavailable.h"
#include "backend/calls.h"
#include "backend/full_peers.h"
#include "backend/reactor/completion_fifo.h"
#include "backend/reactor/buffer_pool.h"
#include "backend/reactor/poller.h"
#include "backend/reactor/pool.h"
#include "backend/reactor/position_order.h"
#include "backend/reactor/wait_rules.h"
#include "backend/reactor/descriptor_table.h"

namespace io {

template <Poller P>
class Reactor final : public Backend {
  using Opcode = abi::Opcode;

 public:
  Reactor()
      : Backend(facts_of()),
        pool_(perform, [this] { poller_.wake_up(); }),
        ready_(events_at_once) {}

  // 0, or the errno of what could not be made; then failed_call() says what.
  int open() { return poller_.open(); }
  const char* failed_call() const { return poller_.failed_call(); }

  void serve(OperationTable& operations, Descriptors& descriptors, Revisits& revisits) override {
    operations_ = &operations;
    descriptors_ = &descriptors;
    revisits_ = &revisits;
  }

  void submit(std::span<Operation* const> batch) override {
    // All links first: an operation that ends at once starts the next one of its chain.
    for (size_t index = 0; index < batch.size(); index++) {
      batch[index]->successor = batch[index]->is_linked() ? batch[index + 1] : nullptr;
    }
    for (size_t index = 0; index < batch.size(); index++) {
      const bool follows = index > 0 && batch[index - 1]->is_linked();
      if (!follows) start(*batch[index]);
    }
    hand_to_pool();
  }

  // submit() has tried every operation already. But the event loop may have slept meanwhile, and an
  // operation may be due before the event that it waits for.
  void flush() override {
    if (!armed_) return;
    poller_.set_alarm(next_alarm_ns());
    note_loss();
  }

  size_t ready() const override { return done_.size() + (pool_.has_finished() ? 1 : 0); }

  void poll(int64_t deadline_ns, Completions& completed) override {
    const int64_t end_ns = deadline_ns > 0 ? now_ns() + deadline_ns : deadline_ns;
    // The poller's descriptor is readable as long as wait() has something to say, so nothing is
    // lost by leaving it as it is.
    armed_ = false;
    collect();
    // Completions that are there are returned at once. The kernel is polled at intervals anyway, so
    // that operations that never wait cannot starve the others.
    if (done_.empty() || ++polls_without_look_ >= look_every) {
      do {
        look(done_.empty() ? wait_until(end_ns) : 0);
        collect();
      } while (done_.empty() && deadline_ns != 0 && !is_over(end_ns));
    }
    while (!done_.empty() && !completed.full()) {
      completed.push(done_.front());
      done_.pop_front();
    }
    if (!full_peers_.empty()) go_on_with_full_peers(completed);
    note_loss();
  }

  bool cancel(const Operation& target) override {
    end((*operations_)[target.slot], -ECANCELED);
    return true;
  }

  bool cancel_all() override {
    end_all();
    return true;
  }

  void revisit(Operation& operation, Revisit) override {
    if (operation.place == Place::retried) {
      try_again(operation);
    } else if (operation.place == Place::parked) {
      try_unseen(operation);
    }
    hand_to_pool();
  }

  int wait_descriptor() override { return poller_.descriptor(); }
  void wait_elsewhere() override { poller_.wait_elsewhere(); }

  bool arm() override {
    if (ready() > 0 || !again_.empty() || full_peers_.any_with_room()) return false;
    armed_ = true;
    poller_.set_alarm(next_alarm_ns());
    note_loss();
    return true;
  }

  bool wake() override {
    poller_.wake_up();
    note_loss();
    return poller_.is_there();
  }

  int32_t register_memory(uint8_t*, size_t) override { return not_registered; }
  void unregister_memory(int32_t) override { CHECK(!"nothing is registered"); }
  int add_group(uint32_t group, uint32_t, GroupContent) override {
    buffer_pool_.add(group);
    return 0;
  }
  void provide(uint32_t group, uint32_t buffer_id, uint8_t* data, uint32_t size_bytes) override {
    buffer_pool_.provide(group, buffer_id, data, size_bytes);
  }
  void remove_group(uint32_t group) override { buffer_pool_.remove(group); }

  BackendCounters counters() const override {
    return {.system_calls = poller_.system_calls() + calls_, .overflows = 0, .area = {}};
  }

 private:
  static constexpr int64_t never = Revisits::never;
  static constexpr int64_t no_alarm = -1;
  static constexpr size_t events_at_once = 256;
  static constexpr uint32_t look_every = 8;
  // Connections that a multishot accept takes ahead of the program; the backlog holds the rest.
  static constexpr size_t done_limit = 4096;
  // Receives of a multishot one in a row, before others have their turn.
  static constexpr size_t receives_in_row = 32;

  static Facts facts_of() {
    const auto has = [](Opcode opcode) {
      return opcode != Opcode::send_file || system::has_send_file;
    };
    constexpr uint32_t watches = system::watch_is_kqueue ? abi::feature_watch_kqueue : 0;
    return {lacking_of(has), system::write_features() | watches};
  }

  // The engine ends what the threads have not begun. Its slots may get other operations then, so
  // they must not stand in the lines of the pool any more.
  void note_loss() {
    if (loss_.error != 0 || poller_.loss().error == 0) return;
    loss_ = poller_.loss();
    for_pool_.clear();
    pool_.give_up();
  }

  // ---- starting

  void start(Operation& operation) {
    CHECK(operation.place == Place::nowhere);
    operation.start_anew();
    switch (kind_of(operation.opcode)) {
      case abi::OperationKind::bookkeeping: {
        const bool cancels = is(operation.opcode, trait::cancels);
        return finish(operation, cancels ? make_cancel(operation) : 0);
      }
      case abi::OperationKind::time:
        return start_timeout(operation);
      case abi::OperationKind::call:
        return operation.opcode == Opcode::socket ? start_socket(operation)
                                                  : start_shutdown(operation);
      case abi::OperationKind::stream:
        return start_on_stream(operation);
      case abi::OperationKind::file:
        return is(operation.opcode, trait::transfers) ? start_transfer(operation)
                                                      : leave_to_pool(operation);
      case abi::OperationKind::close:
        return start_close(operation);
    }
  }

  void start_timeout(Operation& operation) {
    operation.place = Place::asleep;
    timers_.add_timeout(operation, now_ns());
  }

  void start_socket(Operation& operation) {
    const int family = static_cast<int>(operation.argument);
    calls_++;
    const int type = static_cast<int>(operation.argument_extra);
    const int number = system::open_socket(family, type);
    const bool is_internet = family == AF_INET || family == AF_INET6;
    const bool drains = P::short_transfer_drains && is_internet && type == SOCK_STREAM;
    if (number >= 0) know_socket(number, drains);
    finish(operation, number);
  }

  // We created this descriptor, so its kind is known.
  void know_socket(int number, bool drains) {
    if (number >= Descriptors::number_limit) return;  // the engine closes it
    Watch& watch = watches_.at(number);
    if (watch.watched) return;  // other code has closed ours: the engine takes another number
    watch.kind = Kind::socket;
    watch.drains = drains;
  }

  // Not every kernel reports the effect of our own call: on Linux no event ends a send that waits
  // on a unix socket.
  void start_shutdown(Operation& operation) {
    Watch& watch = watches_.at(operation.number);
    calls_++;
    const int direction = static_cast<int>(operation.argument);
    const int32_t result = system::shut_down_socket(operation.number, direction);
    if (ends_datagrams(operation, result)) watch.receive_shut = true;
    finish(operation, result);
    if (watch.kind == Kind::socket) run_both(watch, true, true);
  }

  void start_close(Operation& operation) {
    Watch& watch = watches_.at(operation.number);
    // A watch takes as long as it has files.
    const bool at_once = is_stream(watch.kind) && watch.kind != Kind::watch;
    if (watch.watched) poller_.forget(operation.number);
    watches_.forget(operation.number);
    if (operation.opcode == Opcode::detach) return finish(operation, operation.number);
    if (!at_once) return leave_to_pool(operation);
    calls_++;
    finish(operation, perform(operation));
  }

  void start_transfer(Operation& operation) {
    Watch& watch = watches_.at(operation.number);
    if (!know_kind(operation, watch)) return;
    // Of a socket there is one place, and the kernel refuses any other; a pipe does not look at it.
    if (watch.kind == Kind::socket && operation.offset > 0) return finish(operation, -ESPIPE);
    if (is_stream(watch.kind)) return try_or_park(operation, watch);
    if (moves_position(operation, watch)) return wait_for_row(operation, watch);
    const bool reads = direction_of(operation) == direction_in;
    if (reads && watch.kind == Kind::file && tries_cached_reads_) {
      calls_++;
      const int32_t result = attempt_cached_read(operation);
      if (result != -EAGAIN) return finish(operation, result);
    }
    leave_to_pool(operation);
  }

  void wait_for_row(Operation& operation, Watch& watch) {
    const int direction = direction_of(operation);
    operation.place = Place::parked;
    set_deadline(operation);
    watch.parked[direction].push(operation);
    next_row(watch, direction, [this](Operation& next) { leave_to_pool(next); });
  }

  void start_on_stream(Operation& operation) {
    Watch& watch = watches_.at(operation.number);
    // Of any descriptor, also of one that other code shares: what it is, and whether it blocks, is
    // left as it is.
    if (abi::is_poll(operation.opcode)) return start_poll(operation, watch);
    if (!know_kind(operation, watch)) return;
    // A descriptor that is not a socket fails at once.
    if (watch.kind != Kind::socket) {
      const bool sends_file = operation.opcode == Opcode::send_file;
      return finish(operation, sends_file ? -ENOTSOCK : attempt(operation));
    }
    try_or_park(operation, watch);
  }

  // False when the operation has ended, because the descriptor could not be made ready for use.
  bool know_kind(Operation& operation, Watch& watch) {
    if (watch.kind != Kind::unknown) return true;
    calls_++;
    int error = classify(operation.number, watch.kind);
    if (error == 0 && watch.kind == Kind::unknown) error = know_device(operation.number, watch);
    watch.appends = is_file(watch.kind) && writes_to_end(operation.number);
    watch.ends_unseen = watch.kind == Kind::pipe && !system::reports_end_of_pipe(operation.number);
    if (error == 0) return true;
    finish(operation, error);
    return false;
  }

  // A device that the poller refuses is read and written as a file is.
  int know_device(int number, Watch& watch) {
    const int error = watch_it(number, watch);
    if (error == -EPERM) {
      watch.kind = Kind::unwatched;
      return 0;
    }
    if (error != 0) return error;
    watch.kind = Kind::device;
    return system::set_non_blocking(number);
  }

  int watch_it(int number, Watch& watch) {
    if (watch.watched) return 0;
    const int error = poller_.watch(number, watches_.token_of(number));
    if (error == 0) watch.watched = true;
    return error;
  }

  void leave_to_pool(Operation& operation) {
    calls_++;
    operation.place = Place::pooled;
    set_deadline(operation);
    for_pool_.push_back(&operation);
  }

  void hand_to_pool() {
    if (for_pool_.empty()) return;
    if (loss_.error == 0) pool_.submit(for_pool_);
    for_pool_.clear();
  }

  void set_deadline(Operation& operation) {
    if (!operation.has_deadline || operation.timer_index != 0) return;
    timers_.add(operation, operation.deadline_at(now_ns()));
  }

  // ---- streams

  void try_or_park(Operation& operation, Watch& watch) {
    const int direction = direction_of(operation);
    if (!would_wait(operation, watch, direction) && try_now(operation, watch, direction)) return;
    if (refuses_to_wait(operation)) return finish(operation, -EAGAIN);
    if (!watch.watched) {
      const int error = watch_it(operation.number, watch);
      if (error != 0) return finish(operation, error);
    }
    operation.place = Place::parked;
    watch.parked[direction].push(operation);
    set_deadline(operation);
    if (waits_unseen(operation, watch)) look_again_later(operation, watch);
  }

  // Whether no event may say that it has nothing to wait for: the other end of such a pipe is
  // closed, or the peer of a unix socket has shut down receiving, which Linux reports to no poll.
  bool waits_unseen(const Operation& operation, const Watch& watch) const {
    return watch.ends_unseen || may_stall(operation, *descriptors_);
  }

  // A pipe is asked at the same intervals, and a send is tried ever more seldom.
  void look_again_later(Operation& operation, const Watch& watch) {
    revisits_->add(operation, Revisit::retry, watch.ends_unseen ? 0 : operation.refusals);
    if (operation.refusals < UINT8_MAX) operation.refusals++;
  }

  int32_t try_once(Operation& operation, Watch& watch) {
    calls_++;
    if (watch.kind == Kind::watch) return attempt_on_watch(operation);
    const bool of_pipe = watch.kind == Kind::pipe && direction_of(operation) == direction_in;
    const int32_t result = of_pipe ? attempt_of_pipe(operation, watch) : attempt(operation);
    return meaning_of(operation, watch, result);
  }

  // False when the operation must wait for its descriptor.
  bool try_now(Operation& operation, Watch& watch, int direction) {
    if (operation.opcode == Opcode::accept_multishot) return accept_many(operation, watch);
    if (operation.opcode == Opcode::send_file) return send_file_elsewhere(operation, watch);
    if (is(operation.opcode, trait::buffer_select)) return receive_many(operation, watch);
    const int32_t result = try_once(operation, watch);
    if (result == -EAGAIN && operation.opcode == Opcode::connect && !operation.begun) {
      wait_for_peer(operation);
      return true;
    }
    if (receiver_is_full(operation, result)) {
      if (operation.refusals < refusals_limit) operation.refusals++;
      if (operation.refusals == refusals_limit && !fits_receiver(operation)) {
        finish(operation, -ENOBUFS);
      } else {
        wait_for_peer(operation);
      }
      return true;
    }
    if (result == -EAGAIN) {
      return must_wait(operation, watch, direction);
    }
    if (operation.opcode == Opcode::accept && result >= 0) know_socket(result, watch.drains);
    if (operation.opcode == Opcode::receive && watch.is_emptied_by_short() && result > 0) {
      watch.ready[direction] = static_cast<uint32_t>(result) == operation.length;
    }
    finish(operation, result);
    return true;
  }

  // It may wait for the disk, so a thread makes the call. An event sets the bit of the socket if it
  // becomes writable meanwhile. finish() sets the bit too: the state is unknown then, and the next
  // attempt finds out.
  bool send_file_elsewhere(Operation& operation, Watch& watch) {
    if (!watch.watched) {
      const int error = watch_it(operation.number, watch);
      if (error != 0) {
        finish(operation, error);
        return true;
      }
    }
    watch.ready[direction_out] = false;
    leave_to_pool(operation);
    return true;
  }

  void after_send_file(int number) {
    Watch& watch = watches_.at(number);
    watch.ready[direction_out] = true;
    if (!watch.parked[direction_out].empty()) go_on_later(number, watch);
  }

  // Sent, or the socket was full.
  void on_file_sent(Operation& operation) {
    operation.place = Place::nowhere;
    if (operation.result != -EAGAIN) return finish(operation, operation.result);
    if (operation.deadline_fired) return finish(operation, -ETIMEDOUT);
    if (operation.end_asked) return finish(operation, -ECANCELED);
    try_or_park(operation, watches_.at(operation.number));
  }

  void on_refused(Operation& operation) {
    if (operation.deadline_fired) return finish(operation, -ETIMEDOUT);
    if (operation.end_asked) return finish(operation, -ECANCELED);
    retry_later(operation);
  }

  bool accept_many(Operation& operation, Watch& watch) {
    while (done_.size() < done_limit) {
      const int32_t result = try_once(operation, watch);
      if (result == -EAGAIN) {
        return must_wait(operation, watch, direction_in);
      }
      if (result < 0) {
        finish(operation, result);
        return true;
      }
      know_socket(result, watch.drains);
      done_.push_back({&operation, result, true, false});
    }
    go_on_later(operation.number, watch);
    return false;
  }

  // Fills provided buffers as long as there is something to receive. When a receive has filled all
  // the memory that it had, more may be waiting, and the next receive fills several buffers.
  bool receive_many(Operation& operation, Watch& watch) {
    bool much = false;
    const size_t end = std::min(done_.size() + receives_in_row, done_limit);
    while (done_.size() < end) {
      calls_++;
      const size_t reported = done_.size();
      const auto [result, more, filled] = buffer_pool_.receive(operation, much, done_);
      if (done_.size() > reported) {
        if (!more) operation.place = Place::nowhere;
        if (!more) return true;
      } else if (result != -EAGAIN) {
        finish(operation, result);
        return true;
      }
      if (result == -EAGAIN && watch.receive_shut) {
        finish(operation, nothing_received(operation));
        return true;
      }
      if (result == -EAGAIN || (watch.is_emptied_by_short() && !filled)) {
        return must_wait(operation, watch, direction_in);
      }
      much = filled;
    }
    go_on_later(operation.number, watch);
    return false;
  }

  // The program has to take the earlier connections first.
  void go_on_later(int number, Watch& watch) {
    if (watch.queued_again) return;
    watch.queued_again = true;
    again_.push_back(watches_.token_of(number));
  }

  // Another process has a lease or a lock on a file, or a device has no data. No interface reports
  // when that changes, so the operation is retried after a while.
  void retry_later(Operation& operation) {
    operation.place = Place::retried;
    set_deadline(operation);
    revisits_->add(operation, Revisit::retry);
  }

  // A unix listener has no place in its backlog, or the receiver of a datagram has no space.
  void wait_for_peer(Operation& operation) {
    operation.place = Place::at_full_peer;
    set_deadline(operation);
    full_peers_.add(operation, now_ns());
  }

  void leave_retries(Operation& operation) {
    if (operation.place == Place::at_full_peer) full_peers_.remove(operation);
    operation.place = Place::nowhere;
  }

  void try_again(Operation& operation) {
    leave_retries(operation);
    if (waits_for_others(operation)) return leave_to_pool(operation);
    Watch& watch = watches_.at(operation.number);
    if (is_file(watch.kind))
      leave_to_pool(operation);
    else
      try_or_park(operation, watch);
  }

  void go_on_with_full_peers(const Completions& completed) {
    full_peers_.note_received(completed.items());
    full_peers_.go(now_ns(), [this](Operation& operation) {
      operation.place = Place::nowhere;
      try_or_park(operation, watches_.at(operation.number));
    });
  }

  // It is tried as long as it waits. Bytes and space are reported.
  void try_unseen(Operation& operation) {
    Watch& watch = watches_.at(operation.number);
    if (!waits_unseen(operation, watch)) return;
    look_again_later(operation, watch);
    const int direction = direction_of(operation);
    if (watch.parked[direction].first() == &operation) run(watch, direction);
  }

  // A result of the pool that no file gives: a device has no data now, and no event says when it
  // has.
  bool must_be_asked_again(const Operation& operation) {
    if (operation.result != -EAGAIN || !is(operation.opcode, trait::transfers)) return false;
    if (refuses_to_wait(operation)) return false;
    return watches_.at(operation.number).kind == Kind::unwatched;
  }

  void ask_again(Operation& operation) {
    if (operation.deadline_fired) return finish(operation, -ETIMEDOUT);
    if (operation.end_asked) return finish(operation, -ECANCELED);
    retry_later(operation);
  }

  void on_ready(const Ready& event) {
    Watch* watch = watches_.find(event.token);
    if (watch == nullptr) return;
    // The peer's end is reported once, perhaps together with its last bytes; and urgent data or
    // passed descriptors stop a receive early. From then on only EAGAIN says that nothing is left.
    if (event.ended) watch->ended = true;
    run_both(*watch, event.readable, event.writable || event.ended);
  }

  // The kernel reports the error once, and the connect is the operation that must get it.
  void run_both(Watch& watch, bool in, bool out) {
    run_polls(watch, in, out);
    const bool connects = is_connecting(watch);
    if (out && connects) run(watch, direction_out);
    if (in) run(watch, direction_in);
    if (out && !connects) run(watch, direction_out);
  }

  void start_poll(Operation& operation, Watch& watch) {
    // Watched first, so that no event is missed. What the poller refuses is always ready.
    const int error = watch_it(operation.number, watch);
    if (error != 0 && error != -EPERM) return finish(operation, error);
    if (!report_poll(operation)) return;
    operation.place = Place::parked;
    watch.polls.push(operation);
    set_deadline(operation);
  }

  // False when that was its end.
  bool report_poll(Operation& operation) {
    calls_++;
    const int32_t result = attempt(operation);
    if (result == -EAGAIN) return true;
    if (operation.opcode == Opcode::poll) {
      finish(operation, result);
      return false;
    }
    done_.push_back({&operation, result, true, false});
    return true;
  }

  // Before the operations that take what there is.
  void run_polls(Watch& watch, bool in, bool out) {
    if (watch.polls.empty()) return;
    std::vector<Operation*> polls;
    watch.polls.each([&](Operation& operation) {
      if (direction_of(operation) == direction_in ? in : out) polls.push_back(&operation);
    });
    for (Operation* operation : polls) {
      // Removed first, as in try_parked().
      watch.polls.remove(*operation);
      operation->place = Place::nowhere;
      if (!report_poll(*operation)) continue;
      operation->place = Place::parked;
      watch.polls.push(*operation);
    }
  }

  void run(Watch& watch, int direction) {
    watch.ready[direction] = true;
    OperationQueue& line = watch.parked[direction];
    while (!line.empty() && watch.ready[direction]) {
      Operation& operation = *line.first();
      if (!try_parked(operation, watch, direction, line)) return;
    }
  }

  // False when it has to go on waiting.
  bool try_parked(Operation& operation, Watch& watch, int direction, OperationQueue& line) {
    // Removed first: the end of this operation may start another one on the same descriptor.
    line.remove(operation);
    operation.place = Place::nowhere;
    if (try_now(operation, watch, direction)) return true;
    operation.place = Place::parked;
    line.push_first(operation);
    return false;
  }

  // ---- ending

  // The operation is over, whatever came of it; what follows it in its chain starts or ends with
  // it.
  void finish(Operation& operation, int32_t result) {
    Operation* current = &operation;
    while (current != nullptr) {
      if (current->timer_index != 0) timers_.remove(*current);
      if (current->opcode == Opcode::send_file) after_send_file(current->number);
      if (current->in_row) {
        leave_row(*current, watches_.at(current->number),
                  [this](Operation& following) { leave_to_pool(following); });
      }
      current->place = Place::nowhere;
      Operation* next = std::exchange(current->successor, nullptr);
      const bool goes_on = current == &operation && lets_next_start(*current, result);
      if (!full_peers_.empty()) full_peers_.went(*current, result);
      done_.push_back({current, result, false, false});
      if (next != nullptr && goes_on) return start(*next);
      result = -ECANCELED;
      current = next;
    }
  }

  OperationQueue& line_of(const Operation& operation) {
    Watch& watch = watches_.at(operation.number);
    return abi::is_poll(operation.opcode) ? watch.polls : watch.parked[direction_of(operation)];
  }

  // Ends an operation that has not ended and can be: 0, or why not, as io_uring says it.
  int32_t end(Operation& operation, int32_t result) {
    switch (operation.place) {
      case Place::nowhere:
        return -ENOENT;  // it has ended, or waits for its predecessor in a chain
      case Place::parked:
        line_of(operation).remove(operation);
        break;
      case Place::pooled:
        operation.end_asked = true;
        if (!take_from_pool(operation)) return -EALREADY;
        break;
      case Place::asleep:
        break;
      case Place::retried:
      case Place::at_full_peer:
        leave_retries(operation);
        break;
    }
    finish(operation, result);
    hand_to_pool();
    return 0;
  }

  // The effect of a close is unknown before it has ended, so it is not withdrawn.
  bool take_from_pool(Operation& operation) {
    if (operation.opcode == Opcode::close || loss_.error != 0) return false;
    return std::erase(for_pool_, &operation) > 0 || pool_.withdraw(operation);
  }

  int32_t make_cancel(const Operation& cancel) {
    hand_to_pool();
    if (cancel.opcode == Opcode::cancel_descriptor) return end_all_on(cancel.number);
    if (cancel.opcode == Opcode::cancel_all) return end_all();
    if (cancel.argument >= operations_->size()) return -ENOENT;
    Operation& target = (*operations_)[cancel.argument];
    const bool found = target.phase == Phase::active && target.generation == cancel.argument_extra;
    return found ? end(target, -ECANCELED) : -ENOENT;
  }

  // Collected first and ended then: the end of one may start its successor, which is not to be
  // cancelled.
  int32_t end_collected() {
    int32_t count = 0;
    for (Operation* operation : std::exchange(ending_, {})) {
      finish(*operation, -ECANCELED);
      count++;
    }
    hand_to_pool();
    return count;
  }

  void collect_parked(Watch& watch) {
    while (!watch.polls.empty()) ending_.push_back(&watch.polls.pop());
    for (OperationQueue& line : watch.parked) {
      while (!line.empty()) ending_.push_back(&line.pop());
    }
  }

  int32_t end_all_on(int number) {
    hand_to_pool();
    collect_parked(watches_.at(number));
    pool_.withdraw_all(number, ending_);
    descriptors_->at(number).operations.each([this](Operation& one) { collect_retried(one); });
    return end_collected();
  }

  int32_t end_all() {
    hand_to_pool();
    watches_.each([this](int, Watch& watch) { collect_parked(watch); });
    pool_.withdraw_all(no_descriptor, ending_);
    operations_->each([this](Operation& operation) { collect_retried(operation); });
    for (size_t index = 0; index < timers_.size(); index++) {
      Operation& operation = timers_.at(index);
      if (operation.place == Place::asleep) ending_.push_back(&operation);
    }
    return end_collected();
  }

  void collect_retried(Operation& operation) {
    if (operation.place == Place::pooled) operation.end_asked = true;
    if (operation.place != Place::retried && operation.place != Place::at_full_peer) return;
    leave_retries(operation);
    ending_.push_back(&operation);
  }

  // ---- time, and what happened elsewhere

  int64_t next_look_ns() const {
    return std::min(revisits_->due_ns(*operations_), full_peers_.due_ns());
  }

  int64_t next_due_ns() const {
    return timers_.empty() ? next_look_ns() : std::min(next_look_ns(), timers_.due_ns());
  }

  int64_t next_alarm_ns() const {
    const int64_t due_ns = next_due_ns();
    return due_ns == never ? no_alarm : due_ns;
  }

  // How long the kernel may be asked to wait, so that nothing is late.
  int64_t wait_until(int64_t end_ns) {
    if (end_ns == 0 || !again_.empty() || full_peers_.any_with_room()) return 0;
    int64_t due_ns = next_due_ns();
    if (end_ns > 0) due_ns = std::min(due_ns, end_ns);
    return due_ns == never ? wait_forever : std::max<int64_t>(0, due_ns - now_ns());
  }

  // Whether there is nothing more to wait for: what is due is looked at, here or by the engine.
  bool is_over(int64_t end_ns) const {
    const int64_t look_ns = next_look_ns();
    if (end_ns < 0 && look_ns == never) return false;
    const int64_t now = now_ns();
    return (end_ns > 0 && now >= end_ns) || now >= look_ns;
  }

  void look(int64_t wait_ns) {
    polls_without_look_ = 0;
    const size_t count = poller_.wait(ready_, wait_ns);
    for (size_t index = 0; index < count; index++) on_ready(ready_[index]);
  }

  // Operations that ended without an event of the poller.
  void collect() {
    pool_.take(finished_);
    for (Operation* operation : finished_) {
      if (operation->opcode == Opcode::send_file)
        on_file_sent(*operation);
      else if (operation->result == -EAGAIN && waits_for_others(*operation))
        on_refused(*operation);
      else if (must_be_asked_again(*operation))
        ask_again(*operation);
      else
        finish(*operation, operation->result);
    }
    finished_.clear();
    if (!timers_.empty()) expire(now_ns());
    for (const uint64_t token : std::exchange(again_, {})) {
      Watch* watch = watches_.find(token);
      if (watch == nullptr) continue;
      watch->queued_again = false;
      run(*watch, direction_in);
      run(*watch, direction_out);
    }
    hand_to_pool();
  }

  void expire(int64_t now) {
    timers_.take_due(now, [this](Operation& operation) {
      // A timeout that elapses has succeeded. A call that a thread has begun cannot be ended, and
      // its own result counts.
      if (operation.place == Place::asleep)
        finish(operation, ends_early(operation) ? -ETIMEDOUT : 0);
      else if (end(operation, -ETIMEDOUT) != 0)
        operation.deadline_fired = true;
    });
  }

  // Before the pool, whose threads call it to their end.
  P poller_;
  Pool pool_;
  const bool tries_cached_reads_ = wants_cached_reads();
  OperationTable* operations_ = nullptr;
  Descriptors* descriptors_ = nullptr;
  Revisits* revisits_ = nullptr;
  DescriptorTable watches_;
  Timers timers_;
  BufferPool buffer_pool_;
  FullPeers full_peers_;
  CompletionFifo done_;
  std::vector<Ready> ready_;
  std::vector<Operation*> for_pool_;
  std::vector<Operation*> finished_;
  std::vector<Operation*> ending_;
  std::vector<uint64_t>
      again_;           // tokens of listeners with more connections than there was room for
  bool armed_ = false;  // attached: the event loop waits for us
  uint32_t polls_without_look_ = 0;
  uint64_t calls_ = 0;
};

}  // namespace io
