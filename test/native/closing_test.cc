// Closing while operations are in flight, in every order; buffers released under operations; and a
// kernel that lacks an operation.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "support.h"

namespace native_tests {

using io::abi::Counter;
using io::abi::Entry;

namespace {

constexpr uint32_t linked = io::abi::entry_flag_linked;

enum class Kind { pipe, socket, file };

std::vector<int32_t> ends_of(Rig& rig, Kind kind) {
  int numbers[2];
  if (kind == Kind::pipe) {
    REQUIRE(pipe(numbers) == 0);
  } else if (kind == Kind::socket) {
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, numbers) == 0);
  } else {
    for (int& number : numbers) {
      number = ::open("c", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      REQUIRE(number >= 0);
    }
  }
  return {rig.engine->adopt(numbers[0]), rig.engine->adopt(numbers[1])};
}

// Operations that wait (or end at once on a file) and both closes, in the order of `order`.
void close_in_order(Rig& rig, Kind kind, const std::vector<int>& order, uint32_t buffer,
                    uint32_t submit_after) {
  const std::vector<int32_t> ends = ends_of(rig, kind);
  const Opcode read = kind == Kind::socket ? Opcode::receive : Opcode::read;
  uint32_t closed = 0;
  uint32_t done = 0;
  for (const int step : order) {
    if (step == 0 || step == 1) {
      rig.queue(on_descriptor(Opcode::close, ends[static_cast<size_t>(step)]),
                [&](int32_t result, uint32_t) {
                  REQUIRE_EQUAL(result, 0);
                  closed++;
                });
    } else {
      Entry entry =
          transfer_entry(step == 4 ? Opcode::write : read, ends[step == 4 ? 1 : 0], buffer, 0, 8);
      if (step == 3) {
        entry.operation |= io::abi::entry_flag_deadline;
        entry.deadline_ns = endless_ns;
      }
      rig.queue(entry);
    }
    if (++done == submit_after) rig.submit();
  }
  rig.run();
  REQUIRE_EQUAL(closed, 2);
}

void close_in_every_order(Kind kind) {
  Rig rig;
  Memory memory(64);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 64);
  std::vector<int> order = {0, 1, 2, 3, 4};
  const size_t before = open_descriptors();
  do {
    for (uint32_t submit_after = 0; submit_after < 5; submit_after++) {
      close_in_order(rig, kind, order, buffer, submit_after);
    }
  } while (std::next_permutation(order.begin(), order.end()));
  REQUIRE_EQUAL(open_descriptors(), before);
  REQUIRE_EQUAL(rig.counter(Counter::descriptors), 0);
  rig.check_idle();
}

// Stands between the engine and the backend.
class Forwarding : public io::Backend {
 public:
  explicit Forwarding(std::unique_ptr<io::Backend> inner)
      : io::Backend(inner->facts()), inner_(std::move(inner)) {}
  void serve(io::OperationTable& operations, io::Descriptors& descriptors,
             io::Revisits& revisits) override {
    inner_->serve(operations, descriptors, revisits);
  }
  void submit(std::span<io::Operation* const> batch) override {
    REQUIRE(!batch.empty());
    // A chain that ends in the air would be read beyond the batch.
    REQUIRE(!batch.back()->is_linked());
    inner_->submit(batch);
  }
  void flush() override { inner_->flush(); }
  void poll(int64_t deadline_ns, io::Completions& completed) override {
    inner_->poll(deadline_ns, completed);
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

// Records the operations that it is asked to end, each once.
class NotesCancels final : public Forwarding {
 public:
  NotesCancels(std::unique_ptr<io::Backend> inner, std::vector<uint32_t>& slots)
      : Forwarding(std::move(inner)), slots_(slots) {}
  bool cancel(const io::Operation& target) override {
    // The engine asks again after a while.
    if (std::find(slots_.begin(), slots_.end(), target.slot) == slots_.end()) {
      slots_.push_back(target.slot);
    }
    return Forwarding::cancel(target);
  }

 private:
  std::vector<uint32_t>& slots_;
};

}  // namespace

NATIVE_TEST(close_pipes_in_every_order) {
  close_in_every_order(Kind::pipe);
}

NATIVE_TEST(close_sockets_in_every_order) {
  close_in_every_order(Kind::socket);
}

NATIVE_TEST(close_files_in_every_order) {
  close_in_every_order(Kind::file);
}

NATIVE_TEST(close_under_a_chain_that_waits_elsewhere) {
  Rig rig;
  Memory memory(64);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 64);
  const std::vector<int32_t> first = ends_of(rig, Kind::socket);
  const std::vector<int32_t> second = ends_of(rig, Kind::socket);
  Entry head = transfer_entry(Opcode::receive, first[0], buffer, 0, 4);
  head.operation |= linked;
  rig.queue(head);
  rig.queue(transfer_entry(Opcode::receive, second[0], buffer, 8, 4));
  rig.submit();
  int32_t closed = 1;
  rig.queue(on_descriptor(Opcode::close, second[0]),
            [&](int32_t result, uint32_t) { closed = result; });
  rig.poll(0);
  // The chain goes on: its second operation starts now, on a descriptor that is closing.
  rig.queue(transfer_entry(Opcode::send, first[1], buffer, 16, 4));
  constexpr int64_t round_ns = 10'000'000;
  for (int round = 0; round < 300 && closed == 1; round++) rig.poll(round_ns);
  REQUIRE_EQUAL(closed, 0);
  rig.end_all();
  rig.check_idle();
}

