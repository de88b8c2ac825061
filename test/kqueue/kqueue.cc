// The calls of <sys/event.h>, and which number is which queue. See layer.h.
#include <pthread.h>
#include <sys/event.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "calls.h"
#include "queue.h"
#include "real.h"

namespace kqueue_layer {

namespace {

class Registry {
 public:
  // Never destroyed: threads may use it until the very end of the process.
  static Registry& get() {
    static auto* registry = new Registry;
    return *registry;
  }

  void put(int number, std::shared_ptr<Queue> queue) {
    const std::lock_guard lock(mutex_);
    queues_[number] = std::move(queue);
  }

  std::shared_ptr<Queue> find(int number) {
    const std::lock_guard lock(mutex_);
    const auto found = queues_.find(number);
    return found == queues_.end() ? nullptr : found->second;
  }

  // Closing a file takes it out of every queue. Nothing else closes one at the same time.
  void forget(int number) {
    std::vector<std::shared_ptr<Queue>> all;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [of, queue] : queues_) all.push_back(queue);
    }
    for (const auto& queue : all) queue->forget(number);
  }

  // The caller ends it, when the lock is free: that closes descriptors, which comes here again.
  std::shared_ptr<Queue> take(int number) {
    const std::lock_guard lock(mutex_);
    const auto found = queues_.find(number);
    if (found == queues_.end()) return nullptr;
    std::shared_ptr<Queue> queue = std::move(found->second);
    queues_.erase(found);
    return queue;
  }

 private:
  // "The queue is not inherited by a child created with fork(2)."
  Registry() {
    ::pthread_atfork([] { get().mutex_.lock(); }, [] { get().mutex_.unlock(); },
                     [] { get().forget_in_child(); });
  }

  // Other threads may have held anything when the process was copied: only descriptors are closed,
  // and the objects stay where they are.
  void forget_in_child() {
    for (auto& [number, queue] : queues_) {
      __real_close(number);
      queue->abandon();
      abandoned_.push_back(std::move(queue));
    }
    queues_.clear();
    mutex_.unlock();
  }

  std::mutex mutex_;
  std::unordered_map<int, std::shared_ptr<Queue>> queues_;
  std::vector<std::shared_ptr<Queue>> abandoned_;
};

}  // namespace

}  // namespace kqueue_layer

bool kqueue_layer::is_queue(int number) {
  return Registry::get().find(number) != nullptr;
}

using kqueue_layer::Queue;
using kqueue_layer::Registry;

int kqueue(void) {
  auto queue = std::make_shared<Queue>();
  const int error = queue->open();
  const int number = error == 0 ? queue->make_number() : -1;
  if (number < 0) {
    if (error != 0) errno = error;
    return -1;
  }
  Registry::get().put(number, std::move(queue));
  return number;
}

int kevent(int number, const struct kevent* changes, int change_count, struct kevent* events,
           int event_count, const struct timespec* timeout) {
  const std::shared_ptr<Queue> queue = Registry::get().find(number);
  const int result =
      queue == nullptr ? -EBADF : queue->call(changes, change_count, events, event_count, timeout);
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

extern "C" int __wrap_close(int number) {
  const std::shared_ptr<Queue> queue = Registry::get().take(number);
  if (queue != nullptr) queue->close();
  Registry::get().forget(number);
  kqueue_layer::before_close(number);
  return __real_close(number);
}
