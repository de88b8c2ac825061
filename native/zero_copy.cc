// The choice between a send with and one without a copy: see zero_copy.h.
#include "zero_copy.h"

#include <algorithm>

namespace io {

bool ZeroCopy::wants(uint32_t mode, size_t length, bool registered, bool datagram) const {
  if (mode == abi::zero_copy_always) return true;
  if (mode != abi::zero_copy_auto) return false;
  if (own_threshold_bytes_ != 0) return length >= own_threshold_bytes_;
  if (registered) return length >= threshold_registered_bytes;
  const bool cheap = datagram && length >= cheap_from_bytes && length <= cheap_to_bytes;
  return length >= threshold_bytes && !cheap;
}

bool ZeroCopy::would_choose(uint32_t mode, size_t length) const {
  if (refused_) return false;
  if (mode == abi::zero_copy_always || trusted_) return true;
  return !on_trial_ && plain_left_bytes_ <= length;
}

bool ZeroCopy::chooses(uint32_t mode, size_t length) {
  const bool chosen = would_choose(mode, length);
  if (refused_ || mode == abi::zero_copy_always || trusted_ || on_trial_) return chosen;
  plain_left_bytes_ -= chosen ? plain_left_bytes_ : length;
  on_trial_ = chosen;
  return chosen;
}

void ZeroCopy::report(bool copied) {
  if (!copied) {
    on_trial_ = false;
    trusted_ = true;
    span_bytes_ = first_span_bytes;
  } else if (trusted_ || on_trial_) {
    back_off();
  }  // else it was sent before the first one was reported, and says nothing new
}

void ZeroCopy::back_off() {
  on_trial_ = false;
  trusted_ = false;
  plain_left_bytes_ = span_bytes_;
  span_bytes_ = std::min(2 * span_bytes_, longest_span_bytes);
}

}  // namespace io
