// A first-in first-out line of values. It is an array that is filled at its end and read from its
// beginning: cheaper than std::deque, which takes and frees memory as the line goes on.
#pragma once

#include <algorithm>
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
  bool empty() const { return next_ == end_; }
  size_t size() const { return end_ - next_; }
  const T& front() const {
    CHECK(!empty());
    return values_[next_];
  }

  // The value's fields go straight to its place. A std::vector makes a call of it, which reads the
  // value as a whole: a processor waits for that until the stores of its fields are done.
  void push(T value) {
    if (end_ == values_.size()) make_room();
    values_[end_++] = std::move(value);
  }

  template <class Visit>
  void each(Visit visit) const {
    for (size_t index = next_; index < end_; index++) visit(values_[index]);
  }

  T pop() {
    CHECK(!empty());
    T value = std::move(values_[next_++]);
    if (empty()) {
      next_ = 0;
      end_ = 0;
    }
    return value;
  }

 private:
  static constexpr size_t min_places = 16;

  // Usually the line becomes empty. If it never does, the places of the taken values must not add
  // up: they are used again when they are a third of all.
  [[gnu::noinline]] void make_room() {
    const size_t places = values_.size();
    if (next_ > places / 3) {
      const auto begin = values_.begin();
      std::move(begin + static_cast<std::ptrdiff_t>(next_), values_.end(), begin);
      end_ -= next_;
      next_ = 0;
    } else {
      values_.resize(std::max(min_places, places + places / 2));
    }
  }

  std::vector<T> values_;  // all of its places
  size_t next_ = 0;
  size_t end_ = 0;
};

}  // namespace io
