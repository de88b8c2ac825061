// Attached mode's seam to libuv: a prepare handle that runs before the event loop waits, and a poll
// handle on the backend's wait descriptor. Whatever wakes other runtimes belongs here.
#pragma once

#include <uv.h>

namespace io {

class Loop {
 public:
  // Called on the loop's thread: `before_wait` once per turn, `woken` when the descriptor is
  // readable.
  struct Callbacks {
    void (*before_wait)(void* context);
    void (*woken)(void* context);
    void (*closed)(void* context);
    void* context;
  };

  // Returns 0 or a negative errno; after an error the loop holds nothing.
  int start(uv_loop_t* loop, int wait_descriptor, const Callbacks& callbacks);
  // Whether the event loop is kept alive.
  void keep_alive(bool keep);
  // Asynchronous: `closed` is called when libuv has let go of both handles; until then this object
  // must stay where it is.
  void close();

 private:
  static void closed_one(uv_handle_t* handle);

  uv_prepare_t prepare_;
  uv_poll_t poll_;
  Callbacks callbacks_ = {};
  int open_handles_ = 0;
};

}  // namespace io
