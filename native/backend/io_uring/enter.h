// The call that submits entries and waits.
//
// Since Linux 6.15 a wait need not count as the processor's waiting for a disk. Otherwise an idle
// ring looks like I/O load (liburing#943). The system's liburing may be older than that, so the
// call is made by hand.
#pragma once

#include <liburing.h>

#include <cstdint>

namespace io::uring {

// Makes an entry and its place in the queue the same, once, before the first entry: then the
// kernel is shown new entries by the queue's tail alone. liburing writes the same numbers.
void number_entries(io_uring& ring);

// Submits, and waits until the deadline for a completion. `registered` says whether the ring's
// descriptor is registered with the thread. Returns what io_uring_enter(2) does, or a negative
// errno.
int enter_and_wait(io_uring& ring, bool registered, int64_t deadline_ns);

}  // namespace io::uring
