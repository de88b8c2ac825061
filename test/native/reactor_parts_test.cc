// The parts of the reactor on their own: the pool of threads, the timers, the list of operations.
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <vector>

#include "backend/calls.h"
#include "backend/reactor/completion_fifo.h"
#include "backend/reactor/pool.h"
#include "engine/operation_list.h"
#include "testing.h"
#include "engine/deadline_heap.h"

namespace native_tests {

using io::Operation;
using io::OperationQueue;
using io::Place;
using io::Pool;
using io::Timers;
using io::abi::Opcode;

namespace {

// A gate holds the calls of the pool's threads until the test opens it.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int tickets = 0;  // how many may pass although it is closed
  int inside = 0;
  int inside_slow = 0;
  int max_inside = 0;
  int max_inside_slow = 0;
  int reported = 0;

  void pass(bool slow) {
    std::unique_lock lock(mutex);
    inside++;
    inside_slow += slow ? 1 : 0;
    max_inside = std::max(max_inside, inside);
    max_inside_slow = std::max(max_inside_slow, inside_slow);
    changed.notify_all();
    changed.wait(lock, [this] { return open || tickets > 0; });
    if (!open) tickets--;
    inside--;
    inside_slow -= slow ? 1 : 0;
  }
  void wait_for_inside(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return inside == count; });
  }
  void let_one_pass() {
    const std::lock_guard lock(mutex);
    tickets++;
    changed.notify_all();
  }
  void wait_until_notified() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return reported > 0; });
    reported = 0;
  }
  void notify() {
    const std::lock_guard lock(mutex);
    reported++;
    changed.notify_all();
  }
  void unlock() {
    const std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
};

Gate* gate = nullptr;

int32_t pass_gate(Operation& operation) {
  gate->pass(operation.opcode == Opcode::sync);
  return static_cast<int32_t>(operation.slot);
}

int32_t give_slot(Operation& operation) {
  return static_cast<int32_t>(operation.slot);
}

std::vector<Operation> make_operations(size_t count, Opcode opcode) {
  std::vector<Operation> operations(count);
  for (size_t index = 0; index < count; index++) {
    operations[index].slot = static_cast<uint32_t>(index);
    operations[index].opcode = opcode;
    operations[index].number = static_cast<int>(index % 3);
    operations[index].place = Place::pooled;
  }
  return operations;
}

std::vector<Operation*> pointers(std::vector<Operation>& operations) {
  std::vector<Operation*> batch;
  for (Operation& operation : operations) batch.push_back(&operation);
  return batch;
}

void take_all(Pool& pool, size_t count, std::vector<Operation*>& finished) {
  while (finished.size() < count) {
    pool.take(finished);
    if (finished.size() < count) gate->wait_until_notified();
  }
}

}  // namespace

NATIVE_TEST(reactor_pool_does_everything_once) {
  Gate own;
  gate = &own;
  std::vector<Operation> operations = make_operations(5000, Opcode::read);
  std::vector<Operation*> finished;
  {
    Pool pool(give_slot, [] { gate->notify(); });
    std::vector<Operation*> all = pointers(operations);
    for (size_t from = 0; from < all.size(); from += 100) {
      pool.submit({all.begin() + static_cast<ptrdiff_t>(from),
                   all.begin() + static_cast<ptrdiff_t>(from + 100)});
    }
    take_all(pool, all.size(), finished);
    REQUIRE(!pool.has_finished());
  }
  REQUIRE_EQUAL(finished.size(), operations.size());
  std::sort(finished.begin(), finished.end());
  REQUIRE(std::adjacent_find(finished.begin(), finished.end()) == finished.end());
  for (const Operation& operation : operations) {
    REQUIRE_EQUAL(operation.result, static_cast<int32_t>(operation.slot));
  }
}

