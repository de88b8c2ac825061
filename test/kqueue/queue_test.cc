// Registering: the identity of an event, the effect of its flags, and how errors come back.
#include "support.h"

namespace kqueue_tests {

// "A kevent is identified by the (ident, filter) pair; there may only be one per kqueue." Adding it
// again modifies it and makes no second one.
NATIVE_TEST(queue_has_one_event_per_ident_and_filter) {
  const Kqueue queue;
  int first = 0;
  int second = 0;
  queue.add(7, EVFILT_USER, 0, 0, 0, &first);
  queue.add(7, EVFILT_USER, 0, NOTE_TRIGGER, 0, &second);
  const auto events = queue.pending();
  REQUIRE_EQUAL(events.size(), 1);
  REQUIRE(events[0].udata == &second);
}

// The same ident with another filter is another event.
NATIVE_TEST(queue_reports_filters_apart) {
  const Kqueue queue;
  const Pair pair = make_socket_pair();
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ);
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_WRITE);
  const auto events = queue.pending();
  REQUIRE_EQUAL(events.size(), 1);
  REQUIRE_EQUAL(events[0].filter, EVFILT_WRITE);
  write_text(pair.other, "x");
  REQUIRE_EQUAL(queue.pending().size(), 2);
  close_both(pair);
}

// A kqueue knows only the events that were added to it.
NATIVE_TEST(queues_are_independent) {
  const Kqueue one;
  const Kqueue other;
  one.add(1, EVFILT_USER, 0, NOTE_TRIGGER);
  REQUIRE(other.quiet());
  REQUIRE_EQUAL(other.change(1, EVFILT_USER, EV_DELETE), ENOENT);
  REQUIRE_EQUAL(one.pending().size(), 1);
}

// "The filter is executed upon the initial registration in order to detect whether a preexisting
// condition is present."
NATIVE_TEST(queue_reports_what_was_ready_before) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  write_text(pair.other, "early");
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ);
  REQUIRE_EQUAL(queue.one().data, 5);
  close_both(pair);
}

// "The filter is also run when the user attempts to retrieve the kevent. If the condition no longer
// holds, the kevent is removed from the kqueue and is not returned."
NATIVE_TEST(queue_asks_again_before_it_reports) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ);
  write_text(pair.other, "gone");
  REQUIRE_EQUAL(queue.pending().size(), 1);
  read_text(pair.one);
  REQUIRE(queue.quiet());
  write_text(pair.other, "back");
  REQUIRE_EQUAL(queue.pending().size(), 1);
  close_both(pair);
}

// "Multiple events which trigger the filter do not result in multiple kevents; the filter will
// aggregate the events into a single struct kevent."
NATIVE_TEST(queue_aggregates) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ, EV_CLEAR);
  for (int index = 0; index < 5; index++) write_text(pair.other, "ab");
  const auto events = queue.pending();
  REQUIRE_EQUAL(events.size(), 1);
  REQUIRE_EQUAL(events[0].data, 10);
  close_both(pair);
}

// "All changes in the changelist are applied before any pending events are read."
NATIVE_TEST(queue_applies_changes_first) {
  const Kqueue queue;
  struct kevent changes[2];
  EV_SET(&changes[0], 1, EVFILT_USER, EV_ADD, 0, 0, nullptr);
  EV_SET(&changes[1], 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, nullptr);
  struct kevent events[4];
  REQUIRE_EQUAL(kevent(queue.number, changes, 2, events, 4, nullptr), 1);
}

// "The same array may be used for the changelist and eventlist."
NATIVE_TEST(queue_takes_one_array_for_both_lists) {
  const Kqueue queue;
  struct kevent both[3];
  EV_SET(&both[0], 1, EVFILT_USER, EV_ADD, 0, 0, nullptr);
  EV_SET(&both[1], 99, EVFILT_USER, EV_DELETE, 0, 0, nullptr);
  EV_SET(&both[2], 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, nullptr);
  REQUIRE_EQUAL(kevent(queue.number, both, 3, both, 3, nullptr), 1);
  REQUIRE_EQUAL(both[0].ident, 99);
  REQUIRE_EQUAL(both[0].data, ENOENT);
  REQUIRE_EQUAL(queue.pending().size(), 1);
}

