// The operations by slot. The table grows by a chunk at a time, so that an IO pays only for the
// slots it uses, and nothing in it ever moves: the kernel and the lists of the backends point
// there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/operation.h"

namespace io {

class OperationTable {
 public:
  static constexpr uint32_t chunk_length = 1024;
  // How far ahead fetch() is called: the work on so many takes longer than memory.
  static constexpr uint32_t ahead = 4;

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

  // Whether so many operations were in flight at once that their hot fields exceed a processor's
  // first-level cache: then fetch() is of use.
  bool is_large() const { return size_ > chunk_length; }
  // Has the processor fetch what every operation touches; `slot` is any number.
  void fetch(uint32_t slot) const {
    if (slot < size_) fetch((*this)[slot]);
  }
  static void fetch(const Operation& operation) {
    const auto* address = reinterpret_cast<const char*>(&operation);
    __builtin_prefetch(address, 1);
    __builtin_prefetch(address + cache_line_bytes, 1);
    __builtin_prefetch(address + 2 * cache_line_bytes, 1);
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
