// Receives into the area: see zcrx/receives.h.
#include "backend/zcrx/receives.h"

#include <algorithm>
#include <cerrno>

#include "support/check.h"
#include "backend/io_uring/kernel_workers.h"

namespace io {

int ZcrxReceives::add_group(uint32_t group, uint32_t capacity) {
  CHECK(capacity > 0);
  if (capacity_ > 0) return -EBUSY;
  group_ = group;
  capacity_ = capacity;
  return 0;
}

// `flushes_before` is how often the kernel had taken returned chunks by then.
void ZcrxReceives::prepare(Operation& operation, io_uring_sqe& entry) {
  if (std::exchange(starved_, false)) zcrx_->reclaim();
  operation.result = 0;
  operation.flushes_before = static_cast<int64_t>(zcrx_->counters().flushes);
  zcrx_->prepare(entry, operation.number, static_cast<uint32_t>(operation.left_bytes));
}

ZcrxReceives::Step ZcrxReceives::take(Operation& operation, const io_uring_cqe& entry,
                                      Completed& reported) {
  const ZcrxReceived received = zcrx_->take(entry);
  reported = {&operation, received.result, received.more, false};
  return received.more ? take_chunk(operation, received, reported)
                       : take_end(operation, received.result, reported);
}

ZcrxReceives::Step ZcrxReceives::take_chunk(Operation& operation, const ZcrxReceived& received,
                                            Completed& reported) {
  if (operation.extent != 0) {
    operation.left_bytes = std::max<int64_t>(operation.left_bytes - received.result, 0);
  }
  if (!received.broken && operation.result == 0 && received.chunk.index < capacity_) {
    reported.buffer_id = received.chunk.index;
    return Step::report;
  }
  // JavaScript holds more chunks than have numbers, or the kernel names memory outside the area.
  // These bytes cannot be reported, and nothing that comes after them may be: the stream ends with
  // an error.
  if (!received.broken) zcrx_->release(received.chunk);
  if (operation.result == 0) operation.result = received.broken ? -EIO : -EOVERFLOW;
  return Step::cancel;
}

ZcrxReceives::Step ZcrxReceives::take_end(const Operation& operation, int32_t result,
                                          Completed& reported) {
  const bool used_up = operation.extent != 0 && operation.left_bytes == 0;
  if (operation.result != 0) {
    reported.result = operation.result;
  } else if (uring::is_interruption(result)) {
    reported.result = -ECANCELED;
  } else if (used_up && (result == 0 || result == -ENOSPC)) {
    // its limit of bytes is reached, which is not the end of the stream
    reported.result = -ENOBUFS;
  } else if (result == -ENOSPC) {
    return Step::again;  // the completion queue was full, and is being emptied
  } else if (result == -ENOBUFS || result == -ENOMEM) {
    // Chunks that this receive did not find may have been returned since, on behalf of another one.
    const bool flushed =
        static_cast<int64_t>(zcrx_->counters().flushes) != operation.flushes_before;
    if (zcrx_->reclaim() || flushed) return Step::again;
    if (result == -ENOBUFS)
      starved_ = true;
    else
      refused_++;
  } else if (result == -EPROTONOSUPPORT) {
    refused_++;
  }
  return Step::report;
}

uint32_t ZcrxReceives::offset_of(uint32_t chunk) const {
  const uint64_t offset = zcrx_->offset_of(chunk);
  CHECK(offset < abi::max_area_bytes);
  return static_cast<uint32_t>(offset);
}

bool ZcrxReceives::release_chunk(uint32_t chunk) {
  return zcrx_->release(zcrx_->id_of(chunk));
}

AreaCounters ZcrxReceives::counters() const {
  const ZcrxCounters& counters = zcrx_->counters();
  return {counters.chunks, counters.bytes, counters.held,
          refused_,        counters.full,  counters.flushes};
}

// ---- set-up

namespace {

ZcrxOptions zcrx_options(const AreaOptions& options) {
  CHECK(options.size_bytes <= abi::max_area_bytes);
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
  return std::make_unique<ZcrxReceives>(std::move(registered.zcrx), options.backing_store);
}

}  // namespace io
