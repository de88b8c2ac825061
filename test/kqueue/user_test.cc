// EVFILT_USER, which programs trigger themselves.
#include "support.h"

namespace kqueue_tests {

// "A user event is triggered for output with NOTE_TRIGGER", and not by adding it.
NATIVE_TEST(user_events_are_triggered) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, EV_CLEAR);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, 0, NOTE_TRIGGER), 0);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  REQUIRE(queue.quiet());
  // "After the event is retrieved its state is reset": running the filter again finds nothing.
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, EV_ENABLE), 0);
  REQUIRE(queue.quiet());
}

// Without EV_CLEAR it stays triggered.
NATIVE_TEST(user_events_stay_triggered) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, 0, NOTE_TRIGGER);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  REQUIRE_EQUAL(queue.pending().size(), 1);
}

// "The lower 24 bits of fflags may be used for user defined flags": AND, OR, COPY and NOP.
NATIVE_TEST(user_events_have_flags) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, 0, 0x0ff);
  const auto reported_after = [&](unsigned change) {
    REQUIRE_EQUAL(queue.change(1, EVFILT_USER, 0, change | NOTE_TRIGGER), 0);
    return queue.one().fflags;
  };
  REQUIRE_EQUAL(reported_after(NOTE_FFNOP | 0xabc), 0x0ff);
  REQUIRE_EQUAL(reported_after(NOTE_FFAND | 0x0f0), 0x0f0);
  REQUIRE_EQUAL(reported_after(NOTE_FFOR | 0xf00), 0xff0);
  REQUIRE_EQUAL(reported_after(NOTE_FFCOPY | 0xffffff), 0xffffff);
}

}  // namespace kqueue_tests
