// Receives that fill several buffers of an incremental ring at once: when a receive is made so, and
// how its completions are read.
//
// A stream whose bytes arrive faster than the program works on them is received with fewer calls
// within the kernel, fewer completions and fewer acknowledgements that way. For any other stream it
// does not pay: the kernel ends a receive that might have used the last buffer of the ring, however
// little has come. So a receive with a limit of bytes is made so when the one before it on its
// descriptor has brought much. Such a receive is made again by the program anyway.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "engine/backend.h"
#include "engine/buffer_groups.h"
#include "backend/io_uring/buffer_rings.h"

namespace io::uring {

// The descriptors that bring much. The record of a number may be of a connection that it had
// before; that costs one receive that is made the other way.
class BulkReceives {
 public:
  // A receive is given to the kernel: whether it is expected to bring much.
  bool begin(Operation& operation) const {
    const auto number = static_cast<size_t>(operation.number);
    const bool limited =
        operation.opcode == abi::Opcode::receive_multishot && operation.extent != 0;
    return limited && number < much_.size() && much_[number];
  }

  void ended(const Operation& operation) {
    if (operation.extent == 0) return;
    const auto number = static_cast<size_t>(operation.number);
    if (number >= much_.size()) much_.resize(number + 1);
    much_[number] = operation.received_bytes >= std::min(operation.extent, much_bytes);
  }

 private:
  static constexpr int64_t much_bytes = 64 * 1024;
  std::vector<bool> much_;
};

// The bytes of one completion, reported buffer by buffer, as if each had been received by itself.
// The next completion is read when all of this one has been reported, because the order shows where
// the bytes are. Until then the operation is in flight, even if the kernel has ended it.
class Bundle {
 public:
  explicit Bundle(BufferRings& rings) : rings_(rings) {}

  bool empty() const { return left_bytes_ == 0; }

  // It begins in the next buffer of its ring; `more` says that further completions follow.
  void take(Operation& operation, uint32_t size_bytes, bool more) {
    CHECK(empty() && size_bytes > 0);
    operation_ = &operation;
    left_bytes_ = size_bytes;
    more_ = more;
  }

  void report(Completions& completed) {
    while (left_bytes_ > 0 && !completed.full()) {
      const uint32_t group = BufferGroups::index_of(operation_->argument);
      const BufferRings::Part part = rings_.take(group, left_bytes_);
      if (part.size_bytes == 0) return end_distrusted(group, completed);
      left_bytes_ -= part.size_bytes;
      completed.push({.operation = operation_,
                      .result = static_cast<int32_t>(part.size_bytes),
                      .more = more_ || left_bytes_ > 0,
                      .receive_empty = false,
                      .buffer_open = part.open,
                      .buffer_id = part.buffer_id});
    }
  }

 private:
  // The kernel reports more bytes than it had memory for. Later completions are distrusted.
  void end_distrusted(uint32_t group, Completions& completed) {
    left_bytes_ = 0;
    rings_.distrust(group);
    if (!more_) completed.push({operation_, -EIO, false, false});
  }

  BufferRings& rings_;
  Operation* operation_ = nullptr;
  uint32_t left_bytes_ = 0;
  bool more_ = false;
};

}  // namespace io::uring
