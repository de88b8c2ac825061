// The cancels that the io_uring backend gives the kernel: who asks again when one has missed its
// operation, and that one which is not begun has a cancel of its own.
#if defined(__linux__)

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/descriptors.h"
#include "engine/operation_table.h"
#include "engine/revisits.h"
#include "support.h"
#include "support/clock.h"

namespace native_tests {

using io::Operation;
using io::Phase;
using io::Revisit;

namespace {

[[noreturn]] void skip(const std::string& reason) {
  std::printf("skipped: %s\n", reason.c_str());
  std::fflush(nullptr);
  std::_Exit(77);
}

// The engine's part, beside a backend of its own.
struct Ring {
  Ring() : opened(io::open_backend("io_uring", {})) {
    if (opened.backend == nullptr) skip(opened.reason);
    backend().serve(operations, descriptors, revisits);
  }

  io::Backend& backend() { return *opened.backend; }

  Operation& operation(uint32_t slot, Opcode opcode) {
    Operation& one = operations[slot];
    one.opcode = opcode;
    one.generation = slot + 7;
    one.phase = Phase::active;
    return one;
  }

  void submit(std::vector<Operation*> batch) {
    for (Operation* one : batch) ended[one->slot] = false;
    backend().submit(batch);
  }

  // Takes so many completions at most, and asks the kernel for more without waiting.
  void poll(size_t limit) {
    completions.clear();
    completions.limit(limit);
    backend().poll(0, completions);
    for (const io::Completed& one : completions.items()) {
      ended[one.operation->slot] = true;
      results[one.operation->slot] = one.result;
    }
    // The engine frees them when the backend has returned.
    for (const io::Completed& one : completions.items()) {
      one.operation->phase = Phase::free;
      one.operation->generation++;
    }
  }

  // What is asked for by now, whenever it is due.
  std::vector<Revisit> wanted(uint32_t slot) {
    std::vector<Revisit> found;
    revisits.visit_due(operations, io::Revisits::never - 1, [&](Operation& one, Revisit why) {
      if (one.slot == slot) found.push_back(why);
    });
    return found;
  }

  io::Opened opened;
  io::OperationTable operations{16};
  io::Descriptors descriptors;
  io::Revisits revisits;
  io::Completions completions{64};
  bool ended[16] = {};
  int32_t results[16] = {};
};

struct Pipe {
  Pipe() { REQUIRE(::pipe(ends) == 0); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  void read_by(Operation& one) {
    one.number = ends[0];
    one.address = bytes;
    one.length = sizeof(bytes);
    one.offset = -1;
  }
  void fill() { REQUIRE(::write(ends[1], "x", 1) == 1); }

  int ends[2];
  uint8_t bytes[8] = {};
};

bool has(const std::vector<Revisit>& all, Revisit why) {
  return std::find(all.begin(), all.end(), why) != all.end();
}

// Until `condition` holds, which is soon.
template <class Condition>
void poll_until(Ring& ring, size_t limit, Condition condition) {
  const int64_t latest_ns = io::now_ns() + 30'000'000'000;
  while (!condition()) {
    REQUIRE(io::now_ns() < latest_ns);
    ring.poll(limit);
  }
}

}  // namespace

NATIVE_TEST(cancels_that_miss_are_repeated_by_who_has_asked) {
  Ring ring;
  Pipe pipe;
  Pipe other;
  Operation& first = ring.operation(1, Opcode::read);
  Operation& late = ring.operation(2, Opcode::read);
  pipe.read_by(first);
  other.read_by(late);
  late.has_deadline = true;
  late.deadline_ns = 1;
  ring.submit({&first, &late});
  // The alarm of the deadline has rung, and nothing of it is taken yet.
  poll_until(ring, 0, [&] { return ring.backend().ready() == 1; });
  pipe.fill();
  other.fill();
  poll_until(ring, 0, [&] { return ring.backend().ready() == 3; });
  // There is room for the first read alone. So the deadline finds the second one in flight, and its
  // cancel misses.
  ring.poll(1);
  REQUIRE(ring.ended[1]);
  REQUIRE(!ring.ended[2]);
  ring.completions.clear();
  ring.completions.limit(64);
  ring.backend().poll(0, ring.completions);
  REQUIRE_EQUAL(ring.completions.size(), 1);
  REQUIRE_EQUAL(ring.completions.at(0).result, 1);
  const std::vector<Revisit> wanted = ring.wanted(2);
  REQUIRE(has(wanted, Revisit::deadline_passed));
  REQUIRE(!has(wanted, Revisit::cancel_missed));
  late.phase = Phase::free;
}

NATIVE_TEST(cancels_of_what_waits_to_begin_are_its_own) {
  Ring ring;
  Pipe pipe;
  Operation& timeout = ring.operation(4, Opcode::timeout);
  timeout.offset = static_cast<int64_t>(endless_ns);
  timeout.links = io::link_next;
  Operation& read = ring.operation(5, Opcode::read);
  pipe.read_by(read);
  read.end_given = true;  // the kernel had a cancel of the last operation of its slot
  ring.submit({&timeout, &read});
  REQUIRE(ring.backend().cancel(read));
  // It misses, since the read is not begun: it is asked for again.
  std::vector<Revisit> wanted;
  const int64_t latest_ns = io::now_ns() + 30'000'000'000;
  while (wanted.empty()) {
    REQUIRE(io::now_ns() < latest_ns);
    ring.poll(64);
    wanted = ring.wanted(5);
  }
  REQUIRE(has(wanted, Revisit::cancel_missed));
  REQUIRE(ring.backend().cancel(timeout));
  poll_until(ring, 64, [&] { return ring.ended[4] && ring.ended[5]; });
  REQUIRE_EQUAL(ring.results[4], -ECANCELED);
  REQUIRE_EQUAL(ring.results[5], -ECANCELED);
}

// When the kernel has released its memory, a send without a copy that found no space would wait.
NATIVE_TEST(cancels_of_sends_that_wait_for_their_memory_count) {
  Ring ring;
  const int number = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  Operation& send = ring.operation(6, Opcode::send);
  send.number = number;
  send.zero_copy = true;
  send.result = -EAGAIN;
  send.result_known = true;
  send.release = io::Release::pending;
  REQUIRE(ring.backend().cancel(send));
  REQUIRE(send.end_asked);
  REQUIRE(!send.end_given);
  send.phase = Phase::free;
  ::close(number);
}

// A connect of vsock goes on outside of the kernel. What it left in its slot counts for no other.
NATIVE_TEST(revisits_of_io_uring_know_a_connect_from_what_has_its_slot_next) {
  Ring ring;
  REQUIRE(ring.backend().wait_descriptor() >= 0);
  const int number = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  Operation& poll = ring.operation(3, Opcode::poll_multishot);
  poll.number = number;
  poll.argument = io::abi::poll_readable;
  poll.begun = true;
  ring.submit({&poll});
  if (!has(ring.wanted(3), Revisit::retry)) skip("the kernel has the poll");
  const uint64_t one = 1;
  REQUIRE(::write(number, &one, sizeof(one)) == sizeof(one));
  ring.backend().revisit(poll, Revisit::retry);
  ring.completions.clear();
  ring.completions.limit(64);
  ring.backend().poll(0, ring.completions);
  REQUIRE_EQUAL(ring.completions.size(), 1);
  REQUIRE(ring.completions.at(0).more);
  poll.phase = Phase::free;
  ::close(number);
}

}  // namespace native_tests

#endif  // defined(__linux__)
