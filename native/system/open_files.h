// What the systems share of the operations on an open file.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "abi/abi.h"

namespace io::system {

// One piece of a copy, through memory: how many bytes, 0 at the end of the file that is read.
int32_t copied_by_hand(int from, int64_t from_offset, int to, int64_t to_offset, size_t length);

#if defined(POSIX_FADV_NORMAL)

inline int advise_by_posix(int number, int64_t offset, int64_t length, uint32_t advice) {
  constexpr int advices[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                             POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
  if (advice > abi::advice_no_reuse) return -EINVAL;
  return -::posix_fadvise(number, offset, length, advices[advice]);
}

#endif

}  // namespace io::system
