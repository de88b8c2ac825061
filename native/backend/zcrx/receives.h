// The receives of the io_uring backend into an area that the network device writes to: what an
// operation becomes for zcrx.h, and what its completions become for the engine.
//
// Who owns what: this owns the registration and a share of the area's memory. A chunk is the
// engine's, and so JavaScript's, from the completion that names it until take_back(); where its
// socket is closed meanwhile makes no difference. The backend ends in the order of zcrx.h: all
// receives have completed, the ring is closed, ring_closed(), and this is destroyed.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "engine/backend.h"
#include "engine/groups.h"
#include "backend/zcrx/zcrx.h"

namespace io {

class ZcrxReceives {
 public:
  // What is to be done with a completion.
  enum class Step : uint8_t {
    tell,    // the engine is told
    again,   // nobody is told: the receive is to be made again
    cancel,  // nobody is told: the end of the receive is to be asked for
  };

  ZcrxReceives(std::unique_ptr<Zcrx> zcrx, MemoryHold hold)
      : zcrx_(std::move(zcrx)), hold_(std::move(hold)) {}

  // -EBUSY when the area is lent by another group already.
  int add_group(uint32_t group, uint32_t capacity);
  bool is_group(uint32_t group) const { return capacity_ > 0 && group == group_; }
  void remove_group() { capacity_ = 0; }
  // Whether the operation is such a receive.
  bool serves(const Operation& operation) const {
    return operation.opcode == abi::Opcode::receive_multishot &&
           is_group(Groups::index_of(operation.argument));
  }

  void prepare(Operation& operation, io_uring_sqe& entry);
  Step take(Operation& operation, const io_uring_cqe& entry, Completed& told);
  uint32_t offset_of(uint32_t chunk) const;
  bool take_back(uint32_t chunk);
  // Once in a round: what was taken back goes to the kernel.
  void refill() { zcrx_->refill(); }
  AreaCounters counters() const;
  void ring_closed() { zcrx_->ring_closed(); }

 private:
  Step take_chunk(Operation& operation, const ZcrxReceived& received, Completed& told);
  Step take_end(const Operation& operation, int32_t result, Completed& told);

  std::unique_ptr<Zcrx> zcrx_;
  MemoryHold hold_;
  uint32_t group_ = 0;
  uint32_t capacity_ = 0;  // 0: there is no group
  bool starved_ = false;   // a receive was told that everything is lent
  uint64_t refused_ = 0;
};

// Registers the area with a ring that was set up with Zcrx::ring_flags. Null when it cannot be:
// `opened` says why.
std::unique_ptr<ZcrxReceives> open_receives(io_uring& ring, const AreaOptions& options,
                                            Opened& opened);
// Whether it is worth to set up a ring for it; else `opened` says why not.
bool may_open_receives(const AreaOptions& options, Opened& opened);

}  // namespace io
