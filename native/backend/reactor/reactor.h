// The readiness backends, epoll and kqueue: everything but the kernel interface, which is the
// template parameter (poller.h).
//
// Every operation on a stream is tried first; only when it would have to wait is it parked in the
// line of its descriptor and direction, and tried again when the poller says that something has
// changed. What may wait for a disk goes to the pool. Chains, deadlines and multishot operations
// are kept here, since no kernel does that for us.
//
// Who owns an operation: the reactor, from submit() until it is in `done_`, where poll() takes it.
// Meanwhile it is in exactly one place (Operation::place), or waits for its predecessor in a chain.
// Its memory is touched only inside an attempt, or by the thread of the pool that has it: so what
// is ended while it is parked has moved no byte, and what a thread has begun is waited for.
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
#include "engine/timers.h"
#include "backend/why_not.h"
#include "backend/reactor/attempt.h"
#include "backend/reactor/done.h"
#include "backend/reactor/pieces.h"
#include "backend/reactor/poller.h"
#include "backend/reactor/pool.h"
#include "backend/reactor/rows.h"
#include "backend/reactor/waiting.h"
#include "backend/reactor/watches.h"

namespace io {

template <Poller P>
class Reactor final : public Backend {
  using Opcode = abi::Opcode;

 public:
  Reactor() : pool_(perform, [this] { poller_.wake_up(); }), ready_(events_at_once) {}

  // 0, or the errno of what could not be made; then failed_call() says what.
  int open() { return poller_.open(); }
  const char* failed_call() const { return poller_.failed_call(); }

  void serve(OperationTable& operations, Descriptors&) override { operations_ = &operations; }

  void submit(std::span<Operation* const> batch) override {
    // All links first: an operation that ends at once starts the next one of its chain.
    for (size_t index = 0; index < batch.size(); index++) {
      batch[index]->successor = batch[index]->linked ? batch[index + 1] : nullptr;
    }
    for (size_t index = 0; index < batch.size(); index++) {
      const bool follows = index > 0 && batch[index - 1]->linked;
      if (!follows) start(*batch[index]);
    }
    hand_to_pool();
  }

  // submit() has tried everything already. But the event loop may be asleep, and what was handed
  // over may be due before what it waits for.
  void flush() override {
    if (armed_) poller_.set_alarm(next_due_ns());
  }

  size_t ready() const override { return done_.size() + (pool_.has_finished() ? 1 : 0); }

  void poll(int64_t deadline_ns, Completions& completed) override {
    const int64_t end_ns = deadline_ns > 0 ? now_ns() + deadline_ns : deadline_ns;
    collect();
    // Completions that are there are given at once; the kernel is asked anyway now and then,
    // so that operations that never wait cannot shut the others out.
    if (done_.empty() || ++polls_without_look_ >= look_every) {
      do {
        look(done_.empty() && !nudged_ ? wait_until(end_ns) : 0);
        collect();
      } while (done_.empty() && !nudged_ && deadline_ns != 0 && !is_over(end_ns));
    }
    while (!done_.empty() && !completed.full()) {
      completed.push(done_.front());
      done_.pop_front();
    }
  }

  bool cancel(const Operation& target) override {
    end((*operations_)[target.slot], -ECANCELED);
    return true;
  }

  bool cancel_all() override {
    end_all();
    return true;
  }

  void nudge_later() override {
    if (nudge_due_ns_ == never) nudge_due_ns_ = now_ns() + nudge_ns;
  }

  bool nudged() override { return std::exchange(nudged_, false); }

  int wait_descriptor() override { return poller_.descriptor(); }
  void wait_elsewhere() override { poller_.wait_elsewhere(); }

  bool arm() override {
    if (ready() > 0 || !again_.empty()) return false;
    armed_ = true;
    poller_.set_alarm(next_due_ns());
    return true;
  }

  // The poller's descriptor is readable as long as wait() has something to say, so nothing is lost
  // by leaving it as it is.
  void disarm() override { armed_ = false; }
  bool wake() override {
    poller_.wake_up();
    return poller_.is_there();
  }
  Loss loss() const override { return poller_.loss(); }

  int32_t register_memory(uint8_t*, size_t) override { return not_registered; }
  void unregister_memory(int32_t) override { CHECK(!"nothing is registered"); }
  int add_group(uint32_t group, uint32_t, Lot) override {
    pieces_.add(group);
    return 0;
  }
  void give(uint32_t group, uint32_t piece, uint8_t* data, uint32_t size_bytes) override {
    pieces_.give(group, piece, data, size_bytes);
  }
  void remove_group(uint32_t group) override { pieces_.remove(group); }

