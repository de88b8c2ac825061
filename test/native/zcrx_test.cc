// Zcrx: the refill ring and completions of 32 bytes. The kernel's side is played on memory that is
// laid out as the kernel's, so that everything runs on kernels and machines without zcrx; the last
// test is the real thing where the running kernel has it.
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <numeric>

#include "backend/zcrx/zcrx.h"
#include "testing.h"

namespace native_tests {

using io::RefillRing;
using io::Zcrx;
using io::ZcrxChunkId;
using io::ZcrxReceived;
namespace uapi = io::uapi;

namespace {

constexpr size_t page = 4096;

// Pages of an area, and memory for a refill ring whose ends the sanitizer watches.
struct Shared {
  Shared(uint32_t entries, uint32_t pages, uint32_t start = 0)
      : refill_bytes(64 + entries * sizeof(uapi::ZcrxRefill)),
        refill(std::make_unique<uint64_t[]>(refill_bytes / sizeof(uint64_t))),
        area_bytes(pages * page) {
    void* mapped =
        mmap(nullptr, area_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapped != MAP_FAILED);
    area = static_cast<uint8_t*>(mapped);
    registered.queue.refill_entries = entries;
    // As io_uring/zcrx.c lays it out: a struct io_uring, and the entries on the next cache line.
    registered.queue.offsets.head = 0;
    registered.queue.offsets.tail = 4;
    registered.queue.offsets.entries = 64;
    registered.token = uint64_t{3} << uapi::zcrx_area_shift;
    registered.area = area;
    registered.area_bytes = area_bytes;
    registered.refill = reinterpret_cast<uint8_t*>(refill.get());
    registered.refill_bytes = refill_bytes;
    head() = start;
    tail() = start;
  }
  ~Shared() { munmap(area, area_bytes); }

  uint32_t& head() { return reinterpret_cast<uint32_t*>(refill.get())[0]; }
  uint32_t& tail() { return reinterpret_cast<uint32_t*>(refill.get())[1]; }
  const uapi::ZcrxRefill& entry(uint32_t number) const {
    const auto* entries = reinterpret_cast<const uapi::ZcrxRefill*>(refill.get() + 8);
    return entries[number & (registered.queue.refill_entries - 1)];
  }

  size_t refill_bytes;
  std::unique_ptr<uint64_t[]> refill;
  size_t area_bytes;
  uint8_t* area;
  Zcrx::Registered registered;
};

// A completion with its second half.
struct Completion {
  explicit Completion(int32_t result, uint32_t flags = IORING_CQE_F_MORE, uint64_t offset = 0) {
    auto& entry = reinterpret_cast<io_uring_cqe&>(words);
    entry.res = result;
    entry.flags = flags;
    words[2] = offset;
  }
  const io_uring_cqe& entry() const { return reinterpret_cast<const io_uring_cqe&>(words); }
  uint64_t words[4] = {};
};

void begin_receive(Zcrx& zcrx) {
  io_uring_sqe entry;
  zcrx.prepare(entry, 7, 0);
}

void end(Zcrx& zcrx) {
  while (zcrx.receives() > 0) zcrx.take(Completion(-ECANCELED, 0).entry());
  zcrx.ring_closed();
}

// Whether `broken` ends the process by a CHECK.
void require_ends(const std::function<void()>& broken) {
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    REQUIRE(std::freopen("/dev/null", "w", stderr) != nullptr);
    broken();
    std::_Exit(0);
  }
  int status = 0;
  REQUIRE_EQUAL(waitpid(child, &status, 0), child);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE_EQUAL(WTERMSIG(status), SIGABRT);
}

}  // namespace

NATIVE_TEST(zcrx_prepares_what_the_kernel_reads) {
  Shared shared(8, 4);
  shared.registered.queue.id = 5;
  Zcrx zcrx(shared.registered);
  io_uring_sqe entry;
  std::memset(&entry, 0xff, sizeof(entry));
  zcrx.prepare(entry, 9, 1000);
  // Bytes, since the names of the fields differ between headers.
  uint8_t bytes[64];
  std::memcpy(bytes, &entry, sizeof(bytes));
  REQUIRE_EQUAL(bytes[0], 58);
  REQUIRE_EQUAL(bytes[2] | bytes[3] << 8, 2);
  REQUIRE_EQUAL(entry.fd, 9);
  REQUIRE_EQUAL(entry.len, 1000);
  uint32_t queue = 0;
  std::memcpy(&queue, bytes + 44, sizeof(queue));
  REQUIRE_EQUAL(queue, 5);
  end(zcrx);
}

