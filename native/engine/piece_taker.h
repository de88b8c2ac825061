// The part of a backend that receives into lent memory: groups of pieces, which receive_multishot
// and receive_message_multishot take from when there is something to receive and not before.
#pragma once

#include <cerrno>
#include <cstdint>

namespace io {

// What stands in the pieces of a group: bytes of streams, of several receives one behind the other,
// or one message in each, behind the record of its sender.
enum class Lot : uint8_t { bytes, message };

// Of the area, since it was registered.
struct AreaCounters {
  uint64_t chunks = 0;
  uint64_t bytes = 0;
  uint32_t lent = 0;         // now
  uint64_t refused = 0;      // receives that the kernel would not make into it
  uint64_t refill_full = 0;  // how often the ring of returns had no room
  uint64_t flushes = 0;      // how often the kernel was asked to read that ring
};

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

  // The area that the network device writes to, where the backend was opened with one, is lent as a
  // group of its own that is given no pieces. A completion names a chunk below `capacity`, which is
  // lent from there until take_back(). 0 or a negative errno.
  virtual int add_area(uint32_t, uint32_t /* capacity */) { return -EOPNOTSUPP; }
  // Where a chunk that is lent begins in the area.
  virtual uint32_t offset_of(uint32_t /* chunk */) const { return 0; }
  // False when it is not lent.
  virtual bool take_back(uint32_t /* chunk */) { return false; }
  virtual AreaCounters area_counters() const { return {}; }
};

}  // namespace io
