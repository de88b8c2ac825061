// Receives into the area, from the completion of 32 bytes to the reports for the engine and
// JavaScript. The test plays the kernel's completions and its reading of the refill ring, so that
// all of it runs everywhere.
#include "backend/zcrx/receives.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "engine/buffer_groups.h"
#include "support.h"

namespace native_tests {

using io::Completed;
using io::Operation;
using io::Zcrx;
using io::ZcrxReceives;
using Step = io::ZcrxReceives::Step;
namespace uapi = io::uapi;

namespace {

constexpr size_t page = 4096;
constexpr uint32_t refill_entries = 8;
constexpr uint64_t token = uint64_t{5} << uapi::zcrx_area_shift;

// A registration that no kernel knows of, and both directions of it.
struct Played {
  explicit Played(uint32_t pages = 4, uint32_t capacity = 16)
      : refill(std::make_unique<uint64_t[]>(refill_bytes / sizeof(uint64_t))),
        area_bytes(pages * page) {
    void* mapped =
        mmap(nullptr, area_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapped != MAP_FAILED);
    area = static_cast<uint8_t*>(mapped);
    Zcrx::Registered registered;
    registered.queue.refill_entries = refill_entries;
    registered.queue.offsets.tail = 4;
    registered.queue.offsets.entries = 64;
    registered.token = token;
    registered.area = area;
    registered.area_bytes = area_bytes;
    registered.refill = reinterpret_cast<uint8_t*>(refill.get());
    registered.refill_bytes = refill_bytes;
    receives =
        std::make_unique<ZcrxReceives>(std::make_unique<Zcrx>(registered), io::BackingStore());
    REQUIRE_EQUAL(receives->add_group(3, capacity), 0);
  }
  ~Played() {
    receives->ring_closed();
    munmap(area, area_bytes);
  }

  void start(Operation& operation, int64_t limit_bytes = 0) {
    operation.opcode = Opcode::receive_multishot;
    operation.argument = 3;
    operation.extent = limit_bytes;
    operation.left_bytes = limit_bytes;
    restart(operation);
  }
  void restart(Operation& operation) { receives->prepare(operation, entry); }

  // A completion: bytes at an offset, or an end.
  Step bytes(Operation& operation, uint64_t offset, int32_t size_bytes) {
    return take(operation, size_bytes, IORING_CQE_F_MORE, token | offset);
  }
  Step end(Operation& operation, int32_t result) { return take(operation, result, 0, 0); }

  // The kernel's action when it needs memory.
  void read_refills() { words()[0] = words()[1]; }
  uint32_t refilled() { return words()[1]; }
  uint32_t* words() { return reinterpret_cast<uint32_t*>(refill.get()); }

  static constexpr size_t refill_bytes = 64 + refill_entries * sizeof(uapi::ZcrxRefill);
  std::unique_ptr<uint64_t[]> refill;
  size_t area_bytes;
  uint8_t* area;
  std::unique_ptr<ZcrxReceives> receives;
  io_uring_sqe entry;
  Completed reported = {};

