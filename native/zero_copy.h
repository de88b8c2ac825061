// When a send of one socket spares the copy, and what came of it. Asked for each send, told of each
// end; knows no kernel.
//
// A send without a copy costs more than a plain one: the kernel looks up and holds pages, and tells
// twice. It pays for long messages only, and not at all where the kernel copies in the end, as it
// does on loopback and for a device that cannot gather. Only the kernel knows, and only afterwards.
// So "auto" begins with one send on trial. When its bytes were not copied the socket is trusted,
// until some are. Otherwise it sends plainly for a while, counted in bytes so that a busy socket
// asks again sooner than an idle one, and twice as long after each trial that fails.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi.h"

namespace io {

struct ZeroCopyCounts {
  uint64_t sends = 0;  // that went without a copy of ours
  uint64_t bytes = 0;
  uint64_t copied = 0;       // of them, those that the kernel copied all the same
  uint64_t fallen_back = 0;  // sends that should have and went plainly
  // Received in chunks of the area that the network device writes to.
  uint64_t chunks = 0;
  uint64_t chunk_bytes = 0;
};

class ZeroCopy {
 public:
  // Where both cost the same, measured with UDP to a device that copies nothing (docs/bench.md).
  // Memory that the kernel keeps mapped need not be looked up. What a copy costs goes in steps, by
  // where the kernel finds the memory for it: up to here a datagram lies in a block of 8 KiB.
  static constexpr size_t threshold_registered_bytes = 5120;
  static constexpr size_t threshold_bytes = 7808;
  // Above this a datagram is copied into pages that its thread has at hand, 32 KiB of them, which
  // is cheaper than looking other memory up (SKB_MAX_ALLOC in the kernel's ip_output.c).
  static constexpr size_t cheap_from_bytes = 16'001;
  static constexpr size_t cheap_to_bytes = 32'760;
  static constexpr uint64_t first_span_bytes = 1 << 20;
  static constexpr uint64_t longest_span_bytes = uint64_t{1} << 30;

  // Whether a send of this mode (abi::zero_copy_*) and length should go without a copy, whatever
  // the socket and the kernel can do.
  bool wants(uint32_t mode, size_t length, bool registered, bool datagram) const;
  // Of one that should: whether it does. When it does, trial_ended() or report() follows.
  bool chooses(uint32_t mode, size_t length);
  // The same, as it is now, and nothing follows.
  bool would_choose(uint32_t mode, size_t length) const;

  // The kernel has let go of the memory of one that went.
  void report(bool copied);
  // One that went was ended before it moved anything, so nothing is known.
  void trial_ended() { on_trial_ = false; }
  // The socket, or the system, cannot: now, or never for this socket.
  void back_off();
  void refuse() { refused_ = true; }
  bool refused() const { return refused_; }

  // 0: the ones above.
  void set_threshold(size_t bytes) { own_threshold_bytes_ = bytes; }

  ZeroCopyCounts counts;
  uint32_t unreleased = 0;  // sent, and their memory not yet free

 private:
  size_t own_threshold_bytes_ = 0;
  uint64_t span_bytes_ = first_span_bytes;
  uint64_t plain_left_bytes_ = 0;
  bool refused_ = false;
  bool trusted_ = false;
  bool on_trial_ = false;
};

}  // namespace io
