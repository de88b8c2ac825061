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

// What of a descriptor goes one after the other.
inline constexpr int direction_receives = 0;
inline constexpr int direction_sends = 1;
inline constexpr int direction_accepts = 2;

// Sends of a stream that are with the backend as one call, beside the one that leads them.
struct GatheredSend {
  // In the order of their bytes, the one that leads first. An array, so that what is needed of them
  // can be fetched at once.
  std::vector<Operation*> members;
  std::vector<iovec> vectors;  // of each
  size_t size_bytes = 0;       // of all vectors
  bool has_cancelled = false;  // somebody has asked for the end of one of the company
};

struct Descriptor {
  uint16_t generation = 0;
  bool open = false;
  bool receive_empty = false;  // the last receive took all there was
  bool unix_datagram = false;
  bool is_stream = false;  // a stream socket, for all that is known
  bool closing = false;
  bool end_due =
      false;  // of one that is closing: what is in flight is to be asked to end once more
  uint32_t closing_slot = 0;   // the close operation that waits until nothing is in flight
  uint32_t closing_index = 0;  // where the number stands among those whose close waits
  OnDescriptor operations;     // in flight on it
  uint32_t in_flight = 0;      // how many these are
  bool unref = false;          // they keep no event loop alive
  FromSource senders;          // those that send this file to another descriptor
  // Receives, sends and accepts in flight, parked ones included, and how many of them the backend
  // may have: Engine::take_turn().
  uint32_t streaming[3] = {0, 0, 0};
  uint32_t turns[3] = {1, 1, 1};
  OperationQueue parked[3];  // of them, those that wait; first those that have stalled
  uint32_t patient = 0;      // in flight, and not to be ended by a limit: Engine::be_patient()
  bool send_wait_limited = false;  // see Backend::limit_send_wait
  bool awaits_room = false;        // a send has stalled: the next ones are tried, too
  uint32_t send_slot = 0;          // of the send that the backend has, or that is told of room
  std::unique_ptr<GatheredSend> gathered;  // as long as its call is with the backend
  std::unique_ptr<ZeroCopy> zero_copy;     // made for the first send that wants to spare the copy

  bool has_work() const { return !operations.empty() || !senders.empty(); }
};

class Descriptors {
 public:
  static constexpr int number_limit = 1 << abi::descriptor_number_bits;

  static int number(int32_t value) { return value & (number_limit - 1); }

  // Takes ownership of the system's number; returns the value that JavaScript sees, or -EMFILE when
  // the number is too large to carry a generation, or -EEXIST when it is one of ours already, which
  // somebody else has closed behind our back (the caller still owns it then).
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
