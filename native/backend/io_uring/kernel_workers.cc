// The behaviour of the kernel's workers: see io_uring/kernel_workers.h.
#include "backend/io_uring/kernel_workers.h"

#include <fcntl.h>
#include <pthread.h>

#include "system/system.h"

namespace io::uring {

bool threads_are_given() {
  pthread_t thread;
  const auto nothing = [](void*) -> void* { return nullptr; };
  if (pthread_create(&thread, nullptr, nothing, nullptr) != 0) return false;
  pthread_join(thread, nullptr);
  return true;
}

// F_SETFL reads these flags only, and their values are known. Should it fail, the file stays as it
// is: only a stream would return EAGAIN.
void wait_again(int number, const Operation& open) {
  ::fcntl(number, F_SETFL, system::open_flags(open.argument) & (O_APPEND | O_DIRECT | O_NOATIME));
}

}  // namespace io::uring
