// decode() over entries that no program would write: millions of them, random and mutated. It may
// refuse or accept, but an accepted entry lies inside the memory that it was given.
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "engine/decode.h"
#include "support.h"
#include "system/address.h"

namespace native_tests {

namespace {

using io::DecodeContext;
using io::Operation;
using io::abi::Entry;
using io::abi::VectorEntry;

constexpr size_t sizes_bytes[] = {1, 8, 104, 4096, 65536};

struct TakesAll final : io::BufferProvider {
  int add_group(uint32_t, uint32_t, io::GroupContent) override { return 0; }
  void provide(uint32_t, uint32_t, uint8_t*, uint32_t) override {}
  void remove_group(uint32_t) override {}
};

// A small world: buffers of many sizes, some descriptors, and a text area whose end is watched.
struct World {
  io::Buffers buffers;
  io::Descriptors descriptors;
  TakesAll backend;
  io::BufferGroups groups{buffers, backend};
  uint32_t returned[4] = {};
  uint32_t group = 0;
  uint32_t message_group = 0;
  std::vector<Memory> memories;
  std::vector<uint32_t> handles;
  std::vector<int32_t> open;
  Memory text{io::abi::text_size_bytes};

  World() {
    for (const size_t size_bytes : sizes_bytes) {
      memories.emplace_back(size_bytes);
      handles.push_back(buffers.add(memories.back().bytes.get(), size_bytes, io::BackingStore()));
    }
    for (const int number : {3, 4, 9, 70000}) open.push_back(descriptors.add(number));
    group = static_cast<uint32_t>(groups.add(returned, 3, io::BackingStore()));
    message_group = static_cast<uint32_t>(
        groups.add(returned, 3, io::BackingStore(), io::GroupContent::message));
  }

  bool inside(const uint8_t* address, size_t length) const {
    for (size_t index = 0; index < memories.size(); index++) {
      const uint8_t* start = memories[index].bytes.get();
      if (address >= start && address + length <= start + sizes_bytes[index]) return true;
    }
    return false;
  }

