// Helpers that the files of this folder share.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "abi/abi.h"
#include "system/system.h"

namespace io::system {

// A call that a signal interrupted has done nothing, and is made again.
template <class Call>
int32_t result_of(Call call) {
  for (int times = 1;; times++) {
    const auto result = call();
    if (result >= 0) return static_cast<int32_t>(result);
    if (errno != EINTR || times == max_interruptions) return -errno;
  }
}

// Of a number that was opened with `system_flags` and O_NONBLOCK: a file, a folder or a disk waits
// from here on. Returns the number.
int32_t wait_for_file(int32_t number, int system_flags);

// Those of abi::open_flag_* that every system has, and close-on-exec.
int common_open_flags(uint32_t flags);
inline constexpr uint32_t of_linux_alone = abi::open_flag_temporary | abi::open_flag_no_access_time;

// A whole number of 64 bits in the place of a field.
inline void write_exact(double* fields, size_t field, int64_t value) {
  std::memcpy(fields + field, &value, sizeof(value));
}

// The result of poll() for a pipe: see pipe_has_ended().
bool pipe_ended_by_poll(int number);

// The result of a send without an address. If the peer resets the connection at that very moment,
// macOS returns EPROTOTYPE (XNU's tcp_usr_send, on a protocol block that has just been freed).
inline int32_t result_of_send(int32_t result) {
#if defined(__APPLE__)
  if (result == -EPROTOTYPE) return -ECONNRESET;
#endif
  return result;
}

}  // namespace io::system
