// The engine with an area that the running kernel registers without a device (Linux 7.1): streams
// whose chunks are kept and returned at random, while receives are cancelled, limited, and cut off.
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "support.h"

namespace native_tests {

using io::abi::Counter;
using io::abi::Entry;

namespace {

constexpr size_t page = 4096;
constexpr uint32_t capacity = 64;
constexpr uint32_t stream_count = 5;

uint8_t byte_at(uint32_t stream, uint64_t place) {
  return static_cast<uint8_t>(place * 7 + place / 251 + stream * 31);
}

// JavaScript's side of an area, and streams over loopback that are sent what byte_at() says.
class AreaStorm {
 public:
  explicit AreaStorm(uint32_t pages)
      : random_(seed()), area_bytes_(pages * page), words_(1 + 2 * capacity) {
    void* mapped =
        mmap(nullptr, area_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapped != MAP_FAILED);
    area_ = static_cast<uint8_t*>(mapped);
    RigOptions options;
    options.area.wanted = true;
    options.area.address = area_;
    options.area.size_bytes = area_bytes_;
    rig_ = std::make_unique<Rig>(options);
    const int32_t handle =
        rig_->engine->groups().add_area(words_.data(), capacity, io::BackingStore());
    REQUIRE(handle >= 0);
    group_ = static_cast<uint32_t>(handle);
    for (Stream& stream : streams_) connect(stream);
  }

  ~AreaStorm() {
    for (const Stream& stream : streams_) ::close(stream.far);
    rig_.reset();
    munmap(area_, area_bytes_);
  }

  void step() {
    const uint32_t index = random_.below(stream_count);
    Stream& stream = streams_[index];
    switch (random_.below(8)) {
      case 0:
      case 1:
        return send(index);
      case 2:
        return start(index);
      case 3:
        if (stream.active && random_.one_in(4)) cancel(stream);
        return;
      case 4:
      case 5:
        if (!held_.empty()) release(random_.below(static_cast<uint32_t>(held_.size())));
        return;
      default:
        rig_->poll(random_.one_in(4) ? 100'000 : 0);
    }
  }

  // Everything that was sent comes, whatever was cancelled meanwhile.
  void drain() {
    for (int round = 0; !is_drained(); round++) {
      REQUIRE(round < 100'000);
      while (!held_.empty()) release(0);
      for (uint32_t index = 0; index < stream_count; index++) start(index);
      rig_->poll(1'000'000);
    }
    for (Stream& stream : streams_) {
      if (stream.active) cancel(stream);
    }
    while (!held_.empty()) release(0);
    rig_->end_all();
    rig_->check_idle();
    REQUIRE_EQUAL(rig_->counter(Counter::zero_copy_chunks_held), 0);
    REQUIRE_EQUAL(rig_->counter(Counter::releases_refused), 0);
  }

  // The end of a Worker: held chunks keep their bytes.
  void cut_off() {
    rig_.reset();
    for (const Held& one : held_) require_intact(one);
  }

 private:
  struct Stream {
    int32_t near = -1;
    int far = -1;
    uint64_t sent = 0;
    uint64_t received = 0;
    uint32_t slot = 0;
    bool active = false;
  };
  struct Held {
    uint32_t stream;
    uint32_t chunk;
    uint32_t offset;
    uint32_t size_bytes;
    uint64_t place;
  };

  void connect(Stream& stream) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof(address);
    REQUIRE(::bind(listener, generic, length) == 0 && ::listen(listener, 1) == 0);
    REQUIRE(::getsockname(listener, generic, &length) == 0);
    stream.far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(stream.far, generic, length) == 0);
    const int near = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    REQUIRE(near >= 0);
    stream.near = rig_->engine->adopt(near);
    ::close(listener);
  }

  void send(uint32_t index) {
    Stream& stream = streams_[index];
    std::vector<uint8_t> bytes(1 + random_.below(20'000));
    for (size_t at = 0; at < bytes.size(); at++) bytes[at] = byte_at(index, stream.sent + at);
    const auto written = ::send(stream.far, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (written > 0) stream.sent += static_cast<uint64_t>(written);
    REQUIRE(written > 0 || errno == EAGAIN);
  }

  void start(uint32_t index) {
    Stream& stream = streams_[index];
    if (stream.active) return;
    Entry entry = on_descriptor(Opcode::receive_multishot, stream.near);
    entry.argument = group_;
    entry.extent = random_.one_in(2) ? 1 + random_.below(30'000) : 0;
    stream.active = true;
    stream.slot = rig_->queue(
        entry, [this, index](int32_t result, uint32_t flags) { take(index, result, flags); });
  }

  void take(uint32_t index, int32_t result, uint32_t flags) {
    Stream& stream = streams_[index];
    if ((flags & io::abi::completion_flag_more) == 0) stream.active = false;
    if (result <= 0) {
      if (result != -ECANCELED) REQUIRE_EQUAL(result, -ENOBUFS);
      return;
    }
    REQUIRE((flags & io::abi::completion_flag_buffer) != 0);
    const uint32_t chunk = flags >> io::abi::completion_buffer_shift;
    const Held one = {index, chunk, words_[1 + capacity + chunk], static_cast<uint32_t>(result),
                      stream.received};
    stream.received += static_cast<uint64_t>(result);
    require_intact(one);
    held_.push_back(one);
  }

  void require_intact(const Held& one) const {
    REQUIRE(one.offset + one.size_bytes <= area_bytes_);
    for (uint32_t at = 0; at < one.size_bytes; at++) {
      REQUIRE_EQUAL(area_[one.offset + at], byte_at(one.stream, one.place + at));
    }
  }

  void release(uint32_t at) {
    require_intact(held_[at]);
    words_[++words_[0]] = held_[at].chunk;
    rig_->shared.header[io::abi::header_returned] = 1;
    held_[at] = held_.back();
    held_.pop_back();
  }

  void cancel(const Stream& stream) {
    Entry entry = entry_of(Opcode::cancel);
    entry.argument = stream.slot;
    entry.argument_extra = rig_->generation_of(stream.slot);
    rig_->queue(entry);
  }

  bool is_drained() const {
    for (const Stream& stream : streams_) {
      if (stream.received < stream.sent) return false;
    }
    return true;
  }

  Random random_;
  size_t area_bytes_;
  uint8_t* area_ = nullptr;
  std::vector<uint32_t> words_;
  std::unique_ptr<Rig> rig_;
  uint32_t group_ = 0;
  Stream streams_[stream_count];
  std::vector<Held> held_;
};

}  // namespace

NATIVE_TEST(area_storm) {
  for (const uint32_t pages : {16u, 40u}) {
    AreaStorm storm(pages);
    for (int step = 0; step < 8000; step++) storm.step();
    storm.drain();
  }
}

NATIVE_TEST(area_storm_that_is_cut_off) {
  for (int round = 0; round < 12; round++) {
    AreaStorm storm(24);
    for (int step = 0; step < 300; step++) storm.step();
    storm.cut_off();
  }
}

}  // namespace native_tests
