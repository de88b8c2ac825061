// The monotonic clock of timeouts and deadlines.
#pragma once

#include <time.h>

#include <cstdint>

#include "support/check.h"

namespace io {

inline int64_t now_ns() {
  timespec now;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// The processor time that the calling thread has used.
inline int64_t thread_used_ns() {
  timespec used;
  CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0);
  return static_cast<int64_t>(used.tv_sec) * 1'000'000'000 + used.tv_nsec;
}

}  // namespace io
