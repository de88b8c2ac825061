// Groups of provided buffers that receives are served from. A buffer is with the backend until it
// has received bytes. Then JavaScript holds it until it releases it.
//
// Who owns what: a group holds the handles of the memory that its buffers lie in, from
// provide_buffers() until it is removed. The removal waits for no release: the memory of held
// buffers is then used by JavaScript alone. While a receive is in flight on a group it cannot be
// removed.
//
// JavaScript releases buffers by writing their ids into a list that it shares with the engine, and
// sets a flag in the header. The engine trusts no id: a buffer that is not held is counted and left
// alone, so no entry of the list gives the kernel a buffer twice.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "abi/abi.h"
#include "engine/buffers.h"
#include "engine/buffer_provider.h"

namespace io {

struct ProvidedBuffer {
  uint8_t* address = nullptr;
  bool held = false;
};

struct BufferGroup {
  bool alive = false;
  GroupContent content = GroupContent::bytes;
  uint16_t generation = 0;
  uint32_t in_flight = 0;  // receives that take from it
  uint32_t capacity = 0;   // buffers at most
  uint32_t buffer_size_bytes = 0;
  std::vector<ProvidedBuffer> provided_buffers;
  std::vector<uint32_t> buffers;  // handles
  uint32_t* returned = nullptr;   // a count, then `capacity` numbers of buffers
  // Of the area's group, which has no buffers: where each chunk begins, by its number. JavaScript
  // reads it; the engine never reads it back.
  uint32_t* places = nullptr;
  uint32_t held = 0;           // of its chunks
  BackingStore backing_store;  // of `returned` and `places`
};

class BufferGroups {
 public:
  BufferGroups(Buffers& buffers, BufferProvider& backend) : buffers_(buffers), backend_(backend) {}

  // The backend's index of a group.
  static uint32_t index_of(uint32_t handle) { return handle & (abi::max_groups - 1); }

  // `returned` has capacity + 1 words. A handle, or a negative errno.
  int32_t add(uint32_t* returned, uint32_t capacity, BackingStore backing_store,
              GroupContent content = GroupContent::bytes);
  // The same for the area that the backend was opened with: `words` has a count, `capacity` numbers
  // and `capacity` places.
  int32_t add_area(uint32_t* words, uint32_t capacity, BackingStore backing_store);
  // More buffers of a group, `stride_bytes` apart from `offset` in registered memory, which the
  // backend gets at once. All buffers of a group have one size. 0 or a negative errno.
  int provide_buffers(uint32_t handle, uint32_t buffer, double offset, uint32_t stride_bytes,
                      uint32_t buffer_size_bytes, uint32_t count);
  // -EBUSY while a receive is in flight on it.
  int remove(uint32_t handle);
  void remove_all();

  BufferGroup* find(uint32_t handle);
  bool has(uint32_t handle, GroupContent content) {
    const BufferGroup* group = find(handle);
    return group != nullptr && group->content == content;
  }
  void begin(uint32_t handle) { at(handle).in_flight++; }
  void finish(uint32_t handle);
  // The flags of a completion that brings bytes in a buffer.
  uint32_t mark_held(uint32_t handle, uint32_t provided_buffer, bool open);
  bool is_area(uint32_t handle) { return at(handle).places != nullptr; }
  // Returns to the backend the buffers that JavaScript has put into the lists.
  void take_returned();

  // Buffers that JavaScript holds, and releases of buffers that it did not hold.
  uint32_t held() const { return held_; }
  uint64_t refused() const { return refused_; }

 private:
  BufferGroup& at(uint32_t handle);
  uint32_t unused_index() const;  // max_groups when there is none
  int32_t take(uint32_t index, uint32_t* returned, uint32_t capacity, BackingStore backing_store,
               GroupContent content);
  bool release(BufferGroup& group, uint32_t index, uint32_t number);
  void take_returned_of(uint32_t index);
  void free(uint32_t index);

  Buffers& buffers_;
  BufferProvider& backend_;
  std::vector<BufferGroup> groups_;
  uint32_t held_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace io
