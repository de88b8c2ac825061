// The Node-API edge: turns JavaScript calls into calls of the engine, and nothing else. The only
// file that knows Node.
//
// Lifetime. A Session owns an engine, its part of the event loop, and a strong reference to itself
// and to the shared memory, until close() or until the environment (the process or a Worker) ends.
// Then it shuts the engine down first, which waits for the kernel to release every buffer, and
// frees itself when libuv has released its handles: Node waits for an asynchronous clean-up hook.
#include <napi.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "system/address.h"
#include "support/check.h"
#include "support/clock.h"
#include "engine/engine.h"
#include "node/signals.h"
#include "node/uv_loop.h"
#include "system/socket_constants.h"
#include "system/socket_options.h"
#include "system/system.h"
#include "system/vsock.h"
#include "backend/unavailable.h"
#if IO_HAVE_LIBURING
#include "backend/zcrx/zcrx.h"
#endif

namespace {

using io::abi::header_active;
using io::abi::header_asleep;
using io::abi::header_pumping;
using io::abi::header_queued;

// How long the pump goes on before the other handles of the event loop have their turn. Timers of
// Node count whole milliseconds, so it makes them late by no more than that.
constexpr int64_t pump_ns = 1'000'000;
// How long the event loop waits in a turn when nothing can wake it.
constexpr int64_t turn_ns = 1'000'000;

bool lay_out(uint8_t* data, size_t size_bytes, uint32_t entries, io::Shared& shared) {
  const size_t header_bytes = io::abi::header_words * sizeof(uint32_t);
  const size_t entries_bytes = entries * sizeof(io::abi::Entry);
  const size_t completions_bytes = entries * sizeof(io::abi::CompletionEntry);
  if (size_bytes != header_bytes + entries_bytes + completions_bytes + io::abi::text_size_bytes) {
    return false;
  }
  if (reinterpret_cast<uintptr_t>(data) % alignof(io::abi::Entry) != 0) return false;
  shared.header = reinterpret_cast<uint32_t*>(data);
  shared.entries = reinterpret_cast<io::abi::Entry*>(data + header_bytes);
  shared.entry_count = entries;
  shared.completions =
      reinterpret_cast<io::abi::CompletionEntry*>(data + header_bytes + entries_bytes);
  shared.completion_count = entries;
  shared.text = data + header_bytes + entries_bytes + completions_bytes;
  return true;
}

io::BackingStore backing_store_of(const Napi::ArrayBuffer& buffer) {
  return io::BackingStore::of(static_cast<napi_value>(buffer));
}

Napi::Array numbers_of(Napi::Env env, const std::vector<io::abi::Opcode>& opcodes) {
  Napi::Array list = Napi::Array::New(env);
  uint32_t index = 0;
  for (const io::abi::Opcode opcode : opcodes) {
    list.Set(index++, Napi::Number::New(env, static_cast<uint32_t>(opcode)));
  }
  return list;
}

// "defer" or "coop"; anything else leaves it to the measurement.
io::Taskrun taskrun_from(const Napi::Value& value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "defer") return io::Taskrun::defer;
  return name == "coop" ? io::Taskrun::coop : io::Taskrun::measured;
}

// [family, port, host]; a path is bytes, which need not be UTF-8.
Napi::Value name_to_js(Napi::Env env, const io::AddressText& name) {
  Napi::Array result = Napi::Array::New(env, 3);
  result.Set(0u, Napi::Number::New(env, name.family));
  result.Set(1u, Napi::Number::New(env, name.port));
  if (name.family == io::abi::family_unix) {
    result.Set(2u, Napi::Buffer<char>::Copy(env, name.host.data(), name.host.size()));
  } else {
    result.Set(2u, Napi::String::New(env, name.host));
  }
  return result;
}

// For arguments that this package's own TypeScript never passes: a program that loads the engine by
// itself gets an error. False when `right` does not hold.
bool expect(Napi::Env env, bool right, const char* what) {
  if (!right) {
    Napi::TypeError::New(env, std::string("the engine was called with ") + what +
                                  "; it is not to be used but through @io/core")
        .ThrowAsJavaScriptException();
  }
  return right;
}

