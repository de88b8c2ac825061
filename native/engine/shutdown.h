// The end of an engine: everything in flight is cancelled until nothing is in flight. io.close() in
// both modes and the engine's own end go by it.
//
// A cancel does not see what starts after it, and misses what the kernel is just working on. So it
// is repeated whenever something has ended, and every 20 ms. What was sent without a copy cannot be
// cancelled: the kernel keeps its memory until the peer has acknowledged it. When nothing else is
// left the peers get a second for that; then their connections are reset.
#pragma once

#include <cstdint>

namespace io {

class Shutdown {
 public:
  enum class Step : uint8_t { wait, cancel, reset };

  bool has_begun() const { return has_begun_; }
  // The first step is due now.
  void begin(int64_t now) {
    has_begun_ = true;
    due_ns_ = now;
  }

  // What is to be done now. So many operations are in flight, and of so many of them only the
  // memory is still waited for; `has_ended` says that some have ended since the last step.
  Step next(int64_t now, uint32_t in_flight, uint32_t unreleased, bool has_ended) {
    if (in_flight == 0 || (!has_ended && now < due_ns_)) return Step::wait;
    due_ns_ = now + round_ns;
    if (in_flight > unreleased) return Step::cancel;
    if (release_ns_ == 0) release_ns_ = now + release_grace_ns;
    return now < release_ns_ ? Step::wait : Step::reset;
  }
  int64_t due_ns() const { return due_ns_; }

  // Whether the connections were reset so long ago that the kernel keeps the memory for another
  // reason.
  bool has_failed(int64_t now) const {
    return release_ns_ != 0 && now > release_ns_ + release_grace_ns;
  }

 private:
  static constexpr int64_t round_ns = 20'000'000;
  static constexpr int64_t release_grace_ns = 1'000'000'000;

  bool has_begun_ = false;
  int64_t due_ns_ = 0;
  int64_t release_ns_ = 0;  // when the time of the peers is over; 0: it has not begun
};

}  // namespace io
