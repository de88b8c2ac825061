// Provided buffers: received bytes stand in a buffer, which has no other use until it is released,
// and no list that JavaScript writes makes the engine give a buffer to the kernel twice.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "support.h"

namespace native_tests {

using io::abi::Counter;
using io::abi::Entry;

namespace {

constexpr uint32_t held = io::abi::completion_flag_buffer;
constexpr uint32_t more = io::abi::completion_flag_more;
constexpr uint32_t buffer_size_bytes = 64;

uint32_t buffer_of(uint32_t flags) {
  return flags >> io::abi::completion_buffer_shift;
}

// A group as TypeScript has it: its memory, the list of what goes back, and where each buffer ends.
struct Provider {
  Provider(Rig& rig, uint32_t count, uint32_t capacity = 0)
      : rig(rig), memory(count * buffer_size_bytes), returned(std::max(count, capacity) + 1) {
    buffer = rig.add_buffer(memory.bytes.get(), count * buffer_size_bytes);
    const int32_t handle =
        rig.engine->groups().add(returned.data(), std::max(count, capacity), io::BackingStore());
    REQUIRE(handle >= 0);
    group = static_cast<uint32_t>(handle);
    REQUIRE_EQUAL(add(count), 0);
    ends.resize(count);
  }

  int add(uint32_t count) {
    return rig.engine->groups().provide_buffers(group, buffer, 0, buffer_size_bytes,
                                                buffer_size_bytes, count);
  }

  void release(uint32_t buffer_id) {
    if (buffer_id < ends.size()) ends[buffer_id] = 0;
    returned[++returned[0]] = buffer_id;
    rig.shared.header[io::abi::header_returned] = 1;
  }

  // The bytes of a completion.
  std::string take(int32_t result, uint32_t flags) {
    REQUIRE((flags & held) != 0);
    REQUIRE(result > 0);
    const uint32_t buffer_id = buffer_of(flags);
    const size_t start = ends[buffer_id];
    ends[buffer_id] += static_cast<size_t>(result);
    REQUIRE(ends[buffer_id] <= buffer_size_bytes);
    const auto* bytes =
        reinterpret_cast<const char*>(memory.bytes.get()) + buffer_id * buffer_size_bytes;
    return std::string(bytes + start, static_cast<size_t>(result));
  }

  Rig& rig;
  Memory memory;
  std::vector<uint32_t> returned;
  std::vector<size_t> ends;
  uint32_t buffer = 0;
  uint32_t group = 0;
};

struct Stream {
  explicit Stream(Rig& rig) {
    int numbers[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, numbers) == 0);
    near = rig.engine->adopt(numbers[0]);
    far = numbers[1];
  }
  ~Stream() { ::close(far); }
  void write(const std::string& text) {
    REQUIRE_EQUAL(::write(far, text.data(), text.size()), text.size());
  }
  int32_t near;
  int far;
};

Entry receive_entry(int32_t descriptor, uint32_t group, double limit_bytes = 0) {
  Entry entry = on_descriptor(Opcode::receive_multishot, descriptor);
  entry.argument = group;
  entry.extent = limit_bytes;
  return entry;
}

// The completions of a receive so far.
struct Received {
  struct One {
    int32_t result;
    uint32_t flags;
  };
  std::vector<One> all;
  bool ended = false;
  uint32_t slot = 0;

  void start(Rig& rig, const Entry& entry) {
    ended = false;
    slot = rig.queue(entry, [this](int32_t result, uint32_t flags) {
      all.push_back({result, flags});
      ended = (flags & more) == 0;
    });
  }
};

void poll_until(Rig& rig, const std::function<bool()>& done) {
  for (int round = 0; !done(); round++) {
    REQUIRE(round < 1000);
    rig.poll(10'000'000);
  }
}

void cancel(Rig& rig, const Received& received) {
  Entry entry = entry_of(Opcode::cancel);
  entry.argument = received.slot;
  entry.argument_extra = rig.generation_of(received.slot);
  rig.queue(entry);
  poll_until(rig, [&] { return received.ended; });
}

void each_kernel(const std::function<void(RigOptions)>& run) {
  RigOptions options;
  run(options);
  options.oldest_kernel = true;
  run(options);
  // The ring of an IO with an area.
  options.oldest_kernel = false;
  options.wide_completions = true;
  run(options);
}

}  // namespace

