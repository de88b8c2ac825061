// The behaviour of the kernel's workers.
#pragma once

#include <cerrno>
#include <cstdint>

#include "engine/operation.h"

namespace io::uring {

// Whether a call that was made in a worker was interrupted. A worker returns the kernel-internal
// error that a system call turns into EINTR or restarts (include/linux/errno.h: ERESTARTSYS and
// those that follow).
constexpr bool is_interruption(int32_t error) {
  constexpr int32_t restart_system_call = 512;
  constexpr int32_t restart_no_interrupt = 513;
  constexpr int32_t restart_no_handler = 514;
  constexpr int32_t restart_block = 516;
  return error == -EINTR || error == -restart_system_call || error == -restart_no_interrupt ||
         error == -restart_no_handler || error == -restart_block;
}

// Whether the process can start threads now. A worker is one, and where it cannot be made (pids.max
// of a cgroup, RLIMIT_NPROC) the kernel cancels the operation that needed it.
bool threads_are_given();

// For a number that was opened non-blocking: from here on the kernel waits for it as for any. A
// stream would return EAGAIN instead of waiting.
void wait_again(int number, const Operation& open);

}  // namespace io::uring