// By descriptor the kernel would also look at the operations that wait on all others.
NATIVE_TEST(close_asks_for_the_end_of_its_own_operations) {
  std::vector<uint32_t> cancelled;
  RigOptions options;
  options.wrap = [&](std::unique_ptr<io::Backend> inner) {
    return std::make_unique<NotesCancels>(std::move(inner), cancelled);
  };
  Rig rig(options);
  Memory memory(64);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 64);
  std::vector<int32_t> near;
  std::vector<uint32_t> slots;
  for (int count = 0; count < 80; count++) {
    near.push_back(ends_of(rig, Kind::socket)[0]);
    slots.push_back(rig.queue(transfer_entry(Opcode::receive, near.back(), buffer, 0, 8)));
    rig.queue(transfer_entry(Opcode::receive, near.back(), buffer, 8, 8));  // waits for its turn
  }
  rig.submit();
  uint32_t closed = 0;
  for (const size_t index : {40, 3, 79}) {
    rig.queue(on_descriptor(Opcode::close, near[index]), [&](int32_t result, uint32_t) {
      REQUIRE_EQUAL(result, 0);
      closed++;
    });
  }
  constexpr int64_t round_ns = 10'000'000;
  for (int round = 0; round < 300 && closed < 3; round++) rig.poll(round_ns);
  REQUIRE_EQUAL(closed, 3);
  REQUIRE_EQUAL(cancelled.size(), 3);
  REQUIRE_EQUAL(cancelled[0], slots[40]);
  REQUIRE_EQUAL(cancelled[1], slots[3]);
  REQUIRE_EQUAL(cancelled[2], slots[79]);
  rig.end_all();
  rig.check_idle();
}

NATIVE_TEST(close_twice_and_use_while_closing) {
  Rig rig;
  Memory memory(64);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 64);
  const std::vector<int32_t> ends = ends_of(rig, Kind::socket);
  std::vector<int32_t> results;
  const auto note = [&](int32_t result, uint32_t) { results.push_back(result); };
  rig.queue(transfer_entry(Opcode::receive, ends[0], buffer, 0, 8));
  rig.submit();
  rig.queue(on_descriptor(Opcode::close, ends[0]));
  rig.queue(on_descriptor(Opcode::close, ends[0]), note);
  rig.queue(transfer_entry(Opcode::receive, ends[0], buffer, 0, 8), note);
  rig.queue(on_descriptor(Opcode::cancel_descriptor, ends[0]), note);
  rig.run();
  REQUIRE_EQUAL(results.size(), 3);
  for (const int32_t result : results) REQUIRE_EQUAL(result, -EBADF);
  REQUIRE_EQUAL(rig.call(on_descriptor(Opcode::close, ends[0])), -EBADF);
  rig.check_idle();
}

// The number comes back at once, the value does not.
NATIVE_TEST(close_then_the_number_is_used_again) {
  Rig rig;
  Memory memory(64);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 64);
  std::vector<int32_t> old;
  for (int round = 0; round < 500; round++) {
    const std::vector<int32_t> ends = ends_of(rig, Kind::socket);
    for (const int32_t value : old) {
      REQUIRE_EQUAL(rig.call(transfer_entry(Opcode::receive, value, buffer, 0, 8)), -EBADF);
    }
    old.assign(ends.begin(), ends.end());
    rig.queue(transfer_entry(Opcode::receive, ends[0], buffer, 0, 8));
    for (const int32_t value : ends) rig.queue(on_descriptor(Opcode::close, value));
    rig.run();
  }
  rig.check_idle();
}

NATIVE_TEST(cancel_all_meets_closes) {
  Rig rig;
  Memory memory(64);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 64);
  const size_t before = open_descriptors();
  for (int round = 0; round < 300; round++) {
    const std::vector<int32_t> ends = ends_of(rig, round % 2 == 0 ? Kind::socket : Kind::file);
    const Opcode read = round % 2 == 0 ? Opcode::receive : Opcode::read;
    rig.queue(transfer_entry(read, ends[0], buffer, 0, 8));
    if (round % 3 == 0) rig.queue(entry_of(Opcode::cancel_all));
    for (const int32_t value : ends) rig.queue(on_descriptor(Opcode::close, value));
    rig.queue(entry_of(Opcode::cancel_all));
    rig.run();
    REQUIRE_EQUAL(open_descriptors(), before);
  }
  rig.check_idle();
}