NATIVE_TEST(provided_bytes_arrive_in_order) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Provider provider(rig, 8);
    Stream stream(rig);
    Received received;
    received.start(rig, receive_entry(stream.near, provider.group));
    std::string sent;
    std::string got;
    Random random(seed());
    for (int round = 0; round < 500; round++) {
      std::string text;
      for (uint32_t left = 1 + random.below(200); left > 0; left--) {
        text += static_cast<char>('a' + random.below(26));
      }
      stream.write(text);
      sent += text;
      poll_until(rig, [&] {
        for (const auto& one : received.all) {
          got += provider.take(one.result, one.flags);
          if ((one.flags & io::abi::completion_flag_open) == 0)
            provider.release(buffer_of(one.flags));
        }
        received.all.clear();
        return got.size() == sent.size();
      });
    }
    REQUIRE(got == sent);
    REQUIRE(!received.ended);
    cancel(rig, received);
    REQUIRE_EQUAL(received.all.back().result, -ECANCELED);
    REQUIRE_EQUAL(received.all.back().flags, 0);
    REQUIRE_EQUAL(rig.engine->groups().remove(provider.group), 0);
    rig.check_idle();
  });
}

NATIVE_TEST(provided_buffers_run_out_and_come_back) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Provider provider(rig, 4);
    Stream stream(rig);
    Received received;
    received.start(rig, receive_entry(stream.near, provider.group));
    rig.submit();
    stream.write(std::string(4 * buffer_size_bytes + 10, 'x'));
    poll_until(rig, [&] { return received.ended; });
    REQUIRE_EQUAL(received.all.size(), 5);
    REQUIRE_EQUAL(received.all.back().result, -ENOBUFS);
    REQUIRE_EQUAL(rig.counter(Counter::buffers_held), 4);
    std::set<uint32_t> buffer_ids;
    for (int index = 0; index < 4; index++) buffer_ids.insert(buffer_of(received.all[index].flags));
    REQUIRE_EQUAL(buffer_ids.size(), 4);
    // The returned buffer is there for the receive that is queued behind it.
    received.all.clear();
    provider.release(2);
    received.start(rig, receive_entry(stream.near, provider.group));
    poll_until(rig, [&] { return !received.all.empty(); });
    REQUIRE_EQUAL(received.all[0].result, 10);
    REQUIRE_EQUAL(buffer_of(received.all[0].flags), 2);
    cancel(rig, received);
    rig.check_idle();
  });
}

NATIVE_TEST(provided_limit_ends_a_receive) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Provider provider(rig, 16);
    Stream stream(rig);
    stream.write(std::string(10 * buffer_size_bytes, 'x'));
    Received received;
    received.start(rig, receive_entry(stream.near, provider.group, 3 * buffer_size_bytes));
    poll_until(rig, [&] { return received.ended; });
    int32_t total = 0;
    for (const auto& one : received.all) total += one.result;
    REQUIRE_EQUAL(total, 3 * buffer_size_bytes);
    REQUIRE((received.all.back().flags & held) != 0);
    // The next one goes on where it ended: with the bytes there are for one buffer. Where the one
    // before has brought all that it might, this one may fill several, within its limit.
    received.start(rig, receive_entry(stream.near, provider.group, 1));
    poll_until(rig, [&] { return received.ended; });
    const int32_t last = received.all.back().result;
    REQUIRE(last == 1 || last == buffer_size_bytes);
    rig.check_idle();
  });
}

// A unix socket counts unread MSG_OOB bytes, so it says that it has more when it has nothing. A
// receive that believed it would wait with its bytes, and would be reported after one that has
// filled the buffers behind.
NATIVE_TEST(provided_order_holds_when_a_socket_claims_more) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Provider provider(rig, 1024);
    Stream first(rig);
    Stream second(rig);
    Received received;
    std::string got;
    const auto receive_until = [&](size_t size_bytes) {
      poll_until(rig, [&] {
        for (const auto& one : received.all) got += provider.take(one.result, one.flags);
        received.all.clear();
        return got.size() == size_bytes;
      });
    };
    // Brings all that it may, so the next one may fill several buffers.
    received.start(rig, receive_entry(first.near, provider.group, buffer_size_bytes));
    first.write(std::string(buffer_size_bytes, 'a'));
    receive_until(buffer_size_bytes);
    REQUIRE(received.ended);

    received.start(rig, receive_entry(first.near, provider.group, 1 << 20));
    size_t size_bytes = buffer_size_bytes;
    for (int round = 0; round < 4; round++) {
      // Not every system has it.
      if (::send(first.far, "!", 1, MSG_OOB) != 1) return cancel(rig, received);
      first.write("b");
      receive_until(++size_bytes);
    }
    // As much as the kernel maps at once.
    const size_t much_bytes = 256 * buffer_size_bytes - 4;
    first.write(std::string(much_bytes, 'c'));
    for (int round = 0; round < 4; round++) rig.poll(0);
    Received other;
    other.start(rig, receive_entry(second.near, provider.group, buffer_size_bytes));
    second.write(std::string(buffer_size_bytes, 'd'));
    poll_until(rig, [&] { return other.ended; });
    receive_until(size_bytes + much_bytes);
    REQUIRE(got == std::string(buffer_size_bytes, 'a') + "bbbb" + std::string(much_bytes, 'c'));
    cancel(rig, received);
    rig.check_idle();
  });
}

