// The engine over the real io_uring: damaged batches, full rings and storms of cancels. Everything
// that is queued is answered exactly once, whatever it says.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "support.h"

namespace native_tests {

using io::abi::Counter;
using io::abi::Entry;

namespace {

constexpr uint32_t linked = io::abi::entry_flag_linked;
constexpr uint32_t with_deadline = io::abi::entry_flag_deadline;

struct Pair {
  int32_t one;
  int32_t other;
};

Pair socket_pair(Rig& rig) {
  int numbers[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, numbers) == 0);
  return {rig.engine->adopt(numbers[0]), rig.engine->adopt(numbers[1])};
}

int32_t open_file(Rig& rig, const char* name) {
  Entry entry = entry_of(Opcode::open);
  entry.buffer_offset = rig.text(0, name, std::strlen(name));
  entry.length = static_cast<uint32_t>(std::strlen(name));
  entry.argument = io::abi::open_flag_read | io::abi::open_flag_write | io::abi::open_flag_create;
  entry.argument_extra = 0600;
  const int32_t descriptor = rig.call(entry);
  REQUIRE(descriptor > 0);
  return descriptor;
}

Entry with_flags(Entry entry, uint32_t flags) {
  entry.operation |= flags;
  return entry;
}

void check_still_works(Rig& rig) {
  REQUIRE_EQUAL(rig.call(entry_of(Opcode::nop)), 0);
}

// Letters only: any part of it that becomes a path names something in the test's own folder.
void fill_text(Rig& rig, Random& random) {
  for (uint32_t index = 0; index < io::abi::text_size_bytes; index++) {
    rig.shared.text[index] = static_cast<uint8_t>('a' + random.below(3));
  }
}

}  // namespace