NATIVE_TEST(zcrx_full_ring_waits_and_overwrites_nothing) {
  Shared shared(8, 32, UINT32_MAX - 2);  // the numbers wrap around in the middle
  Zcrx zcrx(shared.registered);
  begin_receive(zcrx);
  std::vector<ZcrxChunkId> chunks;
  for (uint64_t number = 0; number < 20; number++) {
    const Completion came(100, IORING_CQE_F_MORE, shared.registered.token | number * page);
    const ZcrxReceived received = zcrx.take(came.entry());
    REQUIRE_EQUAL(received.result, 100);
    REQUIRE(received.more);
    REQUIRE_EQUAL(received.offset, number * page);
    chunks.push_back(received.chunk);
  }
  REQUIRE_EQUAL(zcrx.counters().held, 20);
  for (const ZcrxChunkId chunk : chunks) REQUIRE(zcrx.release(chunk));
  REQUIRE_EQUAL(shared.tail(), UINT32_MAX - 2);  // not before refill()
  const uint32_t start = shared.tail();
  const auto require_entries = [&](uint32_t from, uint32_t to) {
    for (uint32_t number = from; number < to; number++) {
      const uapi::ZcrxRefill& entry = shared.entry(start + number);
      REQUIRE_EQUAL(entry.offset, shared.registered.token | number * page);
      REQUIRE_EQUAL(entry.size_bytes, 100);
      REQUIRE_EQUAL(entry.reserved, 0);
    }
  };
  zcrx.refill();
  REQUIRE_EQUAL(shared.tail() - start, 8);
  REQUIRE_EQUAL(zcrx.waiting(), 12);
  REQUIRE_EQUAL(zcrx.counters().full, 1);
  for (int again = 0; again < 3; again++) zcrx.refill();
  require_entries(0, 8);
  shared.head() += 3;
  zcrx.refill();
  REQUIRE_EQUAL(shared.tail() - start, 11);
  REQUIRE_EQUAL(zcrx.waiting(), 9);
  require_entries(3, 11);
  shared.head() = shared.tail();
  zcrx.refill();
  shared.head() = shared.tail();
  zcrx.refill();
  REQUIRE_EQUAL(zcrx.waiting(), 0);
  require_entries(12, 20);
  REQUIRE_EQUAL(shared.tail() - start, 20);
  end(zcrx);
}

NATIVE_TEST(zcrx_chunk_returned_twice) {
  Shared shared(8, 4);
  Zcrx zcrx(shared.registered);
  begin_receive(zcrx);
  const auto receive = [&](uint64_t offset) {
    const Completion came(10, IORING_CQE_F_MORE, shared.registered.token | offset);
    return zcrx.take(came.entry()).chunk;
  };
  // Two chunks of one page: the kernel counts both, and would take either return twice.
  const ZcrxChunkId first = receive(0);
  const ZcrxChunkId second = receive(10);
  REQUIRE(zcrx.release(first));
  REQUIRE(!zcrx.release(first));
  const ZcrxChunkId third = receive(page);  // takes the place of the first
  REQUIRE(!zcrx.release(first));
  REQUIRE(!zcrx.release({third.index, third.generation + 1}));
  REQUIRE(!zcrx.release({99, 0}));
  REQUIRE(!zcrx.release({UINT32_MAX, UINT32_MAX}));
  REQUIRE(zcrx.release(third));
  REQUIRE(zcrx.release(second));
  zcrx.refill();
  REQUIRE_EQUAL(shared.tail(), 3);
  REQUIRE_EQUAL(zcrx.counters().refused, 5);
  REQUIRE_EQUAL(zcrx.counters().held, 0);
  REQUIRE_EQUAL(zcrx.counters().held_bytes, 0);
  end(zcrx);
}