NATIVE_TEST(provided_end_of_stream_takes_no_buffer) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Provider provider(rig, 2);
    for (int round = 0; round < 10; round++) {
      Stream stream(rig);
      Received received;
      received.start(rig, receive_entry(stream.near, provider.group));
      rig.submit();
      REQUIRE(::shutdown(stream.far, SHUT_WR) == 0);
      poll_until(rig, [&] { return received.ended; });
      REQUIRE_EQUAL(received.all.size(), 1);
      REQUIRE_EQUAL(received.all[0].result, 0);
      REQUIRE_EQUAL(received.all[0].flags, 0);
      REQUIRE_EQUAL(rig.counter(Counter::buffers_held), 0);
    }
    rig.check_idle();
  });
}

NATIVE_TEST(provided_returns_that_are_wrong) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Provider provider(rig, 4);
    Provider other(rig, 4);
    Stream stream(rig);
    Received received;
    stream.write(std::string(2 * buffer_size_bytes, 'a'));
    received.start(rig, receive_entry(stream.near, provider.group, 2 * buffer_size_bytes));
    poll_until(rig, [&] { return received.ended; });
    const uint32_t first = buffer_of(received.all[0].flags);
    const uint32_t second = buffer_of(received.all[1].flags);
    uint32_t not_held = 0;
    while (not_held == first || not_held == second) not_held++;
    // Never held, beyond the group, of another group; and then twice.
    provider.release(not_held);
    provider.release(4);
    provider.release(UINT32_MAX);
    other.release(first);
    rig.poll(0);
    REQUIRE_EQUAL(rig.counter(Counter::releases_refused), 4);
    REQUIRE_EQUAL(rig.counter(Counter::buffers_held), 2);
    provider.release(first);
    provider.release(first);
    rig.poll(0);
    provider.release(first);
    rig.poll(0);
    REQUIRE_EQUAL(rig.counter(Counter::releases_refused), 6);
    REQUIRE_EQUAL(rig.counter(Counter::buffers_held), 1);
    // A count beyond the list.
    provider.returned[0] = UINT32_MAX;
    rig.shared.header[io::abi::header_returned] = UINT32_MAX;
    rig.poll(0);
    REQUIRE_EQUAL(provider.returned[0], 0);
    // The kernel has each buffer once: two are free, or three when the list named the last one too.
    received.all.clear();
    const auto free = 4 - static_cast<size_t>(rig.counter(Counter::buffers_held));
    stream.write(std::string(5 * buffer_size_bytes, 'b'));
    received.start(rig, receive_entry(stream.near, provider.group));
    poll_until(rig, [&] { return received.ended; });
    REQUIRE_EQUAL(received.all.size(), free + 1);
    REQUIRE_EQUAL(received.all.back().result, -ENOBUFS);
    std::set<uint32_t> buffer_ids;
    for (size_t index = 0; index < free; index++)
      buffer_ids.insert(buffer_of(received.all[index].flags));
    REQUIRE_EQUAL(buffer_ids.size(), free);
    rig.check_idle();
  });
}

