// When a send of one socket avoids the copy, and how such sends ended. It is asked for each send
// and gets each result; it knows no kernel.
//
// A zero-copy send costs more than a plain one: the kernel looks up and pins pages, and posts two
// completions. For which messages that pays is learned for all sockets together: send_costs.h. It
// does not pay at all where the kernel copies in the end, as it does on loopback and for a device
// that cannot gather. Only the kernel knows, and only afterwards. This class keeps that result. So
// "auto" begins with one send on trial. When its bytes were not copied the socket is trusted, until
// some are. Otherwise it sends with a copy for a while, counted in bytes so that a busy socket asks
// again sooner than an idle one, and twice as long after each trial that fails.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/abi.h"

namespace io {

struct ZeroCopyCounts {
  uint64_t sends = 0;  // that went without a copy of ours
  uint64_t bytes = 0;
  uint64_t copied = 0;       // sends among them that the kernel copied anyway
  uint64_t fallen_back = 0;  // sends that should have and went plainly
  // Received in chunks of the area that the network device writes to.
  uint64_t chunks = 0;
  uint64_t chunk_bytes = 0;
};

class ZeroCopy {
 public:
  static constexpr uint64_t first_span_bytes = 1 << 20;
  static constexpr uint64_t longest_span_bytes = uint64_t{1} << 30;

  // After so many plain bytes a socket is worth a trial that only shows the cost of others of its
  // kind. Sockets that send little and close are spared.
  static constexpr uint64_t curious_after_bytes = 1 << 16;

  // Whether a send that should avoid the copy does. When it does, trial_ended() or report()
  // follows.
  bool chooses(uint32_t mode, size_t length);
  // The same, as it is now, and nothing follows.
  bool would_choose(uint32_t mode, size_t length) const;

  // For a send that costs less with a copy, as far as is known: whether this socket may find out
  // more.
  bool is_curious(size_t length) const;
  // A send on "auto" goes with a copy because that costs less.
  void went_plainly(size_t length);
  bool is_trusted() const { return trusted_; }

  // The kernel has released the memory of a zero-copy send.
  void report(bool copied);
  // A zero-copy send was ended before it moved a byte, so nothing is known.
  void trial_ended() { on_trial_ = false; }
  // The socket, or the system, cannot: now, or never for this socket.
  void back_off();
  void refuse() { refused_ = true; }
  bool refused() const { return refused_; }

  // From how many bytes on the copy is spared; 0: as SendCosts has learned.
  void set_threshold(size_t bytes) { own_threshold_bytes_ = bytes; }
  size_t threshold() const { return own_threshold_bytes_; }
  bool has_threshold() const { return own_threshold_bytes_ != 0; }
  bool is_over_threshold(size_t length) const { return length >= own_threshold_bytes_; }

  ZeroCopyCounts counts;
  uint32_t unreleased = 0;  // sent, and their memory not yet free

 private:
  size_t own_threshold_bytes_ = 0;
  uint64_t span_bytes_ = first_span_bytes;
  uint64_t plain_left_bytes_ = 0;
  uint64_t went_plainly_bytes_ = 0;
  bool refused_ = false;
  bool trusted_ = false;
  bool on_trial_ = false;
};

}  // namespace io