NATIVE_TEST(zcrx_chunks_outlive_the_ring) {
  Shared shared(8, 4);
  std::memset(shared.area, 'x', shared.area_bytes);
  Zcrx zcrx(shared.registered);
  begin_receive(zcrx);
  std::vector<ZcrxChunkId> chunks;
  for (const uint64_t offset : {uint64_t{10}, uint64_t{4000}, uint64_t{3 * page}}) {
    const Completion came(200, IORING_CQE_F_MORE, shared.registered.token | offset);
    chunks.push_back(zcrx.take(came.entry()).chunk);
  }
  REQUIRE(zcrx.release(chunks[0]));
  end(zcrx);
  // Held chunks have their bytes, the rest has lost the device's pages.
  for (size_t at = 0; at < shared.area_bytes; at++) {
    const bool held = (at >= 4000 && at < 4200) || (at >= 3 * page && at < 3 * page + 200);
    REQUIRE_EQUAL(shared.area[at], held ? 'x' : 0);
  }
  REQUIRE(zcrx.release(chunks[1]));
  REQUIRE(!zcrx.release(chunks[1]));
}

NATIVE_TEST(zcrx_how_a_receive_ends) {
  Shared shared(8, 4);
  Zcrx zcrx(shared.registered);
  const auto end_with = [&](int32_t result) {
    begin_receive(zcrx);
    // The second half of a final completion says nothing.
    const ZcrxReceived received = zcrx.take(Completion(result, 0, UINT64_MAX).entry());
    REQUIRE(!received.more);
    return received.result;
  };
  REQUIRE_EQUAL(end_with(0), 0);
  REQUIRE_EQUAL(end_with(-ECONNRESET), -ECONNRESET);
  REQUIRE_EQUAL(end_with(-ENOSPC), -ENOSPC);
  // No chunk is held: that is no back-pressure but the kernel's own lack.
  REQUIRE_EQUAL(end_with(-ENOMEM), -ENOMEM);
  REQUIRE(!zcrx.reclaim());
  begin_receive(zcrx);
  const Completion came(10, IORING_CQE_F_MORE, shared.registered.token);
  const ZcrxChunkId chunk = zcrx.take(came.entry()).chunk;
  REQUIRE_EQUAL(end_with(-ENOMEM), -ENOBUFS);
  REQUIRE(!zcrx.reclaim());
  REQUIRE(zcrx.release(chunk));
  // It is in the ring, and there is no call to make this kernel read it.
  REQUIRE(!zcrx.reclaim());
  REQUIRE_EQUAL(shared.tail(), 1);
  REQUIRE_EQUAL(end_with(-ENOMEM), -ENOBUFS);
  shared.head() = shared.tail();
  REQUIRE(!zcrx.reclaim());
  end(zcrx);
}

NATIVE_TEST(zcrx_wrong_offsets_make_no_pointer) {
  Shared shared(8, 4);
  const uint64_t token = shared.registered.token;
  const auto take = [&](int32_t result, uint64_t offset) {
    Zcrx zcrx(shared.registered);
    begin_receive(zcrx);
    zcrx.take(Completion(result, IORING_CQE_F_MORE, offset).entry());
    end(zcrx);
  };
  take(page, token | 3 * page);
  take(1, token | (4 * page - 1));
  // An invalid answer of the kernel makes no pointer and ends nothing.
  const auto require_broken = [&](int32_t result, uint64_t offset) {
    Zcrx zcrx(shared.registered);
    begin_receive(zcrx);
    const ZcrxReceived received = zcrx.take(Completion(result, IORING_CQE_F_MORE, offset).entry());
    REQUIRE(received.broken);
    REQUIRE_EQUAL(zcrx.counters().held, 0u);
    end(zcrx);
  };
  require_broken(1, token | 4 * page);        // behind the area
  require_broken(1, token | 9 * page);        // far behind it
  require_broken(2, token | (4 * page - 1));  // out of it
  require_broken(INT32_MAX, token);           // longer than it
  require_broken(1, 0);                       // another area
  require_broken(1, UINT64_MAX);              // everything
  require_broken(0, token);                   // no bytes, and goes on
  require_broken(-EIO, token);                // an error that goes on
  {
    Zcrx zcrx(shared.registered);
    begin_receive(zcrx);
    REQUIRE_EQUAL(zcrx.take(Completion(5, 0, token).entry()).result, -EIO);  // bytes, and ends
    end(zcrx);
  }
  require_ends([&] {
    Zcrx zcrx(shared.registered);
    zcrx.take(Completion(5, IORING_CQE_F_MORE, token).entry());  // of no receive
  });
  require_ends([&] {
    Zcrx zcrx(shared.registered);
    begin_receive(zcrx);
    zcrx.ring_closed();  // before the receive has ended
  });
  require_ends([&] { const Zcrx zcrx(shared.registered); });  // before the ring is closed
}

