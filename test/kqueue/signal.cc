// EVFILT_SIGNAL: a handler that counts and then does what the signal would have done. See layer.h.
//
// The manual page says that the filter coexists with sigaction(2) and sees what is ignored too. On
// Linux only a handler (or signalfd, which takes the signal away from everybody else) sees signals,
// so the first knote of a signal puts a handler before the one that was there. The limit of it: a
// sigaction() that the program makes *afterwards* replaces ours, and the signal is not counted.
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>

#include "layer.h"

namespace kqueue_layer {

namespace {

constexpr size_t knotes_per_signal = 16;
constexpr int unused = -1;

// What the handler reads: counters (eventfds) of the knotes, and the action that was there before.
struct Watched {
  Watched() {
    for (std::atomic<int>& counter : counters) counter = unused;
  }
  std::array<std::atomic<int>, knotes_per_signal> counters;
  struct sigaction before = {};
  size_t knotes = 0;
};

std::array<Watched, NSIG> signals;
std::mutex signals_mutex;
std::atomic<int> handlers_inside = 0;

void do_default(int signal) {
  if (signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH) return;
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // comes when this handler returns and the signal is unblocked
}

void count_signal(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  Watched& watched = signals[static_cast<size_t>(signal)];
  handlers_inside++;
  for (std::atomic<int>& counter : watched.counters) {
    const int number = counter;
    const uint64_t one = 1;
    // Full only after 2^64 signals.
    if (number != unused) static_cast<void>(!::write(number, &one, sizeof(one)));
  }
  handlers_inside--;
  const struct sigaction& before = watched.before;
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler == SIG_DFL) {
    do_default(signal);
  } else if (before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  }
  errno = error;
}

bool is_ours(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == count_signal;
}

// 0 or an errno; -1 when this signal is not to be counted.
int install(int signal, Watched& watched) {
  if (::sigaction(signal, nullptr, &watched.before) != 0) return errno;
  // Ignoring it makes children vanish by themselves, which a handler would end; and it is the one
  // signal that is not recorded when it is ignored.
  const bool ignored =
      (watched.before.sa_flags & SA_SIGINFO) == 0 && watched.before.sa_handler == SIG_IGN;
  if (signal == SIGCHLD && ignored) return -1;
  struct sigaction action = watched.before;
  action.sa_sigaction = count_signal;
  action.sa_flags |= SA_SIGINFO;
  // What was not interrupted before is not to be interrupted by counting.
  if (ignored) action.sa_flags |= SA_RESTART;
  return ::sigaction(signal, &action, nullptr) == 0 ? 0 : errno;
}

class SignalKnote : public Knote {
 public:
  SignalKnote(const Sources& sources, uint64_t id, const struct kevent& change)
      : Knote(sources, id, change) {
    behaviour |= EV_CLEAR;  // the filter sets it itself
  }

  ~SignalKnote() override {
    if (slot_ == nullptr) return;
    const std::lock_guard lock(signals_mutex);
    *slot_ = unused;
    Watched& watched = signals[ident];
    watched.knotes--;
    struct sigaction now;
    if (watched.knotes == 0 && ::sigaction(signal(), nullptr, &now) == 0 && is_ours(now)) {
      ::sigaction(signal(), &watched.before, nullptr);
    }
    // A handler on another thread may have read the number: it is closed when none can use it.
    while (handlers_inside != 0) ::sched_yield();
  }

  int attach() override {
    if (ident == 0 || ident >= NSIG) return EINVAL;
    counter_ = Owned(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!counter_.valid()) return errno;
    const std::lock_guard lock(signals_mutex);
    Watched& watched = signals[ident];
    std::atomic<int>* free_slot = nullptr;
    for (std::atomic<int>& counter : watched.counters) {
      if (counter == unused) free_slot = &counter;
    }
    if (free_slot == nullptr) return ENOMEM;
    const int error = watched.knotes == 0 ? install(signal(), watched) : 0;
    if (error == -1) return 0;
    if (error != 0) return error;
    watched.knotes++;
    slot_ = free_slot;
    *slot_ = counter_.get();
    return watch_own(counter_.get());
  }

  int touch(const struct kevent& change) override {
    behaviour |= EV_CLEAR;
    return Knote::touch(change);
  }

  bool holds() override {
    uint64_t times = 0;
    if (::read(counter_.get(), &times, sizeof(times)) == sizeof(times)) {
      told.data += static_cast<int64_t>(times);
    }
    return told.data != 0;
  }

  void reset() override { told.data = 0; }

 private:
  int signal() const { return static_cast<int>(ident); }

  Owned counter_;
  std::atomic<int>* slot_ = nullptr;
};

}  // namespace

std::unique_ptr<Knote> make_signal_knote(const Sources& sources, uint64_t id,
                                         const struct kevent& change) {
  return std::make_unique<SignalKnote>(sources, id, change);
}

}  // namespace kqueue_layer
