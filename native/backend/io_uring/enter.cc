// Hands entries to the kernel and waits: see io_uring/enter.h.
#include "backend/io_uring/enter.h"

#include "engine/backend.h"
#include "backend/io_uring/prepare.h"
#include "backend/io_uring/uapi.h"

namespace io::uring {

namespace {

// Returns how many entries the kernel has not taken.
unsigned publish_entries(io_uring& ring) {
  io_uring_sq& queue = ring.sq;
  queue.sqe_head = queue.sqe_tail;
  io_uring_smp_store_release(queue.ktail, queue.sqe_tail);
  return queue.sqe_tail - *queue.khead;
}

}  // namespace

void number_entries(io_uring& ring) {
  for (unsigned index = 0; index < ring.sq.ring_entries; index++) ring.sq.array[index] = index;
}

int enter_and_wait(io_uring& ring, bool registered, int64_t deadline_ns) {
  __kernel_timespec limit = timespec_of(deadline_ns);
  io_uring_getevents_arg wait = {};
  wait.ts = deadline_ns == wait_forever ? 0 : reinterpret_cast<uintptr_t>(&limit);
  unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  if (registered) flags |= IORING_ENTER_REGISTERED_RING;
  if ((ring.features & uapi::feature_no_iowait) != 0) flags |= uapi::enter_no_iowait;
  // liburing declares the argument of IORING_ENTER_EXT_ARG as a sigset_t.
  auto* argument = reinterpret_cast<sigset_t*>(&wait);
  return io_uring_enter2(static_cast<unsigned>(ring.enter_ring_fd), publish_entries(ring), 1, flags,
                         argument, sizeof(wait));
}

}  // namespace io::uring
