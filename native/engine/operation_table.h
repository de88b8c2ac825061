// The operations by slot. The table grows by a chunk at a time, so that an IO pays for what it
// uses, and nothing in it ever moves: the kernel and the lists of the backends point there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/operation.h"

namespace io {

class OperationTable {
 public:
  static constexpr uint32_t chunk_length = 1024;

  // Slots at most. There is one chunk of them at first.
  explicit OperationTable(uint32_t limit) : limit_(limit) {
    chunks_.reserve((limit + chunk_length - 1) / chunk_length);
    grow();
  }

  // Adds a chunk of slots; false when the limit is reached.
  bool grow() {
    if (size_ == limit_) return false;
    const uint32_t count = std::min(chunk_length, limit_ - size_);
    chunks_.push_back(std::make_unique<Operation[]>(count));
    for (uint32_t index = 0; index < count; index++) chunks_.back()[index].slot = size_ + index;
    size_ += count;
    return true;
  }

  uint32_t size() const { return size_; }
  Operation& operator[](uint32_t slot) { return chunks_[slot / chunk_length][slot % chunk_length]; }
  const Operation& operator[](uint32_t slot) const {
    return chunks_[slot / chunk_length][slot % chunk_length];
  }

  template <class Visit>
  void each(Visit visit) {
    for (uint32_t slot = 0; slot < size_; slot++) visit((*this)[slot]);
  }
  template <class Visit>
  void each(Visit visit) const {
    for (uint32_t slot = 0; slot < size_; slot++) visit((*this)[slot]);
  }

 private:
  uint32_t limit_;
  uint32_t size_ = 0;
  std::vector<std::unique_ptr<Operation[]>> chunks_;
};

}  // namespace io
