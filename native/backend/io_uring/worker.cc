// What the kernel's workers do and say: see io_uring/worker.h.
#include "backend/io_uring/worker.h"

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

// F_SETFL looks at these flags only, and we know what they are. Should it fail, the file stays as
// it is: only what is a stream would tell EAGAIN.
void wait_again(int number, const Operation& open) {
  ::fcntl(number, F_SETFL, system::open_flags(open.argument) & (O_APPEND | O_DIRECT));
}

}  // namespace io::uring
