// The ring of the C programs that use io_uring, with the settings that are fastest for one thread.
#pragma once
#include <liburing.h>

#include "program.h"

static inline void begin_ring(struct io_uring* ring, unsigned entries) {
  struct io_uring_params params = {
      .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
  };
  int error = io_uring_queue_init_params(entries, ring, &params);
  if (error < 0) fail("io_uring_setup", -error);
  error = io_uring_register_ring_fd(ring);
  if (error < 0) fail("io_uring_register_ring_fd", -error);
}
