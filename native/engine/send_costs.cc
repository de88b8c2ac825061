// The costs of sends with and without a copy: see send_costs.h.
#include "engine/send_costs.h"

#include <algorithm>
#include <bit>

#include "support/check.h"

namespace io {

SendCosts::SendCosts() {
  const uint32_t guess = class_of(first_guess_bytes, false, false, false);
  for (uint32_t number = 0; number < classes_.size(); number++) {
    classes_[number].spares = number % sizes >= guess;
  }
}

uint32_t SendCosts::class_of(size_t length, bool datagram, bool registered, bool vectored) {
  if (length < shortest_bytes) return no_class;
  const auto octave = static_cast<uint32_t>(std::bit_width(length)) - 1;
  const auto quarter = static_cast<uint32_t>(length >> (octave - 2)) & 3;
  constexpr auto first = static_cast<uint32_t>(std::bit_width(shortest_bytes)) - 1;
  const uint32_t size = std::min((octave - first) * 4 + quarter, sizes - 1);
  const uint32_t kind = (datagram ? 1U : 0U) + (registered ? 2U : 0U) + (vectored ? 4U : 0U);
  return kind * sizes + size;
}

bool SendCosts::spares(uint32_t number) const {
  if (number == no_class) return false;
  return number == active_ ? spared_ : classes_[number].spares;
}

bool SendCosts::is_due(uint32_t number) const {
  return number != no_class && active_ == no_class && classes_[number].left_sends == 0;
}

void SendCosts::begin_if_due(uint32_t number) {
  if (!is_due(number)) return;
  active_ = number;
  if (++trial_ == 0) trial_ = 1;  // what an earlier trial has sent ends for nothing
  spared_ = classes_[number].spares;
  window_ = 0;
  unreleased_ = 0;
  idle_ticks_ = 0;
  trial_sends_ = 0;
  begin_settling();
  begin_window(0);
}

uint8_t SendCosts::handed_over(uint32_t number, bool spared) {
  if (number == no_class) return 0;
  Class& sent = classes_[number];
  if (sent.left_sends > 0) sent.left_sends--;
  // Its socket copies, or has not said yet that it does not.
  if (number != active_ || spared != spared_) return 0;
  sends_++;
  trial_sends_++;
  if (spared) unreleased_++;
  return trial_;
}

void SendCosts::ended(uint8_t trial) {
  if (active_ == no_class || trial != trial_ || unreleased_ == 0) return;
  unreleased_--;
  released_++;
}

void SendCosts::tick(int64_t used_ns) {
  if (active_ == no_class) return;
  idle_ticks_ = sends_ == sends_before_ ? idle_ticks_ + 1 : 0;
  sends_before_ = sends_;
  ticks_++;
  if (idle_ticks_ > max_idle_ticks) return abandon();
  if (trial_sends_ > max_trial_sends) return end_trial(false);
  if (settling_) {
    if (!is_settled()) return;
    settling_ = false;
    begin_window(used_ns);
  } else if (others_ > 2 * sends_) {
    begin_window(used_ns);  // it would say more about the others
  } else if (sends_ >= window_sends) {
    end_window(static_cast<double>(used_ns - begin_ns_) / sends_);
    if (active_ != no_class) begin_window(used_ns);
  }
}

// Whether what goes on now is the work of this way alone. The first rounds still submit and collect
// what went the other way, and over a network its memory is released a round trip later.
bool SendCosts::is_settled() const {
  if (ticks_ < 2 || sends_ == 0) return false;
  const bool is_quiet = spared_ ? released_ > 0 : unreleased_ == 0;
  return is_quiet || (sends_ >= max_settling_sends && ticks_ >= max_settling_ticks);
}

void SendCosts::begin_window(int64_t used_ns) {
  begin_ns_ = used_ns;
  sends_ = 0;
  sends_before_ = 0;
  others_ = 0;
}

void SendCosts::end_window(double cost_ns) {
  costs_ns_[window_++] = cost_ns;
  if (window_ == costs_ns_.size()) return end_trial(true);
  // a b, b a, a b, ...: the second window of a pair goes the other way.
  if (window_ % 2 == 0) return;
  spared_ = !spared_;
  begin_settling();
}

void SendCosts::begin_settling() {
  settling_ = true;
  released_ = 0;
  ticks_ = 0;
}

void SendCosts::end_trial(bool has_answer) {
  CHECK(active_ != no_class);
  Class& tried = classes_[active_];
  active_ = no_class;
  uint64_t gap = std::max(shortest_gap_sends, 16 * trial_sends_);
  bool is_clear = false;
  if (has_answer) {
    // The cost of the other way, if the present one costs 1.
    std::array<double, pairs> ratios;
    for (uint32_t pair = 0; pair < pairs; pair++) {
      const double one = std::max(costs_ns_[2 * pair], 1.0);
      const double two = std::max(costs_ns_[2 * pair + 1], 1.0);
      ratios[pair] = pair % 2 == 0 ? two / one : one / two;
    }
    // Not std::sort(): LLVM's library has that for all kinds of numbers in one unit, 50 KB in a
    // package for macOS.
    std::partial_sort(ratios.begin(), ratios.begin() + agreeing_pairs, ratios.end());
    const double median = ratios[pairs / 2];
    const bool is_better = median < 1 - margin && ratios[agreeing_pairs - 1] < 1;
    is_clear = is_better || median > 1 - margin;
    if (is_better) {
      tried.spares = !tried.spares;
      tried.doublings = 0;
    }
    const double worse = std::max(median, 1 / std::max(median, 0.01));
    const double excess = static_cast<double>(trial_sends_) / 2 * (worse - 1);
    const double max = static_cast<double>(longest_gap_sends);
    gap = std::max(gap, static_cast<uint64_t>(std::min(128 * excess, max)));
    if (is_clear && !is_better && tried.doublings < max_doublings) tried.doublings++;
  }
  tried.left_sends =
      static_cast<uint32_t>(std::min(gap << (is_clear ? tried.doublings : 0), longest_gap_sends));
}

// The program sends other things now. The measurement would be compared with another state of it.
void SendCosts::abandon() {
  Class& tried = classes_[active_];
  active_ = no_class;
  tried.left_sends = static_cast<uint32_t>(std::max<uint64_t>(1024, 16 * trial_sends_));
}

}  // namespace io
