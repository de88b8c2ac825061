// libuv handles of attached mode: see uv_loop.h.
#include "node/uv_loop.h"

#include "support/check.h"

// Null where the runtime has none of them, instead of an addon that does not load or ends the
// process.
#pragma weak uv_prepare_init
#pragma weak uv_prepare_start
#pragma weak uv_backend_fd

namespace io {

int UvLoop::start(uv_loop_t* loop, int wait_descriptor, const Callbacks& callbacks) {
  callbacks_ = callbacks;
  // uv_poll_init is the only call here that can fail, so it comes first.
  const int error = uv_poll_init(loop, &poll_, wait_descriptor);
  if (error != 0) return error;
  poll_.data = this;
  note_backend(loop);
  const auto woken = [](uv_poll_t* handle, int, int) {
    const UvLoop& self = *static_cast<UvLoop*>(handle->data);
    self.callbacks_.woken(self.callbacks_.context);
  };
  CHECK(uv_poll_start(&poll_, UV_READABLE, woken) == 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
  open_handles_ = 1;
  start_prepare(loop);
  return 0;
}

void UvLoop::start_with_thread(uv_loop_t* loop, const Callbacks& callbacks) {
  callbacks_ = callbacks;
  with_thread_ = true;
  const auto notify = [](void* context) {
    CHECK(uv_async_send(&static_cast<UvLoop*>(context)->async_) == 0);
  };
  const auto wait = [](void* context) {
    const UvLoop& self = *static_cast<UvLoop*>(context);
    self.callbacks_.wait(self.callbacks_.context);
  };
  const auto woken = [](uv_async_t* handle) {
    const UvLoop& self = *static_cast<UvLoop*>(handle->data);
    self.callbacks_.woken(self.callbacks_.context);
  };
  thread_.serve({.wait = wait, .notify = notify, .context = this});
  async_.data = this;
  CHECK(uv_async_init(loop, &async_, woken) == 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&async_));
  open_handles_ = 1;
  if (uv_prepare_init != nullptr) start_prepare(loop);
}

void UvLoop::note_backend(uv_loop_t* loop) {
  if (uv_backend_fd != nullptr) backend_ = uv_backend_fd(loop);
}

bool UvLoop::waits_with(int number) const {
  return backend_ >= 0 && number == backend_;
}

void UvLoop::start_prepare(uv_loop_t* loop) {
  prepare_.data = this;
  CHECK(uv_prepare_init(loop, &prepare_) == 0);
  const auto before_wait = [](uv_prepare_t* handle) {
    const UvLoop& self = *static_cast<UvLoop*>(handle->data);
    self.callbacks_.before_wait(self.callbacks_.context);
  };
  CHECK(uv_prepare_start(&prepare_, before_wait) == 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&prepare_));
  with_prepare_ = true;
  open_handles_++;
}

uv_handle_t* UvLoop::waker() {
  return with_thread_ ? reinterpret_cast<uv_handle_t*>(&async_)
                      : reinterpret_cast<uv_handle_t*>(&poll_);
}

void UvLoop::keep_alive(bool keep) {
  uv_handle_t* handle = with_prepare_ ? reinterpret_cast<uv_handle_t*>(&prepare_) : waker();
  if (keep) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
}

bool UvLoop::arm() {
  return !with_thread_ || thread_.arm();
}

void UvLoop::wake() {
  if (with_thread_) {
    // No detour by the thread: it may not be there, and need not be.
    CHECK(uv_async_send(&async_) == 0);
  } else if (!callbacks_.interrupt(callbacks_.context)) {
    wake_otherwise();
  }
}

// Other code has closed the wait descriptor.
void UvLoop::wake_otherwise() {
  if (!with_async_) {
    with_async_ = true;
    async_.data = this;
    const auto woken = [](uv_async_t* handle) {
      const UvLoop& self = *static_cast<UvLoop*>(handle->data);
      self.callbacks_.woken(self.callbacks_.context);
    };
    CHECK(uv_async_init(poll_.loop, &async_, woken) == 0);
    uv_unref(reinterpret_cast<uv_handle_t*>(&async_));
    open_handles_++;
  }
  CHECK(uv_async_send(&async_) == 0);
}

void UvLoop::stop_waiting() {
  if (!with_thread_) return;
  thread_.stop([](void* context) {
    const UvLoop& self = *static_cast<UvLoop*>(context);
    self.callbacks_.interrupt(self.callbacks_.context);
  });
}

void UvLoop::close() {
  CHECK(open_handles_ > 0);
  CHECK(!closing_);
  closing_ = true;
  if (with_prepare_) uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), closed_one);
  if (with_async_) uv_close(reinterpret_cast<uv_handle_t*>(&async_), closed_one);
  uv_close(waker(), closed_one);
}

void UvLoop::close_alone(std::unique_ptr<UvLoop> loop) {
  UvLoop& self = *loop.release();
  self.alone_ = true;
  if (!self.closing_) self.close();
}

void UvLoop::closed_one(uv_handle_t* handle) {
  UvLoop& self = *static_cast<UvLoop*>(handle->data);
  self.open_handles_--;
  if (self.open_handles_ > 0) return;
  if (self.alone_) {
    const std::unique_ptr<UvLoop> last(&self);
  } else {
    self.callbacks_.closed(self.callbacks_.context);
  }
}

}  // namespace io
