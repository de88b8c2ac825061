// The part of a backend that receives into provided buffers: groups of them, from which
// receive_multishot and receive_message_multishot take a buffer when there is something to receive,
// and not before.
#pragma once

#include <cstdint>

namespace io {

// The content of a group's buffers: bytes of streams, of several receives one behind the other, or
// one message in each, behind the record of its sender.
enum class GroupContent : uint8_t { bytes, message };

// Of the area, since it was registered.
struct AreaCounters {
  uint64_t chunks = 0;
  uint64_t bytes = 0;
  uint32_t held = 0;         // now
  uint64_t refused = 0;      // receives that the kernel would not make into it
  uint64_t refill_full = 0;  // how often the refill ring had no space
  uint64_t flushes = 0;      // how often the kernel was asked to read that ring
};

// The area that the network device writes to, where the backend was opened with one. It has a group
// of its own, without provided buffers.
class Area {
 public:
  virtual ~Area() = default;
  // A completion names a chunk below `capacity`, which is held from there until release_chunk(). 0
  // or a negative errno.
  virtual int add_group(uint32_t group, uint32_t capacity) = 0;
  // Where a held chunk begins in the area.
  virtual uint32_t offset_of(uint32_t chunk) const = 0;
  // False when it is not held.
  virtual bool release_chunk(uint32_t chunk) = 0;
};

class BufferProvider {
 public:
  virtual ~BufferProvider() = default;
  // `group` is below abi::max_groups, and names no other group until it is removed. It gets
  // `capacity` buffers at most. 0 or a negative errno.
  virtual int add_group(uint32_t group, uint32_t capacity, GroupContent content) = 0;
  // A buffer is the backend's from here until a completion names it that is not `buffer_open`.
  virtual void provide(uint32_t group, uint32_t piece, uint8_t* data, uint32_t size_bytes) = 0;
  // Nothing is in flight on it. From here on nothing writes to its buffers.
  virtual void remove_group(uint32_t group) = 0;

  Area* area() const { return area_; }

 protected:
  Area* area_ = nullptr;  // null: there is none
};

}  // namespace io
