// Attached mode's seam to libuv: a prepare handle that runs before the event loop waits, and a
// handle that wakes it. That is a poll handle on the backend's wait descriptor. Where the loop must
// not poll that descriptor, it is an async handle and a thread that waits (wait_thread.h). Deno has
// no prepare handles: there JavaScript submits every batch by itself (Queue.flushEachTurn).
#pragma once

#include <uv.h>

#include <memory>

#include "node/wait_thread.h"

namespace io {

class UvLoop {
 public:
  // Called on the loop's thread: `before_wait` once per turn, `woken` when there may be progress.
  // `wait` is called on the waiting thread and blocks until then; `interrupt` ends it, and makes
  // the wait descriptor readable.
  struct Callbacks {
    void (*before_wait)(void* context);
    void (*woken)(void* context);
    void (*closed)(void* context);
    void (*wait)(void* context);
    bool (*interrupt)(void* context);  // false when it cannot
    void* context;
  };

  // With a poll handle on `wait_descriptor`. Returns 0 or a negative errno; after an error the loop
  // holds nothing.
  int start(uv_loop_t* loop, int wait_descriptor, const Callbacks& callbacks);
  // With a thread, which starts when there is something to wait for.
  void start_with_thread(uv_loop_t* loop, const Callbacks& callbacks);
  // Whether it is the number of the descriptor in which the event loop waits.
  bool waits_with(int number) const;
  // Whether the event loop is kept alive.
  void keep_alive(bool keep);
  // The engine is asleep with something in flight: from now on the loop has to be woken. False when
  // nothing will do that, because the system gives no thread; the next call tries again.
  bool arm();
  // Has `woken` called in the next turn.
  void wake();
  // Before the engine ends: no thread uses it after this.
  void stop_waiting();
  // Asynchronous: `closed` is called when libuv has released the handles; until then this object
  // must stay where it is.
  void close();
  // For an owner that ends before `closed` was called: the loop frees itself then, and calls no
  // callback.
  static void close_alone(std::unique_ptr<UvLoop> loop);

 private:
  void note_backend(uv_loop_t* loop);
  void start_prepare(uv_loop_t* loop);
  uv_handle_t* waker();
  void wake_otherwise();
  static void closed_one(uv_handle_t* handle);

  uv_prepare_t prepare_;
  uv_poll_t poll_;
  uv_async_t async_;
  int backend_ = -1;  // the loop's descriptor, where the runtime says it
  bool with_thread_ = false;
  bool with_prepare_ = false;
  bool with_async_ = false;  // because the wait descriptor is lost
  WaitThread thread_;
  Callbacks callbacks_ = {};
  bool closing_ = false;
  bool alone_ = false;
  int open_handles_ = 0;
};

}  // namespace io