NATIVE_TEST(provided_group_is_removed) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Stream stream(rig);
    Received received;
    Provider provider(rig, 4);
    io::BufferGroups& groups = rig.engine->groups();
    stream.write("hello");
    received.start(rig, receive_entry(stream.near, provider.group));
    poll_until(rig, [&] { return received.all.size() == 1; });
    const uint32_t buffer_id = buffer_of(received.all[0].flags);
    const uint8_t* bytes = provider.memory.bytes.get() + buffer_id * buffer_size_bytes;
    REQUIRE_EQUAL(groups.remove(provider.group), -EBUSY);
    cancel(rig, received);
    REQUIRE_EQUAL(groups.remove(provider.group), 0);
    REQUIRE_EQUAL(groups.remove(provider.group), -EINVAL);
    REQUIRE_EQUAL(rig.counter(Counter::buffers_held), 0);
    // Held bytes stay as they are, and their release has no effect.
    stream.write("other bytes");
    provider.release(buffer_id);
    rig.poll(0);
    REQUIRE(std::memcmp(bytes, "hello", 5) == 0);
    REQUIRE_EQUAL(rig.call(receive_entry(stream.near, provider.group)), -EINVAL);
    // The next group has the index of the last one, and another handle.
    Provider next(rig, 4);
    REQUIRE(next.group != provider.group);
    REQUIRE_EQUAL(io::BufferGroups::index_of(next.group),
                  io::BufferGroups::index_of(provider.group));
    received.all.clear();
    received.start(rig, receive_entry(stream.near, next.group));
    poll_until(rig, [&] { return !received.all.empty(); });
    REQUIRE(next.take(received.all[0].result, received.all[0].flags) == "other bytes");
    REQUIRE(std::memcmp(bytes, "hello", 5) == 0);
    cancel(rig, received);
    rig.check_idle();
  });
}

NATIVE_TEST(provided_entries_that_are_wrong) {
  Rig rig;
  Provider provider(rig, 4);
  Stream stream(rig);
  const uint32_t group = provider.group;
  REQUIRE_EQUAL(rig.call(receive_entry(stream.near, group + 1)), -EINVAL);
  REQUIRE_EQUAL(rig.call(receive_entry(stream.near, group + 256)), -EINVAL);
  REQUIRE_EQUAL(rig.call(receive_entry(stream.near, UINT32_MAX)), -EINVAL);
  REQUIRE_EQUAL(rig.call(receive_entry(stream.near + (1 << 20), group)), -EBADF);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const double limit : {-1.0, 0.5, 2147483648.0, 1e300, infinity, -infinity, std::nan("")}) {
    REQUIRE_EQUAL(rig.call(receive_entry(stream.near, group, limit)), -EINVAL);
  }
  for (const uint32_t flag : {io::abi::entry_flag_linked, io::abi::entry_flag_deadline}) {
    Entry entry = receive_entry(stream.near, group);
    entry.operation |= flag;
    entry.deadline_ns = 1000;
    REQUIRE_EQUAL(rig.call(entry), -EINVAL);
  }
  Entry message = receive_entry(stream.near, group);
  message.operation = static_cast<uint32_t>(Opcode::receive_message_multishot);
  REQUIRE_EQUAL(rig.call(message), -EINVAL);  // a group of bytes
  REQUIRE_EQUAL(rig.engine->groups().remove(group), 0);
  rig.check_idle();
}

NATIVE_TEST(provided_groups_that_are_wrong) {
  Rig rig;
  io::BufferGroups& groups = rig.engine->groups();
  uint32_t returned[5] = {};
  REQUIRE_EQUAL(groups.add(returned, 0, {}), -EINVAL);
  REQUIRE_EQUAL(groups.add(returned, io::abi::max_group_buffers + 1, {}), -EINVAL);
  const auto group = static_cast<uint32_t>(groups.add(returned, 4, {}));
  Memory memory(1000);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 1000);
  const auto add = [&](double offset, uint32_t stride, uint32_t bytes, uint32_t count) {
    return groups.provide_buffers(group, buffer, offset, stride, bytes, count);
  };
  REQUIRE_EQUAL(groups.provide_buffers(group + 1, buffer, 0, 100, 100, 1), -EINVAL);
  REQUIRE_EQUAL(groups.provide_buffers(group, buffer + 1, 0, 100, 100, 1), -EFAULT);
  REQUIRE_EQUAL(groups.provide_buffers(group, io::abi::text_handle, 0, 100, 100, 1), -EFAULT);
  REQUIRE_EQUAL(add(0, 100, 100, 0), -EINVAL);
  REQUIRE_EQUAL(add(0, 100, 100, 5), -EINVAL);
  REQUIRE_EQUAL(add(0, 100, 0, 1), -EINVAL);
  REQUIRE_EQUAL(add(0, 99, 100, 1), -EINVAL);
  REQUIRE_EQUAL(add(901, 100, 100, 1), -EFAULT);
  REQUIRE_EQUAL(add(0, 301, 98, 4), -EFAULT);
  REQUIRE_EQUAL(add(-1, 100, 100, 1), -EFAULT);
  REQUIRE_EQUAL(add(std::nan(""), 100, 100, 1), -EFAULT);
  REQUIRE_EQUAL(add(0, UINT32_MAX, UINT32_MAX, 4), -EFAULT);
  REQUIRE_EQUAL(add(0, 300, 97, 3), 0);
  REQUIRE_EQUAL(add(0, 100, 98, 1), -EINVAL);  // another size
  REQUIRE_EQUAL(add(903, 97, 97, 1), 0);
  REQUIRE_EQUAL(add(0, 97, 97, 1), -EINVAL);  // full
  REQUIRE_EQUAL(groups.remove(group), 0);
  // A message needs room for more than the record of its sender.
  const auto messages =
      static_cast<uint32_t>(groups.add(returned, 4, {}, io::GroupContent::message));
  REQUIRE_EQUAL(groups.provide_buffers(messages, buffer, 0, 128, 128, 1), -EINVAL);
  REQUIRE_EQUAL(groups.provide_buffers(messages, buffer, 0, 129, 129, 1), 0);
  REQUIRE_EQUAL(groups.remove(messages), 0);
  // As many as there may be, and one more.
  for (uint32_t count = 0; count < io::abi::max_groups; count++) {
    REQUIRE(groups.add(returned, 4, {}) >= 0);
  }
  REQUIRE_EQUAL(groups.add(returned, 4, {}), -ENOSPC);
  rig.check_idle();
}

