// Operations of every kind at random, on files, sockets and pipes, with cancels, deadlines, chains
// and closes at any moment: each is answered once, with a result that it can have.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "support.h"

namespace native_tests {

using io::abi::Entry;

namespace {

constexpr uint32_t linked = io::abi::entry_flag_linked;
constexpr uint32_t with_deadline = io::abi::entry_flag_deadline;
constexpr uint32_t buffer_size_bytes = 512;
constexpr uint32_t slot_count = 200;
constexpr uint32_t memory_bytes = buffer_size_bytes * slot_count;
constexpr uint32_t descriptor_count = 8;

class Storm {
 public:
  explicit Storm(Rig& rig) : rig_(rig), random_(seed()), memory_(memory_bytes) {
    buffer_ = rig.add_buffer(memory_.bytes.get(), memory_bytes);
    std::memset(memory_.bytes.get(), 0, memory_bytes);
    for (uint32_t index = 0; index < descriptor_count; index++) replace(index);
  }

  void step() {
    if (rig_.free_slots() < 8) return end();
    const uint32_t kind = random_.below(100);
    if (kind < 55) return start();
    if (kind < 65) return chain();
    if (kind < 85) return cancel();
    if (kind < 88) return close_one();
    if (kind < 90) return end();
    if (kind < 95) return rig_.submit();
    rig_.poll(random_.one_in(4) ? random_.below(100'000) : 0);
  }

  void end() { rig_.end_all(); }

 private:
  // A file by turns, one that is appended to, both ends of a socket pair, or a FIFO.
  void replace(uint32_t index) {
    int number = -1;
    if (index < 2) number = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (index == 2) number = open("appended", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (index == 3) {
      mkfifo("fifo", 0600);
      number = open("fifo", O_RDWR | O_CLOEXEC);
    }
    if (index >= 4) {
      int ends[2];
      REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
      number = ends[0];
      const int32_t other = rig_.engine->adopt(ends[1]);
      REQUIRE(other > 0);
      peers_.push_back(other);
    }
    REQUIRE(number >= 0);
    descriptors_[index] = rig_.engine->adopt(number);
  }

  int32_t any_descriptor() {
    if (random_.one_in(4)) return peers_[random_.below(static_cast<uint32_t>(peers_.size()))];
    return descriptors_[random_.below(descriptor_count)];
  }

  Entry transfer() {
    constexpr Opcode kinds[] = {Opcode::read,    Opcode::write, Opcode::read, Opcode::write,
                                Opcode::receive, Opcode::send,  Opcode::sync, Opcode::shutdown};
    const uint32_t count = random_.one_in(50) ? 8 : 7;
    Entry entry = transfer_entry(kinds[random_.below(count)], any_descriptor(), buffer_, 0,
                                 1 + random_.below(buffer_size_bytes));
    entry.offset = random_.one_in(2) ? -1 : random_.below(64) * buffer_size_bytes;
    entry.argument = 1;
    return entry;
  }

  Entry any_entry() {
    if (random_.one_in(8)) return entry_of(Opcode::nop);
    if (random_.one_in(8)) return timeout_entry(random_.one_in(3) ? endless_ns : 100'000);
    if (random_.one_in(10)) {
      Entry entry = entry_of(Opcode::mkdir);
      entry.argument = 0700;
      entry.length = 1;
      entry.buffer_offset = rig_.text(random_.below(8), "d", 1);
      return entry;
    }
    return transfer();
  }

  void queue(const Entry& entry) {
    const uint32_t slot = rig_.queue(entry, [](int32_t result, uint32_t) {
      // No result is one of the reactor's internal values.
      REQUIRE(result != -EAGAIN && result != -EINPROGRESS);
    });
    // Memory of its own: two operations may not be given the same.
    if (entry.buffer == buffer_) rig_.last().buffer_offset = slot * buffer_size_bytes;
    targets_[next_target_++ % 64] = slot;
  }

  void start() {
    Entry entry = any_entry();
    if (random_.one_in(4)) {
      entry.operation |= with_deadline;
      entry.deadline_ns = random_.below(300'000);
    }
    queue(entry);
  }

  void chain() {
    const uint32_t length = 2 + random_.below(4);
    if (rig_.shared.entry_count - rig_.shared.header[io::abi::header_queued] < length) return;
    for (uint32_t index = 0; index < length; index++) {
      Entry entry = any_entry();
      if (index + 1 < length) {
        entry.operation |= linked;
      } else if (random_.one_in(2)) {
        entry.operation |= with_deadline;
        entry.deadline_ns = random_.below(300'000);
      }
      queue(entry);
    }
  }

  void cancel() {
    Entry entry = entry_of(Opcode::cancel);
    entry.argument = targets_[random_.below(64)];
    entry.argument_extra = rig_.generation_of(entry.argument);
    if (random_.one_in(6)) entry = on_descriptor(Opcode::cancel_descriptor, any_descriptor());
    if (random_.one_in(40)) entry = entry_of(Opcode::cancel_all);
    rig_.queue(entry);
  }

  void close_one() {
    const uint32_t index = random_.below(descriptor_count);
    rig_.queue(on_descriptor(Opcode::close, descriptors_[index]));
    replace(index);
  }

  Rig& rig_;
  Random random_;
  Memory memory_;
  uint32_t buffer_ = 0;
  int32_t descriptors_[descriptor_count] = {};
  std::vector<int32_t> peers_;
  uint32_t targets_[64] = {};
  uint32_t next_target_ = 0;
};

}  // namespace

NATIVE_TEST(engine_storm) {
  RigOptions options;
  options.in_flight_limit = slot_count;
  for (int round = 0; round < 3; round++) {
    options.wide_completions = round == 1;
    Rig rig(options);
    Storm storm(rig);
    for (int step = 0; step < 6000; step++) storm.step();
    storm.end();
    rig.check_idle();
  }
}

// The end of a Worker comes at any moment.
NATIVE_TEST(engine_storm_that_is_cut_off) {
  RigOptions options;
  options.in_flight_limit = slot_count;
  for (int round = 0; round < 30; round++) {
    options.wide_completions = round % 2 == 1;
    Rig rig(options);
    Storm storm(rig);
    for (int step = 0; step < 200; step++) storm.step();
    // Operations in flight touch the storm's memory: the engine ends before it does.
    REQUIRE(rig.engine->shut_down());
  }
}

}  // namespace native_tests