NATIVE_TEST(zcrx_wrong_rings_end_the_process) {
  Shared shared(8, 4);
  const uapi::ZcrxOffsets right = shared.registered.queue.offsets;
  const auto make = [&](uapi::ZcrxOffsets offsets, uint32_t entries) {
    const RefillRing ring(shared.registered.refill, shared.refill_bytes, offsets, entries);
    REQUIRE_EQUAL(ring.queued(), 0);
  };
  make(right, 8);
  require_ends([&] { make(right, 0); });
  require_ends([&] { make(right, 7); });
  require_ends([&] { make(right, 16); });
  require_ends([&] { make(right, 1u << 31); });
  const auto require_wrong = [&](uint32_t uapi::ZcrxOffsets::*part, uint32_t offset) {
    uapi::ZcrxOffsets offsets = right;
    offsets.*part = offset;
    require_ends([&] { make(offsets, 8); });
  };
  for (const auto part : {&uapi::ZcrxOffsets::head, &uapi::ZcrxOffsets::tail}) {
    require_wrong(part, static_cast<uint32_t>(shared.refill_bytes));
    require_wrong(part, 2);
    require_wrong(part, UINT32_MAX - 3);
  }
  require_wrong(&uapi::ZcrxOffsets::head, right.tail);
  require_wrong(&uapi::ZcrxOffsets::entries, 72);
  require_wrong(&uapi::ZcrxOffsets::entries, 68);
  require_wrong(&uapi::ZcrxOffsets::entries, UINT32_MAX & ~7u);
  // The kernel has read more than there was.
  RefillRing ring(shared.registered.refill, shared.refill_bytes, right, 8);
  shared.head() = 1;
  REQUIRE(!ring.push(0, 1));
}

namespace {

// Plays the kernel: pages that are free or carry chunks, a completion queue of 32-byte entries, and
// a reader of the refill ring that trusts nothing.
class Kernel {
 public:
  Kernel(Shared& shared, Random& random) : shared_(shared), random_(random) {
    pages_.resize(shared.area_bytes / page);
    completions_.resize(4 * completion_entries);
    ring.flags = IORING_SETUP_CQE32;
    ring.cq.khead = &completion_head_;
    ring.cq.ktail = &completion_tail_;
    ring.cq.ring_mask = completion_entries - 1;
    ring.cq.ring_entries = completion_entries;
    ring.cq.kring_mask = &ring.cq.ring_mask;
    ring.cq.kring_entries = &ring.cq.ring_entries;
    ring.cq.cqes = reinterpret_cast<io_uring_cqe*>(completions_.data());
  }

  // Receives a packet, as far as there is a page and room for its completion.
  void receive() {
    if (completion_tail_ - completion_head_ == completion_entries) return;
    std::vector<uint32_t> numbers(pages_.size());
    std::iota(numbers.begin(), numbers.end(), 0);
    std::erase_if(numbers, [&](uint32_t number) { return pages_[number].used == page; });
    if (numbers.empty()) return;
    const uint32_t number = numbers[random_.below(static_cast<uint32_t>(numbers.size()))];
    Page& into = pages_[number];
    const uint32_t max = page - into.used;
    const uint32_t size = 1 + random_.below(random_.one_in(2) ? max : std::min(max, 64u));
    const uint64_t offset = number * page + into.used;
    std::memset(shared_.area + offset, static_cast<int>(sequence % 251), size);
    into.used += size;
    into.references++;
    uint64_t* entry = &completions_[4 * (completion_tail_ & (completion_entries - 1))];
    entry[0] = sequence++;
    entry[1] = size | uint64_t{IORING_CQE_F_MORE} << 32;
    entry[2] = shared_.registered.token | offset;
    entry[3] = 0;
    completion_tail_++;
  }