NATIVE_TEST(buffers_released_under_operations) {
  Rig rig;
  const std::vector<int32_t> ends = ends_of(rig, Kind::socket);
  for (int round = 0; round < 100; round++) {
    Memory memory(4096);
    Memory source(4096);
    std::memset(source.bytes.get(), 'x', 4096);
    const bool registered = round % 2 == 0;
    const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 4096, registered);
    const uint32_t from = rig.add_buffer(source.bytes.get(), 4096, registered);
    const double alive = rig.counter(Counter::buffers);
    int32_t received = -1;
    rig.queue(transfer_entry(Opcode::read, ends[0], buffer, 0, 4096),
              [&](int32_t result, uint32_t) { received = result; });
    rig.submit();
    REQUIRE(rig.engine->release_buffer(buffer));
    REQUIRE(!rig.engine->release_buffer(buffer));
    REQUIRE_EQUAL(rig.counter(Counter::buffers), alive);
    // Its place in the kernel's table is given to another while the read is in flight.
    Memory other(4096);
    const uint32_t next = rig.add_buffer(other.bytes.get(), 4096, registered);
    REQUIRE_EQUAL(rig.call(transfer_entry(Opcode::write, ends[1], from, 0, 4096)), 4096);
    rig.run();
    REQUIRE_EQUAL(received, 4096);
    REQUIRE_EQUAL(memory.bytes[4095], 'x');
    REQUIRE_EQUAL(other.bytes[0], 0);
    REQUIRE_EQUAL(rig.counter(Counter::buffers), alive);
    REQUIRE_EQUAL(rig.call(transfer_entry(Opcode::read, ends[0], buffer, 0, 1)), -EFAULT);
    REQUIRE(rig.engine->release_buffer(next));
    REQUIRE(rig.engine->release_buffer(from));
  }
  REQUIRE_EQUAL(rig.counter(Counter::registered_bytes), 0);
  REQUIRE(!rig.engine->release_buffer(io::abi::text_handle));
  rig.check_idle();
}

int64_t size_of(const char* name) {
  struct stat status;
  REQUIRE(::stat(name, &status) == 0);
  return status.st_size;
}

// A thread makes the call where the kernel's io_uring has no such operation (before Linux 6.9).
NATIVE_TEST(truncate_without_the_kernel) {
  RigOptions options;
  options.oldest_kernel = true;
  Rig rig(options);
  const std::vector<int32_t> files = ends_of(rig, Kind::file);
  Entry truncate = on_descriptor(Opcode::truncate, files[0]);
  truncate.offset = 100;
  REQUIRE_EQUAL(rig.call(truncate), 0);
  REQUIRE_EQUAL(size_of("c"), 100);
  // At every place of a chain, with operations before and behind it.
  for (uint32_t place = 0; place < 3; place++) {
    uint32_t succeeded = 0;
    truncate.offset = 10 * place;
    for (uint32_t index = 0; index < 3; index++) {
      Entry entry = index == place ? truncate : entry_of(Opcode::nop);
      if (index < 2) entry.operation |= linked;
      rig.queue(entry, [&](int32_t result, uint32_t) { succeeded += result == 0 ? 1 : 0; });
    }
    rig.run();
    REQUIRE_EQUAL(succeeded, 3);
    REQUIRE_EQUAL(size_of("c"), 10 * place);
  }
  // A failure ends its chain.
  const std::vector<int32_t> sockets = ends_of(rig, Kind::socket);
  Entry wrong = on_descriptor(Opcode::truncate, sockets[0]);
  wrong.operation |= linked;
  int32_t behind = 0;
  rig.queue(wrong);
  rig.queue(entry_of(Opcode::nop), [&](int32_t result, uint32_t) { behind = result; });
  rig.run();
  REQUIRE_EQUAL(behind, -ECANCELED);
  rig.check_idle();
}

// Each way of ending them, while more wait than there are threads.
NATIVE_TEST(truncates_by_threads_are_cancelled) {
  RigOptions options;
  options.oldest_kernel = true;
  Rig rig(options);
  for (uint32_t round = 0; round < 60; round++) {
    const std::vector<int32_t> files = ends_of(rig, Kind::file);
    std::vector<uint32_t> slots;
    uint32_t ended = 0;
    for (uint32_t index = 0; index < 64; index++) {
      Entry truncate = on_descriptor(Opcode::truncate, files[0]);
      truncate.offset = index;
      if (index % 8 == 7) {
        truncate.operation |= io::abi::entry_flag_deadline;
        truncate.deadline_ns = index;
      }
      slots.push_back(rig.queue(truncate, [&](int32_t result, uint32_t) {
        REQUIRE(result == 0 || result == -ECANCELED || result == -ETIMEDOUT);
        ended++;
      }));
    }
    if (round % 2 == 0) rig.submit();
    for (uint32_t index = 0; round % 4 == 0 && index < 64; index++) {
      Entry cancel = entry_of(Opcode::cancel);
      cancel.argument = slots[index];
      cancel.argument_extra = rig.generation_of(slots[index]);
      rig.queue(cancel);
    }
    if (round % 4 == 1) rig.queue(on_descriptor(Opcode::cancel_descriptor, files[0]));
    if (round % 4 == 2) rig.queue(entry_of(Opcode::cancel_all));
    for (const int32_t file : files) rig.queue(on_descriptor(Opcode::close, file));
    rig.run();
    REQUIRE_EQUAL(ended, 64);
  }
  rig.check_idle();
}

}  // namespace native_tests
