// The seam between the reactor and a readiness interface. One call per descriptor, so it is a
// template parameter and no virtual call: the reactor is written once, a poller knows its kernel
// interface and nothing else.
//
// A descriptor is watched once, in both directions, edge-triggered (EPOLLET, EV_CLEAR): the poller
// tells that something has changed, and the reactor remembers until an attempt says EAGAIN.
//
// Everything is called on the thread of the engine, but for wake_up() and wait_elsewhere().
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/loss.h"

namespace io {

// What happened on one descriptor since it was told the last time.
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

  // Both directions of a descriptor, from now on: what is ready already is told too. 0, or a
  // negative errno: -EPERM says that one cannot wait for it (a regular file).
  { poller.watch(number, token) } -> std::same_as<int>;
  // Before the descriptor is closed.
  { poller.forget(number) } -> std::same_as<void>;

  // What is ready, after waiting for it up to `deadline_ns` nanoseconds (0: not at all, -1: as long
  // as it takes). May return 0 early.
  { poller.wait(ready, deadline_ns) } -> std::same_as<size_t>;
  // Ends a wait that is under way, or the next one. From any thread.
  { poller.wake_up() } -> std::same_as<void>;

  // Attached mode. A descriptor that is readable when wait() would return something, or a negative
  // errno: -ENOTSUP when the event loop of libuv must not look at it. Called once, before
  // set_alarm() and wait_elsewhere().
  { poller.descriptor() } -> std::same_as<int>;
  // On a thread of its own: returns when wait() on the engine's thread would return something. What
  // it takes out of the kernel it keeps for that wait().
  { poller.wait_elsewhere() } -> std::same_as<void>;
  // Makes wait() return at that time of the monotonic clock although nobody gave it a deadline;
  // -1 for never. A later call replaces an earlier one.
  { poller.set_alarm(deadline_ns) } -> std::same_as<void>;

  // After wake_up(), on the engine's thread: whether that reaches the event loop.
  { poller.is_there() } -> std::same_as<bool>;
  // From then on it tells nothing any more.
  { poller.loss() } -> std::same_as<Loss>;
  { poller.system_calls() } -> std::same_as<uint64_t>;
};

}  // namespace io
