// Signals: see signals.h.
#include "node/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>

#include "support/check.h"
#include "system/system.h"

// Null where the runtime has none of them: see uv_loop.cc.
#pragma weak uv_loop_init
#pragma weak uv_signal_init
#pragma weak uv_signal_start
#pragma weak uv_signal_stop

namespace io {

namespace {

// ---- what the handler reads

std::atomic_flag handler_lock;
SignalPipe* first_pipe = nullptr;
// What our handler calls, by the number of the signal: libuv's, and never ours.
struct sigaction beneath[signals_limit];
// What the handler does while no taker has the signal: the handler that was there before.
struct sigaction restored[signals_limit];

void lock_handler() {
  while (handler_lock.test_and_set(std::memory_order_acquire)) {
  }
}

void unlock_handler() {
  handler_lock.clear(std::memory_order_release);
}

// No handler runs on this thread meanwhile, and those of other threads wait. So nothing may be
// called here that such a thread may be in the middle of: no allocation.
class HandlersHeld {
 public:
  HandlersHeld() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask_);
    lock_handler();
  }
  ~HandlersHeld() {
    unlock_handler();
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  HandlersHeld(const HandlersHeld&) = delete;
  HandlersHeld& operator=(const HandlersHeld&) = delete;

 private:
  sigset_t mask_;
};

constexpr uint64_t bit_of(int signal) {
  return uint64_t{1} << signal;
}

// A full pipe drops the signal. It always has a reader, so no write raises SIGPIPE.
void tell(const SignalPipe& pipe, int signal) {
  const auto number = static_cast<uint8_t>(signal);
  while (::write(pipe.write_end, &number, sizeof(number)) < 0 && errno == EINTR) {
  }
}

void call(const struct sigaction& action, int signal, siginfo_t* info, void* context) {
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal, info, context);
  } else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
    action.sa_handler(signal);
  }
}

// On any thread, at any time, with all signals blocked.
void handle_signal(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  lock_handler();
  for (SignalPipe* pipe = first_pipe; pipe != nullptr; pipe = pipe->next) {
    if ((pipe->signals & bit_of(signal)) != 0) tell(*pipe, signal);
  }
  const struct sigaction libuvs = beneath[signal];
  const struct sigaction earlier = restored[signal];
  unlock_handler();
  call(libuvs, signal, info, context);
  call(earlier, signal, info, context);
  errno = error;
}

uintptr_t handler_of(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 ? reinterpret_cast<uintptr_t>(action.sa_sigaction)
                                             : reinterpret_cast<uintptr_t>(action.sa_handler);
}

bool does_default(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL;
}

bool is_ours(const struct sigaction& action) {
  return handler_of(action) == reinterpret_cast<uintptr_t>(handle_signal);
}

struct sigaction action_of(int signal) {
  struct sigaction action = {};
  CHECK(::sigaction(signal, nullptr, &action) == 0);
  return action;
}

// What lies above ours need not call it: Node's vm leaves a handler that ends the process.
void set_highest(int signal) {
  if (is_ours(action_of(signal))) return;
  struct sigaction ours = {};
  ours.sa_sigaction = handle_signal;
  ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&ours.sa_mask);
  CHECK(::sigaction(signal, &ours, nullptr) == 0);
}

// ---- who has taken what

struct TakenSignal {  // of one signal
  uint32_t takers = 0;
  bool has_guard = false;
  uv_signal_t guard;
  bool stays = false;             // the guard and our handler do, after the last taker
  struct sigaction earlier = {};  // what it did before the first taker
};

struct SignalRegistry {
  std::mutex mutex;
  bool has_loop = false;
  // The guards' own, which never turns: a guard needs no thread, and outlives each environment.
  uv_loop_t loop;
  TakenSignal taken[signals_limit];
};

// Never destroyed: threads may end while the process does.
SignalRegistry& signal_registry() {
  static SignalRegistry& one = *std::make_unique<SignalRegistry>().release();
  return one;
}

int start_guard(SignalRegistry& registry, int signal) {
  if (uv_loop_init == nullptr || uv_signal_init == nullptr || uv_signal_start == nullptr ||
      uv_signal_stop == nullptr) {
    return -ENOSYS;
  }
  if (!registry.has_loop) {
    const int error = uv_loop_init(&registry.loop);
    if (error != 0) return error;
    registry.has_loop = true;
  }
  TakenSignal& taken = registry.taken[signal];
  if (!taken.has_guard) {
    const int error = uv_signal_init(&registry.loop, &taken.guard);
    if (error != 0) return error;
    taken.has_guard = true;
  }
  return uv_signal_start(
      &taken.guard, [](uv_signal_t*, int) {}, signal);
}

