// How soon the eventfd of a ring with DEFER_TASKRUN wakes an event loop.
//
// Linux 7.3, and stable kernels with the same change (6.12.108 and later), delay a signal that
// comes from a waitqueue's wake-up until RCU calls back (io_eventfd_do_signal in
// io_uring/eventfd.c). Every armed receive, accept and poll is signalled in this way, so each of
// them waits for an RCU grace period, which is some milliseconds. 6.12.117 records in a bit that a
// signal is on its way, and nothing clears the bit: there the first such signal is the last one.
// With COOP_TASKRUN the thread itself signals when it runs the work, and nothing is delayed.
//
// A version does not show which kernels do so. Each process tries it once.
#pragma once

#include <optional>

namespace io::uring {

enum class Signals {
  unknown,  // it could not be tried: no such ring, or no descriptors. The next call tries again.
  prompt,   // there when the call returns that makes the ring's operation ready
  late,     // not there then
};

// Any thread may ask.
Signals deferred_signals();

// Where they are late: whether one comes at all after the first. Takes 20 ms, and a second where
// none comes.
bool late_signals_come();

// For deferred_signals(), and for its tests: the result for a ring that waits until `readable` is
// readable, after eight bytes were written to `writable`.
Signals try_signals(int readable, int writable);

}  // namespace io::uring