NATIVE_TEST(reactor_pool_keeps_half_for_quick_calls) {
  Gate own;
  gate = &own;
  std::vector<Operation> syncs = make_operations(20, Opcode::sync);
  std::vector<Operation> reads = make_operations(20, Opcode::read);
  std::vector<Operation*> finished;
  Pool pool(pass_gate, [] { gate->notify(); });
  pool.submit(pointers(syncs));
  own.wait_for_inside(Pool::slow_limit);
  // All threads that slow calls may have are taken, and reads are begun anyway.
  pool.submit(pointers(reads));
  own.wait_for_inside(Pool::thread_limit);
  own.unlock();
  take_all(pool, syncs.size() + reads.size(), finished);
  REQUIRE_EQUAL(own.max_inside_slow, static_cast<int>(Pool::slow_limit));
  REQUIRE_EQUAL(own.max_inside, static_cast<int>(Pool::thread_limit));
}

// A crowd of reads that never ends would otherwise keep it from ever being made.
NATIVE_TEST(reactor_pool_makes_a_sync_among_many_reads) {
  Gate own;
  gate = &own;
  std::vector<Operation> first = make_operations(Pool::thread_limit, Opcode::read);
  std::vector<Operation> reads = make_operations(500, Opcode::read);
  std::vector<Operation> syncs = make_operations(1, Opcode::sync);
  std::vector<Operation*> finished;
  Pool pool(pass_gate, [] { gate->notify(); });
  pool.submit(pointers(first));
  own.wait_for_inside(static_cast<int>(Pool::thread_limit));
  pool.submit(pointers(reads));
  pool.submit(pointers(syncs));
  own.let_one_pass();
  take_all(pool, 1, finished);
  own.wait_for_inside(static_cast<int>(Pool::thread_limit));
  // The thread that became free has taken it, although the reads were there first.
  REQUIRE_EQUAL(own.max_inside_slow, 1);
  own.unlock();
  take_all(pool, first.size() + reads.size() + 1, finished);
}

NATIVE_TEST(reactor_pool_gives_back_what_no_thread_has_begun) {
  Gate own;
  gate = &own;
  std::vector<Operation> operations = make_operations(60, Opcode::sync);
  std::vector<Operation*> finished;
  std::vector<Operation*> withdrawn;
  Pool pool(pass_gate, [] { gate->notify(); });
  pool.submit(pointers(operations));
  own.wait_for_inside(Pool::slow_limit);
  // Slow ones are taken one at a time, in order.
  for (size_t index = 0; index < Pool::slow_limit; index++) {
    REQUIRE(!pool.withdraw(operations[index]));
  }
  REQUIRE(pool.withdraw(operations[50]));
  pool.withdraw_all(0, withdrawn);
  for (const Operation* operation : withdrawn) REQUIRE_EQUAL(operation->number, 0);
  pool.withdraw_all(io::no_descriptor, withdrawn);
  REQUIRE_EQUAL(withdrawn.size(), operations.size() - Pool::slow_limit - 1);
  own.unlock();
  take_all(pool, Pool::slow_limit, finished);
  REQUIRE_EQUAL(finished.size(), Pool::slow_limit);
  REQUIRE(!pool.withdraw(*finished.front()));
}

NATIVE_TEST(reactor_pool_works_without_threads) {
  Gate own;
  gate = &own;
  // A stack that the address space has no room for: no thread is available.
  pthread_attr_t attributes;
  REQUIRE(pthread_getattr_default_np(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, size_t{1} << 46) == 0);
  // musl takes no more than 8 MiB by default, and says nothing.
  pthread_attr_t taken;
  size_t taken_bytes = 0;
  const bool refused = pthread_setattr_default_np(&attributes) != 0;
  REQUIRE(pthread_getattr_default_np(&taken) == 0);
  REQUIRE(pthread_attr_getstacksize(&taken, &taken_bytes) == 0);
  if (refused || taken_bytes != size_t{1} << 46) {
    std::printf("skipped: this C library limits the stacks that threads have by default\n");
    std::fflush(nullptr);
    std::_Exit(77);
  }
  std::vector<Operation> operations = make_operations(50, Opcode::sync);
  std::vector<Operation*> finished;
  Pool pool(give_slot, [] { gate->notify(); });
  pool.submit(pointers(operations));
  REQUIRE(pool.has_finished());
  pool.take(finished);
  REQUIRE_EQUAL(finished.size(), operations.size());
}

