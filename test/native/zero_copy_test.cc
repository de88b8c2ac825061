// Sends that spare the copy: the choice on its own, and the engine's two steps in storms of
// cancels, deadlines, closes and peers that go away.
#include "zero_copy.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "support.h"

namespace native_tests {

using io::ZeroCopy;
using io::abi::Counter;
using io::abi::Entry;

namespace {

constexpr uint32_t always = io::abi::zero_copy_always;
constexpr uint32_t automatic = io::abi::zero_copy_auto;
constexpr uint32_t never = io::abi::zero_copy_never;
constexpr size_t long_bytes = 64 * 1024;

// Sends on "auto" until one is chosen again; returns how many bytes went plainly.
uint64_t plain_bytes(ZeroCopy& state) {
  uint64_t bytes = 0;
  while (!state.chooses(automatic, long_bytes)) {
    bytes += long_bytes;
    REQUIRE(bytes < uint64_t{1} << 36);
  }
  return bytes;
}

struct Pair {
  int32_t one;
  int32_t other;
};

// TCP, because only that can spare the copy; small, so that it is full soon.
Pair tcp_pair(Rig& rig) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(listener >= 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  REQUIRE(::bind(listener, generic, size) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, generic, &size) == 0);
  const int one = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int send_buffer_bytes = 32 * 1024;
  REQUIRE(::setsockopt(one, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof(int)) == 0);
  REQUIRE(::connect(one, generic, size) == 0);
  const int other = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  REQUIRE(other >= 0);
  REQUIRE(::close(listener) == 0);
  return {rig.engine->adopt(one), rig.engine->adopt(other)};
}

Entry send_entry(int32_t descriptor, uint32_t buffer, uint32_t length, uint32_t mode) {
  Entry entry = transfer_entry(Opcode::send, descriptor, buffer, 0, length);
  entry.argument = mode;
  return entry;
}

bool spares(Rig& rig) {
  return (rig.engine->backend().features() & io::abi::feature_send_zero_copy) != 0;
}

}  // namespace

NATIVE_TEST(zero_copy_thresholds) {
  ZeroCopy state;
  for (const bool datagram : {false, true}) {
    REQUIRE(!state.wants(never, long_bytes, true, datagram));
    REQUIRE(state.wants(always, 0, false, datagram));
    REQUIRE(!state.wants(automatic, ZeroCopy::threshold_bytes - 1, false, datagram));
    REQUIRE(state.wants(automatic, ZeroCopy::threshold_bytes, false, datagram));
    REQUIRE(!state.wants(automatic, ZeroCopy::threshold_registered_bytes - 1, true, datagram));
    REQUIRE(state.wants(automatic, ZeroCopy::threshold_registered_bytes, true, datagram));
    // A datagram of these sizes is copied cheaply, where its memory would have to be looked up.
    for (const size_t size : {ZeroCopy::cheap_from_bytes, ZeroCopy::cheap_to_bytes}) {
      REQUIRE(state.wants(automatic, size, true, datagram));
      REQUIRE_EQUAL(state.wants(automatic, size, false, datagram), !datagram);
    }
    REQUIRE(state.wants(automatic, ZeroCopy::cheap_from_bytes - 1, false, datagram));
    REQUIRE(state.wants(automatic, ZeroCopy::cheap_to_bytes + 1, false, datagram));
  }
  state.set_threshold(100);
  REQUIRE(state.wants(automatic, 100, false, false));
  REQUIRE(state.wants(automatic, ZeroCopy::cheap_from_bytes, false, true));
  REQUIRE(!state.wants(automatic, 99, true, false));
}

NATIVE_TEST(zero_copy_begins_with_one_on_trial) {
  ZeroCopy state;
  REQUIRE(state.chooses(automatic, long_bytes));
  REQUIRE(!state.chooses(automatic, long_bytes));
  REQUIRE(state.chooses(always, long_bytes));
  state.report(false);
  for (int round = 0; round < 100; round++) REQUIRE(state.chooses(automatic, long_bytes));
}

