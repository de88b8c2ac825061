// A module like those that wait for a promise inside a function (deasync), and those that have work
// done in each turn of the event loop.
#include <node_api.h>
#include <stdlib.h>
#include <uv.h>

#define CHECK(condition) \
  do {                   \
    if (!(condition)) abort(); \
  } while (0)

static uv_loop_t* loop_of(napi_env env) {
  uv_loop_t* loop = NULL;
  CHECK(napi_get_uv_event_loop(env, &loop) == napi_ok);
  return loop;
}

// (wait): turns the event loop once, inside the call. `wait` is whether it may wait for something.
static napi_value turn(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  bool wait = false;
  CHECK(napi_get_cb_info(env, info, &count, &argument, NULL, NULL) == napi_ok);
  CHECK(napi_get_value_bool(env, argument, &wait) == napi_ok);
  uv_run(loop_of(env), wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  return NULL;
}

typedef struct {
  uv_prepare_t handle;
  napi_env env;
  napi_ref callback;
} Prepared;

static void prepared(uv_prepare_t* handle) {
  Prepared* self = (Prepared*)handle->data;
  napi_handle_scope scope;
  napi_value callback;
  napi_value global;
  CHECK(napi_open_handle_scope(self->env, &scope) == napi_ok);
  CHECK(napi_get_reference_value(self->env, self->callback, &callback) == napi_ok);
  CHECK(napi_get_global(self->env, &global) == napi_ok);
  // When the environment is being ended nothing can be called any more.
  if (napi_make_callback(self->env, NULL, global, callback, 0, NULL, NULL) != napi_ok) {
    uv_prepare_stop(handle);
  }
  CHECK(napi_close_handle_scope(self->env, scope) == napi_ok);
}

// (callback): calls it in each turn before the event loop waits. It keeps nothing alive.
static napi_value before_wait(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value callback;
  CHECK(napi_get_cb_info(env, info, &count, &callback, NULL, NULL) == napi_ok);
  Prepared* self = (Prepared*)calloc(1, sizeof(Prepared));
  CHECK(self != NULL);
  self->env = env;
  self->handle.data = self;
  CHECK(napi_create_reference(env, callback, 1, &self->callback) == napi_ok);
  CHECK(uv_prepare_init(loop_of(env), &self->handle) == 0);
  CHECK(uv_prepare_start(&self->handle, prepared) == 0);
  uv_unref((uv_handle_t*)&self->handle);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  CHECK(napi_create_function(env, "turn", NAPI_AUTO_LENGTH, turn, NULL, &function) == napi_ok);
  CHECK(napi_set_named_property(env, exports, "turn", function) == napi_ok);
  CHECK(napi_create_function(env, "beforeWait", NAPI_AUTO_LENGTH, before_wait, NULL, &function) ==
        napi_ok);
  CHECK(napi_set_named_property(env, exports, "beforeWait", function) == napi_ok);
  return exports;
}