  // Reads some of the refill ring.
  void read_refills() {
    const uint32_t queued = shared_.tail() - shared_.head();
    REQUIRE(queued <= shared_.registered.queue.refill_entries);
    for (uint32_t left = random_.below(queued + 1); left > 0; left--) {
      const uapi::ZcrxRefill entry = shared_.entry(shared_.head());
      REQUIRE_EQUAL(entry.reserved, 0);
      REQUIRE_EQUAL(entry.offset >> uapi::zcrx_area_shift, 3);
      Page& of = pages_[(entry.offset & 0xffffffffffff) / page];
      REQUIRE(of.references > 0);
      of.references--;
      // The whole page is written again once all of it has come back.
      if (of.references == 0) of.used = 0;
      shared_.head()++;
    }
  }

  uint32_t references() const {
    uint32_t sum = 0;
    for (const Page& one : pages_) sum += one.references;
    return sum;
  }

  io_uring ring = {};
  uint64_t sequence = 0;

 private:
  static constexpr uint32_t completion_entries = 16;
  struct Page {
    uint32_t used = 0;
    uint32_t references = 0;
  };
  Shared& shared_;
  Random& random_;
  std::vector<Page> pages_;
  std::vector<uint64_t> completions_;
  uint32_t completion_head_ = UINT32_MAX - 40;
  uint32_t completion_tail_ = UINT32_MAX - 40;
};

struct Held {
  ZcrxChunkId id;
  size_t offset;
  uint32_t size_bytes;
  uint64_t sequence;
};

// Held chunks still have the bytes that were received.
void require_intact(const Shared& shared, const Held& held) {
  for (uint32_t at = 0; at < held.size_bytes; at++) {
    REQUIRE_EQUAL(shared.area[held.offset + at], held.sequence % 251);
  }
}

void run_against_model(Random& random) {
  Shared shared(1u << random.below(6), 1 + random.below(24), UINT32_MAX - random.below(200));
  Kernel kernel(shared, random);
  Zcrx zcrx(shared.registered);
  begin_receive(zcrx);
  std::vector<Held> held;
  std::vector<ZcrxChunkId> returned;
  uint64_t next = 0;
  uint64_t refused = 0;
  for (int step = 0; step < 3000; step++) {
    switch (random.below(6)) {
      case 0:
      case 1:
        kernel.receive();
        break;
      case 2: {  // as the backend reaps
        unsigned head;
        unsigned seen = 0;
        io_uring_cqe* entry;
        io_uring_for_each_cqe(&kernel.ring, head, entry) {
          REQUIRE_EQUAL(entry->user_data, next);
          const ZcrxReceived received = zcrx.take(*entry);
          held.push_back(
              {received.chunk, received.offset, static_cast<uint32_t>(received.result), next++});
          seen++;
        }
        if (seen > 0) io_uring_cq_advance(&kernel.ring, seen);
        break;
      }
      case 3:
        if (held.empty()) break;
        std::swap(held[random.below(static_cast<uint32_t>(held.size()))], held.back());
        require_intact(shared, held.back());
        REQUIRE(zcrx.release(held.back().id));
        returned.push_back(held.back().id);
        held.pop_back();
        break;
      case 4:
        if (!returned.empty() && random.one_in(4)) {
          REQUIRE(!zcrx.release(returned[random.below(static_cast<uint32_t>(returned.size()))]));
          refused++;
        }
        zcrx.refill();
        break;
      case 5:
        kernel.read_refills();
        break;
    }
    REQUIRE_EQUAL(zcrx.counters().held, held.size());
    REQUIRE_EQUAL(zcrx.counters().refused, refused);
  }
  for (const Held& one : held) {
    require_intact(shared, one);
    REQUIRE(zcrx.release(one.id));
  }
  const uint64_t unseen = kernel.sequence - next;
  for (int round = 0; round < 100'000 && kernel.references() > unseen; round++) {
    zcrx.refill();
    kernel.read_refills();
  }
  REQUIRE_EQUAL(kernel.references(), unseen);  // everything came back, once
  REQUIRE_EQUAL(zcrx.waiting(), 0);
  REQUIRE_EQUAL(zcrx.counters().chunks, next);
  end(zcrx);
}

}  // namespace