NATIVE_TEST(reactor_timers_against_a_sorted_list) {
  Random random(seed());
  std::vector<Operation> operations = make_operations(300, Opcode::timeout);
  struct Due {
    int64_t due_ns;
    uint64_t sequence;
    Operation* operation;
  };
  std::vector<Due> model;
  Timers timers;
  uint64_t sequence = 0;
  for (int round = 0; round < 20'000; round++) {
    Operation& operation = operations[random.below(300)];
    if (operation.timer_index == 0) {
      const int64_t due_ns = random.below(50);
      timers.add(operation, due_ns);
      model.push_back({due_ns, sequence++, &operation});
    } else if (random.one_in(2)) {
      timers.remove(operation);
      std::erase_if(model, [&](const Due& due) { return due.operation == &operation; });
    } else {
      const auto first =
          std::min_element(model.begin(), model.end(), [](const Due& one, const Due& other) {
            return one.due_ns != other.due_ns ? one.due_ns < other.due_ns
                                              : one.sequence < other.sequence;
          });
      REQUIRE_EQUAL(timers.due_ns(), first->due_ns);
      REQUIRE(&timers.first() == first->operation);
      timers.remove(timers.first());
      model.erase(first);
    }
    REQUIRE_EQUAL(timers.size(), model.size());
  }
}

