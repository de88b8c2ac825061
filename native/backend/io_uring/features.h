// What the running kernel's io_uring can do beyond the operations that it lists.
#pragma once

#include <liburing.h>

#include <cstdint>

namespace io::uring {

// abi::feature_*. Asks the ring, on which nothing else may be in flight yet.
uint32_t features_of(io_uring& ring, const io_uring_probe* known);
// Whether a multishot receive takes a limit of bytes (6.17). Asks the ring as well.
bool takes_receive_limits(io_uring& ring);

}  // namespace io::uring
