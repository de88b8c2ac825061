// The choice between a send with and one without a copy: see zero_copy.h.
#include "engine/zero_copy.h"

#include <algorithm>

namespace io {

bool ZeroCopy::is_curious(size_t length) const {
  return !trusted_ && !refused_ && !on_trial_ && went_plainly_bytes_ >= curious_after_bytes &&
         plain_left_bytes_ <= length;
}

void ZeroCopy::went_plainly(size_t length) {
  went_plainly_bytes_ += length;
  plain_left_bytes_ -= std::min<uint64_t>(plain_left_bytes_, length);
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