class Session : public Napi::ObjectWrap<Session> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Session",
                       {
                           InstanceAccessor<&Session::failure>("failure"),
                           InstanceAccessor<&Session::reason>("reason"),
                           InstanceAccessor<&Session::advice>("advice"),
                           InstanceAccessor<&Session::lacking>("lacking"),
                           InstanceAccessor<&Session::features>("features"),
                           InstanceAccessor<&Session::backend>("backend"),
                           InstanceAccessor<&Session::slots>("slots"),
                           InstanceAccessor<&Session::max_slots>("maxSlots"),
                           InstanceAccessor<&Session::area>("area"),
                           InstanceMethod<&Session::grow>("grow"),
                           InstanceMethod<&Session::activate>("activate"),
                           InstanceMethod<&Session::add_buffer>("addBuffer"),
                           InstanceMethod<&Session::release_buffer>("releaseBuffer"),
                           InstanceMethod<&Session::add_group>("addGroup"),
                           InstanceMethod<&Session::provide_buffers>("provideBuffers"),
                           InstanceMethod<&Session::remove_group>("removeGroup"),
                           InstanceMethod<&Session::add_area>("addArea"),
                           InstanceMethod<&Session::set_option>("setOption"),
                           InstanceMethod<&Session::get_option>("getOption"),
                           InstanceMethod<&Session::zero_copy_threshold>("zeroCopyThreshold"),
                           InstanceMethod<&Session::borrow>("borrow"),
                           InstanceMethod<&Session::adopt>("adopt"),
                           InstanceMethod<&Session::set_blocking>("setBlocking"),
                           InstanceMethod<&Session::open_pair>("openPair"),
                           InstanceMethod<&Session::kind_of>("kindOf"),
                           InstanceMethod<&Session::open_process>("openProcess"),
                           InstanceMethod<&Session::process_end>("processEnd"),
                           InstanceMethod<&Session::change_group>("changeGroup"),
                           InstanceMethod<&Session::peer_credentials>("peerCredentials"),
                           InstanceMethod<&Session::open_notifier>("openNotifier"),
                           InstanceMethod<&Session::take_notifications>("takeNotifications"),
                           InstanceMethod<&Session::close_notifier>("closeNotifier"),
                           InstanceMethod<&Session::open_signals>("openSignals"),
                           InstanceMethod<&Session::take_signal>("takeSignal"),
                           InstanceMethod<&Session::close_signals>("closeSignals"),
                           InstanceMethod<&Session::set_ref>("setRef"),
                           InstanceMethod<&Session::name>("name"),
                           InstanceMethod<&Session::own_file>("ownFile"),
                           InstanceMethod<&Session::counters>("counters"),
                           InstanceMethod<&Session::socket_counters>("socketCounters"),
                           InstanceMethod<&Session::end_all>("endAll"),
                           InstanceMethod<&Session::loss>("loss"),
                           InstanceMethod<&Session::close>("close"),
                       });
  }

  // (backend, entries, maxSlots, attached, waitElsewhere, shared, dispatch, area, taskrun)
  // `area` is undefined or { interface, queue, memory, start, sizeBytes }.
  explicit Session(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Session>(info) {
    io::BackendOptions options;
    options.entries = info[1].As<Napi::Number>().Uint32Value();
    options.in_flight_limit = info[2].As<Napi::Number>().Uint32Value();
    attached_ = info[3].As<Napi::Boolean>().Value();
    options.attached = attached_;
    options.taskrun = taskrun_from(info[8]);
    const bool wait_elsewhere = info[4].As<Napi::Boolean>().Value();
    auto memory = info[5].As<Napi::ArrayBuffer>();
    io::Shared shared;
    if (info.Env().IsExceptionPending()) return;
    const bool right =
        options.entries >= io::abi::min_entries && options.in_flight_limit >= 1 &&
        options.in_flight_limit < 1u << 20 && info[6].IsFunction() &&
        lay_out(static_cast<uint8_t*>(memory.Data()), memory.ByteLength(), options.entries, shared);
    if (!expect(info.Env(), right, "numbers or memory that do not fit each other")) return;
    const bool wants_area = info[7].IsObject();
    if (wants_area && !set_area(info[7].As<Napi::Object>(), options.area)) return;
    io::Opened opened = io::open_backend(info[0].As<Napi::String>().Utf8Value(), options);
    reason_ = opened.reason;
    advice_ = opened.advice;
    if (opened.backend == nullptr) {
      failure_ = opened.error;
      return;
    }
    backend_ = opened.name;
    set_area_found(opened, options.area);
    lacking_ = opened.backend->facts().lacking;
    features_ = opened.backend->facts().features;
    header_ = shared.header;
    max_completions_ = options.entries;
    shared.backing_store = backing_store_of(memory);
    memory_ = Napi::Persistent(static_cast<Napi::Object>(memory));
    dispatch_ = Napi::Persistent(info[6].As<Napi::Function>());
    engine_ =
        std::make_unique<io::Engine>(std::move(opened.backend), shared, opened.in_flight_limit);
    max_slots_ = opened.in_flight_limit;
    if (attached_) start_loop(info.Env(), wait_elsewhere);
    if (failure_ != 0) return;
    // The two calls that are made once per batch find their session without a look-up.
    auto self = info.This().As<Napi::Object>();
    self.Set("submit", Napi::Function::New<submit>(info.Env(), "submit", this));
    self.Set("poll", Napi::Function::New<poll>(info.Env(), "poll", this));
    self.Set("wake", Napi::Function::New<wake>(info.Env(), "wake", this));
    Ref();
    CHECK(napi_add_async_cleanup_hook(info.Env(), environment_ends, this, &cleanup_) == napi_ok);
  }

  // Node destroys this object when everything has ended. Deno, at the end of an environment,
  // destroys it first and calls the remaining clean-up hooks afterwards.
  ~Session() override {
    if (engine_ != nullptr) end_engine();
    if (loop_ != nullptr) io::UvLoop::close_alone(std::move(loop_));
    if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
  }

  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  // ---- JavaScript's calls

  Napi::Value failure(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), failure_);
  }
  Napi::Value reason(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), reason_);
  }
  Napi::Value advice(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), advice_);
  }
  Napi::Value backend(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), backend_);
  }
  // The numbers of the operations that the backend's kernel lacks.
  Napi::Value lacking(const Napi::CallbackInfo& info) { return numbers_of(info.Env(), lacking_); }
  Napi::Value features(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), features_);
  }

  // After close() the calls find no engine and say so as the system would: EBADF, or nothing.

  Napi::Value slots(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), engine_ == nullptr ? 0 : engine_->slots());
  }
  Napi::Value max_slots(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), max_slots_);
  }

  // () -> the number of slots after growing, which is unchanged when the limit is reached.
  Napi::Value grow(const Napi::CallbackInfo& info) {
    if (engine_ != nullptr) engine_->grow();
    return slots(info);
  }

  // () -> how many operations have completed already
  static Napi::Value submit(const Napi::CallbackInfo& info) {
    Session& self = as(info.Data());
    if (self.engine_ == nullptr) return Napi::Number::New(info.Env(), 0);
    self.engine_->submit();
    if (self.attached_ && self.armed_) self.after_submit();
    return Napi::Number::New(info.Env(), static_cast<double>(self.engine_->ready()));
  }

  // Detached mode: (deadlineNs) -> completions published. The caller dispatches them.
  static Napi::Value poll(const Napi::CallbackInfo& info) {
    Session& self = as(info.Data());
    if (!expect(info.Env(), !self.attached_, "a poll in attached mode")) return Napi::Value();
    if (self.engine_ == nullptr) return Napi::Number::New(info.Env(), 0);
    const double deadline_ns = info[0].As<Napi::Number>().DoubleValue();
    const uint32_t published = self.engine_->poll(static_cast<int64_t>(deadline_ns));
    return Napi::Number::New(info.Env(), published);
  }

  // Something was queued, perhaps after the turn of the prepare handle: see header_asleep. When
  // that still comes it needs no more.
  static void wake(const Napi::CallbackInfo& info) {
    Session& self = as(info.Data());
    if (self.engine_ == nullptr || !self.armed_) return;
    self.header_[header_asleep] = 0;
    self.loop_->wake();
  }

  // The first operation after idleness: from here on the event loop stays alive.
  void activate(const Napi::CallbackInfo&) {
    if (engine_ == nullptr) return;
    if (attached_ && !unref_) loop_->keep_alive(true);
    header_[header_active] = 1;
  }

  // (Uint8Array, sizeBytes, register, hold) -> handle, -1 when there are too many, -2 when closed.
  // The memory may be longer than the view that it begins with, because Node 20 has no view of 4
  // GiB. `hold` is false for memory that cannot be detached (a SharedArrayBuffer); TypeScript keeps
  // its object alive.
  Napi::Value add_buffer(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Number::New(info.Env(), -2);
    auto view = info[0].As<Napi::Uint8Array>();
    const auto size_bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
    bool right = size_bytes >= view.ByteLength();
    io::BackingStore backing_store;
    if (info[3].As<Napi::Boolean>().Value()) {
      Napi::ArrayBuffer buffer = view.ArrayBuffer();
      right = right && size_bytes <= buffer.ByteLength() - view.ByteOffset();
      backing_store = backing_store_of(buffer);
    }
    if (!expect(info.Env(), right, "memory that is shorter than it says")) return Napi::Value();
    const uint32_t handle = engine_->add_buffer(view.Data(), size_bytes, std::move(backing_store),
                                                info[2].As<Napi::Boolean>().Value());
    return Napi::Number::New(info.Env(), static_cast<int32_t>(handle));
  }

  Napi::Value release_buffer(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Boolean::New(info.Env(), false);
    const uint32_t handle = info[0].As<Napi::Number>().Uint32Value();
    return Napi::Boolean::New(info.Env(), engine_->release_buffer(handle));
  }

  // (returned, capacity, messages) -> a group of provided buffers, or a negative errno. `returned`
  // is an ArrayBuffer of capacity + 1 words, which TypeScript keeps alive where V8's memory cannot
  // be shared.
  Napi::Value add_group(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Number::New(info.Env(), -EBADF);
    auto returned = info[0].As<Napi::ArrayBuffer>();
    const uint32_t capacity = info[1].As<Napi::Number>().Uint32Value();
    const bool right = returned.ByteLength() / sizeof(uint32_t) > capacity;
    if (!expect(info.Env(), right, "a list that is too short")) return Napi::Value();
    const io::GroupContent content =
        info[2].As<Napi::Boolean>().Value() ? io::GroupContent::message : io::GroupContent::bytes;
    const int32_t group = engine_->groups().add(static_cast<uint32_t*>(returned.Data()), capacity,
                                                backing_store_of(returned), content);
    return Napi::Number::New(info.Env(), group);
  }

  // (group, buffer, offset, strideBytes, pieceBytes, count) -> 0 or a negative errno
  Napi::Value provide_buffers(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Number::New(info.Env(), -EBADF);
    const auto word = [&info](size_t at) { return info[at].As<Napi::Number>().Uint32Value(); };
    const double offset = info[2].As<Napi::Number>().DoubleValue();
    const int result =
        engine_->groups().provide_buffers(word(0), word(1), offset, word(3), word(4), word(5));
    return Napi::Number::New(info.Env(), result);
  }

  // (group) -> 0, or -EBUSY while a receive is in flight on it
  Napi::Value remove_group(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Number::New(info.Env(), 0);
    const uint32_t group = info[0].As<Napi::Number>().Uint32Value();
    return Napi::Number::New(info.Env(), engine_->groups().remove(group));
  }

  // Of the area that was asked for: { available, reason, advice }
  Napi::Value area(const Napi::CallbackInfo& info) {
    Napi::Object found = Napi::Object::New(info.Env());
    found.Set("available", has_area_);
    found.Set("reason", area_reason_);
    found.Set("advice", area_advice_);
    return found;
  }

  // (words, capacity) -> the area's group, or a negative errno. `words` is an ArrayBuffer of
  // 2 * capacity + 1 words: see buffer_groups.h.
  Napi::Value add_area(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Number::New(info.Env(), -EBADF);
    auto words = info[0].As<Napi::ArrayBuffer>();
    const uint32_t capacity = info[1].As<Napi::Number>().Uint32Value();
    const bool right = capacity <= io::abi::max_chunks &&
                       words.ByteLength() / sizeof(uint32_t) > size_t{2} * capacity;
    if (!expect(info.Env(), right, "a list that is too short")) return Napi::Value();
    const int32_t group = engine_->groups().add_area(static_cast<uint32_t*>(words.Data()), capacity,
                                                     backing_store_of(words));
    return Napi::Number::New(info.Env(), group);
  }

  // (descriptor, level, name, value) -> 0 or a negative errno. The value is a number or bytes.
  Napi::Value set_option(const Napi::CallbackInfo& info) {
    const int number = number_of(info[0]);
    if (number < 0) return Napi::Number::New(info.Env(), number);
    const int level = info[1].As<Napi::Number>().Int32Value();
    const int name = info[2].As<Napi::Number>().Int32Value();
    int result = 0;
    if (info[3].IsNumber()) {
      const int32_t value = info[3].As<Napi::Number>().Int32Value();
      result = io::set_socket_option(number, level, name, &value, sizeof(value));
    } else {
      auto bytes = info[3].As<Napi::Uint8Array>();
      result = io::set_socket_option(number, level, name, bytes.Data(), bytes.ByteLength());
    }
    return Napi::Number::New(info.Env(), result);
  }

  // (descriptor, level, name, Uint8Array) -> the bytes written into it, or a negative errno
  Napi::Value get_option(const Napi::CallbackInfo& info) {
    int result = number_of(info[0]);
    if (result >= 0) {
      const int level = info[1].As<Napi::Number>().Int32Value();
      const int name = info[2].As<Napi::Number>().Int32Value();
      auto into = info[3].As<Napi::Uint8Array>();
      result = io::get_socket_option(result, level, name, into.Data(), into.ByteLength());
    }
    return Napi::Number::New(info.Env(), result);
  }

  // (descriptor, bytes) -> the threshold as it is then, or a negative errno; -1 only reads it
  Napi::Value zero_copy_threshold(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Number::New(info.Env(), -EBADF);
    const int32_t descriptor = info[0].As<Napi::Number>().Int32Value();
    const double bytes = info[1].As<Napi::Number>().DoubleValue();
    return Napi::Number::New(info.Env(), engine_->zero_copy_threshold(descriptor, bytes));
  }

  // (number) -> a descriptor for a duplicate of it, or a negative errno
  Napi::Value borrow(const Napi::CallbackInfo& info) {
    const int32_t number = info[0].As<Napi::Number>().Int32Value();
    const auto answer = [&](int32_t result) { return Napi::Number::New(info.Env(), result); };
    if (engine_ == nullptr) return answer(-EBADF);
    // libuv aborts when it is to wait for an epoll that waits for libuv's own.
    if (loop_ != nullptr && loop_->waits_with(number)) return answer(-ELOOP);
    return answer(engine_->borrow(number));
  }

  // (number) -> a descriptor, or a negative errno: then the number stays its owner's
  Napi::Value adopt(const Napi::CallbackInfo& info) {
    const int32_t number = info[0].As<Napi::Number>().Int32Value();
    const int32_t result = engine_ == nullptr ? -EBADF : engine_->adopt_number(number);
    return Napi::Number::New(info.Env(), result);
  }

  // (descriptor): it came over a socket, and blocks from now on
  void set_blocking(const Napi::CallbackInfo& info) {
    const int number = number_of(info[0]);
    if (number >= 0) io::system::set_blocking(number);
  }

  // (kind) -> [descriptor, descriptor], or a negative errno. `kind` is one of
  // abi::descriptor_kind_*: a pipe, whose first end is read, a socket or a datagram socket.
  Napi::Value open_pair(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const uint32_t kind = info[0].As<Napi::Number>().Uint32Value();
    int ends[2];
    int result = -EBADF;
    if (engine_ != nullptr && kind == io::abi::descriptor_kind_pipe) {
      result = io::system::open_pipe(ends);
    } else if (engine_ != nullptr) {
      const bool is_stream = kind == io::abi::descriptor_kind_socket;
      result = io::system::open_socket_pair(is_stream ? SOCK_STREAM : SOCK_DGRAM, ends);
    }
    int32_t descriptors[2];
    if (result >= 0) result = engine_->open_pair(ends, descriptors);
    if (result < 0) return Napi::Number::New(env, result);
    Napi::Array pair = Napi::Array::New(env, 2);
    for (uint32_t index = 0; index < 2; index++) {
      pair.Set(index, Napi::Number::New(env, descriptors[index]));
    }
    return pair;
  }

  // (descriptor) -> abi::descriptor_kind_*, or a negative errno
  Napi::Value kind_of(const Napi::CallbackInfo& info) {
    const int number = number_of(info[0]);
    return Napi::Number::New(info.Env(), number < 0 ? number : io::system::kind_of(number));
  }

  // (process) -> a descriptor that is readable when it has ended, or a negative errno
  Napi::Value open_process(const Napi::CallbackInfo& info) {
    const int64_t process = info[0].As<Napi::Number>().Int64Value();
    const int32_t result = engine_ == nullptr ? -EBADF : engine_->open_process(process);
    return Napi::Number::New(info.Env(), result);
  }

  // (descriptor) -> [has a code, code or signal], or a negative errno
  Napi::Value process_end(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const int number = number_of(info[0]);
    io::system::ProcessEnd end;
    const int error = number < 0 ? number : io::system::process_end(number, end);
    if (error != 0) return Napi::Number::New(env, error);
    Napi::Array result = Napi::Array::New(env, 2);
    result.Set(0u, Napi::Boolean::New(env, end.has_code));
    result.Set(1u, Napi::Number::New(env, end.value));
    return result;
  }

  // (descriptor, joins, interface, group, source) -> 0 or a negative errno. The last two are
  // records of addresses; `source` may be null.
  Napi::Value change_group(const Napi::CallbackInfo& info) {
    int result = number_of(info[0]);
    if (result < 0) return Napi::Number::New(info.Env(), result);
    const int number = result;
    sockaddr_storage group;
    sockaddr_storage source;
    socklen_t size_bytes = 0;
    const bool has_source = info[4].IsTypedArray();
    result = io::read_record(info[3].As<Napi::Uint8Array>().Data(), group, size_bytes);
    if (result == 0 && has_source) {
      result = io::read_record(info[4].As<Napi::Uint8Array>().Data(), source, size_bytes);
    }
    if (result == 0) {
      result = io::system::change_group(number, info[1].As<Napi::Boolean>().Value(),
                                        info[2].As<Napi::Number>().Uint32Value(), group,
                                        has_source ? &source : nullptr);
    }
    return Napi::Number::New(info.Env(), result);
  }

  // (descriptor) -> [process, user, group], or a negative errno
  Napi::Value peer_credentials(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const int number = number_of(info[0]);
    io::system::PeerCredentials found;
    const int error = number < 0 ? number : io::system::peer_credentials(number, found);
    if (error != 0) return Napi::Number::New(env, error);
    Napi::Array result = Napi::Array::New(env, 3);
    result.Set(0u, Napi::Number::New(env, static_cast<double>(found.process)));
    result.Set(1u, Napi::Number::New(env, found.user));
    result.Set(2u, Napi::Number::New(env, found.group));
    return result;
  }

  // () -> [descriptor, id], or a negative errno
  Napi::Value open_notifier(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    int64_t id = 0;
    const int32_t descriptor = engine_ == nullptr ? -EBADF : engine_->open_notifier(id);
    if (descriptor < 0) return Napi::Number::New(env, descriptor);
    Napi::Array result = Napi::Array::New(env, 2);
    result.Set(0u, Napi::Number::New(env, descriptor));
    result.Set(1u, Napi::Number::New(env, static_cast<double>(id)));
    return result;
  }

  // (id, descriptor, Int32Array) -> how many values it was given, or a negative errno
  Napi::Value take_notifications(const Napi::CallbackInfo& info) {
    const int number = number_of(info[1]);
    if (number < 0) return Napi::Number::New(info.Env(), number);
    const int64_t id = info[0].As<Napi::Number>().Int64Value();
    auto values = info[2].As<Napi::Int32Array>();
    const int taken =
        engine_->notifiers().take(id, number, {values.Data(), values.ElementLength()});
    return Napi::Number::New(info.Env(), taken);
  }

  // (id)
  void close_notifier(const Napi::CallbackInfo& info) {
    if (engine_ != nullptr) engine_->notifiers().close(info[0].As<Napi::Number>().Int64Value());
  }

  // (numbers) -> a descriptor, from which takeSignal() takes, or a negative errno
  Napi::Value open_signals(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto numbers = info[0].As<Napi::Array>();
    uint64_t signals = 0;
    for (uint32_t index = 0; index < numbers.Length(); index++) {
      const uint32_t signal = numbers.Get(index).As<Napi::Number>().Uint32Value();
      const bool right = signal > 0 && signal < io::signals_limit;
      if (!expect(env, right, "a signal that there is not")) return Napi::Value();
      signals |= uint64_t{1} << signal;
    }
    if (engine_ == nullptr) return Napi::Number::New(env, -EBADF);
    auto taker = std::make_unique<io::SignalTaker>();
    int number = -1;
    const int error = taker->open(signals, number);
    if (error < 0) return Napi::Number::New(env, error);
    const int32_t descriptor = engine_->take_descriptor(number);
    if (descriptor >= 0) signal_takers_.insert_or_assign(descriptor, std::move(taker));
    return Napi::Number::New(env, descriptor);
  }

  // (descriptor) -> the number of the next signal, or 0 or less
  Napi::Value take_signal(const Napi::CallbackInfo& info) {
    const int number = number_of(info[0]);
    uint8_t signal = 0;
    if (number >= 0) static_cast<void>(io::system::read_file(number, &signal, 1, -1));
    return Napi::Number::New(info.Env(), signal);
  }

  // (descriptor)
  void close_signals(const Napi::CallbackInfo& info) {
    signal_takers_.erase(info[0].As<Napi::Number>().Int32Value());
  }

  // (descriptor, keeps): whether its operations keep the event loop alive; -1: those of all.
  void set_ref(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr || !attached_) return;
    const int32_t descriptor = info[0].As<Napi::Number>().Int32Value();
    const bool keeps = info[1].As<Napi::Boolean>().Value();
    if (descriptor < 0) {
      unref_ = !keeps;
    } else if (engine_->set_ref(descriptor, keeps) != 0) {
      return;  // it is closed, and keeps nothing alive
    }
    decide_alive();
  }

  // (descriptor, peer) -> [family, port, host], or a negative errno
  Napi::Value name(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const int number = number_of(info[0]);
    io::AddressText name;
    const bool peer = info[1].As<Napi::Boolean>().Value();
    const int error = number < 0 ? number : io::socket_name(number, peer, name);
    if (error != 0) return Napi::Number::New(env, error);
    return name_to_js(env, name);
  }

  // (descriptor, path) -> 0 or a negative errno: the file goes with the socket that is bound to it
  Napi::Value own_file(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Number::New(info.Env(), -EBADF);
    const int32_t descriptor = info[0].As<Napi::Number>().Int32Value();
    const int result = engine_->own_file(descriptor, info[1].As<Napi::String>().Utf8Value());
    return Napi::Number::New(info.Env(), result);
  }

  // (Float64Array)
  void counters(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return;
    auto out = info[0].As<Napi::Float64Array>();
    const bool right = out.ElementLength() == io::abi::counter_count;
    if (!expect(info.Env(), right, "a list of another length")) return;
    engine_->read_counters(out.Data());
  }

  // (descriptor, Float64Array) -> 0 or a negative errno
  Napi::Value socket_counters(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return Napi::Number::New(info.Env(), -EBADF);
    auto out = info[1].As<Napi::Float64Array>();
    const bool right = out.ElementLength() == io::abi::socket_counters;
    if (!expect(info.Env(), right, "a list of another length")) return Napi::Value();
    const int32_t descriptor = info[0].As<Napi::Number>().Int32Value();
    return Napi::Number::New(info.Env(), engine_->read_socket_counters(descriptor, out.Data()));
  }

  // Everything in flight is cancelled until nothing is, whatever starts meanwhile.
  void end_all(const Napi::CallbackInfo&) {
    if (engine_ == nullptr) return;
    engine_->end_all();
    if (!attached_) return;
    decide_alive();
    if (armed_) after_submit();
  }

  // () -> [call, errno], or null
  Napi::Value loss(const Napi::CallbackInfo& info) {
    const io::Loss loss = engine_ == nullptr ? io::Loss{} : engine_->loss();
    if (loss.error == 0) return info.Env().Null();
    Napi::Array result = Napi::Array::New(info.Env(), 2);
    result.Set(0u, Napi::String::New(info.Env(), loss.call));
    result.Set(1u, Napi::Number::New(info.Env(), loss.error));
    return result;
  }

  int number_of(const Napi::Value& descriptor) {
    if (engine_ == nullptr) return -EBADF;
    return engine_->number_of(descriptor.As<Napi::Number>().Int32Value());
  }

  void close(const Napi::CallbackInfo&) {
    if (engine_ == nullptr) return;
    end_engine();
    dispatch_.Reset();
    memory_.Reset();
    area_memory_.Reset();
    if (loop_ != nullptr) {
      loop_->close();  // closed() follows
    } else {
      finish_closing();
    }
  }

  // ---- the area that the network device writes to

  // False when it is not inside of its memory, and an error is thrown.
  bool set_area(const Napi::Object& wanted, io::AreaOptions& options) {
    auto memory = wanted.Get("memory").As<Napi::ArrayBuffer>();
    const size_t start = wanted.Get("start").As<Napi::Number>().Uint32Value();
    options.wanted = true;
    options.interface = wanted.Get("interface").As<Napi::String>().Utf8Value();
    options.queue = wanted.Get("queue").As<Napi::Number>().Uint32Value();
    options.size_bytes = wanted.Get("sizeBytes").As<Napi::Number>().Uint32Value();
    const bool right = start <= memory.ByteLength() &&
                       options.size_bytes <= memory.ByteLength() - start &&
                       options.size_bytes <= io::abi::max_area_bytes;
    if (!expect(memory.Env(), right, "an area outside of its memory")) return false;
    options.address = static_cast<uint8_t*>(memory.Data()) + start;
    options.backing_store = backing_store_of(memory);
    area_memory_ = Napi::Persistent(static_cast<Napi::Object>(memory));
    return true;
  }

  void set_area_found(const io::Opened& opened, const io::AreaOptions& options) {
    has_area_ = opened.has_area;
    area_reason_ = opened.area_reason;
    area_advice_ = opened.area_advice;
    if (!has_area_) area_memory_.Reset();
    if (!options.wanted || !area_reason_.empty()) return;
    area_reason_ = std::string("the backend is ") + opened.name +
                   ", and only io_uring receives into the program's memory";
  }

  // ---- attached mode

  // `elsewhere`: this runtime's event loop cannot wait for a descriptor.
  void start_loop(Napi::Env env, bool elsewhere) {
    uv_loop_t* loop = nullptr;
    CHECK(napi_get_uv_event_loop(env, &loop) == napi_ok);
    const io::UvLoop::Callbacks callbacks = {
        .before_wait = [](void* self) { as(self).before_wait(); },
        .woken = [](void* self) { as(self).woken(); },
        .closed = [](void* self) { as(self).finish_closing(); },
        .wait = [](void* self) { as(self).engine_->wait_elsewhere(); },
        .interrupt = [](void* self) { return as(self).engine_->wake(); },
        .context = this,
    };
    const int descriptor = engine_->wait_descriptor();
    int error = descriptor;
    loop_ = std::make_unique<io::UvLoop>();
    if (descriptor == -ENOTSUP || (descriptor >= 0 && elsewhere)) {
      loop_->start_with_thread(loop, callbacks);
      error = 0;
    } else if (descriptor >= 0) {
      error = loop_->start(loop, descriptor, callbacks);
    }
    if (error >= 0) {
      max_round_ = max_completions_;
      armed_ = true;
      header_[header_asleep] = 1;
      if (!engine_->arm()) loop_->wake();
      return;
    }
    const io::Opened refused = io::refuse("the wake-up of the event loop", -error);
    failure_ = refused.error;
    reason_ = refused.reason;
    advice_ = refused.advice;
    engine_.reset();
    loop_.reset();
  }

  static Session& as(void* self) { return *static_cast<Session*>(self); }

  // Runs in each turn before the event loop waits, unless the handle was started in this moment.
  // Entries that later handles of the same turn queue have to wake the loop: JavaScript calls
  // wake() for them.
  void before_wait() {
    if (engine_ == nullptr) return;
    const bool turned_by_callback = dispatching_;
    if (turned_by_callback || (!woken_soon_ && header_[header_queued] != 0)) {
      pump();
    } else if (engine_->has_queued()) {
      engine_->submit();  // returned memory only, which needs no kernel
    }
  }

  void woken() {
    if (engine_ == nullptr) return;
    engine_->count_wake_up();
    pump(std::exchange(by_turns_, false) ? turn_ns : 0);
  }

  // Submits and dispatches until nothing more happens at once, or until the other handles of the
  // event loop have to have their turn; then goes to sleep. Waits for the first completion up to
  // `deadline_ns`. Called by libuv only: when that is inside a callback, which turns the event
  // loop, the rest of the batch that the callback belongs to is dispatched first.
  void pump(int64_t deadline_ns = 0) {
    const Napi::HandleScope scope(Env());
    // A callback may close, and turn the event loop until nothing else keeps this object.
    [[maybe_unused]] const Napi::Object kept = Value();
    if (dispatching_ && !dispatch(0)) return;
    if (run_rounds(deadline_ns)) fall_asleep();
  }

  // False when nothing may follow: the session was closed, or JavaScript cannot run any more.
  bool run_rounds(int64_t deadline_ns) {
    const int64_t begun_ns = io::now_ns();
    int64_t round_ns = begun_ns;
    do {
      if (engine_ == nullptr) return false;
      stay_awake();
      const uint32_t published = engine_->poll(deadline_ns, max_round_);
      if (published == 0) return true;
      if (!dispatch(published)) return false;
      const int64_t now_ns = io::now_ns();
      suit_rounds(published, now_ns - round_ns);
      round_ns = now_ns;
      deadline_ns = 0;
    } while (round_ns - begun_ns < pump_ns);
    return engine_ != nullptr;
  }

  // A round takes no more completions than are done in the time of a turn, by what those of the
  // last one took: with their callbacks, and with what these have started.
  void suit_rounds(uint32_t published, int64_t took_ns) {
    if (published > 1 && took_ns > pump_ns) {
      const int64_t fit = published * pump_ns / took_ns;
      max_round_ = static_cast<uint32_t>(std::max<int64_t>(fit, 1));
    } else if (published >= max_round_ && took_ns < pump_ns / 2) {
      max_round_ = std::min(max_round_ * 2, max_completions_);
    }
  }

  void stay_awake() {
    header_[header_asleep] = 0;
    header_[header_pumping] = 1;
    woken_soon_ = false;
    armed_ = false;
  }

  // The next operation that is begun keeps the event loop alive again: activate().
  void decide_alive() {
    const bool keeps = engine_->is_ending() || (!unref_ && engine_->keeps_alive());
    if (keeps == (header_[header_active] != 0)) return;
    header_[header_active] = keeps ? 1 : 0;
    loop_->keep_alive(keeps);
  }

  void fall_asleep() {
    header_[header_pumping] = 0;
    decide_alive();
    armed_ = true;
    header_[header_asleep] = 1;
    if (!engine_->arm()) {
      wake_loop();
    } else {
      wait_for_kernel();
    }
  }

  void wake_loop() {
    header_[header_asleep] = 0;
    woken_soon_ = true;
    loop_->wake();
  }

  // The engine sleeps, and JavaScript has handed something over to it.
  void after_submit() {
    // Refused entries, and those that are done at once, need no kernel, so no kernel event would
    // wake the event loop.
    if (engine_->has_news() || engine_->ready() > 0) {
      wake_loop();
    } else {
      wait_for_kernel();
    }
  }

  // Operations in flight have to wake the event loop. Where the system gives no thread for that,
  // the loop itself waits a little in each turn, so that everything goes on, if slowly.
  void wait_for_kernel() {
    if (engine_->idle() || loop_->arm()) return;
    by_turns_ = true;
    wake_loop();
  }

  // False when JavaScript cannot run any more, because the environment is being ended: Node turns
  // the event loop a last time before it calls the clean-up hook.
  bool dispatch(uint32_t published) {
    const Napi::Env env = Env();
    const Napi::HandleScope scope(env);
    const napi_value argument = Napi::Number::New(env, published);
    napi_value ignored = nullptr;
    const bool outer = std::exchange(dispatching_, true);
    const napi_status status =
        napi_make_callback(env, nullptr, env.Global(), dispatch_.Value(), 1, &argument, &ignored);
    dispatching_ = outer;
    if (status == napi_ok) return true;
    bool pending = false;
    napi_value error = nullptr;
    if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return false;
    if (napi_get_and_clear_last_exception(env, &error) != napi_ok) return false;
    // The dispatcher reports what callbacks throw by itself, so this is a defect of its own.
    return napi_fatal_exception(env, error) == napi_ok;
  }

  // ---- the end

  void end_engine() {
    signal_takers_.clear();
    if (loop_ != nullptr) loop_->stop_waiting();
    if (engine_->shut_down()) {
      engine_.reset();
    } else {
      // The kernel may still write into buffers: the engine and the memory that it keeps stay
      // forever.
      static_cast<void>(engine_.release());
    }
  }

  void finish_closing() {
    loop_.reset();
    if (cleanup_ == nullptr) return;
    napi_remove_async_cleanup_hook(cleanup_);
    cleanup_ = nullptr;
    if (!environment_ended_) Unref();
  }

  static void environment_ends(napi_async_cleanup_hook_handle, void* context) {
    Session& self = as(context);
    self.environment_ended_ = true;
    if (self.engine_ != nullptr) {
      self.end_engine();
      if (self.loop_ != nullptr) self.loop_->close();
    }
    if (self.loop_ == nullptr) self.finish_closing();
  }

  int failure_ = 0;
  std::string reason_;
  std::string advice_;
  std::vector<io::abi::Opcode> lacking_;
  uint32_t features_ = 0;
  std::string backend_;
  uint32_t max_slots_ = 0;
  bool attached_ = false;
  bool unref_ = false;  // the IO keeps the event loop alive by nothing
  bool armed_ = false;
  bool dispatching_ = false;
  bool woken_soon_ = false;       // the event loop calls woken() before it waits
  uint32_t max_completions_ = 0;  // completions of a round
  uint32_t max_round_ = 0;        // and of the next one
  bool by_turns_ = false;  // nothing but the next turn of the event loop looks for completions
  bool environment_ended_ = false;
  uint32_t* header_ = nullptr;
  Napi::ObjectReference memory_;
  Napi::ObjectReference area_memory_;  // where V8's memory cannot be shared, this keeps it
  bool has_area_ = false;
  std::string area_reason_;
  std::string area_advice_;
  Napi::FunctionReference dispatch_;
  std::unique_ptr<io::Engine> engine_;
  std::unordered_map<int32_t, std::unique_ptr<io::SignalTaker>> signal_takers_;
  std::unique_ptr<io::UvLoop> loop_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
};

