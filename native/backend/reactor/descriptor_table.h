// The reactor's state of each descriptor: whether it can be polled, in which directions it is
// ready, and which operations wait for that. Operations of one direction wait in a queue, because a
// kernel interface has one registration per descriptor and not one per operation.
#pragma once

#include <cstdint>
#include <deque>

#include "engine/operation_list.h"
#include "backend/calls.h"

namespace io {

inline constexpr int direction_in = 0;
inline constexpr int direction_out = 1;

struct Watch {
  uint32_t generation = 0;  // rises when the number is closed, so that a late event is recognised
  Kind kind = Kind::unknown;
  bool watched = false;  // the poller has it
  // A receive that got less than it asked for has emptied the descriptor. Only where nothing but
  // plain bytes can stop a receive early: see Reactor::on_ready.
  bool drains = false;
  // An event has reported the peer's end, an error or urgent data.
  bool ended = false;
  bool receive_shut = false;     // by us: a receive that finds nothing is at the end
  bool accepts = false;          // the operations that wait to receive are accepts
  bool queued_again = false;     // it is in the list of those to be gone on with
  bool has_met_writer = false;   // a pipe that has, or had, a writer
  bool ends_unseen = false;      // the poller does not report that its other end is closed
  bool appends = false;          // a file whose writes go to its end
  uint32_t in_row[2] = {0, 0};   // see position_order.h
  bool ready[2] = {true, true};  // no attempt has said EAGAIN since the last event
  OperationQueue parked[2];
  OperationQueue polls;  // they take nothing, so they have no turn among the others

  bool is_emptied_by_short() const { return drains && !ended; }
};

class DescriptorTable {
 public:
  // References stay valid as the table grows.
  Watch& at(int number) {
    const auto index = static_cast<size_t>(number);
    if (index >= watches_.size()) watches_.resize((index | 63) + 1);
    return watches_[index];
  }

  // The entry of a token, or null when its descriptor has been given up meanwhile.
  Watch* find(uint64_t token) {
    const size_t index = token & UINT32_MAX;
    if (index >= watches_.size()) return nullptr;
    Watch& watch = watches_[index];
    return watch.generation == token >> 32 ? &watch : nullptr;
  }

  static int number_of(uint64_t token) { return static_cast<int>(token & UINT32_MAX); }
  uint64_t token_of(int number) {
    return static_cast<uint64_t>(number) | static_cast<uint64_t>(at(number).generation) << 32;
  }

  // The descriptor is about to be closed; nothing waits for it.
  void forget(int number) {
    Watch& watch = at(number);
    CHECK(watch.parked[direction_in].empty());
    CHECK(watch.parked[direction_out].empty());
    CHECK(watch.polls.empty());
    const uint32_t generation = watch.generation + 1;
    watch = Watch{};
    watch.generation = generation;
  }

  template <class Visit>
  void each(Visit visit) {
    for (size_t index = 0; index < watches_.size(); index++) {
      visit(static_cast<int>(index), watches_[index]);
    }
  }

 private:
  std::deque<Watch> watches_;
};

}  // namespace io
