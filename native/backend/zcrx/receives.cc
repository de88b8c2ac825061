// Receives into the area: see zcrx/receives.h.
#include "backend/zcrx/receives.h"

#include <algorithm>
#include <cerrno>

#include "support/check.h"
#include "backend/io_uring/worker.h"

namespace io {

int ZcrxReceives::add_group(uint32_t group, uint32_t capacity) {
  CHECK(capacity > 0);
  if (capacity_ > 0) return -EBUSY;
  group_ = group;
  capacity_ = capacity;
  return 0;
}

// `extent` is what is left of the limit of bytes; `argument_extra` says that there is one, also
// when nothing is left. `offset` counts how often the kernel had taken what was given back by then.
void ZcrxReceives::prepare(Operation& operation, io_uring_sqe& entry) {
  if (std::exchange(starved_, false)) zcrx_->reclaim();
  operation.argument_extra = operation.extent != 0 ? 1 : 0;
  operation.result = 0;
  operation.offset = static_cast<int64_t>(zcrx_->counters().flushes);
  zcrx_->prepare(entry, operation.number, static_cast<uint32_t>(operation.extent));
}

ZcrxReceives::Step ZcrxReceives::take(Operation& operation, const io_uring_cqe& entry,
                                      Completed& told) {
  const ZcrxReceived received = zcrx_->take(entry);
  told = {&operation, received.result, received.more, false};
  return received.more ? take_chunk(operation, received, told)
                       : take_end(operation, received.result, told);
}

ZcrxReceives::Step ZcrxReceives::take_chunk(Operation& operation, const ZcrxReceived& received,
                                            Completed& told) {
  if (operation.argument_extra != 0) {
    operation.extent = std::max<int64_t>(operation.extent - received.result, 0);
  }
  if (!received.broken && operation.result == 0 && received.chunk.index < capacity_) {
    told.piece = received.chunk.index;
    return Step::tell;
  }
  // More chunks are lent than have numbers, or the kernel names memory that is not the area's.
  // These bytes cannot be told of, and nothing that comes after them may be: the stream ends with
  // an error.
  if (!received.broken) zcrx_->give_back(received.chunk);
  if (operation.result == 0) operation.result = received.broken ? -EIO : -EOVERFLOW;
  return Step::cancel;
}

ZcrxReceives::Step ZcrxReceives::take_end(const Operation& operation, int32_t result,
                                          Completed& told) {
  const bool used_up = operation.argument_extra != 0 && operation.extent == 0;
  if (operation.result != 0) {
    told.result = operation.result;
  } else if (uring::is_interruption(result)) {
    told.result = -ECANCELED;
  } else if (used_up && (result == 0 || result == -ENOSPC)) {
    told.result = -ENOBUFS;  // what it may have has come, which is no end of the stream
  } else if (result == -ENOSPC) {
    return Step::again;  // the completion queue was full, and is being emptied
  } else if (result == -ENOBUFS || result == -ENOMEM) {
    // What this one has not found may have been given back since, for another one.
    const bool flushed = static_cast<int64_t>(zcrx_->counters().flushes) != operation.offset;
    if (zcrx_->reclaim() || flushed) return Step::again;
    if (result == -ENOBUFS)
      starved_ = true;
    else
      refused_++;
  } else if (result == -EPROTONOSUPPORT) {
    refused_++;
  }
  return Step::tell;
}

uint32_t ZcrxReceives::offset_of(uint32_t chunk) const {
  const uint64_t offset = zcrx_->offset_of(chunk);
  CHECK(offset < abi::area_bytes_most);
  return static_cast<uint32_t>(offset);
}

bool ZcrxReceives::take_back(uint32_t chunk) {
  return zcrx_->give_back(zcrx_->id_of(chunk));
}

AreaCounters ZcrxReceives::counters() const {
  const ZcrxCounters& counters = zcrx_->counters();
  return {counters.chunks, counters.bytes, counters.lent,
          refused_,        counters.full,  counters.flushes};
}

// ---- set-up

namespace {

ZcrxOptions zcrx_options(const AreaOptions& options) {
  CHECK(options.size_bytes <= abi::area_bytes_most);
  return {options.interface, options.queue, options.address, options.size_bytes};
}

void explain(Opened& opened, const ZcrxProbe& found) {
  opened.area_reason = found.reason;
  opened.area_advice = found.advice;
}

}  // namespace

bool may_open_receives(const AreaOptions& options, Opened& opened) {
  const ZcrxProbe found = Zcrx::look(zcrx_options(options));
  explain(opened, found);
  return found.available;
}

std::unique_ptr<ZcrxReceives> open_receives(io_uring& ring, const AreaOptions& options,
                                            Opened& opened) {
  const ZcrxOptions wanted = zcrx_options(options);
  ZcrxOpened registered = Zcrx::open(ring, wanted);
  if (registered.zcrx == nullptr) {
    explain(opened, Zcrx::why_not(registered, wanted));
    return nullptr;
  }
  const bool device = !options.interface.empty();
  opened.has_area = true;
  opened.area_advice.clear();
  opened.area_reason = device ? "queue " + std::to_string(options.queue) + " of " +
                                    options.interface + " writes into the program's memory"
                              : "without a device: the kernel copies into the program's memory";
  return std::make_unique<ZcrxReceives>(std::move(registered.zcrx), options.hold);
}

}  // namespace io
