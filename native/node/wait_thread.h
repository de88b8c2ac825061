// Attached mode where the event loop must not poll the backend's descriptor: a thread waits in its
// place and wakes the loop through an async handle. That is so for a kqueue, which libuv would put
// into a kqueue of its own (libuv#883), and in runtimes whose libuv has no poll handle.
//
// The thread waits only between arm() and the next event, so it costs nothing while the engine is
// busy. The first arm() starts it, since many programs end without ever waiting. It has ended after
// stop(), which must come before the end of the engine.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <mutex>

namespace io {

class WaitThread {
 public:
  // `wait` blocks until there is work, `notify` reports it; both are called on the thread.
  struct Calls {
    void (*wait)(void* context);
    void (*notify)(void* context);
    void* context;
  };

  // Before anything else.
  void serve(const Calls& calls) { calls_ = calls; }
  // False when the system gives no thread: no thread waits then, and the next call tries again.
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
