// The memory that entries may name: handles with bounds, so that JavaScript never holds a pointer.
//
// Who owns it: V8 allocates. While a handle is alive the engine shares ownership (backing_store.h);
// a handle that is released while operations use it stays until the last of them has completed.
#pragma once

#include <cstdint>
#include <vector>

#include "support/check.h"
#include "node/backing_store.h"

namespace io {

inline constexpr int32_t not_registered = -1;

struct Buffer {
  uint8_t* data = nullptr;
  size_t size_bytes = 0;
  uint32_t in_flight = 0;
  uint16_t generation = 0;
  bool alive = false;
  bool released = false;                      // no new operation may use it
  int32_t registered_index = not_registered;  // where the kernel keeps it mapped
  BackingStore backing_store;
};

class Buffers {
 public:
  static constexpr uint32_t limit = 1 << 20;

  // Returns a handle, or 0xffffffff when `limit` buffers are alive.
  uint32_t add(uint8_t* data, size_t size_bytes, BackingStore backing_store);
  // The buffer that a handle names, or null: unknown, released or reused.
  Buffer* find(uint32_t handle) {
    const uint32_t index = handle & index_mask;
    if (index >= buffers_.size()) return nullptr;
    Buffer& buffer = buffers_[index];
    if (!buffer.alive || buffer.released) return nullptr;
    if (buffer.generation != handle >> index_bits) return nullptr;
    return &buffer;
  }
  // Has the processor fetch it; `handle` is any number.
  void fetch(uint32_t handle) const {
    const uint32_t index = handle & index_mask;
    if (index < buffers_.size()) __builtin_prefetch(&buffers_[index], 1);
  }
  // The address of a part of it; false when the part does not lie inside.
  static bool resolve(const Buffer& buffer, double offset, double length, uint8_t*& address) {
    const double size = static_cast<double>(buffer.size_bytes);
    // Written so that NaN fails every comparison.
    if (!(offset >= 0 && length >= 0 && offset <= size && length <= size - offset)) return false;
    address = buffer.data + static_cast<size_t>(offset);
    return true;
  }
  // False when the handle names nothing.
  bool release(uint32_t handle);

  void begin(uint32_t handle) { at(handle).in_flight++; }
  void finish(uint32_t handle) {
    Buffer& buffer = at(handle);
    CHECK(buffer.in_flight > 0);
    buffer.in_flight--;
    if (buffer.in_flight == 0 && buffer.released) free(handle & index_mask);
  }

  // From now on memory that was in use is never released: the kernel may write to it at any time.
  void keep_all() { keeps_all_ = true; }

  uint32_t count() const { return count_; }
  size_t size_bytes() const { return size_bytes_; }

 private:
  // A handle is an index with the generation of its use above it.
  static constexpr uint32_t index_bits = 20;
  static_assert(limit == 1u << index_bits);
  static constexpr uint32_t index_mask = (1u << index_bits) - 1;

  Buffer& at(uint32_t handle) {
    const uint32_t index = handle & index_mask;
    CHECK(index < buffers_.size());
    Buffer& buffer = buffers_[index];
    CHECK(buffer.alive);
    CHECK(buffer.generation == handle >> index_bits);
    return buffer;
  }
  void free(uint32_t index);

  std::vector<Buffer> buffers_;
  std::vector<uint32_t> free_;
  bool keeps_all_ = false;
  std::vector<BackingStore> kept_;
  uint32_t count_ = 0;
  size_t size_bytes_ = 0;
};

}  // namespace io