 private:
  Step take(Operation& operation, int32_t result, uint32_t flags, uint64_t place) {
    uint64_t memory[4] = {0, static_cast<uint32_t>(result) | uint64_t{flags} << 32, place, 0};
    return receives->take(operation, reinterpret_cast<const io_uring_cqe&>(memory), reported);
  }
};

// The area has its group already.
struct LentArea final : io::Area {
  explicit LentArea(ZcrxReceives& receives) : receives(receives) {}
  int add_group(uint32_t, uint32_t) override { return 0; }
  uint32_t offset_of(uint32_t chunk) const override { return receives.offset_of(chunk); }
  bool release_chunk(uint32_t chunk) override { return receives.release_chunk(chunk); }
  ZcrxReceives& receives;
};

// The part of a backend that the engine's groups know.
struct Taker final : io::BufferProvider {
  explicit Taker(ZcrxReceives& receives) : held(receives) { area_ = &held; }
  int add_group(uint32_t, uint32_t, io::GroupContent) override { return 0; }
  void provide(uint32_t, uint32_t, uint8_t*, uint32_t) override {
    fail(__FILE__, __LINE__, "given");
  }
  void remove_group(uint32_t) override {}
  LentArea held;
};

}  // namespace

NATIVE_TEST(area_receive_brings_chunks) {
  Played played;
  Operation operation;
  played.start(operation);
  REQUIRE(played.receives->serves(operation));
  REQUIRE(played.bytes(operation, 2 * page, 700) == Step::report);
  REQUIRE_EQUAL(played.reported.result, 700);
  REQUIRE(played.reported.more);
  const uint32_t first = played.reported.buffer_id;
  REQUIRE_EQUAL(played.receives->offset_of(first), 2 * page);
  REQUIRE(played.bytes(operation, 2 * page + 700, 1) == Step::report);
  REQUIRE(played.reported.buffer_id != first);
  REQUIRE_EQUAL(played.receives->offset_of(played.reported.buffer_id), 2 * page + 700);
  // Once, and in the round after.
  REQUIRE(played.receives->release_chunk(first));
  REQUIRE(!played.receives->release_chunk(first));
  REQUIRE(!played.receives->release_chunk(UINT32_MAX));
  REQUIRE_EQUAL(played.refilled(), 0);
  played.receives->refill();
  REQUIRE_EQUAL(played.refilled(), 1);
  REQUIRE(played.end(operation, 0) == Step::report);
  REQUIRE_EQUAL(played.reported.result, 0);
  REQUIRE(!played.reported.more);
  REQUIRE_EQUAL(played.reported.buffer_id, io::no_buffer_id);
  const io::AreaCounters counters = played.receives->counters();
  REQUIRE_EQUAL(counters.chunks, 2);
  REQUIRE_EQUAL(counters.bytes, 701);
  REQUIRE_EQUAL(counters.held, 1);
}

NATIVE_TEST(area_receive_ends_as_others_do) {
  Played played;
  Operation operation;
  const auto ends = [&](int32_t result) {
    played.start(operation);
    REQUIRE(played.end(operation, result) == Step::report);
    return played.reported.result;
  };
  REQUIRE_EQUAL(ends(0), 0);
  REQUIRE_EQUAL(ends(-EINTR), -ECANCELED);
  REQUIRE_EQUAL(ends(-ECANCELED), -ECANCELED);
  REQUIRE_EQUAL(ends(-ECONNRESET), -ECONNRESET);
  REQUIRE_EQUAL(played.receives->counters().refused, 0);
  REQUIRE_EQUAL(ends(-EPROTONOSUPPORT), -EPROTONOSUPPORT);
  REQUIRE_EQUAL(ends(-ENOMEM), -ENOMEM);  // no chunk is held: the device has all of the area
  REQUIRE_EQUAL(played.receives->counters().refused, 2);
}

NATIVE_TEST(area_receive_knows_its_limit_from_the_end) {
  Played played;
  Operation operation;
  played.start(operation, 1000);
  REQUIRE_EQUAL(played.entry.len, 1000);
  played.bytes(operation, 0, 600);
  // The completion queue was full: the rest of the limit is asked for.
  REQUIRE(played.end(operation, -ENOSPC) == Step::again);
  played.restart(operation);
  REQUIRE_EQUAL(played.entry.len, 400);
  played.bytes(operation, page, 400);
  REQUIRE(played.end(operation, 0) == Step::report);
  REQUIRE_EQUAL(played.reported.result, -ENOBUFS);
  // The end of the stream comes before the limit is reached.
  played.start(operation, 1000);
  played.bytes(operation, 2 * page, 999);
  REQUIRE(played.end(operation, 0) == Step::report);
  REQUIRE_EQUAL(played.reported.result, 0);
  // Without a limit 0 is always the end, and a full queue never is.
  played.start(operation);
  played.bytes(operation, 3 * page, 10);
  REQUIRE(played.end(operation, -ENOSPC) == Step::again);
  played.restart(operation);
  REQUIRE_EQUAL(played.entry.len, 0);
  REQUIRE(played.end(operation, 0) == Step::report);
  REQUIRE_EQUAL(played.reported.result, 0);
}

NATIVE_TEST(area_that_is_held_is_back_pressure) {
  Played played(1);
  Operation operation;
  played.start(operation);
  played.bytes(operation, 0, page);
  const uint32_t chunk = played.reported.buffer_id;
  REQUIRE(played.end(operation, -ENOMEM) == Step::report);
  REQUIRE_EQUAL(played.reported.result, -ENOBUFS);
  REQUIRE_EQUAL(played.receives->counters().refused, 0);
  REQUIRE(played.receives->release_chunk(chunk));
  // The next receive finds it in the refill ring, whichever it is and without a round between.
  played.restart(operation);
  REQUIRE_EQUAL(played.refilled(), 1);
  played.read_refills();
  REQUIRE(played.bytes(operation, 0, 5) == Step::report);
  REQUIRE(played.end(operation, -ECANCELED) == Step::report);
}

NATIVE_TEST(area_with_more_chunks_than_numbers) {
  Played played(4, 3);
  Operation operation;
  played.start(operation);
  std::set<uint32_t> numbers;
  for (uint64_t at = 0; at < 3; at++) {
    REQUIRE(played.bytes(operation, at * 100, 100) == Step::report);
    numbers.insert(played.reported.buffer_id);
  }
  REQUIRE_EQUAL(numbers.size(), 3);
  REQUIRE_EQUAL(*numbers.rbegin(), 2);
  // Bytes that cannot be reported end the stream, whatever still comes and however it ends.
  REQUIRE(played.bytes(operation, 300, 100) == Step::cancel);
  REQUIRE(played.receives->release_chunk(1));
  REQUIRE(played.bytes(operation, 400, 100) == Step::cancel);
  REQUIRE(played.end(operation, -ECANCELED) == Step::report);
  REQUIRE_EQUAL(played.reported.result, -EOVERFLOW);
  REQUIRE_EQUAL(played.receives->counters().held, 2);
  played.receives->refill();
  REQUIRE_EQUAL(played.refilled(), 3);
  // The next one is as good as any.
  played.start(operation);
  REQUIRE(played.bytes(operation, page, 100) == Step::report);
  REQUIRE_EQUAL(played.reported.buffer_id, 1);
  REQUIRE(played.end(operation, 0) == Step::report);
  REQUIRE_EQUAL(played.reported.result, 0);
}

NATIVE_TEST(area_belongs_to_one_group) {
  Played played;
  Operation operation;
  operation.opcode = Opcode::receive_multishot;
  operation.argument = 4;
  REQUIRE(!played.receives->serves(operation));
  REQUIRE_EQUAL(played.receives->add_group(4, 1), -EBUSY);
  played.receives->remove_group();
  operation.argument = 3;
  REQUIRE(!played.receives->serves(operation));
  REQUIRE_EQUAL(played.receives->add_group(4, 1), 0);
}

NATIVE_TEST(area_group_reports_places_and_takes_each_return_once) {
  Played played(4, 8);
  Taker taker(*played.receives);
  io::Buffers buffers;
  io::BufferGroups groups(buffers, taker);
  std::vector<uint32_t> words(1 + 2 * 8);
  REQUIRE_EQUAL(groups.add_area(words.data(), 0, io::BackingStore()), -EINVAL);
  REQUIRE_EQUAL(groups.add_area(words.data(), io::abi::max_chunks + 1, io::BackingStore()),
                -EINVAL);
  const int32_t handle = groups.add_area(words.data(), 8, io::BackingStore());
  REQUIRE(handle >= 0);
  const auto group = static_cast<uint32_t>(handle);
  REQUIRE(groups.is_area(group));
  REQUIRE(!groups.has(group, io::GroupContent::message));
  const uint32_t buffer = buffers.add(played.area, page, io::BackingStore());
  REQUIRE_EQUAL(groups.provide_buffers(group, buffer, 0, 64, 64, 1), -EINVAL);
  Operation operation;
  played.start(operation);
  std::vector<uint32_t> chunks;
  for (const uint64_t offset : {uint64_t{0}, uint64_t{100}, uint64_t{3 * page + 7}}) {
    REQUIRE(played.bytes(operation, offset, 50) == Step::report);
    const uint32_t flags =
        groups.mark_held(group, played.reported.buffer_id, played.reported.buffer_open);
    REQUIRE((flags & io::abi::completion_flag_buffer) != 0);
    REQUIRE((flags & io::abi::completion_flag_open) == 0);
    chunks.push_back(flags >> io::abi::completion_buffer_shift);
    REQUIRE_EQUAL(words[1 + 8 + chunks.back()], offset);
  }
  REQUIRE_EQUAL(groups.held(), 3);
  // Held, twice, never held, beyond the numbers; and nothing believes values that are written over
  // the places.
  const uint32_t returned[] = {chunks[0], chunks[0], 7, 8, UINT32_MAX, chunks[2]};
  words[0] = 6;
  std::copy(std::begin(returned), std::end(returned), words.begin() + 1);
  words[1 + 8 + chunks[2]] = 12345;
  groups.take_returned();
  REQUIRE_EQUAL(words[0], 0);
  REQUIRE_EQUAL(groups.refused(), 4);
  REQUIRE_EQUAL(groups.held(), 1);
  played.receives->refill();
  REQUIRE_EQUAL(played.refilled(), 2);
  const auto* refills = reinterpret_cast<const uapi::ZcrxRefill*>(played.refill.get() + 8);
  REQUIRE_EQUAL(refills[0].offset, token);
  REQUIRE_EQUAL(refills[1].offset, token | (3 * page + 7));
  // A count beyond the list ends at the list.
  words[0] = UINT32_MAX;
  groups.take_returned();
  REQUIRE_EQUAL(words[0], 0);
  REQUIRE_EQUAL(played.end(operation, -ECANCELED) == Step::report, true);
  REQUIRE_EQUAL(groups.remove(group), 0);
  REQUIRE_EQUAL(groups.held(), 0);
}

}  // namespace native_tests
