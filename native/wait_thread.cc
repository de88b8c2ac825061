// A thread that waits in the place of the event loop: see wait_thread.h.
#include "wait_thread.h"

#include <csignal>

#include "check.h"

namespace io {

int WaitThread::start(const Calls& calls) {
  CHECK(!running_);
  calls_ = calls;
  // Signals are for the threads of the program.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
  const int error = pthread_create(&thread_, nullptr, run_thread, this);
  CHECK(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
  running_ = error == 0;
  return -error;
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
    calls_.tell(calls_.context);
  }
}

void WaitThread::arm() {
  {
    const std::lock_guard lock(mutex_);
    if (armed_) return;
    armed_ = true;
  }
  changed_.notify_one();
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