// A receive behind an endless one has its turn when that has ended.
NATIVE_TEST(provided_receives_keep_their_order) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Provider provider(rig, 8);
    Stream stream(rig);
    Memory memory(16);
    const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 16);
    Received first;
    Received second;
    int32_t single = 0;
    first.start(rig, receive_entry(stream.near, provider.group));
    rig.queue(transfer_entry(Opcode::receive, stream.near, buffer, 0, 16),
              [&](int32_t result, uint32_t) { single = result; });
    second.start(rig, receive_entry(stream.near, provider.group));
    stream.write("for the first");
    poll_until(rig, [&] { return !first.all.empty(); });
    REQUIRE_EQUAL(first.all[0].result, 13);
    rig.poll(0);
    REQUIRE_EQUAL(single, 0);
    cancel(rig, first);
    stream.write("single");
    poll_until(rig, [&] { return single != 0; });
    REQUIRE_EQUAL(single, 6);
    stream.write("second");
    poll_until(rig, [&] { return !second.all.empty(); });
    REQUIRE_EQUAL(second.all[0].result, 6);
    // A close ends it, and one that is parked behind it.
    Received parked;
    parked.start(rig, receive_entry(stream.near, provider.group));
    rig.poll(0);
    rig.queue(on_descriptor(Opcode::close, stream.near));
    rig.run();
    REQUIRE_EQUAL(second.all.back().result, -ECANCELED);
    REQUIRE_EQUAL(parked.all.back().result, -ECANCELED);
    rig.check_idle();
  });
}

// Many receives on many sockets share a group. The engine ends while some are in flight and
// JavaScript holds buffers, and nothing is written after that.
NATIVE_TEST(provided_engine_ends_in_the_middle) {
  each_kernel([](RigOptions options) {
    constexpr size_t sockets = 20;
    Random random(seed());
    const size_t before = open_descriptors();
    for (int round = 0; round < 20; round++) {
      std::vector<int> far;
      std::vector<uint8_t> copy;
      {
        Rig rig(options);
        Provider provider(rig, 16);
        std::vector<std::unique_ptr<Received>> all;
        for (size_t index = 0; index < sockets; index++) {
          int numbers[2];
          REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, numbers) == 0);
          far.push_back(numbers[1]);
          all.push_back(std::make_unique<Received>());
          all.back()->start(rig, receive_entry(rig.engine->adopt(numbers[0]), provider.group));
        }
        for (uint32_t count = random.below(30); count > 0; count--) {
          REQUIRE(::write(far[random.below(sockets)], "some bytes", 10) == 10);
          if (random.one_in(3)) rig.poll(0);
        }
        REQUIRE(rig.engine->shut_down());
        copy.assign(provider.memory.bytes.get(),
                    provider.memory.bytes.get() + 16 * buffer_size_bytes);
        for (const int number : far) static_cast<void>(!::write(number, "late", 4));
        REQUIRE(std::memcmp(copy.data(), provider.memory.bytes.get(), copy.size()) == 0);
      }
      for (const int number : far) ::close(number);
    }
    REQUIRE_EQUAL(open_descriptors(), before);
  });
}

}  // namespace native_tests
