// Threads for calls that may wait: see pool.h.
#include "backend/reactor/pool.h"

#include <algorithm>
#include <csignal>

#include "support/check.h"

namespace io {

namespace {

// A thread takes a few at once when many wait, because the lock is then taken less often.
constexpr size_t take_limit = 4;

bool is_slow(abi::Opcode opcode) {
  return is(opcode, trait::slow);
}

}  // namespace

Pool::Pool(int32_t (*perform)(Operation&), std::function<void()> finished)
    : perform_(perform), finished_callback_(std::move(finished)) {}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    CHECK(quick_.empty());
    CHECK(slow_.empty());
    ending_ = true;
  }
  work_.notify_all();
  for (const pthread_t thread : threads_) CHECK(pthread_join(thread, nullptr) == 0);
}

CountedQueue& Pool::line_of(const Operation& operation) {
  return is_slow(operation.opcode) ? slow_ : quick_;
}

void Pool::submit(const std::vector<Operation*>& batch) {
  size_t wake = 0;
  {
    std::unique_lock lock(mutex_);
    for (Operation* operation : batch) {
      CHECK(operation->place == Place::pooled);
      operation->taken_by_thread = false;
      line_of(*operation).push(*operation);
    }
    // A slow one that has to wait for others of its kind is taken by the thread of one of those.
    const size_t ready = quick_.size() + std::min(slow_.size(), slow_limit - slow_running_);
    if (ready > idle_) start_threads(ready - idle_);
    wake = std::min({batch.size(), ready, idle_});
    std::vector<Operation*> work;
    while (threads_.empty() && has_work()) {
      take_work(work);
      perform(lock, work);
    }
  }
  for (; wake > 0; wake--) work_.notify_one();
}

// A new thread has every signal blocked: signals are for the threads of the program. Where the
// system allows no more threads, the existing ones do the work.
void Pool::start_threads(size_t wanted) {
  wanted = std::min(wanted, thread_limit - threads_.size());
  if (wanted == 0) return;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
  for (; wanted > 0; wanted--) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, run_thread, this) != 0) break;
    threads_.push_back(thread);
  }
  CHECK(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
}

void* Pool::run_thread(void* pool) {
  static_cast<Pool*>(pool)->run();
  return nullptr;
}

bool Pool::has_work() const {
  return !quick_.empty() || (!slow_.empty() && slow_running_ < slow_limit);
}

// By turns when both wait, so that a crowd of reads cannot keep a sync from ever being made.
void Pool::take_work(std::vector<Operation*>& work) {
  const bool slow_can = !slow_.empty() && slow_running_ < slow_limit;
  slow_turn_ = slow_can && (quick_.empty() || !slow_turn_);
  if (slow_turn_) {
    work.push_back(&slow_.pop());
    slow_running_++;
  } else {
    const size_t share = quick_.size() / (threads_.size() + 1) + 1;
    for (size_t count = std::min({share, take_limit, quick_.size()}); count > 0; count--) {
      work.push_back(&quick_.pop());
    }
    while (work.back()->joined && !quick_.empty()) work.push_back(&quick_.pop());
  }
  for (Operation* operation : work) operation->taken_by_thread = true;
}

void Pool::run() {
  std::vector<Operation*> work;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (has_work()) {
      take_work(work);
      perform(lock, work);
    } else if (ending_) {
      return;
    } else {
      idle_++;
      work_.wait(lock);
      idle_--;
    }
  }
}

// The lock is held before and after, and not meanwhile.
void Pool::perform(std::unique_lock<std::mutex>& lock, std::vector<Operation*>& work) {
  const bool slow = is_slow(work.front()->opcode);
  lock.unlock();
  for (Operation* operation : work) operation->result = perform_(*operation);
  lock.lock();
  if (slow) slow_running_--;
  finished_.insert(finished_.end(), work.begin(), work.end());
  work.clear();
  if (has_finished_.exchange(true, std::memory_order_acq_rel)) return;
  lock.unlock();
  finished_callback_();
  lock.lock();
}

bool Pool::withdraw(Operation& operation) {
  const std::lock_guard lock(mutex_);
  if (operation.taken_by_thread) return false;
  line_of(operation).remove(operation);
  return true;
}

void Pool::withdraw_all(int number, std::vector<Operation*>& withdrawn) {
  const std::lock_guard lock(mutex_);
  for (CountedQueue* line : {&quick_, &slow_}) {
    line->each([&](Operation& operation) {
      if (number != no_descriptor && operation.number != number) return;
      if (operation.opcode == abi::Opcode::close) return;
      line->remove(operation);
      withdrawn.push_back(&operation);
    });
  }
}

void Pool::give_up() {
  const std::lock_guard lock(mutex_);
  for (CountedQueue* line : {&quick_, &slow_}) {
    while (!line->empty()) {
      Operation& operation = line->pop();
      // A close that ends with an error has to close its number, too.
      if (operation.opcode == abi::Opcode::close) perform_(operation);
    }
  }
}

void Pool::take(std::vector<Operation*>& finished) {
  if (!has_finished()) return;
  const std::lock_guard lock(mutex_);
  has_finished_.store(false, std::memory_order_release);
  finished.insert(finished.end(), finished_.begin(), finished_.end());
  finished_.clear();
}

}  // namespace io