NATIVE_TEST(zero_copy_looks_again_later_each_time) {
  ZeroCopy state;
  uint64_t expected = ZeroCopy::first_span_bytes;
  for (int round = 0; round < 12; round++) {
    REQUIRE(state.chooses(automatic, long_bytes) || round > 0);
    state.report(true);
    // The send that uses the last bytes up is the next one on trial.
    REQUIRE_EQUAL(plain_bytes(state), expected - long_bytes);
    expected = std::min(2 * expected, ZeroCopy::longest_span_bytes);
  }
  // Good news begin it anew.
  state.report(false);
  REQUIRE(state.chooses(automatic, long_bytes));
  state.report(true);
  REQUIRE_EQUAL(plain_bytes(state), ZeroCopy::first_span_bytes - long_bytes);
}

NATIVE_TEST(zero_copy_reports_of_a_burst_count_once) {
  ZeroCopy state;
  REQUIRE(state.chooses(automatic, long_bytes));
  state.report(false);
  for (int count = 0; count < 10; count++) REQUIRE(state.chooses(automatic, long_bytes));
  for (int count = 0; count < 10; count++) state.report(true);
  REQUIRE_EQUAL(plain_bytes(state), ZeroCopy::first_span_bytes - long_bytes);
}

NATIVE_TEST(zero_copy_trial_that_failed_is_made_again) {
  ZeroCopy state;
  REQUIRE(state.chooses(automatic, long_bytes));
  state.trial_ended();
  REQUIRE(state.chooses(automatic, long_bytes));
  state.refuse();
  state.trial_ended();
  REQUIRE(!state.chooses(automatic, long_bytes));
  REQUIRE(!state.chooses(always, long_bytes));
}

NATIVE_TEST(engine_zero_copy_ends_in_two_steps) {
  Rig rig;
  Memory memory(1 << 20);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 1 << 20);
  const Pair pair = tcp_pair(rig);
  struct Call {
    int32_t result;
    uint32_t flags;
  };
  std::vector<Call> calls;
  rig.queue(send_entry(pair.one, buffer, 1 << 20, always), [&](int32_t result, uint32_t flags) {
    calls.push_back({result, flags});
  });
  while (calls.empty()) rig.poll(io::wait_for_ever);
  const int32_t sent = calls[0].result;
  REQUIRE(sent > 0);
  const bool two = spares(rig);
  REQUIRE_EQUAL(calls[0].flags, two ? io::abi::completion_flag_more : 0);
  REQUIRE_EQUAL(rig.counter(Counter::zero_copy_unreleased), two ? 1 : 0);
  // The peer takes it all, and the memory is free.
  Memory into(1 << 16);
  const uint32_t other = rig.add_buffer(into.bytes.get(), 1 << 16);
  for (int32_t left = sent; left > 0;) {
    left -= rig.call(transfer_entry(Opcode::receive, pair.other, other, 0, 1 << 16));
  }
  rig.run();
  REQUIRE_EQUAL(calls.size(), two ? 2 : 1);
  REQUIRE_EQUAL(calls.back().flags, 0);
  REQUIRE_EQUAL(calls.back().result, sent);
  REQUIRE_EQUAL(rig.counter(Counter::zero_copy_bytes), two ? sent : 0);
  rig.check_idle();
}