NATIVE_TEST(zcrx_against_a_model) {
  Random random(seed());
  for (int run = 0; run < 40; run++) run_against_model(random);
}

// ---- features that are missing here

NATIVE_TEST(zcrx_probe_names_what_is_missing) {
  const io::ZcrxProbe general = Zcrx::probe("", 0);
  REQUIRE(!general.reason.empty());
  std::printf("in general: %s\n", general.reason.c_str());
  struct Wrong {
    const char* interface;
    uint32_t queue;
    const char* said;  // where kernel and rights are as they must be
  };
  const Wrong wrong[] = {
      {"no-such-device", 0, "there is no interface no-such-device"},
      {"lo", 0, "lo cannot receive into foreign memory"},
      {"lo", UINT32_MAX, "lo has no receive queue 4294967295"},
      {"a name that is much longer than the name of any interface", 3, "no interface"},
  };
  for (const Wrong& one : wrong) {
    const io::ZcrxProbe found = Zcrx::probe(one.interface, one.queue);
    std::printf("%s: %s\n", one.interface, found.reason.c_str());
    REQUIRE(!found.available);
    REQUIRE(!found.advice.empty());
    if (general.available) {
      REQUIRE(found.reason.find(one.said) != std::string::npos);
    } else {
      REQUIRE(found.reason == general.reason);
    }
  }
}

// ---- the running kernel, where it has the interface without a device (7.1)

namespace {

[[noreturn]] void skip(const std::string& reason) {
  std::printf("skipped: %s\n", reason.c_str());
  std::fflush(nullptr);
  std::_Exit(77);
}

// A ring with zcrx on it, and both ends of a TCP connection over loopback.
struct Loopback {
  explicit Loopback(uint32_t pages) {
    io_uring_params parameters = {};
    parameters.flags = Zcrx::ring_flags;
    const int error = io_uring_queue_init_params(64, &ring, &parameters);
    if (error < 0) skip(std::string("io_uring_setup: ") + std::strerror(-error));
    area_bytes = pages * page;
    void* mapped =
        mmap(nullptr, area_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapped != MAP_FAILED);
    area = static_cast<uint8_t*>(mapped);
    io::ZcrxOpened opened = Zcrx::open(ring, {"", 0, area, area_bytes});
    if (opened.zcrx == nullptr) {
      skip(std::string(opened.call) + " without a device: " + std::strerror(opened.error) +
           " (Linux 7.1 with CONFIG_IO_URING_ZCRX, and CAP_NET_ADMIN)");
    }
    zcrx = std::move(opened.zcrx);
    connect_ends();
  }

  ~Loopback() {
    // The order that zcrx.h asks for.
    while (zcrx->receives() > 0) {
      io_uring_sqe* entry = io_uring_get_sqe(&ring);
      io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
      entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
      entry->user_data = 1;
      while (next().more) continue;
    }
    io_uring_queue_exit(&ring);
    zcrx->ring_closed();
    for (size_t at = 0; at < area_bytes; at++) REQUIRE_EQUAL(area[at], 0);
    zcrx.reset();
    REQUIRE_EQUAL(munmap(area, area_bytes), 0);
    ::close(sender);
    ::close(receiver);
  }

  void connect_ends() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE_EQUAL(bind(listener, generic, length), 0);
    REQUIRE_EQUAL(listen(listener, 1), 0);
    REQUIRE_EQUAL(getsockname(listener, generic, &length), 0);
    sender = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE_EQUAL(connect(sender, generic, length), 0);
    receiver = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    REQUIRE(receiver >= 0);
    ::close(listener);
  }

