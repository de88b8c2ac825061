// The set-up of the ring: see io_uring/setup.h.
#include "backend/io_uring/setup.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "backend/unavailable.h"
#include "backend/io_uring/late_eventfd_signals.h"

namespace io {

namespace {

// Completions per operation: its own, its deadline's, and the notification of a zero-copy send; and
// one for the ring's internal entries.
constexpr uint32_t completions_per_operation = 4;

// Operations whose completions fit into the ring, all at once. More of them may be in flight:
// operations that wait for peers do not all end together, and if they do the kernel keeps the
// completions that do not fit (IORING_FEAT_NODROP). A longer ring would cost each IO locked memory.
// docs/decisions/connections-are-not-operations.md
constexpr uint32_t max_ring_room = 4104;  // 32,768 entries

uint32_t power_of_two(uint32_t value) {
  uint32_t power = 1;
  while (power < value) power *= 2;
  return power;
}

// The kernel's submission queue. It stays small, so that its entries stay in the first-level cache;
// a longer batch takes several calls, each for this many operations.
constexpr uint32_t queue_entries = 64;

int set_up(uint32_t completions, uint32_t flags, io_uring& ring) {
  io_uring_params parameters;
  std::memset(&parameters, 0, sizeof(parameters));
  parameters.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
  parameters.cq_entries = power_of_two(completions);
  if (parameters.cq_entries < 2 * queue_entries) parameters.cq_entries = 2 * queue_entries;
  const int error = io_uring_queue_init_params(queue_entries, &ring, &parameters);
  if (error < 0) return -error;
  return 0;
}

// The flags that help, best first; a kernel that does not know them answers EINVAL.
constexpr uint32_t setup_ladder[] = {
    // 6.1: completions are worked on when we ask for them, by us, in one go.
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    // 5.19: no interrupt of our thread for every completion.
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
};

// How soon an event loop hears of the work of a ring with DEFER_TASKRUN.
uring::Signals signals_for(const BackendOptions& options) {
  // Without an event loop the thread waits in the kernel, and needs no signal.
  if (!options.attached || options.taskrun == Taskrun::defer) return uring::Signals::prompt;
  return options.taskrun == Taskrun::coop ? uring::Signals::late : uring::deferred_signals();
}

constexpr const char* late_area =
    "; in attached mode this kernel signals completions only after an RCU grace period";

// Why attached mode does without DEFER_TASKRUN.
const char* why_late(const BackendOptions& options) {
  return options.taskrun == Taskrun::coop
             ? "as IO_TASKRUN says"
             : "since wake-ups of DEFER_TASKRUN come late on this kernel, or not at all";
}

// An area needs DEFER_TASKRUN. Late wake-ups are better than none, lost ones are not.
bool hears_of_area(const BackendOptions& options, uring::Signals signals, Opened& opened) {
  if (signals == uring::Signals::prompt || options.taskrun == Taskrun::coop) return true;
  if (signals == uring::Signals::late && uring::late_signals_come()) return true;
  opened.area_reason = signals == uring::Signals::late
                           ? "this kernel loses the wake-ups of a ring with DEFER_TASKRUN"
                           : "the wake-ups of a ring with DEFER_TASKRUN could not be tried";
  opened.area_advice = "a newer kernel, or an IO in detached mode";
  return false;
}

// The first step of the ladder from `first` on that the kernel takes, with `more` flags. `room` is
// that of the ring, in operations.
int climb(size_t first, size_t end, uint32_t more, RingSetUp& made, uint32_t& room) {
  int error = EINVAL;
  for (size_t rung = first; rung < end && error == EINVAL; rung++) {
    made.flags = setup_ladder[rung] | more;
    error = halve_until_room(room, [&](uint32_t operations) {
      return set_up(operations * completions_per_operation, made.flags, made.ring);
    });
  }
  return error;
}

// The memory of a closed ring counts against RLIMIT_MEMLOCK until a worker of the kernel has taken
// the ring down (io_ring_exit_work in io_uring/io_uring.c). That is after a grace period of RCU or
// two, and no call reports it. The trial of the eventfd has closed a ring just now, and the program
// may have closed an IO. So a lack of memory is an error only when it lasts.
int climb_until_released(size_t first, size_t end, uint32_t more, RingSetUp& made, uint32_t& room) {
  constexpr int patience_ms = 250;
  constexpr int step_ms = 2;
  const uint32_t wanted = room;
  int error = climb(first, end, more, made, room);
  for (int waited_ms = 0; error == ENOMEM && waited_ms < patience_ms; waited_ms += step_ms) {
    ::poll(nullptr, 0, step_ms);
    room = wanted;
    error = climb(first, end, more, made, room);
  }
  return error;
}

uint32_t room_wanted(const BackendOptions& options) {
  return std::min(options.in_flight_limit, max_ring_room);
}

// A ring with the requested area. False when it is not available, and `opened` says why: then there
// is no ring either, so that no IO without an area pays for completions of twice the size.
bool set_up_with_area(const BackendOptions& options, uring::Signals signals, RingSetUp& made,
                      Opened& opened) {
  if (!may_open_receives(options.area, opened)) return false;
  if (!hears_of_area(options, signals, opened)) return false;
  opened.ring_room = room_wanted(options);
  const int error = climb(0, 1, Zcrx::ring_flags, made, opened.ring_room);
  if (error != 0) {
    const Opened refused = refuse_io_uring("io_uring_setup", error);
    opened.area_reason = refused.reason + "; a ring with completions of 32 bytes is needed";
    opened.area_advice = refused.advice;
    return false;
  }
  made.area = open_receives(made.ring, options.area, opened);
  if (made.area != nullptr) {
    if (signals == uring::Signals::late) opened.area_reason += late_area;
    return true;
  }
  io_uring_queue_exit(&made.ring);
  return false;
}

std::string describe(const RingSetUp& made, const BackendOptions& options, uring::Signals signals) {
  const bool deferred = (made.flags & IORING_SETUP_DEFER_TASKRUN) != 0;
  std::string text = "io_uring works here (";
  text += deferred ? "DEFER_TASKRUN, SINGLE_ISSUER" : "COOP_TASKRUN";
  if (!deferred && signals == uring::Signals::late) text += std::string(", ") + why_late(options);
  if ((made.flags & IORING_SETUP_CQE32) != 0) text += ", CQE32";
  text += ", " + std::to_string(made.ring.sq.ring_entries) + " entries, completion ring of " +
          std::to_string(made.ring.cq.ring_entries) + ")";
  return text;
}

}  // namespace

int set_up_ring(const BackendOptions& options, RingSetUp& made, Opened& opened) {
  const uring::Signals signals = signals_for(options);
  if (!options.area.wanted || !set_up_with_area(options, signals, made, opened)) {
    const uint32_t more = options.wide_completions ? IORING_SETUP_CQE32 : 0;
    opened.ring_room = room_wanted(options);
    // Where no trial was possible, the ring is one that works in any case.
    const size_t first = signals == uring::Signals::prompt ? 0 : 1;
    const size_t end = std::size(setup_ladder);
    const int error = climb_until_released(first, end, more, made, opened.ring_room);
    if (error != 0) return error;
  }
  opened.reason = describe(made, options, signals);
  opened.in_flight_limit = options.in_flight_limit;
  if (opened.ring_room < room_wanted(options)) {
    opened.reason += "; there is memory for the completions of " +
                     std::to_string(opened.ring_room) +
                     " operations at once only (RLIMIT_MEMLOCK, or the limit of a cgroup)";
  }
  return 0;
}

}  // namespace io
