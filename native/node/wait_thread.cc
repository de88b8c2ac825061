// A thread that waits in the place of the event loop: see wait_thread.h.
#include "node/wait_thread.h"

#include <csignal>

#include "support/check.h"

namespace io {

bool WaitThread::start() {
  CHECK(!running_);
  // Signals are for the threads of the program.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
  running_ = pthread_create(&thread_, nullptr, run_thread, this) == 0;
  CHECK(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
  return running_;
}

void* WaitThread::run_thread(void* self) {
  static_cast<WaitThread*>(self)->run();
  return nullptr;
}

void WaitThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    while (!armed_ && !ending_) changed_.wait(lock);
    if (ending_) return;
    lock.unlock();
    calls_.wait(calls_.context);
    lock.lock();
    if (ending_) return;
    armed_ = false;
    calls_.notify(calls_.context);
  }
}

bool WaitThread::arm() {
  if (!running_) {
    armed_ = true;
    const bool started = start();
    if (!started) armed_ = false;
    // The thread may have reported an event by now, and `armed_` belongs to it.
    return started;
  }
  {
    const std::lock_guard lock(mutex_);
    if (armed_) return true;
    armed_ = true;
  }
  changed_.notify_one();
  return true;
}

void WaitThread::stop(void (*interrupt)(void* context)) {
  if (!running_) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  interrupt(calls_.context);
  CHECK(pthread_join(thread_, nullptr) == 0);
  running_ = false;
}

}  // namespace io