// (taskrun) -> [{ name, available, automatic, endsSearch, reason, advice, lacking, features }]
Napi::Value probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env);
  uint32_t index = 0;
  for (const io::Candidate& candidate : io::probe_backends(taskrun_from(info[0]))) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", candidate.name);
    row.Set("available", candidate.available);
    row.Set("automatic", candidate.automatic);
    row.Set("endsSearch", candidate.ends_search);
    row.Set("reason", candidate.reason);
    row.Set("advice", candidate.advice);
    row.Set("lacking", numbers_of(env, candidate.lacking));
    row.Set("features", candidate.features);
    list.Set(index++, row);
  }
  return list;
}

// A limit of the process in force now; infinity when there is none, and -1 when it is unknown.
double limit_of(int resource) {
  rlimit limit;
  if (getrlimit(resource, &limit) != 0) return -1;
  if (limit.rlim_cur == RLIM_INFINITY) return std::numeric_limits<double>::infinity();
  return static_cast<double>(limit.rlim_cur);
}

// () -> { lockedMemoryBytes, descriptors }
Napi::Value process_limits(const Napi::CallbackInfo& info) {
  Napi::Object limits = Napi::Object::New(info.Env());
  limits.Set("lockedMemoryBytes", limit_of(RLIMIT_MEMLOCK));
  limits.Set("descriptors", limit_of(RLIMIT_NOFILE));
  return limits;
}