// Without EV_CLEAR an event is reported as long as its condition holds, with it once per change.
NATIVE_TEST(queue_clear_reports_transitions) {
  const Kqueue queue;
  const Pair level = make_pipe();
  const Pair edge = make_pipe();
  queue.add(static_cast<uintptr_t>(level.one), EVFILT_READ);
  queue.add(static_cast<uintptr_t>(edge.one), EVFILT_READ, EV_CLEAR);
  write_text(level.other, "x");
  write_text(edge.other, "x");
  REQUIRE_EQUAL(queue.pending().size(), 2);
  const auto again = queue.pending();
  REQUIRE_EQUAL(again.size(), 1);
  REQUIRE_EQUAL(again[0].ident, level.one);
  write_text(edge.other, "y");
  const auto more = queue.pending();
  REQUIRE_EQUAL(more.size(), 2);
  close_both(level);
  close_both(edge);
}

// "Re-adding an existing event will modify the parameters of the original event": its filter is run
// again too, so a ready event is reported again although it had been.
NATIVE_TEST(queue_readding_reports_again) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  write_text(pair.other, "x");
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ, EV_CLEAR);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  REQUIRE(queue.quiet());
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ, EV_CLEAR);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  close_both(pair);
}

// "EV_ONESHOT: returns only the first occurrence. After the user retrieves it, it is deleted."
NATIVE_TEST(queue_oneshot_is_deleted_when_reported) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  queue.add(static_cast<uintptr_t>(pair.one), EVFILT_READ, EV_ONESHOT);
  write_text(pair.other, "x");
  REQUIRE_EQUAL(queue.pending().size(), 1);
  write_text(pair.other, "y");
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(static_cast<uintptr_t>(pair.one), EVFILT_READ, EV_DELETE), ENOENT);
  close_both(pair);
}

// "EV_DISABLE: kevent() will not return it. The filter itself is not disabled", so an event that
// happened meanwhile is reported after EV_ENABLE.
NATIVE_TEST(queue_disabled_events_wait) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  const auto ident = static_cast<uintptr_t>(pair.one);
  queue.add(ident, EVFILT_READ, EV_CLEAR);
  REQUIRE_EQUAL(queue.change(ident, EVFILT_READ, EV_DISABLE), 0);
  write_text(pair.other, "x");
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(ident, EVFILT_READ, EV_ENABLE), 0);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  REQUIRE(queue.quiet());
  close_both(pair);
}

// Nor will it return one that was waiting to be reported when it was disabled.
NATIVE_TEST(queue_disabling_keeps_back_what_is_pending) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, 0, NOTE_TRIGGER);
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, EV_DISABLE), 0);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, EV_ENABLE), 0);
  REQUIRE_EQUAL(queue.pending().size(), 1);
}

// "Adding an event automatically enables it, unless overridden by the EV_DISABLE flag."
NATIVE_TEST(queue_adding_enables) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, EV_DISABLE, NOTE_TRIGGER);
  REQUIRE(queue.quiet());
  queue.add(1, EVFILT_USER);
  REQUIRE_EQUAL(queue.pending().size(), 1);
}

// "EV_DISPATCH: disable the event source immediately after delivery of an event."
NATIVE_TEST(queue_dispatch_disables_when_reported) {
  const Kqueue queue;
  const Pair pair = make_pipe();
  const auto ident = static_cast<uintptr_t>(pair.one);
  queue.add(ident, EVFILT_READ, EV_DISPATCH);
  write_text(pair.other, "x");
  REQUIRE_EQUAL(queue.pending().size(), 1);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(ident, EVFILT_READ, EV_ENABLE | EV_DISPATCH), 0);
  REQUIRE_EQUAL(queue.pending().size(), 1);
  close_both(pair);
}

// "EV_DELETE: removes the event from the kqueue", also one that is waiting to be reported.
NATIVE_TEST(queue_delete_takes_back) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, 0, NOTE_TRIGGER);
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, EV_DELETE), 0);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, EV_DELETE), ENOENT);
}

