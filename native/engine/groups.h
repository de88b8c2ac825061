// Groups of pieces of memory that receives are served from: a piece is with the backend until it
// has received something, then lent to JavaScript, which returns it.
//
// Who owns what: a group holds the buffer handles that its pieces lie in, from add_pieces() until
// it is removed, which waits for no return: what is lent then is memory that only JavaScript looks
// at. While a receive is in flight on a group it cannot be removed.
//
// JavaScript returns pieces by writing their numbers into a list that it shares with the engine,
// and says so in the header. The engine believes no number: a piece that is not lent is counted and
// left alone, so nothing that stands in the list gives the kernel a piece twice.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "abi/abi.h"
#include "engine/buffers.h"
#include "engine/piece_taker.h"

namespace io {

struct Piece {
  uint8_t* address = nullptr;
  bool lent = false;
};

struct Group {
  bool alive = false;
  Lot lot = Lot::bytes;
  uint16_t generation = 0;
  uint32_t in_flight = 0;  // receives that take from it
  uint32_t capacity = 0;   // pieces at most
  uint32_t piece_bytes = 0;
  std::vector<Piece> pieces;
  std::vector<uint32_t> buffers;  // handles
  uint32_t* returned = nullptr;   // a count, then `capacity` numbers of pieces
  // Of the area's group, which has no pieces: where each chunk begins, by its number. JavaScript
  // reads it; what it writes there is believed by nobody.
  uint32_t* places = nullptr;
  uint32_t lent = 0;  // of its chunks
  MemoryHold hold;    // of `returned` and `places`
};

class Groups {
 public:
  Groups(Buffers& buffers, PieceTaker& backend) : buffers_(buffers), backend_(backend) {}

  // Of a handle: what the backend calls the group.
  static uint32_t index_of(uint32_t handle) { return handle & (abi::groups_most - 1); }

  // `returned` has capacity + 1 words. A handle, or a negative errno.
  int32_t add(uint32_t* returned, uint32_t capacity, MemoryHold hold, Lot lot = Lot::bytes);
  // The same for the area that the backend was opened with: `words` has a count, `capacity` numbers
  // and `capacity` places.
  int32_t add_area(uint32_t* words, uint32_t capacity, MemoryHold hold);
  // More pieces of a group, `stride_bytes` apart from `offset` in a buffer, which are given to the
  // backend at once. All pieces of a group have one size. 0 or a negative errno.
  int add_pieces(uint32_t handle, uint32_t buffer, double offset, uint32_t stride_bytes,
                 uint32_t piece_bytes, uint32_t count);
  // -EBUSY while a receive is in flight on it.
  int remove(uint32_t handle);
  void remove_all();

  Group* find(uint32_t handle);
  bool has(uint32_t handle, Lot lot) {
    const Group* group = find(handle);
    return group != nullptr && group->lot == lot;
  }
  void begin(uint32_t handle) { at(handle).in_flight++; }
  void finish(uint32_t handle);
  // The flags of a completion that brings bytes in a piece.
  uint32_t lend(uint32_t handle, uint32_t piece, bool open);
  bool is_area(uint32_t handle) { return at(handle).places != nullptr; }
  // Gives the backend what JavaScript has put into the lists.
  void take_returned();

  // Pieces that JavaScript has, and returns that named a piece which it has not.
  uint32_t lent() const { return lent_; }
  uint64_t refused() const { return refused_; }

 private:
  Group& at(uint32_t handle);
  uint32_t unused_index() const;  // groups_most when there is none
  int32_t take(uint32_t index, uint32_t* returned, uint32_t capacity, MemoryHold hold, Lot lot);
  bool take_back(Group& group, uint32_t index, uint32_t number);
  void take_returned_of(uint32_t index);
  void free(uint32_t index);

  Buffers& buffers_;
  PieceTaker& backend_;
  std::vector<Group> groups_;
  uint32_t lent_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace io