NATIVE_TEST(engine_garbage_entries) {
  Rig rig;
  Random random(seed());
  for (int round = 0; round < 400; round++) {
    for (uint32_t count = random.below(200); count > 0; count--) {
      rig.queue(entry_of(Opcode::nop));
      auto* words = reinterpret_cast<uint8_t*>(&rig.last());
      for (size_t index = 0; index < sizeof(Entry); index++) {
        words[index] = static_cast<uint8_t>(random.next());
      }
    }
    rig.run();
  }
  REQUIRE(rig.refused_total > 10'000);
  check_still_works(rig);
  rig.check_idle();
}

NATIVE_TEST(engine_garbage_over_the_whole_ring) {
  Rig rig;
  rig.tolerate_strays = true;
  Random random(seed());
  auto* bytes = reinterpret_cast<uint8_t*>(rig.shared.entries);
  for (int round = 0; round < 2000; round++) {
    for (size_t index = 0; index < rig.shared.entry_count * sizeof(Entry); index++) {
      bytes[index] = static_cast<uint8_t>(random.next());
    }
    // Slots and generations that do exist, and a count that may not.
    for (uint32_t index = 0; index < rig.shared.entry_count; index++) {
      if (random.one_in(2)) rig.shared.entries[index].slot = random.below(256);
      if (random.one_in(2)) rig.shared.entries[index].generation = 0;
      if (random.one_in(2)) rig.shared.entries[index].operation &= 0x33f;
      if (random.one_in(4)) rig.shared.entries[index].operation = 1;
    }
    rig.shared.header[io::abi::header_queued] =
        random.one_in(3) ? static_cast<uint32_t>(random.next()) : random.below(129);
    rig.shared.header[io::abi::header_text_used] = static_cast<uint32_t>(random.next());
    REQUIRE(rig.engine->poll(0) <= rig.shared.completion_count);
    REQUIRE_EQUAL(rig.shared.header[io::abi::header_queued], 0);
  }
  REQUIRE(rig.counter(Counter::refused) > 10'000);
}

NATIVE_TEST(engine_mutated_entries) {
  Rig rig;
  Random random(seed());
  Memory memory(4096);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 4096);
  const Pair pair = socket_pair(rig);
  std::vector<int32_t> descriptors = {pair.one, pair.other, open_file(rig, "aaa")};
  for (int round = 0; round < 300; round++) {
    fill_text(rig, random);
    for (uint32_t count = 1 + random.below(60); count > 0; count--) {
      Entry entry = transfer_entry(Opcode::nop, descriptors[random.below(3)], buffer,
                                   random.below(64) * 8, random.below(512));
      entry.operation = 1 + random.below(io::abi::max_operation);
      // The test's own descriptors stay the engine's, and open.
      const auto opcode = static_cast<Opcode>(entry.operation);
      if (opcode == Opcode::close || opcode == Opcode::detach) entry.descriptor = 0;
      if (random.one_in(8)) entry.operation |= random.one_in(2) ? linked : with_deadline;
      entry.offset = random.below(100);
      entry.deadline_ns = random.below(2'000'000);
      entry.argument = random.below(4);
      if (entry.operation == static_cast<uint32_t>(Opcode::send_file)) {
        entry.argument = static_cast<uint32_t>(descriptors[random.below(3)]);
      }
      auto* words = reinterpret_cast<uint32_t*>(&entry);
      for (uint32_t changes = random.below(3); changes > 0; changes--) {
        const uint32_t word = 4 + random.below(12);
        words[word] ^= random.one_in(2) ? 1u << random.below(32) : random.below(1u << 31);
      }
      if (rig.free_slots() > 0) rig.queue(entry);
    }
    rig.end_all();
  }
  rig.check_idle();
  check_still_works(rig);
  REQUIRE(rig.final_total > 1000);
}

NATIVE_TEST(engine_duplicated_and_stale_entries) {
  Rig rig;
  int first = 1;
  int second = 1;
  const uint32_t slot =
      rig.queue(timeout_entry(1e6), [&](int32_t result, uint32_t) { first = result; });
  rig.queue(timeout_entry(1e6), [&](int32_t result, uint32_t) { second = result; });
  rig.last().slot = slot;
  rig.run();
  REQUIRE_EQUAL(first, 0);
  REQUIRE_EQUAL(second, -EINVAL);

  for (const uint32_t wrong : {1u, 5u, 0xffffffffu, 0x80000000u}) {
    int result = 1;
    rig.queue(entry_of(Opcode::nop), [&](int32_t value, uint32_t) { result = value; });
    rig.last().generation += wrong;
    rig.run();
    REQUIRE_EQUAL(result, -EINVAL);
  }
  rig.check_idle();
  check_still_works(rig);
}

NATIVE_TEST(engine_duplicates_in_a_chain) {
  Rig rig;
  std::vector<int32_t> results;
  const auto note = [&](int32_t result, uint32_t) { results.push_back(result); };
  const uint32_t slot = rig.queue(with_flags(entry_of(Opcode::nop), linked), note);
  rig.queue(with_flags(entry_of(Opcode::nop), linked), note);
  rig.last().slot = slot;
  rig.queue(entry_of(Opcode::nop), note);
  rig.run();
  REQUIRE_EQUAL(results.size(), 3);
  REQUIRE_EQUAL(std::count(results.begin(), results.end(), -EINVAL), 1);
  REQUIRE_EQUAL(std::count(results.begin(), results.end(), -ECANCELED), 2);
  rig.check_idle();
}

NATIVE_TEST(engine_link_at_the_end_of_a_batch) {
  Rig rig;
  std::vector<int32_t> results;
  const auto note = [&](int32_t result, uint32_t) { results.push_back(result); };
  rig.queue(with_flags(entry_of(Opcode::nop), linked), note);
  rig.submit();
  rig.queue(entry_of(Opcode::nop), note);
  rig.run();
  REQUIRE_EQUAL(results.size(), 2);
  // The operation that was to follow is not there, so it does not run; and later entries are no
  // part of the chain.
  REQUIRE_EQUAL(results[0], -ECANCELED);
  REQUIRE_EQUAL(results[1], 0);
  rig.check_idle();
}

NATIVE_TEST(engine_chain_lengths) {
  Rig rig;
  for (uint32_t length = 1; length <= rig.shared.entry_count; length++) {
    std::vector<int32_t> results;
    for (uint32_t index = 0; index < length; index++) {
      const uint32_t flags = index + 1 < length ? linked : 0;
      rig.queue(with_flags(entry_of(Opcode::nop), flags),
                [&](int32_t result, uint32_t) { results.push_back(result); });
    }
    rig.run();
    REQUIRE_EQUAL(results.size(), length);
    const int32_t expected = length <= io::abi::chain_limit ? 0 : -EINVAL;
    REQUIRE_EQUAL(results.front(), expected);
    for (const int32_t result : results) REQUIRE((result == 0) == (expected == 0));
  }
  rig.check_idle();
}

// The longest chain there may be, whose last operation needs one entry more for its deadline.
NATIVE_TEST(engine_longest_chain_with_a_deadline) {
  Rig rig;
  std::vector<int32_t> results;
  for (uint32_t index = 0; index < io::abi::chain_limit; index++) {
    const bool last = index + 1 == io::abi::chain_limit;
    Entry entry = entry_of(Opcode::nop);
    entry.operation |= last ? with_deadline : linked;
    entry.deadline_ns = endless_ns;
    rig.queue(entry, [&](int32_t result, uint32_t) { results.push_back(result); });
  }
  rig.queue(entry_of(Opcode::nop), [&](int32_t result, uint32_t) { results.push_back(result); });
  constexpr int64_t round_ns = 1'000'000;
  for (int round = 0; round < 1000 && rig.unanswered > 0; round++) rig.poll(round_ns);
  REQUIRE_EQUAL(results.size(), io::abi::chain_limit + 1);
  for (const int32_t result : results) REQUIRE_EQUAL(result, 0);
  rig.check_idle();
}

// An operation that the kernel cannot link must be refused, or work, at every place of a chain. The
// last place has no flag of its own.
NATIVE_TEST(engine_chain_of_every_operation_at_every_place) {
  Rig rig;
  Random random(seed());
  fill_text(rig, random);
  Memory memory(4096);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 4096);
  for (uint32_t opcode = 1; opcode <= io::abi::max_operation; opcode++) {
    for (uint32_t place = 0; place < 3; place++) {
      const Pair pair = socket_pair(rig);
      for (uint32_t index = 0; index < 3; index++) {
        // The operation before it is in flight on the same descriptor.
        Entry entry = transfer_entry(Opcode::send, pair.one, buffer, 0, 1);
        if (index == place) {
          entry.operation = opcode;
          entry.length = 64;
          entry.argument = 1;
          entry.offset = 0;
        }
        const bool detaches = index == place && static_cast<Opcode>(opcode) == Opcode::detach;
        rig.queue(with_flags(entry, index < 2 ? linked : 0), [detaches](int32_t result, uint32_t) {
          if (detaches && result >= 0) ::close(result);  // it is the test's now
        });
      }
      rig.end_all();
      rig.queue(on_descriptor(Opcode::close, pair.one));
      rig.queue(on_descriptor(Opcode::close, pair.other));
      rig.end_all();
    }
  }
  rig.check_idle();
  check_still_works(rig);
}

