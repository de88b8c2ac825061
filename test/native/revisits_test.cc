// What the engine looks at again, and when: revisits.h. How everything is ended: shutdown.h.
#include "engine/revisits.h"

#include <utility>
#include <vector>

#include "engine/shutdown.h"
#include "support.h"

namespace native_tests {

using io::Operation;
using io::OperationTable;
using io::Phase;
using io::Revisit;
using io::Revisits;
using io::Shutdown;

namespace {

struct Looked {
  OperationTable operations{8};
  Revisits revisits;
  std::vector<std::pair<uint32_t, Revisit>> visits;

  Looked() {
    operations.each([](Operation& operation) { operation.phase = Phase::active; });
  }
  int64_t due_ns() { return revisits.due_ns(operations); }
  void look_at(int64_t now) {
    revisits.visit_due(operations, now, [this](Operation& operation, Revisit why) {
      visits.emplace_back(operation.slot, why);
    });
  }
};

}  // namespace

NATIVE_TEST(revisits_come_once_when_they_are_due) {
  Looked looked;
  REQUIRE(looked.due_ns() == Revisits::never);
  looked.revisits.add(looked.operations[3], Revisit::cancel_missed);
  looked.revisits.add(looked.operations[3], Revisit::cancel_missed);
  looked.revisits.add(looked.operations[3], Revisit::retry);
  looked.revisits.add(looked.operations[1], Revisit::cancel_missed);
  const int64_t first_ns = looked.due_ns();
  looked.look_at(first_ns - 1);
  REQUIRE(looked.visits.empty());
  looked.look_at(first_ns);
  REQUIRE(!looked.visits.empty());
  REQUIRE_EQUAL(looked.visits.front().first, 3);
  REQUIRE(looked.visits.front().second == Revisit::cancel_missed);
  looked.look_at(Revisits::never - 1);
  REQUIRE_EQUAL(looked.visits.size(), 3);
  REQUIRE(looked.due_ns() == Revisits::never);
  // What has been visited may be asked for again.
  looked.revisits.add(looked.operations[3], Revisit::cancel_missed);
  REQUIRE(looked.due_ns() != Revisits::never);
}

// Many closes at once take their time: meanwhile none of them asks again and again.
NATIVE_TEST(revisits_that_are_of_no_use_come_ever_later) {
  Looked looked;
  int64_t due_ns = 0;
  for (uint32_t before = 0; before < 5; before++) {
    looked.revisits.add(looked.operations[3], Revisit::close_pending, before);
    const int64_t asked_ns = due_ns;
    due_ns = looked.due_ns();
    looked.look_at(due_ns - 1);
    REQUIRE_EQUAL(looked.visits.size(), before);
    looked.look_at(due_ns);
    REQUIRE_EQUAL(looked.visits.size(), before + 1);
    if (before > 0) REQUIRE(due_ns - asked_ns >= 10'000'000 << before);
  }
  // One that is asked for later may come earlier, and none is later than a second and a half.
  looked.revisits.add(looked.operations[1], Revisit::close_pending, 1000);
  const int64_t last_ns = looked.due_ns();
  looked.revisits.add(looked.operations[2], Revisit::close_pending);
  REQUIRE(looked.due_ns() < last_ns);
  looked.look_at(looked.due_ns());
  REQUIRE_EQUAL(looked.visits.back().first, 2);
  looked.look_at(io::now_ns() + 1'500'000'000);
  REQUIRE_EQUAL(looked.visits.back().first, 1);
}

NATIVE_TEST(revisits_know_the_operation_from_the_next_one_of_its_slot) {
  Looked looked;
  for (const uint32_t slot : {0, 1, 2}) {
    looked.revisits.add(looked.operations[slot], Revisit::retry);
  }
  looked.operations[0].generation++;
  looked.operations[1].phase = Phase::free;
  looked.look_at(Revisits::never - 1);
  REQUIRE_EQUAL(looked.visits.size(), 1);
  REQUIRE_EQUAL(looked.visits.front().first, 2);
}

// A send that gets its space at once leaves its visit behind, thousands of times in a second.
NATIVE_TEST(revisits_of_operations_that_have_ended_wake_nobody) {
  Looked looked;
  for (const uint32_t slot : {0, 1, 2}) {
    looked.revisits.add(looked.operations[slot], Revisit::retry, slot == 1 ? 1 : 0);
  }
  const int64_t first_ns = looked.due_ns();
  looked.operations[0].generation++;
  looked.operations[2].generation++;
  REQUIRE(looked.due_ns() - first_ns >= 10'000'000);
  looked.operations[1].generation++;
  REQUIRE(looked.due_ns() == Revisits::never);
  // The next one of the slot has its own.
  looked.operations[1].revisits = 0;
  looked.revisits.add(looked.operations[1], Revisit::retry);
  const int64_t due_ns = looked.due_ns();
  REQUIRE(due_ns != Revisits::never);
  looked.look_at(due_ns);
  REQUIRE_EQUAL(looked.visits.size(), 1);
  REQUIRE(looked.due_ns() == Revisits::never);
}

// A visit that asks for the next one is not made in the same round.
NATIVE_TEST(revisits_of_the_next_batch_are_made_once) {
  Looked looked;
  looked.revisits.add_now(looked.operations[5], Revisit::close_at_once);
  REQUIRE(looked.revisits.has_now());
  uint32_t count = 0;
  const auto visit = [&](Operation& operation, Revisit why) {
    count++;
    looked.revisits.add_now(operation, why);
  };
  looked.revisits.visit_now(looked.operations, visit);
  REQUIRE_EQUAL(count, 1);
  looked.revisits.visit_now(looked.operations, visit);
  REQUIRE_EQUAL(count, 2);
  looked.revisits.clear();
  REQUIRE(!looked.revisits.has_now());
}

NATIVE_TEST(shutdown_cancels_until_only_sent_memory_is_left) {
  constexpr int64_t round_ns = 20'000'000;
  constexpr int64_t grace_ns = 1'000'000'000;
  Shutdown shutdown;
  shutdown.begin(1);
  REQUIRE(shutdown.next(1, 3, 1, false) == Shutdown::Step::cancel);
  REQUIRE(shutdown.next(2, 3, 1, false) == Shutdown::Step::wait);
  REQUIRE(shutdown.next(3, 2, 1, true) == Shutdown::Step::cancel);
  REQUIRE(shutdown.next(3 + round_ns, 2, 1, false) == Shutdown::Step::cancel);
  // From here on the peers have their time.
  const int64_t alone_ns = 4 + round_ns;
  REQUIRE(shutdown.next(alone_ns, 1, 1, true) == Shutdown::Step::wait);
  REQUIRE(shutdown.next(alone_ns + grace_ns - 1, 1, 1, false) == Shutdown::Step::wait);
  REQUIRE(!shutdown.has_failed(alone_ns + grace_ns));
  REQUIRE(shutdown.next(alone_ns + grace_ns + round_ns, 1, 1, false) == Shutdown::Step::reset);
  REQUIRE(shutdown.has_failed(alone_ns + 3 * grace_ns));
  REQUIRE(shutdown.next(alone_ns + 3 * grace_ns, 0, 0, true) == Shutdown::Step::wait);
}

}  // namespace native_tests
