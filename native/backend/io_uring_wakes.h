// Whether the eventfd of a ring with DEFER_TASKRUN goes on telling of work.
//
// Linux 6.12.108 and later ones of that line put a signal that comes out of a wake-up off until RCU
// calls back, and remember that it is on its way by a bit that nothing clears again
// (io_eventfd_do_signal in io_uring/eventfd.c): the first such signal is the last one, and a thread
// that waits for the eventfd sleeps for ever. Linux 7.2 clears the bit. Other kernels of the six
// may have got the one change without the other, so it is tried, once in a process.
#pragma once

namespace io::uring {

// True where nothing is known against it.
bool eventfd_keeps_telling();

}  // namespace io::uring
