// Sends that spare the copy: the choice on its own, and the engine's two steps in storms of
// cancels, deadlines, closes and peers that go away.
#include "engine/zero_copy.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/send_costs.h"
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
  return (rig.engine->backend().facts().features & io::abi::feature_send_zero_copy) != 0;
}

// Says of every send without a copy that the kernel has not copied it, as it would be with a
// network device. Over loopback it copies.
class ToDevice final : public io::Backend {
 public:
  explicit ToDevice(std::unique_ptr<io::Backend> inner)
      : io::Backend(inner->facts()), inner_(std::move(inner)) {}
  void serve(io::OperationTable& operations, io::Descriptors& descriptors,
             io::Revisits& revisits) override {
    inner_->serve(operations, descriptors, revisits);
  }
  void submit(std::span<io::Operation* const> batch) override { inner_->submit(batch); }
  void flush() override { inner_->flush(); }
  void poll(int64_t deadline_ns, io::Completions& completed) override {
    inner_->poll(deadline_ns, completed);
    for (size_t index = 0; index < completed.size(); index++) completed.at(index).copied = false;
  }
  bool cancel(const io::Operation& target) override { return inner_->cancel(target); }
  bool cancel_all() override { return inner_->cancel_all(); }
  size_t ready() const override { return inner_->ready(); }
  void revisit(io::Operation& operation, io::Revisit why) override {
    inner_->revisit(operation, why);
  }
  int wait_descriptor() override { return inner_->wait_descriptor(); }
  void wait_elsewhere() override { inner_->wait_elsewhere(); }
  bool arm() override { return inner_->arm(); }
  bool wake() override { return inner_->wake(); }
  int32_t register_memory(uint8_t* data, size_t size_bytes) override {
    return inner_->register_memory(data, size_bytes);
  }
  void unregister_memory(int32_t index) override { inner_->unregister_memory(index); }
  int add_group(uint32_t group, uint32_t capacity, io::GroupContent content) override {
    return inner_->add_group(group, capacity, content);
  }
  void provide(uint32_t group, uint32_t buffer_id, uint8_t* data, uint32_t size_bytes) override {
    inner_->provide(group, buffer_id, data, size_bytes);
  }
  void remove_group(uint32_t group) override { inner_->remove_group(group); }
  io::BackendCounters counters() const override { return inner_->counters(); }

 private:
  std::unique_ptr<io::Backend> inner_;
};

// UDP to a socket that is never read from: datagrams without space are dropped.
Pair udp_pair(Rig& rig) {
  const int far = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int near = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  REQUIRE(far >= 0 && near >= 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  REQUIRE(::bind(far, generic, size) == 0);
  REQUIRE(::getsockname(far, generic, &size) == 0);
  REQUIRE(::connect(near, generic, size) == 0);
  const Pair pair = {rig.engine->adopt(near), rig.engine->adopt(far)};
  return pair;
}

}  // namespace

NATIVE_TEST(zero_copy_own_threshold) {
  ZeroCopy state;
  REQUIRE(!state.has_threshold());
  state.set_threshold(100);
  REQUIRE(state.has_threshold());
  REQUIRE(state.is_over_threshold(100));
  REQUIRE(!state.is_over_threshold(99));
}

// A socket whose sends are cheaper with a copy is tried only when it has sent enough to be worth
// it.
NATIVE_TEST(zero_copy_is_curious_after_a_while) {
  ZeroCopy state;
  uint64_t sent = 0;
  while (!state.is_curious(2000)) {
    state.went_plainly(2000);
    sent += 2000;
    REQUIRE(sent <= ZeroCopy::curious_after_bytes + 2000);
  }
  REQUIRE(sent >= ZeroCopy::curious_after_bytes);
  REQUIRE(state.chooses(automatic, 2000));
  REQUIRE(!state.is_curious(2000));
  // It copies: the span counts what went plainly because that is cheaper.
  state.report(true);
  for (sent = 0; !state.is_curious(2000); sent += 2000) state.went_plainly(2000);
  REQUIRE(sent + 2000 >= ZeroCopy::first_span_bytes);
  REQUIRE(sent <= ZeroCopy::first_span_bytes);
  // It does not: there is nothing left to find out about it.
  REQUIRE(state.chooses(automatic, 2000));
  state.report(false);
  REQUIRE(!state.is_curious(2000));
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
  // Good news begin it again.
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
  while (calls.empty()) rig.poll(io::wait_forever);
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

// The memory of a handle stays in use until the second step, even if it is released before.
NATIVE_TEST(engine_zero_copy_holds_its_buffer) {
  Rig rig;
  Memory memory(1 << 20);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 1 << 20);
  const Pair pair = tcp_pair(rig);
  const double before = rig.counter(Counter::buffers);
  bool sent = false;
  rig.queue(send_entry(pair.one, buffer, 1 << 20, always), [&](int32_t, uint32_t) { sent = true; });
  while (!sent) rig.poll(io::wait_forever);
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

// Where nothing is copied each class is tried both ways, and whatever comes of it, the trial ends
// and the two ways are accounted for. Which one is better here is the machine's affair.
NATIVE_TEST(engine_zero_copy_tries_both_ways) {
  RigOptions options;
  options.wrap = [](std::unique_ptr<io::Backend> inner) -> std::unique_ptr<io::Backend> {
    return std::make_unique<ToDevice>(std::move(inner));
  };
  for (const uint32_t length : {2000U, 30'000U}) {
    for (const bool datagram : {true, false}) {
      Rig rig(options);
      if (!spares(rig)) return;
      Memory memory(1 << 16);
      Memory into(1 << 16);
      const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 1 << 16);
      const uint32_t other = rig.add_buffer(into.bytes.get(), 1 << 16);
      const Pair pair = datagram ? udp_pair(rig) : tcp_pair(rig);
      constexpr uint32_t at_once = 16;
      // The sends that a trial needs, each way, and what goes before it and between.
      for (uint32_t round = 0; round < 200; round++) {
        int64_t sent = 0;
        int64_t received = 0;
        uint32_t ended = 0;
        std::array<int32_t, at_once> results = {};
        for (int32_t& known : results) {
          rig.queue(send_entry(pair.one, buffer, length, automatic),
                    [&](int32_t result, uint32_t flags) {
                      REQUIRE(result > 0);
                      sent += result - known;
                      known = result;
                      ended += (flags & io::abi::completion_flag_more) == 0 ? 1 : 0;
                    });
        }
        while (ended < at_once || (!datagram && received < sent)) {
          if (!datagram && received < sent) {
            received += rig.call(transfer_entry(Opcode::receive, pair.other, other, 0, 1 << 16));
          } else {
            rig.poll(1'000'000);
          }
        }
      }
      const auto spared = static_cast<uint32_t>(rig.counter(Counter::zero_copy_sends));
      const uint32_t all = 200 * at_once;
      const uint32_t each_way = io::SendCosts::pairs * io::SendCosts::window_sends;
      REQUIRE(spared >= each_way);
      REQUIRE(all - spared >= each_way);
      REQUIRE_EQUAL(rig.counter(Counter::zero_copy_copied), 0);
      rig.check_idle();
    }
  }
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
    // In every order with the operations in flight, and sometimes the peer first.
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
