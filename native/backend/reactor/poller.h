// The seam between the reactor and a readiness interface. It is called for every descriptor, so it
// is a template parameter and no virtual call: the reactor is written once, a poller knows its
// kernel interface and nothing else.
//
// A descriptor is registered once, in both directions, edge-triggered (EPOLLET, EV_CLEAR): the
// poller reports that something has changed, and the reactor remembers it until an attempt returns
// EAGAIN.
//
// All functions are called on the thread of the engine, but for wake_up() and wait_elsewhere().
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/loss.h"

namespace io {

// The changes of one descriptor since the last report.
struct Ready {
  uint64_t token;  // what watch() was given
  bool readable;   // there may be something to receive, read or accept
  bool writable;   // there may be room to send or write, or a connect has ended
  bool ended;      // the peer has ended or failed: no attempt has to wait any more
};

template <class P>
concept Poller = requires(P poller, int number, uint64_t token, std::span<Ready> ready,
                          int64_t deadline_ns) {
  { P::name } -> std::convertible_to<const char*>;
  // Whether a stream that gave less than was asked for is empty until the next event.
  { P::short_transfer_drains } -> std::convertible_to<bool>;

  // Makes what the poller needs; 0, or the errno and `failed_call()` says of what.
  { poller.open() } -> std::same_as<int>;
  { poller.failed_call() } -> std::convertible_to<const char*>;

  // Registers both directions of a descriptor. Directions that are ready already are reported too.
  // 0, or a negative errno: -EPERM for a descriptor that cannot be polled (a regular file).
  { poller.watch(number, token) } -> std::same_as<int>;
  // Before the descriptor is closed.
  { poller.forget(number) } -> std::same_as<void>;

  // The descriptors that are ready, after a wait of up to `deadline_ns` nanoseconds (0: no wait,
  // -1: no limit). May return 0 early.
  { poller.wait(ready, deadline_ns) } -> std::same_as<size_t>;
  // Ends a wait that is under way, or the next one. From any thread.
  { poller.wake_up() } -> std::same_as<void>;

  // Attached mode. A descriptor that is readable when wait() would return something, or a negative
  // errno: -ENOTSUP when the event loop of libuv must not look at it. Called once, before
  // set_alarm() and wait_elsewhere().
  { poller.descriptor() } -> std::same_as<int>;
  // On a thread of its own: returns when wait() on the engine's thread would return something.
  // Events that it takes out of the kernel are kept for that wait().
  { poller.wait_elsewhere() } -> std::same_as<void>;
  // Makes wait() return at that time of the monotonic clock even if it has no deadline; -1 for
  // never. A later call replaces an earlier one.
  { poller.set_alarm(deadline_ns) } -> std::same_as<void>;

  // After wake_up(), on the engine's thread: whether that reaches the event loop.
  { poller.is_there() } -> std::same_as<bool>;
  // From then on it reports nothing about the descriptor.
  { poller.loss() } -> std::same_as<Loss>;
  { poller.system_calls() } -> std::same_as<uint64_t>;
};

}  // namespace io
