// Buffers and Descriptors: handles and numbers that are wild, stale or used up.
#include <cmath>
#include <limits>

#include "engine/descriptors.h"
#include "engine/operation_table.h"
#include "support.h"
#include "support/fifo.h"

namespace native_tests {

using io::Buffer;
using io::Buffers;
using io::Descriptors;

NATIVE_TEST(buffer_bounds) {
  Buffers buffers;
  Memory memory(1000);
  const uint32_t handle = buffers.add(memory.bytes.get(), 1000, io::BackingStore());
  Buffer& buffer = *buffers.find(handle);
  const auto start_of = [&](double offset, double length) -> int64_t {
    uint8_t* address = nullptr;
    if (!Buffers::resolve(buffer, offset, length, address)) return -1;
    return address - memory.bytes.get();
  };
  REQUIRE_EQUAL(start_of(0, 1000), 0);
  REQUIRE_EQUAL(start_of(999, 1), 999);
  REQUIRE_EQUAL(start_of(1000, 0), 1000);
  REQUIRE_EQUAL(start_of(0.5, 0), 0);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  const double wild[] = {NAN,          -NAN,  infinity, -infinity,         -1, -tiny, 1001,
                         4294967296.0, 1e300, -1e300,   9007199254740993.0};
  for (const double value : wild) {
    REQUIRE_EQUAL(start_of(value, 0), -1);
    REQUIRE_EQUAL(start_of(0, value), -1);
    REQUIRE_EQUAL(start_of(value, value), -1);
    REQUIRE_EQUAL(start_of(1000, value), -1);
  }
  // A fraction may not stretch a buffer past the end.
  for (double offset = 999.001; offset < 1000.5; offset += 0.001) {
    REQUIRE_EQUAL(start_of(offset, 1), -1);
  }
}

NATIVE_TEST(buffer_fractions_stay_inside) {
  Buffers buffers;
  Memory memory(1000);
  const uint32_t handle = buffers.add(memory.bytes.get(), 1000, io::BackingStore());
  Random random(seed());
  for (int round = 0; round < 500'000; round++) {
    const double offset = random.below(1'001'000) / 1000.0;
    const double length = random.below(1'001'000) / 1000.0;
    uint8_t* address = nullptr;
    if (!Buffers::resolve(*buffers.find(handle), offset, length, address)) continue;
    REQUIRE(address >= memory.bytes.get());
    REQUIRE(address + static_cast<size_t>(length) <= memory.bytes.get() + 1000);
  }
}

NATIVE_TEST(buffer_released_in_flight) {
  Buffers buffers;
  Memory memory(64);
  const uint32_t handle = buffers.add(memory.bytes.get(), 64, io::BackingStore());
  buffers.begin(handle);
  buffers.begin(handle);
  REQUIRE(buffers.release(handle));
  REQUIRE(buffers.find(handle) == nullptr);
  REQUIRE(!buffers.release(handle));
  REQUIRE_EQUAL(buffers.count(), 1);
  // The place is not given out while an operation uses it.
  const uint32_t other = buffers.add(memory.bytes.get(), 64, io::BackingStore());
  constexpr uint32_t index_mask = Buffers::limit - 1;
  REQUIRE((other & index_mask) != (handle & index_mask));
  buffers.finish(handle);
  REQUIRE_EQUAL(buffers.count(), 2);
  buffers.finish(handle);
  REQUIRE_EQUAL(buffers.count(), 1);
  const uint32_t third = buffers.add(memory.bytes.get(), 64, io::BackingStore());
  REQUIRE_EQUAL(third & index_mask, handle & index_mask);
  REQUIRE(third != handle);
  REQUIRE(buffers.find(handle) == nullptr);
}

NATIVE_TEST(buffer_generations) {
  Buffers buffers;
  Memory memory(8);
  std::vector<uint32_t> seen;
  for (int round = 0; round < 30'000; round++) {
    const uint32_t handle = buffers.add(memory.bytes.get(), 8, io::BackingStore());
    // JavaScript sees it as a signed number, of which -1 means none.
    REQUIRE(static_cast<int32_t>(handle) >= 0);
    for (size_t back = 1; back <= 5 && back <= seen.size(); back++) {
      REQUIRE(buffers.find(seen[seen.size() - back]) == nullptr);
    }
    seen.push_back(handle);
    REQUIRE(buffers.release(handle));
  }
  REQUIRE_EQUAL(buffers.count(), 0);
  REQUIRE_EQUAL(buffers.size_bytes(), 0);
}

NATIVE_TEST(operation_table_grows_and_never_moves) {
  constexpr uint32_t limit = 2 * io::OperationTable::chunk_length + 7;
  io::OperationTable table(limit);
  std::vector<const io::Operation*> places;
  do {
    for (auto slot = static_cast<uint32_t>(places.size()); slot < table.size(); slot++) {
      REQUIRE_EQUAL(table[slot].slot, slot);
      places.push_back(&table[slot]);
    }
  } while (table.grow());
  REQUIRE_EQUAL(table.size(), limit);
  REQUIRE(!table.grow());
  uint32_t visited = 0;
  table.each([&](const io::Operation& operation) { REQUIRE(&operation == places[visited++]); });
  REQUIRE_EQUAL(visited, limit);
  // A limit below the length of a chunk is one, too.
  io::OperationTable small(3);
  REQUIRE_EQUAL(small.size(), 3);
  REQUIRE(!small.grow());
}

NATIVE_TEST(buffer_limit) {
  Buffers buffers;
  Memory memory(8);
  for (uint32_t count = 0; count < Buffers::limit; count++) {
    REQUIRE(buffers.add(memory.bytes.get(), 8, io::BackingStore()) != UINT32_MAX);
  }
  REQUIRE_EQUAL(buffers.add(memory.bytes.get(), 8, io::BackingStore()), UINT32_MAX);
  REQUIRE_EQUAL(buffers.count(), Buffers::limit);
  REQUIRE(buffers.release(7));
  REQUIRE(buffers.add(memory.bytes.get(), 8, io::BackingStore()) != UINT32_MAX);
}

NATIVE_TEST(buffer_wild_handles) {
  Buffers buffers;
  Memory memory(8);
  for (int count = 0; count < 3; count++) buffers.add(memory.bytes.get(), 8, io::BackingStore());
  Random random(seed());
  for (int round = 0; round < 1'000'000; round++) {
    const uint32_t handle = static_cast<uint32_t>(random.next());
    const Buffer* found = buffers.find(handle);
    REQUIRE((found != nullptr) == (handle < 3));
  }
}

NATIVE_TEST(descriptor_stale_and_reuse) {
  Descriptors descriptors;
  const int32_t first = descriptors.add(42);
  REQUIRE(first > 0);
  REQUIRE_EQUAL(Descriptors::number(first), 42);
  REQUIRE(descriptors.find(first) != nullptr);
  descriptors.remove(42);
  REQUIRE(descriptors.find(first) == nullptr);
  std::vector<int32_t> old = {first};
  // One less than all generations: the first value must not have come again.
  for (uint32_t round = 1; round < io::abi::descriptor_generation_limit; round++) {
    const int32_t again = descriptors.add(42);
    REQUIRE(again > 0);
    REQUIRE(again != first);
    REQUIRE(descriptors.find(again) != nullptr);
    REQUIRE(descriptors.find(old.back()) == nullptr);
    old.push_back(again);
    descriptors.remove(42);
  }
  REQUIRE_EQUAL(descriptors.count(), 0);
}

NATIVE_TEST(descriptor_limits_and_wild_values) {
  Descriptors descriptors;
  REQUIRE_EQUAL(descriptors.add(Descriptors::number_limit), -EMFILE);
  REQUIRE_EQUAL(descriptors.add(INT32_MAX), -EMFILE);
  const int32_t last = descriptors.add(Descriptors::number_limit - 1);
  REQUIRE(last > 0);
  REQUIRE(descriptors.find(last) != nullptr);
  const int32_t zero = descriptors.add(0);
  REQUIRE(zero > 0);
  Random random(seed());
  for (int round = 0; round < 1'000'000; round++) {
    const int32_t value = static_cast<int32_t>(random.next());
    REQUIRE((descriptors.find(value) != nullptr) == (value == last || value == zero));
  }
  for (const int32_t value : {-1, 0, 1, INT32_MIN, INT32_MAX - 1}) {
    REQUIRE(descriptors.find(value) == nullptr);
  }
}

NATIVE_TEST(descriptor_receive_state_is_not_inherited) {
  Descriptors descriptors;
  descriptors.add(5);
  descriptors.at(5).receive_empty = true;
  descriptors.at(5).closing = true;
  descriptors.remove(5);
  descriptors.add(5);
  REQUIRE(!descriptors.at(5).receive_empty);
  REQUIRE(!descriptors.at(5).closing);
}

NATIVE_TEST(a_line_that_is_never_empty_does_not_grow) {
  io::Fifo<uint32_t> line;
  uint32_t pushed = 0;
  uint32_t popped = 0;
  const auto push = [&](uint32_t count) {
    for (uint32_t index = 0; index < count; index++) line.push(pushed++);
  };
  for (const uint32_t length : {1u, 100u, 5000u}) {
    push(length);
    // Long enough that a thousand times as many values have left it as are in it.
    for (uint32_t round = 0; round < 1000 * 1000; round++) {
      push(1);
      REQUIRE_EQUAL(line.pop(), popped++);
    }
    REQUIRE(line.held() <= 2 * (pushed - popped) + 4096);
  }
  uint32_t expected = popped;
  line.each([&](uint32_t value) { REQUIRE_EQUAL(value, expected++); });
  REQUIRE_EQUAL(expected, pushed);
  while (popped < pushed) REQUIRE_EQUAL(line.pop(), popped++);
  REQUIRE(line.empty());
}

}  // namespace native_tests