// A file that is closed while it is being sent, to a peer that takes nothing; and the socket.
NATIVE_TEST(engine_closes_what_a_file_is_sent_to_and_from) {
  for (const bool close_file : {true, false}) {
    Rig rig;
    if (!rig.engine->backend().facts().has(Opcode::send_file)) continue;
    const Pair pair = socket_pair(rig);
    const int32_t file = open_file(rig, "aaa");
    std::vector<uint8_t> bytes(900'000, 'a');
    const uint32_t buffer = rig.add_buffer(bytes.data(), bytes.size());
    REQUIRE_EQUAL(rig.call(transfer_entry(Opcode::write, file, buffer, 0, 900'000)), 900'000);
    Entry entry = on_descriptor(Opcode::send_file, pair.one);
    entry.argument = static_cast<uint32_t>(file);
    entry.length = 900'000;
    // Until one waits for its peer, and another one for that.
    int32_t last = 1;
    const auto note = [&](int32_t result, uint32_t) { last = result; };
    rig.queue(entry, note);
    while (rig.unanswered > 0 && last != 0) {
      last = 0;
      constexpr int64_t round_ns = 100'000'000;
      rig.poll(round_ns);
      if (last > 0) rig.queue(entry, note);
    }
    rig.queue(entry, note);
    rig.queue(on_descriptor(Opcode::close, close_file ? file : pair.one));
    rig.run();
    REQUIRE_EQUAL(last, -ECANCELED);
    for (const int32_t other : {close_file ? pair.one : file, pair.other}) {
      REQUIRE_EQUAL(rig.call(on_descriptor(Opcode::close, other)), 0);
    }
    rig.check_idle();
  }
}

NATIVE_TEST(engine_chain_ends_with_close) {
  Rig rig;
  Memory memory(16);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 16);
  const int32_t file = open_file(rig, "a");
  std::vector<int32_t> results;
  const auto note = [&](int32_t result, uint32_t) { results.push_back(result); };
  rig.queue(with_flags(transfer_entry(Opcode::write, file, buffer, 0, 16), linked), note);
  rig.queue(on_descriptor(Opcode::close, file), note);
  rig.run();
  REQUIRE_EQUAL(results.size(), 2);
  // Both work, or the whole chain is refused.
  const bool worked = results[0] == 16 && results[1] == 0;
  const bool refused = std::count(results.begin(), results.end(), -EINVAL) == 1;
  REQUIRE(worked || refused);
  rig.check_idle();
}

NATIVE_TEST(engine_chain_after_a_timeout) {
  Rig rig;
  int32_t after = 1;
  rig.queue(with_flags(timeout_entry(1e6), linked));
  rig.queue(entry_of(Opcode::nop), [&](int32_t result, uint32_t) { after = result; });
  rig.run();
  // The time-out succeeded, so the operation linked to it starts.
  REQUIRE_EQUAL(after, 0);
  rig.check_idle();
}

NATIVE_TEST(engine_more_completes_than_the_ring_holds) {
  RigOptions options;
  options.in_flight_limit = 2048;
  Rig rig(options);
  for (int round = 0; round < 5; round++) {
    uint32_t answered = 0;
    uint32_t bad = 0;
    for (uint32_t count = 0; count < 2048; count++) {
      const bool wrong = count % 3 == 0;
      rig.queue(wrong ? on_descriptor(Opcode::close, 77) : entry_of(Opcode::nop),
                [&, wrong](int32_t result, uint32_t) {
                  answered++;
                  bad += (result < 0) == wrong ? 0 : 1;
                });
    }
    REQUIRE_EQUAL(rig.free_slots(), 0);
    rig.run();
    REQUIRE_EQUAL(answered, 2048);
    REQUIRE_EQUAL(bad, 0);
  }
  rig.check_idle();
}

// Completions that are not fetched must not be lost while the queue fills again and again.
NATIVE_TEST(engine_submits_without_polling) {
  RigOptions options;
  options.in_flight_limit = 4096;
  Rig rig(options);
  for (uint32_t count = 0; count < 4096; count++) {
    rig.queue(entry_of(Opcode::nop));
    if (count % 7 == 0) rig.submit();
  }
  REQUIRE_EQUAL(rig.final_total, 0);
  rig.run();
  REQUIRE_EQUAL(rig.final_total, 4096);
  rig.check_idle();
}

NATIVE_TEST(engine_cancel_storm) {
  RigOptions options;
  options.in_flight_limit = 512;
  Rig rig(options);
  Random random(seed());
  Memory memory(4096);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 4096);
  const Pair pair = socket_pair(rig);
  for (int round = 0; round < 200; round++) {
    std::vector<uint32_t> targets;
    for (uint32_t count = 0; count < 60; count++) {
      Entry entry = timeout_entry(random.one_in(2) ? endless_ns : random.below(200'000));
      if (random.one_in(3)) entry = transfer_entry(Opcode::receive, pair.one, buffer, 0, 8);
      if (random.one_in(4)) {
        entry.operation |= with_deadline;
        entry.deadline_ns = random.below(300'000);
      }
      targets.push_back(rig.queue(entry));
    }
    if (random.one_in(2)) rig.submit();
    for (uint32_t count = 0; count < 300 && rig.free_slots() > 8; count++) {
      const uint32_t target = targets[random.below(60)];
      Entry entry = entry_of(Opcode::cancel);
      entry.argument = target;
      entry.argument_extra = rig.generation_of(target) - (random.one_in(5) ? 1 : 0);
      if (random.one_in(30)) entry.argument = static_cast<uint32_t>(random.next());
      if (random.one_in(20)) entry = on_descriptor(Opcode::cancel_descriptor, pair.one);
      rig.queue(entry);
    }
    if (random.one_in(2)) rig.poll(0);
    rig.end_all();
  }
  rig.check_idle();
}

NATIVE_TEST(engine_shut_down_with_everything_in_flight) {
  for (int round = 0; round < 20; round++) {
    Rig rig;
    Memory memory(4096);
    const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 4096, true);
    const Pair pair = socket_pair(rig);
    const int32_t file = open_file(rig, "b");
    for (int count = 0; count < 20; count++) {
      rig.queue(timeout_entry(endless_ns));
      rig.queue(transfer_entry(Opcode::receive, pair.one, buffer, 0, 64));
      rig.queue(with_flags(transfer_entry(Opcode::receive, pair.other, buffer, 0, 64), linked));
      rig.queue(transfer_entry(Opcode::write, file, buffer, 0, 64));
      Entry limited = transfer_entry(Opcode::receive, pair.other, buffer, 0, 64);
      limited.operation |= with_deadline;
      limited.deadline_ns = endless_ns;
      rig.queue(limited);
      if (count % 5 == round % 5) rig.submit();
    }
    if (round % 2 == 0) rig.queue(on_descriptor(Opcode::close, pair.one));
    if (round % 4 == 0) rig.submit();
    // The rig's end shuts the engine down; main compares the descriptors of the process.
  }
}

}  // namespace native_tests
