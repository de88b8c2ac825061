// The clock of timeouts and deadlines, which nobody sets.
#pragma once

#include <time.h>

#include <cstdint>

#include "check.h"

namespace io {

inline int64_t now_ns() {
  timespec now;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace io