  bool supports(Opcode opcode) const override {
    return opcode != Opcode::send_file || system::has_send_file;
  }
  uint64_t system_calls() const override { return poller_.system_calls() + calls_; }
  uint64_t overflows() const override { return 0; }

 private:
  static constexpr int64_t never = -1;
  static constexpr int64_t nudge_ns = 20'000'000;
  static constexpr size_t events_at_once = 256;
  static constexpr uint32_t look_every = 8;
  // Connections that a multishot accept takes ahead of the program; the backlog holds the rest.
  static constexpr size_t done_limit = 4096;
  // Receives of a multishot one in a row, before others have their turn.
  static constexpr size_t receives_in_row = 32;

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
    const int64_t duration_ns = ends_early(operation) ? operation.deadline_ns : operation.offset;
    timers_.add(operation, now_ns() + duration_ns);
  }

  void start_socket(Operation& operation) {
    const int family = static_cast<int>(operation.argument);
    calls_++;
    const int type = static_cast<int>(operation.argument_extra);
    const int number = system::open_socket(family, type);
    const bool drains = P::short_transfer_drains && family != AF_UNIX && type == SOCK_STREAM;
    if (number >= 0) know_socket(number, drains);
    finish(operation, number);
  }

  // A number that we made: what it is needs no asking.
  void know_socket(int number, bool drains) {
    if (number >= Descriptors::number_limit) return;  // the engine closes it
    Watch& watch = watches_.at(number);
    if (watch.watched) return;  // somebody has closed ours: the engine takes another number
    watch.kind = Kind::socket;
    watch.drains = drains;
  }