  DecodeContext context() { return {buffers, descriptors, groups, text.bytes.get(), unref}; }
  uint32_t unref = 0;
};

bool moves_memory(Opcode opcode) {
  return opcode == Opcode::read || opcode == Opcode::write || opcode == Opcode::send ||
         opcode == Opcode::receive || opcode == Opcode::peek;
}

void check_vectors(const World& world, const io::Extra& extra) {
  REQUIRE(extra.vectors.size() <= io::abi::vector_limit);
  for (const iovec& vector : extra.vectors) {
    REQUIRE(world.inside(static_cast<uint8_t*>(vector.iov_base), vector.iov_len));
  }
}

// The header of a message for the kernel: its memory, and an address that lies in the operation.
void check_message(const World& world, const Operation& operation) {
  const io::Extra& extra = *operation.extra;
  check_vectors(world, extra);
  REQUIRE(extra.message.msg_iov == extra.vectors.data());
  REQUIRE_EQUAL(extra.message.msg_iovlen, extra.vectors.size());
  REQUIRE(extra.message.msg_control == nullptr);
  REQUIRE(extra.message.msg_namelen <= sizeof(extra.address));
  const bool named = extra.message.msg_name == &extra.address;
  REQUIRE(named || (extra.message.msg_name == nullptr && extra.message.msg_namelen == 0));
  if (operation.opcode != Opcode::send_message) {
    REQUIRE(named);
    REQUIRE(world.inside(extra.peer, io::abi::peer_size_bytes));
  }
}

void check_accepted(const World& world, const Operation& operation) {
  if (moves_memory(operation.opcode)) {
    REQUIRE(world.inside(operation.address, operation.length));
  }
  if (operation.opcode == Opcode::stat) {
    REQUIRE(world.inside(operation.address, io::abi::stat_fields * sizeof(double)));
    REQUIRE_EQUAL(reinterpret_cast<uintptr_t>(operation.address) % sizeof(double), 0);
  }
  const bool vectored =
      operation.opcode == Opcode::read_vectored || operation.opcode == Opcode::write_vectored ||
      operation.opcode == Opcode::send_vectored || operation.opcode == Opcode::receive_vectored;
  if (vectored) check_vectors(world, *operation.extra);
  if (operation.opcode == Opcode::send_message || operation.opcode == Opcode::receive_message ||
      operation.opcode == Opcode::peek_message) {
    check_message(world, operation);
  }
  if (operation.opcode == Opcode::receive_multishot) {
    REQUIRE_EQUAL(operation.argument, world.group);
    REQUIRE(operation.extent >= 0 && operation.extent <= INT32_MAX);
    REQUIRE(!operation.has_deadline && !operation.is_linked());
  }
  if (operation.opcode == Opcode::receive_message_multishot) {
    REQUIRE_EQUAL(operation.argument, world.message_group);
    REQUIRE(operation.extra->more_buffers.empty() && operation.extra->message.msg_iov == nullptr);
    REQUIRE(!operation.has_deadline && !operation.is_linked());
  }
  if (operation.opcode == Opcode::utimes || operation.opcode == Opcode::futimes) {
    for (const timespec& time : operation.extra->times) {
      REQUIRE(time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000);
    }
  }
  if (operation.opcode == Opcode::copy_file) {
    REQUIRE(operation.argument <= io::abi::copy_flags_all);
  }
  REQUIRE(operation.zero_copy_mode <= io::abi::zero_copy_always);
  if (operation.has_deadline) REQUIRE(operation.deadline_ns >= 0);
  REQUIRE(operation.offset >= -1);
  REQUIRE(operation.number == io::no_descriptor || operation.number >= 3);
}

// Decodes, checks, and gives everything back. Returns whether it was accepted.
bool try_entry(World& world, const Entry& entry, Operation& operation) {
  const int error = io::decode(entry, world.context(), operation);
  REQUIRE(error <= 0);
  if (error != 0) return false;
  check_accepted(world, operation);
  io::let_go(world.context(), operation);
  return true;
}

void check_released(World& world) {
  for (const uint32_t handle : world.handles) {
    REQUIRE_EQUAL(world.buffers.find(handle)->in_flight, 0);
  }
  for (const int32_t value : world.open) {
    REQUIRE(!world.descriptors.find(value)->has_work());
  }
  REQUIRE_EQUAL(world.groups.find(world.group)->in_flight, 0);
  REQUIRE_EQUAL(world.groups.find(world.message_group)->in_flight, 0);
}

double wild_double(Random& random) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double favourites[] = {0,
                               -0.0,
                               1,
                               -1,
                               0.5,
                               8,
                               65536,
                               65535,
                               4096,
                               NAN,
                               1e300,
                               -1e300,
                               infinity,
                               -infinity,
                               4294967295.0,
                               4294967296.0,
                               9007199254740991.0,
                               9007199254740992.0,
                               1e18};
  if (random.one_in(3)) return random.below(70000);
  if (random.one_in(2)) return favourites[random.below(std::size(favourites))];
  const uint64_t bits = random.next();
  double value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

uint32_t wild_word(Random& random) {
  const uint32_t favourites[] = {0,     1,          2,          3,          8,          104,
                                 1023,  1024,       1025,       4096,       65535,      65536,
                                 65537, 0x7fffffff, 0x80000000, 0xffffffff, 0x7ffff000, 0x7ffff001};
  return random.one_in(2) ? favourites[random.below(std::size(favourites))]
                          : static_cast<uint32_t>(random.next());
}

// An entry that is likely to be accepted, for any operation.
Entry plausible_entry(World& world, Random& random) {
  Entry entry = {};
  entry.operation = random.below(io::abi::max_operation + 2);
  if (random.one_in(8)) entry.operation |= 0x100u << random.below(2);
  entry.descriptor = world.open[random.below(static_cast<uint32_t>(world.open.size()))];
  entry.buffer = world.handles[random.below(static_cast<uint32_t>(world.handles.size()))];
  entry.length = random.below(10);
  entry.buffer_offset = random.below(100) * 8;
  entry.offset = random.below(1000);
  entry.extent = random.below(1000);
  entry.deadline_ns = random.below(1000);
  entry.argument = random.below(4);
  entry.argument_extra = random.below(600);
  return entry;
}

void mutate(Entry& entry, World& world, Random& random) {
  switch (random.below(10)) {
    case 0:
      entry.operation = wild_word(random);
      break;
    case 1:
      entry.descriptor = static_cast<int32_t>(wild_word(random));
      break;
    case 2:
      entry.buffer = wild_word(random);
      break;
    case 3:
      entry.length = wild_word(random);
      break;
    case 4:
      entry.buffer_offset = wild_double(random);
      break;
    case 5:
      entry.offset = wild_double(random);
      break;
    case 6:
      entry.extent = wild_double(random);
      break;
    case 7:
      entry.deadline_ns = wild_double(random);
      break;
    case 8:
      entry.argument = wild_word(random);
      break;
    default: {
      const double words[] = {static_cast<double>(world.handles[random.below(5)]),
                              wild_double(random), wild_double(random)};
      std::memcpy(world.text.bytes.get() + random.below(65536 - 24) / 8 * 8, words, 24);
    }
  }
}

}  // namespace

NATIVE_TEST(decode_random_bytes) {
  World world;
  Random random(seed());
  Operation operation;
  for (int round = 0; round < 2'000'000; round++) {
    uint64_t words[sizeof(Entry) / 8];
    for (uint64_t& word : words) word = random.next();
    Entry entry;
    std::memcpy(&entry, words, sizeof(entry));
    try_entry(world, entry, operation);
    entry.operation &= 0x33f;
    try_entry(world, entry, operation);
  }
  check_released(world);
}

NATIVE_TEST(decode_mutated_entries) {
  World world;
  Random random(seed());
  Operation operation;
  int accepted = 0;
  for (int round = 0; round < 2'000'000; round++) {
    Entry entry = plausible_entry(world, random);
    for (uint32_t changes = random.below(3); changes > 0; changes--) mutate(entry, world, random);
    accepted += try_entry(world, entry, operation) ? 1 : 0;
  }
  // Otherwise nothing was tested.
  REQUIRE(accepted > 100'000);
  check_released(world);
}

NATIVE_TEST(decode_vectors) {
  World world;
  Random random(seed());
  Operation operation;
  int accepted = 0;
  for (int round = 0; round < 20'000; round++) {
    const uint32_t count = random.one_in(50) ? 1024 : random.below(20);
    for (uint32_t index = 0; index < count; index++) {
      const uint32_t which = random.below(5);
      VectorEntry vector = {static_cast<double>(world.handles[which]), 0,
                            static_cast<double>(sizes_bytes[which])};
      if (random.one_in(40)) vector.buffer = wild_double(random);
      if (random.one_in(40)) vector.offset = wild_double(random);
      if (random.one_in(40)) vector.length = wild_double(random);
      std::memcpy(world.text.bytes.get() + index * sizeof(vector), &vector, sizeof(vector));
    }
    Entry entry = plausible_entry(world, random);
    const Opcode opcodes[] = {Opcode::read_vectored, Opcode::write_vectored, Opcode::send_vectored};
    entry.operation = static_cast<uint32_t>(opcodes[random.below(3)]);
    entry.length = count;
    entry.buffer_offset = 0;
    accepted += try_entry(world, entry, operation) ? 1 : 0;
  }
  REQUIRE(accepted > 1000);
  check_released(world);
}

// The length that the buffers of a vector have together is cut to the length that one call moves on
// every system.
NATIVE_TEST(decode_cuts_long_vectors) {
  World world;
  Operation operation;
  // Only named, never touched.
  constexpr double size_bytes = 3.0 * (1u << 30);
  const uint32_t handle = world.buffers.add(nullptr, static_cast<size_t>(size_bytes), {});
  const VectorEntry pieces[] = {{static_cast<double>(handle), 0, 8192},
                                {static_cast<double>(handle), 0, size_bytes},
                                {static_cast<double>(handle), 0, 1}};
  std::memcpy(world.text.bytes.get(), pieces, sizeof(pieces));
  Entry entry = entry_of(Opcode::write_vectored);
  entry.descriptor = world.open[0];
  entry.length = 3;
  REQUIRE_EQUAL(io::decode(entry, world.context(), operation), 0);
  const std::vector<iovec>& vectors = operation.extra->vectors;
  REQUIRE_EQUAL(vectors.size(), 3);
  REQUIRE_EQUAL(vectors[0].iov_len, 8192);
  REQUIRE_EQUAL(vectors[1].iov_len, io::abi::transfer_limit_bytes - 8192);
  REQUIRE_EQUAL(vectors[2].iov_len, 0);
  io::let_go(world.context(), operation);
  check_released(world);
}

// Messages to records that are mostly right: a wrong length, family or path must not reach the
// kernel, nor a byte beyond the length.
NATIVE_TEST(decode_messages) {
  World world;
  Random random(seed());
  Operation operation;
  int accepted = 0;
  for (int round = 0; round < 500'000; round++) {
    const uint32_t lengths[] = {4, 16, 1 + random.below(107)};
    const uint32_t kind = random.below(3);
    uint32_t record[io::abi::peer_size_bytes / 4];
    for (uint32_t& word : record) word = static_cast<uint32_t>(random.next());
    record[io::abi::peer_family] = io::abi::family_ipv4 + kind;
    record[io::abi::peer_port] = random.below(65536);
    record[io::abi::peer_length] = lengths[kind];
    if (random.one_in(4)) record[random.below(4)] = wild_word(random);
    const uint32_t start = random.one_in(4) ? 65536 - sizeof(record) : random.below(1000);
    std::memcpy(world.text.bytes.get() + start, record, sizeof(record));
    Entry entry = plausible_entry(world, random);
    const bool sends = random.one_in(2);
    entry.operation = static_cast<uint32_t>(sends ? Opcode::send_message : Opcode::receive_message);
    entry.offset = random.one_in(8) ? -1 : start;
    entry.argument = sends ? 0 : world.handles[random.below(5)];
    if (random.one_in(3)) mutate(entry, world, random);
    accepted += try_entry(world, entry, operation) ? 1 : 0;
  }
  REQUIRE(accepted > 50'000);
  check_released(world);
}

// The cid and the port of a vsock address have 32 bits each; the cid comes as a decimal number.
NATIVE_TEST(decode_vsock_addresses) {
  World world;
  Operation operation;
  const auto decoded = [&](const std::string& cid, uint32_t port) {
    std::memcpy(world.text.bytes.get(), cid.data(), cid.size());
    Entry entry = entry_of(Opcode::connect);
    entry.descriptor = world.open[0];
    entry.argument = io::abi::family_vsock;
    entry.argument_extra = port;
    entry.length = static_cast<uint32_t>(cid.size());
    entry.buffer_offset = 0;
    const int error = io::decode(entry, world.context(), operation);
    if (error != 0) return std::to_string(error);
    io::AddressText text;
    const io::Extra& extra = *operation.extra;
    REQUIRE_EQUAL(io::format_address(extra.address, extra.address_size_bytes, text), 0);
    io::let_go(world.context(), operation);
    REQUIRE_EQUAL(text.family, io::abi::family_vsock);
    return text.host + ":" + std::to_string(text.port);
  };
  const std::string refused = std::to_string(-EINVAL);
  REQUIRE(decoded("3", 5000) == "3:5000");
  REQUIRE(decoded("0", 0) == "0:0");
  REQUIRE(decoded("4294967295", 4294967295) == "4294967295:4294967295");
  for (const char* cid : {"", "-1", "4294967296", "3 ", " 3", "0x3", "+3", "3.5"}) {
    REQUIRE(decoded(cid, 5000) == refused);
  }
  Entry entry = entry_of(Opcode::socket);
  entry.argument = io::abi::family_vsock;
  entry.argument_extra = io::abi::socket_kind_seqpacket;
  REQUIRE_EQUAL(io::decode(entry, world.context(), operation), -ESOCKTNOSUPPORT);
  entry.argument_extra = io::abi::socket_kind_stream;
  REQUIRE(try_entry(world, entry, operation));
  check_released(world);
}

// Paths and addresses at the very end of the text area, without an end mark behind them.
NATIVE_TEST(decode_text_at_the_end) {
  World world;
  Operation operation;
  std::memset(world.text.bytes.get(), 'a', io::abi::text_size_bytes);
  for (uint32_t length = 0; length < 300; length++) {
    for (int more = -1; more <= 1; more++) {
      Entry entry = entry_of(Opcode::open);
      entry.length = length;
      entry.buffer_offset = static_cast<double>(io::abi::text_size_bytes - length) + more;
      const bool accepted = try_entry(world, entry, operation);
      REQUIRE(accepted == (more <= 0 && length > 0));
      entry.operation = static_cast<uint32_t>(Opcode::connect);
      entry.descriptor = world.open[0];
      entry.argument = 1 + length % 4;
      try_entry(world, entry, operation);
    }
  }
  Entry entry = entry_of(Opcode::open);
  entry.length = 1;
  for (const double offset : {0.5, -1.0, 65536.0, 1e18, static_cast<double>(NAN)}) {
    entry.buffer_offset = offset;
    REQUIRE(!try_entry(world, entry, operation));
  }
  check_released(world);
}

}  // namespace native_tests
