// The kernel's rings of provided buffers: one for each group of lent pieces. A receive takes the
// piece at the head of its group's ring when there is something to receive, and not before. Linux
// 5.19 or later.
//
// Who owns what: the ring's own memory is ours, mapped for it and shared with the kernel until it
// is unregistered. A piece in it is the kernel's from give() until a completion names it.
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

  // `shared` when several receives may fill a piece, one behind the other, where the kernel can.
  int add(uint32_t group, uint32_t capacity, bool shared);
  void remove(uint32_t group);
  void give(uint32_t group, uint32_t piece, uint8_t* data, uint32_t size_bytes);
  // Where a piece begins.
  uint8_t* data_of(uint32_t group, uint32_t piece) const {
    return rings_[group].pieces[piece].data;
  }
  // A completion that took a piece and received nothing: back with it.
  void give_again(uint32_t group, uint32_t piece);

  // Whether receives fill the pieces of a group one behind the other, in the order in which they
  // were given; then only the order of the completions tells where the bytes of each are.
  bool fills_up(uint32_t group) const { return rings_[group].incremental; }
  // A completion says that it has brought bytes to this piece. False when that cannot be: it is not
  // the kernel's, or not the one that is being filled.
  bool claim(uint32_t group, uint32_t piece);
  // The kernel has told of other pieces than it has filled: nothing in the ring is believed any
  // more.
  void distrust(uint32_t group) {
    rings_[group].distrusted = true;
    bundles_ = false;
  }
  bool is_distrusted(uint32_t group) const { return rings_[group].distrusted; }
  struct Part {
    uint32_t piece;
    uint32_t size_bytes;
    bool open;  // the kernel goes on filling it
  };
  // Of what a completion has brought to such a group, or of what is left of it: what lies in one
  // piece. Of 0 bytes when the ring has no more pieces.
  Part take(uint32_t group, uint32_t size_bytes);
  // Whether one receive may fill several pieces of such a group.
  bool bundles() const { return bundles_; }
  // Of one piece; 0 while there is none.
  uint32_t piece_bytes(uint32_t group) const { return rings_[group].pieces[0].size_bytes; }

 private:
  struct Piece {
    uint8_t* data = nullptr;
    uint32_t size_bytes = 0;
    bool given = false;  // it is in the ring; of a ring that is not incremental
  };
  struct BufferRing {
    io_uring_buf_ring* entries = nullptr;  // null when there is none
    uint32_t entry_count = 0;              // a power of two
    uint16_t tail = 0;
    bool incremental = false;
    // The first piece that is not full as far as completions have told, and how full it is.
    uint16_t head = 0;
    uint32_t filled_bytes = 0;
    bool distrusted = false;
    std::vector<Piece> pieces;
  };

  io_uring& ring_;
  bool incremental_;  // the kernel can fill a piece by several receives
  bool bundles_;      // and several pieces by one
  std::vector<BufferRing> rings_;
};

}  // namespace io