// The memory of a handle stays in use until the second step, whoever lets go of it before.
NATIVE_TEST(engine_zero_copy_holds_its_buffer) {
  Rig rig;
  Memory memory(1 << 20);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 1 << 20);
  const Pair pair = tcp_pair(rig);
  const double before = rig.counter(Counter::buffers);
  bool sent = false;
  rig.queue(send_entry(pair.one, buffer, 1 << 20, always), [&](int32_t, uint32_t) { sent = true; });
  while (!sent) rig.poll(io::wait_for_ever);
  REQUIRE(rig.engine->release_buffer(buffer));
  REQUIRE_EQUAL(rig.counter(Counter::buffers), before - (spares(rig) ? 0 : 1));
  REQUIRE_EQUAL(rig.call(on_descriptor(Opcode::close, pair.one)), 0);
  REQUIRE_EQUAL(rig.counter(Counter::buffers), before - (spares(rig) ? 0 : 1));
  // There are bytes that it has not read: this resets the connection.
  REQUIRE_EQUAL(rig.call(on_descriptor(Opcode::close, pair.other)), 0);
  rig.run();
  REQUIRE_EQUAL(rig.counter(Counter::buffers), before - 1);
  rig.check_idle();
}

NATIVE_TEST(engine_zero_copy_storm) {
  RigOptions options;
  options.in_flight_limit = 512;
  Rig rig(options);
  Random random(seed());
  Memory plain(1 << 18);
  Memory mapped(1 << 18);
  const uint32_t buffers[] = {rig.add_buffer(plain.bytes.get(), 1 << 18),
                              rig.add_buffer(mapped.bytes.get(), 1 << 18, true)};
  for (int round = 0; round < 60; round++) {
    const Pair pair = tcp_pair(rig);
    std::vector<uint32_t> sends;
    for (uint32_t count = 10 + random.below(60); count > 0; count--) {
      const int32_t from = random.one_in(2) ? pair.one : pair.other;
      const uint32_t length = random.one_in(4) ? 1 << 18 : random.below(20'000);
      Entry entry = send_entry(from, buffers[random.below(2)], length, random.below(3));
      if (random.one_in(3)) {
        entry.operation |= io::abi::entry_flag_deadline;
        entry.deadline_ns = random.below(2'000'000);
      } else if (random.one_in(6)) {
        entry.operation |= io::abi::entry_flag_linked;
      }
      sends.push_back(rig.queue(entry));
      if (random.one_in(3)) {
        rig.queue(transfer_entry(Opcode::receive, from, buffers[0], 0, 1 << 16));
      }
      if (random.one_in(4)) {
        Entry cancel = entry_of(Opcode::cancel);
        cancel.argument = sends[random.below(static_cast<uint32_t>(sends.size()))];
        cancel.argument_extra = rig.generation_of(cancel.argument);
        rig.queue(cancel);
      }
      if (random.one_in(5)) rig.poll(random.one_in(4) ? 500'000 : 0);
      if (random.one_in(40)) rig.queue(on_descriptor(Opcode::cancel_descriptor, from));
    }
    // In every order with what is in flight, and sometimes the peer first.
    const bool first = random.one_in(2);
    rig.queue(on_descriptor(Opcode::close, first ? pair.one : pair.other));
    if (random.one_in(2)) rig.poll(200'000);
    rig.queue(on_descriptor(Opcode::close, first ? pair.other : pair.one));
    rig.end_all();
    REQUIRE_EQUAL(rig.counter(Counter::zero_copy_unreleased), 0);
  }
  if (spares(rig)) REQUIRE(rig.counter(Counter::zero_copy_sends) > 100);
  rig.check_idle();
}

NATIVE_TEST(engine_zero_copy_shut_down_between_the_steps) {
  for (int round = 0; round < 4; round++) {
    Rig rig;
    Memory memory(1 << 20);
    const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 1 << 20);
    const Pair pair = tcp_pair(rig);
    for (int count = 0; count < 5; count++) {
      rig.queue(send_entry(pair.one, buffer, 1 << 20, always));
      rig.poll(1'000'000);
    }
    if (round % 2 == 1) {
      // Its connection lives on without a descriptor; the peer's end is still ours.
      rig.queue(on_descriptor(Opcode::close, pair.one));
      rig.poll(1'000'000);
    }
    // The rig's end shuts the engine down, which must end all.
  }
}

}  // namespace native_tests
