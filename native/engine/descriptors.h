// The descriptors that an engine opened or adopted. An entry can name no other: a stale number is
// EBADF even when the system has handed it out again.
//
// Who owns one: the engine, from the completion that brings it until its close operation has been
// handed to the kernel, or until the engine ends. Closing waits until nothing is in flight on it.
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <vector>

#include "abi/abi.h"
#include "support/check.h"
#include "engine/operation_list.h"
#include "engine/zero_copy.h"

namespace io {

// The operations of a descriptor that go one after the other.
inline constexpr int direction_receives = 0;
inline constexpr int direction_sends = 1;
inline constexpr int direction_accepts = 2;

// Sends of a stream that are with the backend as one call, beside their batch head.
struct SendBatch {
  // In the order of their bytes, the head first. An array, so that their cache lines can be fetched
  // at once.
  std::vector<Operation*> members;
  std::vector<iovec> vectors;  // of each
  size_t size_bytes = 0;       // of all vectors
  bool has_cancelled = false;  // the program has asked for the end of a member
};

// There is one for each connection, so it is kept small.
struct Descriptor {
  uint16_t generation = 0;
  bool open = false;
  bool receive_empty = false;  // the last receive took all there was
  bool unix_datagram = false;
  bool is_stream = false;        // a stream socket, for all that is known
  bool unix_connection = false;  // a stream or seqpacket socket of AF_UNIX
  bool is_shared = false;  // other code, perhaps of another process, may have the socket as well
  bool sends_limited = false;  // its sends block for a tick: io_uring/writable_sockets.h
  bool closing = false;
  bool unref = false;  // its operations keep no event loop alive
  // Receives, sends and accepts: how many of each the backend may have (Engine::take_turn()), how
  // many are in flight, parked ones included, and those that wait for their turn.
  uint8_t turns[3] = {1, 1, 1};
  uint32_t streaming[3] = {0, 0, 0};
  uint32_t closing_slot = 0;  // the close operation that waits until nothing is in flight
  uint32_t send_slot = 0;     // of the send that the backend was given last
  uint32_t in_flight = 0;     // operations on it
  OnDescriptor operations;    // these
  FromSource senders;         // operations that send this file to another descriptor
  OperationQueue parked[3];
  std::unique_ptr<SendBatch> send_batch;  // as long as its call is with the backend
  std::unique_ptr<ZeroCopy> zero_copy;    // made for the first send that wants to spare the copy

  bool has_work() const { return !operations.empty() || !senders.empty(); }
};

class Descriptors {
 public:
  static constexpr int number_limit = 1 << abi::descriptor_number_bits;

  static int number(int32_t value) { return value & (number_limit - 1); }

  // Takes ownership of the system's number; returns the value that JavaScript sees, or -EMFILE when
  // the number is too large to carry a generation, or -EEXIST when it is one of ours already, which
  // other code has closed (the caller still owns it then).
  int32_t add(int number) {
    CHECK(number >= 0);
    if (number >= number_limit) return -EMFILE;
    if (static_cast<size_t>(number) >= entries_.size()) {
      entries_.resize((static_cast<size_t>(number) | 63) + 1);
    }
    Descriptor& descriptor = entries_[static_cast<size_t>(number)];
    if (descriptor.open) return -EEXIST;
    CHECK(!descriptor.has_work());
    const uint16_t generation =
        static_cast<uint16_t>(descriptor.generation % abi::descriptor_generation_limit + 1);
    descriptor = Descriptor{};
    descriptor.generation = generation;
    descriptor.open = true;
    count_++;
    return number | static_cast<int32_t>(generation) << abi::descriptor_number_bits;
  }

  // The entry of an open descriptor, or null when the value is unknown or stale.
  Descriptor* find(int32_t value) {
    if (value < 0) return nullptr;
    const size_t index = static_cast<size_t>(number(value));
    if (index >= entries_.size()) return nullptr;
    Descriptor& descriptor = entries_[index];
    if (!descriptor.open) return nullptr;
    if (descriptor.generation != value >> abi::descriptor_number_bits) return nullptr;
    return &descriptor;
  }

  // What JavaScript sees of an open number.
  int32_t value(int number) {
    return number | static_cast<int32_t>(at(number).generation) << abi::descriptor_number_bits;
  }

  bool is_open(int number) const {
    return number >= 0 && static_cast<size_t>(number) < entries_.size() &&
           entries_[static_cast<size_t>(number)].open;
  }

  Descriptor& at(int number) {
    CHECK(number >= 0 && static_cast<size_t>(number) < entries_.size());
    return entries_[static_cast<size_t>(number)];
  }

  // Ownership goes to the caller, who closes it.
  void remove(int number) {
    Descriptor& descriptor = at(number);
    CHECK(descriptor.open);
    CHECK(!descriptor.has_work());
    descriptor.open = false;
    descriptor.zero_copy.reset();
    count_--;
  }

  template <class Visit>
  void each_open(Visit visit) {
    for (size_t index = 0; index < entries_.size(); index++) {
      if (entries_[index].open) visit(static_cast<int>(index));
    }
  }

  uint32_t count() const { return count_; }

 private:
  std::vector<Descriptor> entries_;
  uint32_t count_ = 0;
};

}  // namespace io