// "EV_RECEIPT: forces EV_ERROR to always be returned; when a filter is successfully added data will
// be zero." And pending events are not drained by such a call.
NATIVE_TEST(queue_receipts_and_nothing_else) {
  const Kqueue queue;
  queue.add(1, EVFILT_USER, 0, NOTE_TRIGGER);
  struct kevent changes[2];
  EV_SET(&changes[0], 2, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, nullptr);
  EV_SET(&changes[1], 3, EVFILT_USER, EV_DELETE | EV_RECEIPT, 0, 0, nullptr);
  struct kevent events[8];
  REQUIRE_EQUAL(kevent(queue.number, changes, 2, events, 8, nullptr), 2);
  REQUIRE((events[0].flags & EV_ERROR) != 0);
  REQUIRE_EQUAL(events[0].data, 0);
  REQUIRE((events[1].flags & EV_ERROR) != 0);
  REQUIRE_EQUAL(events[1].data, ENOENT);
  REQUIRE_EQUAL(queue.pending().size(), 1);
}

// "If there is no remaining space to hold the EV_ERROR event, subsequent changes will not get
// processed."
NATIVE_TEST(queue_receipts_need_room) {
  const Kqueue queue;
  struct kevent changes[3];
  for (uintptr_t ident = 0; ident < 3; ident++) {
    EV_SET(&changes[ident], ident, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, nullptr);
  }
  struct kevent event;
  REQUIRE_EQUAL(kevent(queue.number, changes, 3, &event, 1, nullptr), 0);
  REQUIRE_EQUAL(queue.change(2, EVFILT_USER, EV_DELETE), ENOENT);
}

// "If an error occurs and there is enough room in the eventlist, the event is placed there with
// EV_ERROR and the error in data", and the other changes are made.
NATIVE_TEST(queue_errors_come_as_events) {
  const Kqueue queue;
  struct kevent changes[2];
  EV_SET(&changes[0], 9, EVFILT_USER, EV_DELETE, 0, 0, nullptr);
  EV_SET(&changes[1], 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, nullptr);
  struct kevent events[4];
  REQUIRE_EQUAL(kevent(queue.number, changes, 2, events, 4, nullptr), 1);
  REQUIRE((events[0].flags & EV_ERROR) != 0);
  REQUIRE_EQUAL(events[0].data, ENOENT);
  REQUIRE_EQUAL(queue.pending().size(), 1);
}

// "Otherwise -1 will be returned, and errno will be set."
NATIVE_TEST(queue_errors_without_room_are_errno) {
  const Kqueue queue;
  REQUIRE_EQUAL(queue.change(9, EVFILT_USER, EV_DELETE), ENOENT);
  REQUIRE_EQUAL(queue.change(9, EVFILT_USER, EV_ENABLE), ENOENT);
  REQUIRE_EQUAL(queue.change(9, -99, EV_ADD), EINVAL);
  REQUIRE_EQUAL(queue.change(9999, EVFILT_READ, EV_ADD), EBADF);
  REQUIRE_EQUAL(queue.change(9999, EVFILT_READ, EV_DELETE), EBADF);
}

// "EBADF: the specified descriptor is invalid."
NATIVE_TEST(queue_must_be_one) {
  struct kevent event;
  const timespec at_once = {};
  REQUIRE_EQUAL(kevent(0, nullptr, 0, &event, 1, &at_once), -1);
  REQUIRE_EQUAL(errno, EBADF);
}

// "EV_KEEPUDATA: preserve the udata associated with an existing event. May not be used with
// EV_ADD."
NATIVE_TEST(queue_keeps_user_data_when_asked_to) {
  const Kqueue queue;
  int mine = 0;
  int other = 0;
  queue.add(1, EVFILT_USER, EV_CLEAR, 0, 0, &mine);
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, EV_KEEPUDATA, NOTE_TRIGGER, 0, &other), 0);
  REQUIRE(queue.one().udata == &mine);
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, &other), 0);
  REQUIRE(queue.one().udata == &other);
  REQUIRE_EQUAL(queue.change(1, EVFILT_USER, EV_ADD | EV_KEEPUDATA), EINVAL);
}

// More is pending than there is room: the rest comes with the next call, and nothing comes twice
// before everything came once.
NATIVE_TEST(queue_takes_turns) {
  const Kqueue queue;
  for (uintptr_t ident = 0; ident < 10; ident++) queue.add(ident, EVFILT_USER, 0, NOTE_TRIGGER);
  std::vector<int> seen(10);
  for (int call = 0; call < 5; call++) {
    for (const struct kevent& event : queue.pending(2)) seen[event.ident]++;
  }
  for (const int times : seen) REQUIRE_EQUAL(times, 1);
}

}  // namespace kqueue_tests
