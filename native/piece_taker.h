// The part of a backend that receives into lent memory: groups of pieces, which receive_multishot
// and receive_message_multishot take from when there is something to receive and not before.
#pragma once

#include <cstdint>

namespace io {

// What stands in the pieces of a group: bytes of streams, of several receives one behind the other,
// or one message in each, behind the record of its sender.
enum class Lot : uint8_t { bytes, message };

class PieceTaker {
 public:
  virtual ~PieceTaker() = default;
  // `group` is below abi::groups_most, and names no other group until it is removed. It gets
  // `capacity` pieces at most. 0 or a negative errno.
  virtual int add_group(uint32_t group, uint32_t capacity, Lot lot) = 0;
  // A piece is the backend's from here until a completion names it that is not `piece_open`.
  virtual void give(uint32_t group, uint32_t piece, uint8_t* data, uint32_t size_bytes) = 0;
  // Nothing is in flight on it. From here on nobody writes to its pieces.
  virtual void remove_group(uint32_t group) = 0;
};

}  // namespace io
