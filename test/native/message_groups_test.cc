// Messages in provided buffers: each has a buffer of its own, with the record of its sender in
// front, on the oldest kernel as on this one.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "support.h"

namespace native_tests {

using io::abi::Entry;

namespace {

constexpr uint32_t head_bytes = io::abi::peer_size_bytes;
constexpr uint32_t message_bytes = 16;
constexpr uint32_t buffer_size_bytes = head_bytes + message_bytes;
constexpr uint32_t buffer_ids = 4;

struct Message {
  std::string text;
  bool truncated;
  uint32_t family;
  std::string path;
};

// A socket with a name in a group of four buffers, and one that sends to it.
struct Mailbox {
  explicit Mailbox(Rig& rig) : rig(rig), memory(buffer_ids * buffer_size_bytes) {
    const uint32_t buffer = rig.add_buffer(memory.bytes.get(), buffer_ids * buffer_size_bytes);
    io::BufferGroups& groups = rig.engine->groups();
    const int32_t handle =
        groups.add(returned, buffer_ids, io::BackingStore(), io::GroupContent::message);
    REQUIRE(handle >= 0);
    group = static_cast<uint32_t>(handle);
    REQUIRE_EQUAL(
        groups.provide_buffers(group, buffer, 0, buffer_size_bytes, buffer_size_bytes, buffer_ids),
        0);
    int numbers[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, numbers) == 0);
    near = rig.engine->adopt(numbers[0]);
    far = numbers[1];
    // An abstract name, which the end of the process takes away.
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    path = std::string(1, '\0') + "message-groups-" + std::to_string(getpid());
    std::memcpy(name.sun_path, path.data(), path.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    REQUIRE(::bind(far, reinterpret_cast<sockaddr*>(&name), length) == 0);
  }
  ~Mailbox() { ::close(far); }

  void send(const std::string& text) const {
    REQUIRE_EQUAL(::send(far, text.data(), text.size(), 0), text.size());
  }

  void start() {
    ended = 0;
    Entry entry = on_descriptor(Opcode::receive_message_multishot, near);
    entry.argument = group;
    rig.queue(entry, [this](int32_t result, uint32_t flags) {
      if ((flags & io::abi::completion_flag_buffer) != 0) take(result, flags);
      if ((flags & io::abi::completion_flag_more) == 0) ended = result < 0 ? result : 1;
    });
  }

  void take(int32_t result, uint32_t flags) {
    REQUIRE((flags & io::abi::completion_flag_open) == 0);
    REQUIRE(result >= 0 && result <= static_cast<int32_t>(message_bytes));
    const uint32_t buffer_id = flags >> io::abi::completion_buffer_shift;
    const uint8_t* data = memory.bytes.get() + size_t{buffer_id} * buffer_size_bytes;
    uint32_t words[io::abi::peer_flags + 1];
    std::memcpy(words, data, sizeof(words));
    const auto* bytes = reinterpret_cast<const char*>(data);
    all.push_back({std::string(bytes + head_bytes, static_cast<size_t>(result)),
                   (words[io::abi::peer_flags] & io::abi::peer_flag_truncated) != 0,
                   words[io::abi::peer_family],
                   std::string(bytes + io::abi::peer_bytes, words[io::abi::peer_length])});
    taken.push_back(buffer_id);
  }

  void release() {
    for (const uint32_t buffer_id : taken) returned[++returned[0]] = buffer_id;
    taken.clear();
    rig.shared.header[io::abi::header_returned] = 1;
  }

  void poll_until(const std::function<bool()>& done) const {
    for (int round = 0; !done(); round++) {
      REQUIRE(round < 1000);
      rig.poll(10'000'000);
    }
  }

  Rig& rig;
  Memory memory;
  uint32_t returned[buffer_ids + 1] = {};
  uint32_t group = 0;
  int32_t near = 0;
  int far = 0;
  std::string path;
  std::vector<Message> all;
  std::vector<uint32_t> taken;
  int32_t ended = 0;  // 1, or an error
};

void each_kernel(const std::function<void(RigOptions)>& run) {
  RigOptions options;
  run(options);
  options.oldest_kernel = true;
  run(options);
}

}  // namespace

NATIVE_TEST(provided_messages_have_a_sender_and_a_buffer_each) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Mailbox mailbox(rig);
    mailbox.start();
    const std::vector<std::string> sent = {"one", "", std::string(message_bytes, 'x'),
                                           std::string(message_bytes + 1, 'y')};
    for (size_t index = 0; index < sent.size(); index++) {
      mailbox.send(sent[index]);
      mailbox.poll_until([&] { return mailbox.all.size() == index + 1; });
      const Message& got = mailbox.all[index];
      REQUIRE(got.text == sent[index].substr(0, message_bytes));
      REQUIRE_EQUAL(got.truncated, sent[index].size() > message_bytes);
      REQUIRE_EQUAL(got.family, io::abi::family_unix);
      REQUIRE(got.path == mailbox.path);
      if (mailbox.ended == 1) mailbox.start();  // an empty one ends it on io_uring
    }
    mailbox.send("waits");
    mailbox.poll_until([&] { return mailbox.ended < 0; });
    REQUIRE_EQUAL(mailbox.ended, -ENOBUFS);
    mailbox.release();
    mailbox.start();
    mailbox.poll_until([&] { return mailbox.all.size() == sent.size() + 1; });
    REQUIRE(mailbox.all.back().text == "waits");
    // Closed in the middle: no held buffer is lost by it.
    rig.queue(on_descriptor(Opcode::close, mailbox.near));
    rig.run();
    REQUIRE_EQUAL(mailbox.ended, -ECANCELED);
    mailbox.release();
    rig.poll(0);
    REQUIRE_EQUAL(rig.engine->groups().held(), 0u);
    REQUIRE_EQUAL(rig.engine->groups().refused(), 0u);
    REQUIRE_EQUAL(rig.engine->groups().remove(mailbox.group), 0);
    rig.check_idle();
  });
}

NATIVE_TEST(provided_messages_keep_their_bounds_in_a_flood) {
  each_kernel([](RigOptions options) {
    Rig rig(options);
    Mailbox mailbox(rig);
    Random random(seed());
    std::vector<std::string> sent;
    mailbox.start();
    for (int round = 0; round < 300; round++) {
      for (uint32_t count = random.below(5); count > 0; count--) {
        std::string text(random.below(message_bytes + 1),
                         static_cast<char>('a' + random.below(26)));
        mailbox.send(text);
        sent.push_back(text);
      }
      mailbox.poll_until([&] {
        if (mailbox.ended != 0) {
          mailbox.release();
          mailbox.start();
        }
        return mailbox.all.size() == sent.size();
      });
      if (random.one_in(2)) mailbox.release();
    }
    for (size_t index = 0; index < sent.size(); index++) {
      REQUIRE(mailbox.all[index].text == sent[index]);
      REQUIRE(!mailbox.all[index].truncated);
    }
    REQUIRE(rig.engine->shut_down());
  });
}

}  // namespace native_tests
