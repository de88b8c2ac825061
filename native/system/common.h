// What the files of this folder share.
#pragma once

#include <cerrno>
#include <cstdint>

#include "system/system.h"

namespace io::system {

// A call that a signal interrupted has done nothing, and is made again.
template <class Call>
int32_t result_of(Call call) {
  for (int times = 1;; times++) {
    const auto result = call();
    if (result >= 0) return static_cast<int32_t>(result);
    if (errno != EINTR || times == interruptions_most) return -errno;
  }
}

// Of a number that was opened with `system_flags` and O_NONBLOCK: a file, a folder or a disk waits
// from here on. Returns the number.
int32_t wait_for_file(int32_t number, int system_flags);

// All of abi::open_flag_* but direct, and close-on-exec.
int common_open_flags(uint32_t flags);

// What poll() says of a pipe: see pipe_has_ended().
bool pipe_ended_by_poll(int number);

// What a send without an address means. Where the peer resets the connection at that very moment,
// macOS says EPROTOTYPE (XNU's tcp_usr_send, of a protocol block that has just been given up).
inline int32_t result_of_send(int32_t result) {
#if defined(__APPLE__)
  if (result == -EPROTOTYPE) return -ECONNRESET;
#endif
  return result;
}

}  // namespace io::system
