// The threads that make calls which may wait for a disk: opening, reading, syncing, renaming. Each
// reactor has its own, never libuv's four; none is started before there is work, and there are
// never more than a few.
//
// Who owns an operation: the reactor, until submit(). Then only the pool touches it and the memory
// it names, until take() returns it with `result` set, or until withdraw() has removed it before a
// thread began with it. A call that a thread has begun cannot be ended.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "engine/operation_list.h"

namespace io {

class Pool {
 public:
  static constexpr size_t thread_limit = 8;
  // Syncs and other calls that take milliseconds may not keep reads from being made.
  static constexpr size_t slow_limit = thread_limit / 2;

  // `perform` makes the call of an operation, on a thread of the pool. `finished` is called on such
  // a thread when take() has a result to return.
  Pool(int32_t (*perform)(Operation&), std::function<void()> finished);
  // No operation may be left in it. It waits for the calls that threads have begun.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Takes a batch, in order. Syncs and their like wait in a line of their own. When the system
  // gives no thread at all, the calls are made here and now.
  void submit(const std::vector<Operation*>& batch);
  // False when a thread has begun with it, or has finished it.
  bool withdraw(Operation& operation);
  // The operations on a descriptor, or all, that no thread has begun with.
  void withdraw_all(int number, std::vector<Operation*>& withdrawn);
  // Forgets all that no thread has begun with; what is to be closed is closed.
  void give_up();
  // Appends the finished operations, in the order in which they finished.
  void take(std::vector<Operation*>& finished);
  bool has_finished() const { return has_finished_.load(std::memory_order_acquire); }

 private:
  static void* run_thread(void* pool);
  void run();
  bool has_work() const;
  void take_work(std::vector<Operation*>& work);
  void perform(std::unique_lock<std::mutex>& lock, std::vector<Operation*>& work);
  void start_threads(size_t wanted);
  CountedQueue& line_of(const Operation& operation);

  int32_t (*perform_)(Operation&);
  std::function<void()> finished_callback_;
  std::mutex mutex_;
  std::condition_variable work_;
  // Everything below is guarded by `mutex_`.
  CountedQueue quick_;
  CountedQueue slow_;
  std::vector<Operation*> finished_;
  std::vector<pthread_t> threads_;
  size_t idle_ = 0;
  size_t slow_running_ = 0;
  bool slow_turn_ = false;  // the last operation taken was slow
  bool ending_ = false;
  std::atomic<bool> has_finished_ = false;
};

}  // namespace io
