// A first-in first-out line of values. It is an array that is filled at its end and read from its
// beginning: cheaper than std::deque, which takes and frees memory as the line goes on.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "support/check.h"

namespace io {

template <class T>
class Fifo {
 public:
  // The places that it has for values, taken ones and those to come.
  size_t held() const { return values_.size(); }
  bool empty() const { return next_ == values_.size(); }
  size_t size() const { return values_.size() - next_; }
  const T& front() const {
    CHECK(!empty());
    return values_[next_];
  }

  void push(T value) { values_.push_back(std::move(value)); }

  template <class Visit>
  void each(Visit visit) const {
    for (size_t index = next_; index < values_.size(); index++) visit(values_[index]);
  }

  T pop() {
    CHECK(!empty());
    T value = std::move(values_[next_++]);
    if (empty()) {
      values_.clear();
      next_ = 0;
    } else if (next_ > min_taken && next_ > values_.size() / 2) {
      // Usually the queue becomes empty. If it never does, the space of the taken values must not
      // add up.
      values_.erase(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(next_));
      next_ = 0;
    }
    return value;
  }

 private:
  static constexpr size_t min_taken = 1024;

  std::vector<T> values_;
  size_t next_ = 0;
};

}  // namespace io
