// The receives of the io_uring backend into an area that the network device writes to: they turn an
// operation into calls of zcrx.h, and its completions into those of the engine.
//
// Who owns what: this owns the registration and a share of the area's memory. A chunk belongs to
// the engine, and so to JavaScript, from the completion that names it until release_chunk(), even
// if its socket is closed meanwhile. The backend ends in the order of zcrx.h: all receives have
// completed, the ring is closed, ring_closed(), and this is destroyed.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "engine/backend.h"
#include "engine/buffer_groups.h"
#include "backend/zcrx/zcrx.h"

namespace io {

class ZcrxReceives final : public Area {
 public:
  // How the caller handles a completion.
  enum class Step : uint8_t {
    report,  // report it to the engine
    again,   // report nothing, and make the receive again
    cancel,  // report nothing, and cancel the receive
  };

  ZcrxReceives(std::unique_ptr<Zcrx> zcrx, BackingStore backing_store)
      : zcrx_(std::move(zcrx)), backing_store_(std::move(backing_store)) {}

  // -EBUSY when another group has the area already.
  int add_group(uint32_t group, uint32_t capacity) override;
  bool is_group(uint32_t group) const { return capacity_ > 0 && group == group_; }
  void remove_group() { capacity_ = 0; }
  // Whether the operation is such a receive.
  bool serves(const Operation& operation) const {
    return operation.opcode == abi::Opcode::receive_multishot &&
           is_group(BufferGroups::index_of(operation.argument));
  }

  void prepare(Operation& operation, io_uring_sqe& entry);
  Step take(Operation& operation, const io_uring_cqe& entry, Completed& reported);
  uint32_t offset_of(uint32_t chunk) const override;
  bool release_chunk(uint32_t chunk) override;
  // Once in a round: released chunks go to the kernel.
  void refill() { zcrx_->refill(); }
  AreaCounters counters() const;
  void ring_closed() { zcrx_->ring_closed(); }

 private:
  Step take_chunk(Operation& operation, const ZcrxReceived& received, Completed& reported);
  Step take_end(const Operation& operation, int32_t result, Completed& reported);

  std::unique_ptr<Zcrx> zcrx_;
  BackingStore backing_store_;
  uint32_t group_ = 0;
  uint32_t capacity_ = 0;  // 0: there is no group
  bool starved_ = false;   // a receive ended because JavaScript held every chunk
  uint64_t refused_ = 0;
};

// Registers the area with a ring that was set up with Zcrx::ring_flags. Null when it cannot be:
// `opened` says why.
std::unique_ptr<ZcrxReceives> open_receives(io_uring& ring, const AreaOptions& options,
                                            Opened& opened);
// Whether it is worth to set up a ring for it; else `opened` says why not.
bool may_open_receives(const AreaOptions& options, Opened& opened);

}  // namespace io
