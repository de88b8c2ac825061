// What the kernel's workers do and say.
#pragma once

#include <cerrno>
#include <cstdint>

#include "engine/operation.h"

namespace io::uring {

// Whether a call that was made in a worker was interrupted. What a system call turns into EINTR, or
// makes again, a worker tells as it is (include/linux/errno.h: ERESTARTSYS and what follows).
constexpr bool is_interruption(int32_t error) {
  constexpr int32_t restart_system_call = 512;
  constexpr int32_t restart_no_interrupt = 513;
  constexpr int32_t restart_no_handler = 514;
  constexpr int32_t restart_block = 516;
  return error == -EINTR || error == -restart_system_call || error == -restart_no_interrupt ||
         error == -restart_no_handler || error == -restart_block;
}

// Whether the process gets threads now. A worker is one, and where it cannot be made (pids.max of a
// cgroup, RLIMIT_NPROC) the kernel cancels what was meant for it.
bool threads_are_given();

// Of a number that was opened without waiting: from here on the kernel waits for it as for any. It
// would tell EAGAIN instead of waiting for what is a stream.
void wait_again(int number, const Operation& open);

}  // namespace io::uring