  void receive(uint32_t limit_bytes = 0) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring);
    zcrx->prepare(*entry, receiver, limit_bytes);
    entry->user_data = 0;
    REQUIRE_EQUAL(io_uring_submit(&ring), 1);
  }

  void send(size_t count) {
    for (; count > 0; count--, sent++) bytes.push_back(static_cast<uint8_t>(sent % 249));
    const auto written = ::send(sender, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    REQUIRE_EQUAL(written, bytes.size());
    bytes.clear();
  }

  // The next completion; the bytes of a chunk are those that were sent.
  ZcrxReceived next() {
    io_uring_cqe* entry = nullptr;
    for (;;) {
      const int error = io_uring_submit_and_wait(&ring, 1);
      REQUIRE(error >= 0 || error == -EINTR);
      if (io_uring_peek_cqe(&ring, &entry) != 0) continue;
      if (entry->user_data == 0) break;
      io_uring_cqe_seen(&ring, entry);
    }
    const ZcrxReceived came = zcrx->take(*entry);
    io_uring_cqe_seen(&ring, entry);
    for (int32_t at = 0; at < came.result; at++, received++) {
      REQUIRE_EQUAL(area[came.offset + static_cast<size_t>(at)], received % 249);
    }
    return came;
  }

  io_uring ring = {};
  size_t area_bytes = 0;
  uint8_t* area = nullptr;
  std::unique_ptr<Zcrx> zcrx;
  int sender = -1;
  int receiver = -1;
  size_t sent = 0;
  size_t received = 0;
  std::vector<uint8_t> bytes;
};

}  // namespace

NATIVE_TEST(zcrx_loopback_streams) {
  Loopback loopback(16);
  loopback.receive();
  // Sixty times the area, through every wrap-around of the refill ring.
  while (loopback.received < 60 * loopback.area_bytes) {
    loopback.send(1 + loopback.sent % 9000);
    while (loopback.received < loopback.sent) {
      const ZcrxReceived came = loopback.next();
      if (came.more) {
        REQUIRE(loopback.zcrx->release(came.chunk));
        loopback.zcrx->refill();
      } else {
        REQUIRE_EQUAL(came.result, -ENOBUFS);
        REQUIRE(loopback.zcrx->reclaim());
        loopback.receive();
      }
    }
  }
  REQUIRE_EQUAL(loopback.zcrx->counters().held, 0);
  REQUIRE_EQUAL(shutdown(loopback.sender, SHUT_WR), 0);
  const ZcrxReceived came = loopback.next();
  REQUIRE_EQUAL(came.result, 0);
  REQUIRE(!came.more);
}

NATIVE_TEST(zcrx_loopback_kept_chunks_stop_it) {
  Loopback loopback(4);
  loopback.receive();
  loopback.send(40'000);
  std::vector<ZcrxChunkId> kept;
  ZcrxReceived came = loopback.next();
  for (; came.more; came = loopback.next()) kept.push_back(came.chunk);
  REQUIRE_EQUAL(came.result, -ENOBUFS);
  REQUIRE(loopback.received <= loopback.area_bytes);
  REQUIRE(!loopback.zcrx->reclaim());
  while (loopback.received < loopback.sent) {
    if (!came.more) {
      REQUIRE(!kept.empty());
      for (const ZcrxChunkId chunk : kept) REQUIRE(loopback.zcrx->release(chunk));
      kept.clear();
      REQUIRE(loopback.zcrx->reclaim());
      loopback.receive();
    }
    came = loopback.next();
    if (came.more) kept.push_back(came.chunk);
  }
}

NATIVE_TEST(zcrx_loopback_limit) {
  Loopback loopback(4);
  loopback.receive(100);
  loopback.send(150);
  ZcrxReceived came = loopback.next();
  while (came.more) came = loopback.next();
  REQUIRE_EQUAL(came.result, 0);
  REQUIRE_EQUAL(loopback.received, 100);
  loopback.receive();
  REQUIRE_EQUAL(loopback.next().result, 50);
}

}  // namespace native_tests
