// Completions in order, until poll() hands them to the engine.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/backend.h"

namespace io {

class CompletionFifo {
 public:
  bool empty() const { return taken_ == items_.size(); }
  size_t size() const { return items_.size() - taken_; }
  const Completed& front() const { return items_[taken_]; }
  // The memory it holds, in completions.
  size_t capacity() const { return items_.capacity(); }

  // Items that poll() has taken are removed before the list grows. If completions always arrive
  // faster than poll() takes them, the list never becomes empty and would grow forever.
  void push_back(const Completed& completed) {
    if (items_.size() == items_.capacity() && taken_ > items_.size() / 2) {
      items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(taken_));
      taken_ = 0;
    }
    items_.push_back(completed);
  }

  void pop_front() {
    if (++taken_ < items_.size()) return;
    items_.clear();
    taken_ = 0;
  }

 private:
  std::vector<Completed> items_;
  size_t taken_ = 0;
};

}  // namespace io
