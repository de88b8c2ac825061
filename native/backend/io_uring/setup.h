// Sets up the ring of the io_uring backend: the best that the kernel gives.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>

#include "engine/backend.h"
#include "backend/zcrx/receives.h"

namespace io {

struct RingSetUp {
  io_uring ring;
  uint32_t flags = 0;
  bool registered = false;             // its descriptor, with this thread
  std::unique_ptr<ZcrxReceives> area;  // null when there is none: Opened::area_reason
};

// 0, or the errno of io_uring_setup. Writes the report about the ring into `opened`.
int set_up_ring(const BackendOptions& options, RingSetUp& made, Opened& opened);

}  // namespace io
