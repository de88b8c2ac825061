// Handles of memory: see buffers.h.
#include "engine/buffers.h"

#include "support/check.h"

namespace io {

namespace {

// A handle is a whole number in JavaScript and never negative.
constexpr uint16_t buffer_generation_mask = 0x7ff;

}  // namespace

uint32_t Buffers::add(uint8_t* data, size_t size_bytes, BackingStore backing_store) {
  uint32_t index;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    if (buffers_.size() == limit) return UINT32_MAX;
    index = static_cast<uint32_t>(buffers_.size());
    buffers_.emplace_back();
  }
  Buffer& buffer = buffers_[index];
  CHECK(!buffer.alive);
  CHECK(buffer.in_flight == 0);
  buffer.data = data;
  buffer.size_bytes = size_bytes;
  buffer.alive = true;
  buffer.released = false;
  buffer.registered_index = not_registered;
  buffer.backing_store = std::move(backing_store);
  count_++;
  size_bytes_ += size_bytes;
  return index | (static_cast<uint32_t>(buffer.generation) << index_bits);
}

bool Buffers::release(uint32_t handle) {
  Buffer* buffer = find(handle);
  if (buffer == nullptr) return false;
  buffer->released = true;
  if (buffer->in_flight == 0) free(handle & index_mask);
  return true;
}

void Buffers::free(uint32_t index) {
  Buffer& buffer = buffers_[index];
  buffer.alive = false;
  if (keeps_all_) kept_.push_back(std::move(buffer.backing_store));
  buffer.backing_store = BackingStore();
  buffer.generation = (buffer.generation + 1) & buffer_generation_mask;
  count_--;
  size_bytes_ -= buffer.size_bytes;
  free_.push_back(index);
}

}  // namespace io
