// The trial of how soon the eventfd of a ring with DEFER_TASKRUN signals.
#if defined(__linux__)

#include "backend/io_uring/late_eventfd_signals.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "engine/backend.h"
#include "support.h"

namespace native_tests {

using io::uring::Signals;

namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

io::Opened open_ring(bool attached, io::Taskrun taskrun) {
  io::BackendOptions options;
  options.attached = attached;
  options.taskrun = taskrun;
  return io::open_backend("io_uring", options);
}

}  // namespace

NATIVE_TEST(wakes_that_come_late_are_found) {
  // A signal that comes out of another eventfd's is put off on every kernel.
  const int number = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  REQUIRE(number >= 0);
  const size_t before = open_descriptors();
  REQUIRE(io::uring::try_signals(number, number) == Signals::late);
  REQUIRE_EQUAL(open_descriptors(), before);
  ::close(number);
}

NATIVE_TEST(wakes_that_cannot_be_tried_are_unknown) {
  const size_t before = open_descriptors();
  REQUIRE(io::uring::try_signals(-1, -1) == Signals::unknown);
  REQUIRE_EQUAL(open_descriptors(), before);
}

NATIVE_TEST(wakes_are_the_same_for_all_threads) {
  constexpr size_t count = 8;
  std::vector<Signals> found(count, Signals::unknown);
  std::vector<std::thread> threads;
  for (Signals& one : found) {
    threads.emplace_back([&one] { one = io::uring::deferred_signals(); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Signals one : found) REQUIRE(one == io::uring::deferred_signals());
  REQUIRE(found[0] != Signals::unknown);
}

NATIVE_TEST(wakes_decide_about_attached_rings_only) {
  const io::Opened late = open_ring(true, io::Taskrun::coop);
  REQUIRE(late.backend != nullptr);
  REQUIRE(contains(late.reason, "(COOP_TASKRUN, as IO_TASKRUN says"));
  const io::Opened detached = open_ring(false, io::Taskrun::coop);
  REQUIRE(contains(detached.reason, "(DEFER_TASKRUN, SINGLE_ISSUER, "));
  const io::Opened prompt = open_ring(true, io::Taskrun::defer);
  REQUIRE(contains(prompt.reason, "(DEFER_TASKRUN, SINGLE_ISSUER, "));

  const io::Opened measured = open_ring(true, io::Taskrun::measured);
  const bool deferred = io::uring::deferred_signals() == Signals::prompt;
  REQUIRE_EQUAL(contains(measured.reason, "DEFER_TASKRUN, SINGLE_ISSUER"), deferred);
}

}  // namespace native_tests
#endif