// (ArrayBuffer, alignment) -> how far its memory lies beyond a multiple of the alignment
Napi::Value address_remainder(const Napi::CallbackInfo& info) {
  auto memory = info[0].As<Napi::ArrayBuffer>();
  const uint32_t alignment = info[1].As<Napi::Number>().Uint32Value();
  if (!expect(info.Env(), alignment != 0, "an alignment of 0")) return Napi::Value();
  const auto address = reinterpret_cast<uintptr_t>(memory.Data());
  return Napi::Number::New(info.Env(), static_cast<double>(address % alignment));
}

// Text, or the bytes of a path that is not UTF-8.
std::string name_from_js(const Napi::Value& value) {
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  auto bytes = value.As<Napi::Uint8Array>();
  return std::string(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
}

// (family, port, host, Uint8Array) -> 0 or a negative errno: writes the record of an address
Napi::Value write_address(const Napi::CallbackInfo& info) {
  auto record = info[3].As<Napi::Uint8Array>();
  const bool right = record.ByteLength() == io::abi::peer_size_bytes;
  if (!expect(info.Env(), right, "a record of another length")) return Napi::Value();
  const io::AddressText text = {info[0].As<Napi::Number>().Uint32Value(),
                                info[1].As<Napi::Number>().Uint32Value(), name_from_js(info[2])};
  sockaddr_storage address;
  socklen_t size_bytes = 0;
  const int error = io::parse_address(text, address, size_bytes);
  if (error == 0) io::write_record(address, size_bytes, 0, record.Data());
  return Napi::Number::New(info.Env(), error);
}

// (Uint8Array) -> [family, port, host], or a negative errno
Napi::Value read_address(const Napi::CallbackInfo& info) {
  auto record = info[0].As<Napi::Uint8Array>();
  const bool right = record.ByteLength() == io::abi::peer_size_bytes;
  if (!expect(info.Env(), right, "a record of another length")) return Napi::Value();
  sockaddr_storage address;
  socklen_t size_bytes = 0;
  io::AddressText text;
  int error = io::read_record(record.Data(), address, size_bytes);
  if (error == 0) error = io::format_address(address, size_bytes, text);
  if (error != 0) return Napi::Number::New(info.Env(), error);
  return name_to_js(info.Env(), text);
}

void take_signals_again(const Napi::CallbackInfo&) {
  io::take_signals_again();
}

// (errno, positive) -> [name, text]; undefined when the system has no such error
Napi::Value error_name(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int error = info[0].As<Napi::Number>().Int32Value();
  const std::string name = io::system::error_name(error);
  if (name == "unknown error") return env.Undefined();
  Napi::Array result = Napi::Array::New(env, 2);
  result.Set(0u, Napi::String::New(env, name));
  result.Set(1u, Napi::String::New(env, io::system::error_text(error)));
  return result;
}

// The numbers of levels and options of sockets by their names, those that this system has.
Napi::Object socket_constants_to_js(Napi::Env env) {
  Napi::Object numbers = Napi::Object::New(env);
  for (const io::SocketConstant& constant : io::socket_constants()) {
    numbers.Set(constant.name, constant.value);
  }
  return numbers;
}

// (number) -> abi::descriptor_kind_*, or a negative errno
Napi::Value kind_of_number(const Napi::CallbackInfo& info) {
  const int number = info[0].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), io::system::kind_of(number));
}