NATIVE_TEST(timeouts_ring_within_a_quarter_and_meet) {
  constexpr int64_t millisecond_ns = 1'000'000;
  constexpr int64_t limit_ns = 1 << 20;
  Random random(seed());
  for (int round = 0; round < 100'000; round++) {
    const int64_t now_ns = 1 + random.below(1'000'000'000) * 7919LL;
    const int64_t duration_ns = random.below(1u << (1 + random.below(31)));
    const int64_t due_ns = now_ns + duration_ns;
    const int64_t rings_ns = io::rings_at_ns(now_ns, duration_ns);
    REQUIRE(rings_ns >= due_ns);
    REQUIRE(rings_ns <= due_ns + std::min(duration_ns / 4, limit_ns));
  }
  // Timeouts that begin a little after a time at which others ring, ring together again.
  const int64_t begun_ns = 12'345 * limit_ns + 20'000;
  for (int64_t ms = 1; ms < 200; ms++) {
    REQUIRE_EQUAL(io::rings_at_ns(begun_ns, ms * millisecond_ns) % limit_ns, 0);
  }
  const int64_t longest_ns = (int64_t{1} << 53) - 1;
  REQUIRE(io::rings_at_ns(begun_ns, longest_ns) >= begun_ns + longest_ns);
  REQUIRE_EQUAL(io::rings_at_ns(begun_ns, 0), begun_ns);
}

NATIVE_TEST(timeouts_that_may_ring_go_with_one_that_is_due) {
  Random random(seed());
  std::vector<Operation> operations = make_operations(300, Opcode::timeout);
  std::vector<int64_t> earliest_ns(operations.size());
  Timers timers;
  int64_t now_ns = 1;
  for (int round = 0; round < 20'000; round++) {
    now_ns += random.below(100'000);
    const size_t index = random.below(300);
    Operation& operation = operations[index];
    if (operation.timer_index == 0) {
      const bool sleeps = random.one_in(2);
      operation.offset = random.below(4'000'000);
      earliest_ns[index] = now_ns + operation.offset;
      if (sleeps)
        timers.add_timeout(operation, now_ns);
      else
        timers.add(operation, earliest_ns[index]);
    }
    const bool is_one_due = !timers.empty() && timers.due_ns() <= now_ns;
    size_t taken = 0;
    timers.take_due(now_ns, [&](Operation& one) {
      REQUIRE(earliest_ns[one.slot] <= now_ns);
      REQUIRE_EQUAL(one.timer_index, 0u);
      taken++;
    });
    REQUIRE_EQUAL(taken > 0, is_one_due);
    if (!timers.empty()) REQUIRE(timers.due_ns() > now_ns);
    // The thread was awake for nothing that it has to be woken for again.
    if (taken > 0 && !timers.empty()) REQUIRE(earliest_ns[timers.first().slot] > now_ns);
  }
}

// A program that always has more done than one poll takes.
NATIVE_TEST(reactor_done_stays_small_though_it_is_never_empty) {
  io::CompletionFifo done;
  std::vector<Operation> operations = make_operations(300, Opcode::nop);
  int32_t pushed = 0;
  int32_t popped = 0;
  const auto push = [&] {
    done.push_back({&operations[static_cast<size_t>(pushed) % 300], pushed, false, false});
    pushed++;
  };
  while (pushed < 200) push();
  for (int round = 0; round < 200'000; round++) {
    push();
    REQUIRE_EQUAL(done.front().result, popped);
    done.pop_front();
    popped++;
  }
  REQUIRE_EQUAL(done.size(), 200);
  REQUIRE(done.capacity() <= 1024);
  while (!done.empty()) {
    REQUIRE_EQUAL(done.front().result, popped++);
    done.pop_front();
  }
  REQUIRE_EQUAL(popped, pushed);
}

NATIVE_TEST(reactor_queue_against_a_list) {
  Random random(seed());
  std::vector<Operation> operations = make_operations(40, Opcode::receive);
  std::deque<Operation*> model;
  OperationQueue queue;
  for (int round = 0; round < 20'000; round++) {
    Operation* operation = &operations[random.below(40)];
    const auto found = std::find(model.begin(), model.end(), operation);
    if (found != model.end()) {
      queue.remove(*operation);
      model.erase(found);
    } else if (random.one_in(4)) {
      queue.push_first(*operation);
      model.push_front(operation);
    } else {
      queue.push(*operation);
      model.push_back(operation);
    }
    REQUIRE_EQUAL(queue.empty(), model.empty());
    REQUIRE(queue.last() == (model.empty() ? nullptr : model.back()));
    const Operation* walked = queue.first();
    for (const Operation* expected : model) {
      REQUIRE(walked == expected);
      walked = OperationQueue::after(const_cast<Operation&>(*walked));
    }
    REQUIRE(walked == nullptr);
  }
}

// As a file system would that knows no asynchronous reads.
NATIVE_TEST(reactor_makes_refused_calls_plainly) {
  const int file = open("a", O_RDWR | O_CREAT, 0600);
  int pipe_ends[2];
  REQUIRE(file >= 0);
  REQUIRE(pipe(pipe_ends) == 0);
  REQUIRE_EQUAL(write(file, "abcdef", 6), 6);
  uint8_t bytes[4] = {};
  Operation operation;
  operation.opcode = Opcode::read;
  operation.number = file;
  operation.address = bytes;
  operation.length = sizeof(bytes);
  operation.offset = 1;
  REQUIRE_EQUAL(io::made_plainly(operation, -EOPNOTSUPP), 4);
  REQUIRE_EQUAL(bytes[0], 'b');
  REQUIRE_EQUAL(io::made_plainly(operation, -EIO), -EIO);
  operation.number = pipe_ends[0];  // would wait forever
  REQUIRE_EQUAL(io::made_plainly(operation, -EOPNOTSUPP), -EOPNOTSUPP);
  operation.number = file;
  operation.opcode = Opcode::allocate;  // the file system's own answer
  REQUIRE_EQUAL(io::made_plainly(operation, -EOPNOTSUPP), -EOPNOTSUPP);
  for (const int number : {file, pipe_ends[0], pipe_ends[1]}) close(number);
}

NATIVE_TEST(reactor_chain_rule) {
  Operation operation;
  operation.length = 10;
  for (const Opcode opcode : {Opcode::read, Opcode::write}) {
    operation.opcode = opcode;
    REQUIRE(io::succeeded_in_full(operation, 10));
    REQUIRE(!io::succeeded_in_full(operation, 9));
    REQUIRE(!io::succeeded_in_full(operation, -EIO));
  }
  for (const Opcode opcode : {Opcode::send, Opcode::receive, Opcode::sync}) {
    operation.opcode = opcode;
    REQUIRE(io::succeeded_in_full(operation, 9));
    REQUIRE(!io::succeeded_in_full(operation, -EIO));
  }
}

}  // namespace native_tests
