// The kernel's rings of provided buffers: one for each group. A receive takes the buffer at the
// head of its group's ring when there is something to receive, and not before. Linux 5.19 or later.
//
// Who owns what: the ring's own memory is ours, mapped for it and shared with the kernel until it
// is unregistered. A buffer in it is the kernel's from provide() until a completion names it.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <vector>

#include "backend/io_uring/kernel_traits.h"

namespace io {

class BufferRings {
 public:
  // `ring` is that of the backend, and outlives this.
  BufferRings(io_uring& ring, const uring::KernelTraits& traits);
  ~BufferRings();
  BufferRings(const BufferRings&) = delete;
  BufferRings& operator=(const BufferRings&) = delete;

  // `shared` when several receives may fill a buffer, one behind the other, where the kernel can.
  int add(uint32_t group, uint32_t capacity, bool shared);
  void remove(uint32_t group);
  void provide(uint32_t group, uint32_t buffer_id, uint8_t* data, uint32_t size_bytes);
  // Where a buffer begins.
  uint8_t* data_of(uint32_t group, uint32_t buffer_id) const {
    return rings_[group].buffers[buffer_id].data;
  }
  // A completion that took a buffer and received nothing: back with it.
  void provide_again(uint32_t group, uint32_t buffer_id);

  // Whether receives fill the buffers of a group one behind the other, in the order in which they
  // were provided. Then only the order of the completions shows where the bytes of each begin.
  bool fills_up(uint32_t group) const { return rings_[group].incremental; }
  // A completion says that it has brought bytes to this buffer. False when that cannot be: the
  // buffer is not the kernel's, or not the one that is being filled.
  bool claim(uint32_t group, uint32_t buffer_id);
  // The kernel has named other buffers than it has filled: the ring is distrusted from then on.
  void distrust(uint32_t group) {
    rings_[group].distrusted = true;
    bundles_ = false;
  }
  bool is_distrusted(uint32_t group) const { return rings_[group].distrusted; }
  struct Part {
    uint32_t buffer_id;
    uint32_t size_bytes;
    bool open;  // the kernel goes on filling it
  };
  // Takes the part of a completion's bytes that lies in one buffer of such a group. Of 0 bytes when
  // the ring has no more buffers.
  Part take(uint32_t group, uint32_t size_bytes);
  // Whether one receive may fill several buffers of such a group.
  bool bundles() const { return bundles_; }
  // Of one buffer; 0 while there is none.
  uint32_t buffer_size_bytes(uint32_t group) const { return rings_[group].buffers[0].size_bytes; }

 private:
  struct ProvidedBuffer {
    uint8_t* data = nullptr;
    uint32_t size_bytes = 0;
    bool provided = false;  // it is in the ring; of a ring that is not incremental
  };
  struct BufferRing {
    io_uring_buf_ring* entries = nullptr;  // null when there is none
    uint32_t entry_count = 0;              // a power of two
    uint16_t tail = 0;
    bool incremental = false;
    // The first buffer that is not full according to the completions so far, and its filled bytes.
    uint16_t head = 0;
    uint32_t filled_bytes = 0;
    bool distrusted = false;
    std::vector<ProvidedBuffer> buffers;
  };

  io_uring& ring_;
  bool incremental_;  // the kernel can fill a buffer by several receives
  bool bundles_;      // and several buffers by one
  std::vector<BufferRing> rings_;
};

}  // namespace io