  // Not every kernel tells of what we did ourselves: a send that waits on a unix socket is not told
  // on Linux.
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
    const bool at_once = is_stream(watch.kind);
    if (watch.watched) poller_.forget(operation.number);
    watches_.forget(operation.number);
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
    const bool reads = direction_of(operation.opcode) == direction_in;
    if (reads && watch.kind == Kind::file && tries_cached_reads_) {
      calls_++;
      const int32_t result = attempt_cached_read(operation);
      if (result != -EAGAIN) return finish(operation, result);
    }
    leave_to_pool(operation);
  }

  void wait_for_row(Operation& operation, Watch& watch) {
    const int direction = direction_of(operation.opcode);
    operation.place = Place::parked;
    set_deadline(operation);
    watch.parked[direction].push(operation);
    next_row(watch, direction, [this](Operation& next) { leave_to_pool(next); });
  }

  void start_on_stream(Operation& operation) {
    Watch& watch = watches_.at(operation.number);
    if (!know_kind(operation, watch)) return;
    // What is no socket says so at once.
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
    watch.ends_unseen = watch.kind == Kind::pipe && !system::tells_end_of_pipe(operation.number);
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
    pool_.submit(for_pool_);
    for_pool_.clear();
  }

  void set_deadline(Operation& operation) {
    if (!operation.has_deadline || operation.timer_index != 0) return;
    timers_.add(operation, now_ns() + operation.deadline_ns);
  }

  // ---- streams

  void try_or_park(Operation& operation, Watch& watch) {
    const int direction = direction_of(operation.opcode);
    if (!would_wait(operation, watch, direction) && try_now(operation, watch, direction)) return;
    if (!watch.watched) {
      const int error = watch_it(operation.number, watch);
      if (error != 0) return finish(operation, error);
    }
    operation.place = Place::parked;
    watch.parked[direction].push(operation);
    set_deadline(operation);
    if (watch.ends_unseen) look_later(operation.number, watch);
  }

  int32_t try_once(Operation& operation, Watch& watch) {
    calls_++;
    const bool of_pipe = watch.kind == Kind::pipe && direction_of(operation.opcode) == direction_in;
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
      retry_later(operation);
      return true;
    }
    if (receiver_is_full(operation, result)) {
      if (operation.refusals < refusals_limit) operation.refusals++;
      if (operation.refusals == refusals_limit && !fits_receiver(operation)) {
        finish(operation, -ENOBUFS);
      } else if (operation.chain != 0) {
        retry_later(operation);
      } else {
        finish(operation, -EAGAIN);  // the engine tries again
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

  // It may wait for the disk, so a thread makes the call. Whether the socket has become writable
  // meanwhile is told by its bit, which an event sets while the thread is at it. finish() sets it
  // too: nobody knows then, and the next attempt will say.
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
    try_or_park(operation, watches_.at(operation.number));
  }

  void on_open_refused(Operation& operation) {
    if (operation.deadline_fired) return finish(operation, -ETIMEDOUT);
    if (operation.cancel_wanted) return finish(operation, -ECANCELED);
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

  // Fills pieces of lent memory as long as there is something to receive. When it has filled what
  // it was given there may be much, and then the next receive fills several pieces.
  bool receive_many(Operation& operation, Watch& watch) {
    bool much = false;
    const size_t end = std::min(done_.size() + receives_in_row, done_limit);
    while (done_.size() < end) {
      calls_++;
      const size_t told = done_.size();
      const auto [result, more, filled] = pieces_.receive(operation, much, done_);
      if (done_.size() > told) {
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

  // The program has to take what is there first.
  void go_on_later(int number, Watch& watch) {
    if (watch.queued_again) return;
    watch.queued_again = true;
    again_.push_back(watches_.token_of(number));
  }

  // A unix listener has no place in its backlog, or the receiver of a datagram none, or somebody
  // has a lease on a file, and nothing tells when that changes: so it is asked again after a while.
  void retry_later(Operation& operation) {
    operation.place = Place::retried;
    retried_.push(operation);
    set_deadline(operation);
    nudge_later();
  }

  void retry() {
    for (size_t count = retried_.size(); count > 0; count--) {
      Operation& operation = retried_.pop();
      operation.place = Place::nowhere;
      if (operation.opcode == Opcode::open) {
        leave_to_pool(operation);
        continue;
      }
      Watch& watch = watches_.at(operation.number);
      if (is_file(watch.kind))
        leave_to_pool(operation);
      else
        try_or_park(operation, watch);
    }
    look_again();
  }

  // Nothing tells that the other end of such a pipe is gone, so the pipe is asked as long as an
  // operation waits for it. Its bytes and its room are told.
  void look_later(int number, Watch& watch) {
    if (watch.looked_at) return;
    watch.looked_at = true;
    looks_.push_back(watches_.token_of(number));
    nudge_later();
  }

  void look_again() {
    for (const uint64_t token : std::exchange(looks_, {})) {
      Watch* watch = watches_.find(token);
      if (watch == nullptr) continue;
      watch->looked_at = false;
      run_both(*watch, true, true);
      const bool waits =
          !watch->parked[direction_in].empty() || !watch->parked[direction_out].empty();
      if (waits) look_later(Watches::number_of(token), *watch);
    }
  }

  // A call of the pool that a file never refuses so: a device has nothing now, and nobody tells
  // when it has.
  bool must_be_asked_again(const Operation& operation) {
    if (operation.result != -EAGAIN || operation.number == no_descriptor) return false;
    return watches_.at(operation.number).kind == Kind::unwatched;
  }

  void ask_again(Operation& operation) {
    if (operation.deadline_fired) return finish(operation, -ETIMEDOUT);
    retry_later(operation);
  }

  void on_ready(const Ready& event) {
    Watch* watch = watches_.find(event.token);
    if (watch == nullptr) return;
    // The peer's end is told once, perhaps together with its last bytes; and urgent data or passed
    // descriptors stop a receive early. From then on only EAGAIN says that there is nothing left.
    if (event.ended) watch->ended = true;
    run_both(*watch, event.readable, event.writable || event.ended);
  }

  // The reason of a failure is told once, and a connect is who has to have it.
  void run_both(Watch& watch, bool in, bool out) {
    const bool connects = is_connecting(watch);
    if (out && connects) run(watch, direction_out);
    if (in) run(watch, direction_in);
    if (out && !connects) run(watch, direction_out);
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
    // Taken out first: what it ends may start another one on the same descriptor.
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
      const bool goes_on = succeeded_in_full(*current, result);
      done_.push_back({current, result, false, false});
      if (next != nullptr && goes_on) return start(*next);
      result = -ECANCELED;
      current = next;
    }
  }

  // Ends an operation that has not ended and can be: 0, or why not, as io_uring says it.
  int32_t end(Operation& operation, int32_t result) {
    switch (operation.place) {
      case Place::nowhere:
        return -ENOENT;  // it has ended, or follows one that has not
      case Place::parked:
        watches_.at(operation.number).parked[direction_of(operation.opcode)].remove(operation);
        break;
      case Place::pooled:
        if (operation.opcode == Opcode::open) operation.cancel_wanted = true;
        if (!take_from_pool(operation)) return -EALREADY;
        break;
      case Place::asleep:
        break;
      case Place::retried:
        retried_.remove(operation);
        break;
    }
    finish(operation, result);
    hand_to_pool();
    return 0;
  }

  // What a close has closed nobody knows before it has ended, so it is not taken back.
  bool take_from_pool(Operation& operation) {
    if (operation.opcode == Opcode::close) return false;
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

  // Collected first and ended then: what ends may let its successor start, which is not meant.
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
    for (OperationQueue& line : watch.parked) {
      while (!line.empty()) ending_.push_back(&line.pop());
    }
  }

  int32_t end_all_on(int number) {
    hand_to_pool();
    collect_parked(watches_.at(number));
    pool_.withdraw_all(number, ending_);
    collect_retried(number);
    return end_collected();
  }

  int32_t end_all() {
    hand_to_pool();
    watches_.each([this](int, Watch& watch) { collect_parked(watch); });
    pool_.withdraw_all(no_descriptor, ending_);
    collect_retried(no_descriptor);
    operations_->each([](Operation& operation) {
      if (operation.place == Place::pooled && operation.opcode == Opcode::open) {
        operation.cancel_wanted = true;
      }
    });
    for (size_t index = 0; index < timers_.size(); index++) {
      Operation& operation = timers_.at(index);
      if (operation.place == Place::asleep) ending_.push_back(&operation);
    }
    return end_collected();
  }

  void collect_retried(int number) {
    for (size_t count = retried_.size(); count > 0; count--) {
      Operation& operation = retried_.pop();
      if (number == no_descriptor || operation.number == number)
        ending_.push_back(&operation);
      else
        retried_.push(operation);
    }
  }

  // ---- time, and what happened elsewhere

  int64_t next_due_ns() const {
    int64_t due_ns = nudge_due_ns_;
    if (!timers_.empty() && (due_ns == never || timers_.due_ns() < due_ns))
      due_ns = timers_.due_ns();
    return due_ns;
  }

  // How long the kernel may be asked to wait, so that nothing is late.
  int64_t wait_until(int64_t end_ns) {
    if (end_ns == 0 || !again_.empty()) return 0;
    int64_t due_ns = next_due_ns();
    if (end_ns > 0 && (due_ns == never || end_ns < due_ns)) due_ns = end_ns;
    return due_ns == never ? wait_for_ever : std::max<int64_t>(0, due_ns - now_ns());
  }

  static bool is_over(int64_t end_ns) { return end_ns > 0 && now_ns() >= end_ns; }

  void look(int64_t wait_ns) {
    polls_without_look_ = 0;
    const size_t count = poller_.wait(ready_, wait_ns);
    for (size_t index = 0; index < count; index++) on_ready(ready_[index]);
  }

  // What ended without the poller's word.
  void collect() {
    pool_.take(finished_);
    for (Operation* operation : finished_) {
      if (operation->opcode == Opcode::send_file)
        on_file_sent(*operation);
      else if (operation->opcode == Opcode::open && operation->result == -EAGAIN)
        on_open_refused(*operation);
      else if (must_be_asked_again(*operation))
        ask_again(*operation);
      else
        finish(*operation, operation->result);
    }
    finished_.clear();
    if (next_due_ns() != never) expire(now_ns());
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
    while (!timers_.empty() && timers_.due_ns() <= now) {
      Operation& operation = timers_.first();
      timers_.remove(operation);
      // A timeout that elapses has succeeded. What a thread has begun cannot be ended any more, and
      // its own result counts.
      if (operation.place == Place::asleep)
        finish(operation, ends_early(operation) ? -ETIMEDOUT : 0);
      else if (end(operation, -ETIMEDOUT) != 0)
        operation.deadline_fired = true;
    }
    if (nudge_due_ns_ == never || nudge_due_ns_ > now) return;
    nudge_due_ns_ = never;
    nudged_ = true;
    retry();
  }

  // Before the pool, whose threads call it to their end.
  P poller_;
  Pool pool_;
  const bool tries_cached_reads_ = wants_cached_reads();
  OperationTable* operations_ = nullptr;
  Watches watches_;
  Timers timers_;
  Pieces pieces_;
  OperationQueue retried_;
  std::vector<uint64_t> looks_;  // tokens of pipes that are asked now and then
  Done done_;
  std::vector<Ready> ready_;
  std::vector<Operation*> for_pool_;
  std::vector<Operation*> finished_;
  std::vector<Operation*> ending_;
  std::vector<uint64_t>
      again_;  // tokens of listeners with more connections than there was room for
  int64_t nudge_due_ns_ = never;
  bool nudged_ = false;
  bool armed_ = false;  // attached: the event loop waits for us
  uint32_t polls_without_look_ = 0;
  uint64_t calls_ = 0;
};

}  // namespace io
