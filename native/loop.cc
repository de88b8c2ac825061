// libuv handles of attached mode: see loop.h.
#include "loop.h"

#include "check.h"

namespace io {

int Loop::start(uv_loop_t* loop, int wait_descriptor, const Callbacks& callbacks) {
  callbacks_ = callbacks;
  // uv_poll_init is the only call here that can fail, so it comes first.
  const int error = uv_poll_init(loop, &poll_, wait_descriptor);
  if (error != 0) return error;
  poll_.data = this;
  prepare_.data = this;
  CHECK(uv_prepare_init(loop, &prepare_) == 0);
  open_handles_ = 2;
  const auto before_wait = [](uv_prepare_t* handle) {
    const Loop& self = *static_cast<Loop*>(handle->data);
    self.callbacks_.before_wait(self.callbacks_.context);
  };
  const auto woken = [](uv_poll_t* handle, int, int) {
    const Loop& self = *static_cast<Loop*>(handle->data);
    self.callbacks_.woken(self.callbacks_.context);
  };
  CHECK(uv_prepare_start(&prepare_, before_wait) == 0);
  CHECK(uv_poll_start(&poll_, UV_READABLE, woken) == 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&prepare_));
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
  return 0;
}

void Loop::keep_alive(bool keep) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&prepare_);
  if (keep) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
}

void Loop::close() {
  CHECK(open_handles_ == 2);
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), closed_one);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), closed_one);
}

void Loop::closed_one(uv_handle_t* handle) {
  Loop& self = *static_cast<Loop*>(handle->data);
  self.open_handles_--;
  if (self.open_handles_ == 0) self.callbacks_.closed(self.callbacks_.context);
}

}  // namespace io
