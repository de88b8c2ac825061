// What the files of this folder share.
#pragma once

#include <cerrno>
#include <cstdint>

namespace io::system {

// A call that a signal interrupted has done nothing, and is made again.
template <class Call>
int32_t result_of(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return static_cast<int32_t>(result);
    if (errno != EINTR) return -errno;
  }
}

// All of abi::open_flag_* but direct, and close-on-exec.
int common_open_flags(uint32_t flags);

}  // namespace io::system