int take_signal(SignalRegistry& registry, int signal) {
  TakenSignal& taken = registry.taken[signal];
  const bool starts = taken.takers == 0 && !taken.stays;
  const struct sigaction earlier = action_of(signal);
  if (starts) {
    const int error = start_guard(registry, signal);
    if (error != 0) return error;
  }
  const HandlersHeld held;
  // Ours lies there where other code had set it again: what is known of the signal still holds.
  if (starts && !is_ours(earlier)) taken.earlier = earlier;
  const struct sigaction current = action_of(signal);
  if (starts && !is_ours(current)) beneath[signal] = current;
  restored[signal] = {};
  set_highest(signal);
  taken.takers++;
  return 0;
}

// What the signal did before, now that libuv has left it: not what another thread has set since.
void set_again(int signal, const struct sigaction& earlier) {
  struct sigaction replaced = {};
  if (!does_default(action_of(signal))) return;
  CHECK(::sigaction(signal, &earlier, &replaced) == 0);
  if (!does_default(replaced)) CHECK(::sigaction(signal, &replaced, nullptr) == 0);
}

// The stop of libuv's last listener sets SIG_DFL, and another thread may get the signal right then.
// So what was ignored or had a handler of its own stays with ours, except for a handler that is
// for one signal: Node's for SIGINT and SIGTERM, which ends the process as the default does.
bool stays_with_ours(const struct sigaction& earlier) {
  return !does_default(earlier) && (static_cast<unsigned>(earlier.sa_flags) & SA_RESETHAND) == 0;
}

void give_back_signal(SignalRegistry& registry, int signal) {
  TakenSignal& taken = registry.taken[signal];
  CHECK(taken.takers > 0);
  taken.takers--;
  if (taken.takers > 0) return;
  bool node_listened = false;
  {
    const HandlersHeld held;
    const struct sigaction& libuvs = beneath[signal];
    node_listened = handler_of(taken.earlier) == handler_of(libuvs);
    taken.stays = !node_listened && stays_with_ours(taken.earlier);
    if (taken.stays) {
      restored[signal] = taken.earlier;
      set_highest(signal);
      return;
    }
    // Whatever lies there now, since libuv sets its own only with its first listener.
    CHECK(::sigaction(signal, &libuvs, nullptr) == 0);
  }
  CHECK(uv_signal_stop(&taken.guard) == 0);
  // Where Node had listened before the first taker, nothing comes back.
  if (!node_listened) set_again(signal, taken.earlier);
}

}  // namespace

int SignalTaker::open(uint64_t signals, int& number) {
  int ends[2];
  const int result = system::open_pipe(ends);
  if (result < 0) return result;
  read_end_ = system::duplicate(ends[0]);
  if (read_end_ < 0) {
    for (const int end : ends) ::close(end);
    return read_end_;
  }
  pipe_.write_end = ends[1];
  pipe_.signals = signals;
  SignalRegistry& registry = signal_registry();
  const std::scoped_lock lock(registry.mutex);
  {
    const HandlersHeld held;
    pipe_.next = first_pipe;
    first_pipe = &pipe_;
  }
  for (int signal = 1; signal < signals_limit; signal++) {
    if ((signals & bit_of(signal)) == 0) continue;
    const int error = take_signal(registry, signal);
    if (error == 0) {
      taken_ |= bit_of(signal);
      continue;
    }
    give_back();
    ::close(ends[0]);
    return error;
  }
  number = ends[0];
  return 0;
}

void take_signals_again() {
  SignalRegistry& registry = signal_registry();
  const std::scoped_lock lock(registry.mutex);
  const HandlersHeld held;
  for (int signal = 1; signal < signals_limit; signal++) {
    if (registry.taken[signal].takers > 0) set_highest(signal);
  }
}

SignalTaker::~SignalTaker() {
  if (pipe_.write_end < 0) return;
  const std::scoped_lock lock(signal_registry().mutex);
  give_back();
}

void SignalTaker::give_back() {
  SignalRegistry& registry = signal_registry();
  for (int signal = 1; signal < signals_limit; signal++) {
    if ((taken_ & bit_of(signal)) != 0) give_back_signal(registry, signal);
  }
  {
    const HandlersHeld held;
    SignalPipe** link = &first_pipe;
    while (*link != &pipe_) link = &(*link)->next;
    *link = pipe_.next;
  }
  ::close(pipe_.write_end);
  ::close(read_end_);
  pipe_ = {};
  taken_ = 0;
}

}  // namespace io