// () -> the cids of this machine, or a negative errno
Napi::Value vsock_cids(const Napi::CallbackInfo& info) {
  std::vector<uint32_t> cids;
  const int error = io::find_vsock_cids(cids);
  if (error != 0) return Napi::Number::New(info.Env(), error);
  Napi::Array list = Napi::Array::New(info.Env());
  uint32_t index = 0;
  for (const uint32_t cid : cids) list.Set(index++, Napi::Number::New(info.Env(), cid));
  return list;
}

// (id, value) -> 0 or a negative errno. From any thread, with or without an engine of its own.
Napi::Value notify(const Napi::CallbackInfo& info) {
  const int64_t id = info[0].As<Napi::Number>().Int64Value();
  const int32_t value = info[1].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), io::Notifiers::notify(id, value));
}

// (interface, queue) -> { available, reason, advice }
Napi::Value probe_zero_copy_receive(const Napi::CallbackInfo& info) {
  Napi::Object found = Napi::Object::New(info.Env());
#if IO_HAVE_LIBURING
  const std::string interface = info[0].As<Napi::String>().Utf8Value();
  const uint32_t queue = info[1].As<Napi::Number>().Uint32Value();
  const io::ZcrxProbe probed = io::Zcrx::probe(interface, queue);
  found.Set("available", probed.available);
  found.Set("reason", probed.reason);
  found.Set("advice", probed.advice);
#else
  found.Set("available", false);
  found.Set("reason", "the engine was built without io_uring");
  found.Set("advice", "");
#endif
  return found;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  io::system::stay_loaded();
  exports.Set("Session", Session::define(env));
  exports.Set("probe", Napi::Function::New(env, probe));
  exports.Set("probeZeroCopyReceive", Napi::Function::New(env, probe_zero_copy_receive));
  exports.Set("processLimits", Napi::Function::New(env, process_limits));
  exports.Set("addressRemainder", Napi::Function::New(env, address_remainder));
  exports.Set("kindOf", Napi::Function::New(env, kind_of_number));
  exports.Set("vsockCids", Napi::Function::New(env, vsock_cids));
  exports.Set("notify", Napi::Function::New(env, notify));
  exports.Set("takeSignalsAgain", Napi::Function::New(env, take_signals_again));
  exports.Set("errorName", Napi::Function::New(env, error_name));
  exports.Set("writeAddress", Napi::Function::New(env, write_address));
  exports.Set("readAddress", Napi::Function::New(env, read_address));
  exports.Set("holdsMemory", io::BackingStore::supported());
  exports.Set("socketConstants", socket_constants_to_js(env));
  exports.Set("version", IO_VERSION);
  exports.Set("pageBytes", static_cast<double>(sysconf(_SC_PAGESIZE)));
  return exports;
}

}  // namespace

NODE_API_MODULE(io, initialize)
