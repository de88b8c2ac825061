// Attached mode where the event loop must not look at the backend's descriptor: a thread waits in
// its place and says so through an async handle. That is so for a kqueue, which libuv would put
// into a kqueue of its own (libuv#883), and in runtimes whose libuv has no poll handle.
//
// The thread waits only between arm() and the next event, so it costs nothing while the engine is
// busy. It is begun by the first arm(), since much is done without ever waiting. It is gone after
// stop(), and has to be before the engine is.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <mutex>

namespace io {

class WaitThread {
 public:
  // `wait` blocks until there is something to do, `tell` says so; both are called on the thread.
  struct Calls {
    void (*wait)(void* context);
    void (*tell)(void* context);
    void* context;
  };

  // Before anything else.
  void serve(const Calls& calls) { calls_ = calls; }
  // False when the system gives no thread: nobody waits then, and the next call tries again.
  bool arm();
  // `interrupt` ends a wait that is under way. There may be none, and nothing to end.
  void stop(void (*interrupt)(void* context));

 private:
  bool start();
  static void* run_thread(void* self);
  void run();

  Calls calls_ = {};
  pthread_t thread_;
  bool running_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool armed_ = false;  // guarded by `mutex_`
  bool ending_ = false;
};

}  // namespace io
