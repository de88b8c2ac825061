// Chunks of the area, and the ring that returns them. See zcrx.h.
#include "backend/zcrx/zcrx.h"

#include <net/if.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "support/check.h"

namespace io {

namespace {

constexpr uint32_t max_refill_entries = 32768;  // the kernel's IO_RQ_MAX_ENTRIES
constexpr uint64_t offset_mask = (uint64_t{1} << uapi::zcrx_area_shift) - 1;

size_t page_bytes() {
  static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// liburing of Debian 12 has no function for these.
int register_with(int ring, unsigned operation, void* argument, unsigned count) {
  const long result = syscall(__NR_io_uring_register, ring, operation, argument, count);
  return result < 0 ? -errno : static_cast<int>(result);
}

// The zcrx features of this kernel. There is no query before 6.19; such a kernel has none of the
// newer features.
uapi::ZcrxAbilities abilities() {
  uapi::ZcrxAbilities found = {};
  uapi::QueryHeader query = {};
  query.data = reinterpret_cast<uintptr_t>(&found);
  query.operation = uapi::query_zcrx;
  query.size_bytes = sizeof(found);
  const int error = register_with(-1, uapi::register_query, &query, 0);
  if (error < 0 || query.result < 0) found = {};
  // Before 6.19 the entries begin within the first page.
  if (found.header_bytes == 0) found.header_bytes = static_cast<uint32_t>(page_bytes());
  return found;
}

template <class T>
T* part_of(uint8_t* memory, size_t size_bytes, uint64_t offset, uint64_t count) {
  CHECK(offset % alignof(T) == 0);
  CHECK(offset <= size_bytes);
  CHECK(count <= (size_bytes - offset) / sizeof(T));
  return reinterpret_cast<T*>(memory + offset);
}

}  // namespace

// ---- the refill ring

RefillRing::RefillRing(uint8_t* memory, size_t size_bytes, const uapi::ZcrxOffsets& offsets,
                       uint32_t entry_count)
    : head_(part_of<uint32_t>(memory, size_bytes, offsets.head, 1)),
      tail_(part_of<uint32_t>(memory, size_bytes, offsets.tail, 1)),
      entries_(part_of<uapi::ZcrxRefill>(memory, size_bytes, offsets.entries, entry_count)),
      entry_count_(entry_count),
      next_(*tail_) {
  CHECK(std::has_single_bit(entry_count));
  CHECK(head_ != tail_);
  CHECK(queued() == 0);
}

uint32_t RefillRing::queued() const {
  // Acquire: the kernel has read an entry before it moves the head past it, so a later write to
  // that place cannot change the entry that it reads.
  const uint32_t queued = next_ - io_uring_smp_load_acquire(head_);
  // A head beyond the entries that were published is invalid: the ring takes nothing more.
  return std::min(queued, entry_count_);
}

bool RefillRing::push(uint64_t offset, uint32_t size_bytes) {
  if (queued() == entry_count_) return false;
  entries_[next_ & (entry_count_ - 1)] = {offset, size_bytes, 0};
  next_++;
  return true;
}

void RefillRing::publish() {
  // Release: the entries are there before the tail says so.
  io_uring_smp_store_release(tail_, next_);
}

// ---- set-up and tear-down

namespace {

struct Attempt {
  Zcrx::Registered registered;
  const char* call = nullptr;  // the call that failed, or null
  int error = 0;
};

void failed(Attempt& attempt, const char* call, int error) {
  attempt.call = call;
  attempt.error = error;
}

// Whether what the kernel says of the refill ring and of the area can be.
bool is_sound(const Zcrx::Registered& registered) {
  const uapi::ZcrxQueue& queue = registered.queue;
  const uapi::ZcrxOffsets& at = queue.offsets;
  const size_t size_bytes = registered.refill_bytes;
  const auto fits = [&](uint32_t offset, size_t bytes, size_t alignment) {
    return offset % alignment == 0 && offset <= size_bytes && bytes <= size_bytes - offset;
  };
  return std::has_single_bit(queue.refill_entries) && at.head != at.tail &&
         (registered.token & offset_mask) == 0 && fits(at.head, 4, 4) && fits(at.tail, 4, 4) &&
         fits(at.entries, queue.refill_entries * sizeof(uapi::ZcrxRefill),
              alignof(uapi::ZcrxRefill));
}

// Maps a refill ring and registers it with the area and the queue that `queue` names.
Attempt register_queue(io_uring& ring, const ZcrxOptions& options, const uapi::ZcrxQueue& named) {
  CHECK(options.area_bytes > 0);
  CHECK(options.area_bytes <= offset_mask);
  CHECK(options.area_bytes % page_bytes() == 0);
  CHECK(reinterpret_cast<uintptr_t>(options.area) % page_bytes() == 0);
  Attempt attempt;
  Zcrx::Registered& registered = attempt.registered;
  registered.area = options.area;
  registered.area_bytes = options.area_bytes;
  registered.queue = named;
  uapi::ZcrxQueue& queue = registered.queue;
  // Space for every page of the area, so that the ring is full only when pages are held in parts.
  const size_t pages = options.area_bytes / page_bytes();
  queue.refill_entries =
      static_cast<uint32_t>(std::min<size_t>(std::bit_ceil(pages), max_refill_entries));

  const uapi::ZcrxAbilities able = abilities();
  const size_t alignment = std::max<size_t>(able.header_alignment, sizeof(uapi::ZcrxRefill));
  const size_t header_bytes = round_up(able.header_bytes, alignment);
  const size_t entries_bytes = queue.refill_entries * sizeof(uapi::ZcrxRefill);
  registered.refill_bytes = round_up(header_bytes + entries_bytes, page_bytes());
  void* refill = mmap(nullptr, registered.refill_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (refill == MAP_FAILED) {
    failed(attempt, "mmap", errno);
    return attempt;
  }
  registered.refill = static_cast<uint8_t*>(refill);
  registered.owns_refill = true;
  // A child that forks without exec must not share it.
  if (madvise(refill, registered.refill_bytes, MADV_DONTFORK) != 0) {
    failed(attempt, "madvise", errno);
    munmap(refill, registered.refill_bytes);
    return attempt;
  }

  uapi::RegionDescription region = {};
  region.address = reinterpret_cast<uintptr_t>(refill);
  region.size_bytes = registered.refill_bytes;
  region.flags = uapi::region_of_user;
  uapi::ZcrxArea area = {};
  area.address = reinterpret_cast<uintptr_t>(options.area);
  area.size_bytes = options.area_bytes;
  queue.region = reinterpret_cast<uintptr_t>(&region);
  queue.area = reinterpret_cast<uintptr_t>(&area);
  const int error = register_with(ring.ring_fd, uapi::register_zcrx_queue, &queue, 1);
  if (error < 0) {
    munmap(refill, registered.refill_bytes);
    failed(attempt, "io_uring_register(IORING_REGISTER_ZCRX_IFQ)", -error);
    return attempt;
  }
  registered.token = area.token;
  // The memory is given up with the ring, which the caller closes.
  if (!is_sound(registered)) {
    failed(attempt, "io_uring_register(IORING_REGISTER_ZCRX_IFQ)", EPROTO);
    return attempt;
  }
  registered.ring = able.control_operations > uapi::zcrx_control_flush ? ring.ring_fd : -1;
  return attempt;
}

}  // namespace

ZcrxOpened Zcrx::open(io_uring& ring, const ZcrxOptions& options) {
  uapi::ZcrxQueue queue = {};
  if (options.interface.empty()) {
    queue.flags = uapi::zcrx_without_device;
  } else {
    queue.interface_index = if_nametoindex(options.interface.c_str());
    if (queue.interface_index == 0) return {nullptr, "if_nametoindex", errno};
    queue.queue = options.queue;
  }
  const Attempt attempt = register_queue(ring, options, queue);
  if (attempt.call != nullptr) return {nullptr, attempt.call, attempt.error};
  return {std::make_unique<Zcrx>(attempt.registered), nullptr, 0};
}

int Zcrx::try_index(io_uring& ring, const ZcrxOptions& options, uint32_t interface_index) {
  uapi::ZcrxQueue queue = {};
  queue.interface_index = interface_index;
  const Attempt attempt = register_queue(ring, options, queue);
  if (attempt.call != nullptr) return attempt.error;
  munmap(attempt.registered.refill, attempt.registered.refill_bytes);
  return 0;
}

Zcrx::Zcrx(const Registered& registered)
    : registered_(registered),
      refill_ring_(registered.refill, registered.refill_bytes, registered.queue.offsets,
                   registered.queue.refill_entries) {
  CHECK((registered_.token & offset_mask) == 0);
  CHECK(registered_.area_bytes <= offset_mask);
}

void Zcrx::ring_closed() {
  CHECK(receives_ == 0);
  CHECK(!ring_closed_);
  ring_closed_ = true;
  registered_.ring = -1;
  std::vector<std::vector<uint8_t>> kept;
  for (const Chunk& chunk : chunks_) {
    if (!chunk.held) continue;
    const uint8_t* bytes = registered_.area + chunk.offset;
    kept.emplace_back(bytes, bytes + chunk.size_bytes);
  }
  int result = madvise(registered_.area, registered_.area_bytes, MADV_DONTNEED);
  // The process has locked all of its memory; 5.18.
  if (result != 0 && errno == EINVAL) {
    result = madvise(registered_.area, registered_.area_bytes, uapi::madvise_dontneed_locked);
  }
  CHECK(result == 0);
  size_t at = 0;
  for (const Chunk& chunk : chunks_) {
    if (!chunk.held) continue;
    std::copy(kept[at].begin(), kept[at].end(), registered_.area + chunk.offset);
    at++;
  }
}

Zcrx::~Zcrx() {
  CHECK(ring_closed_);
  if (registered_.owns_refill) munmap(registered_.refill, registered_.refill_bytes);
}

// ---- chunks

void Zcrx::prepare(io_uring_sqe& entry, int socket, uint32_t limit_bytes) {
  CHECK(!ring_closed_);
  io_uring_prep_rw(uapi::op_receive_zero_copy, &entry, socket, nullptr, limit_bytes, 0);
  entry.ioprio |= IORING_RECV_MULTISHOT;  // the operation has no other form
  entry.file_index = id();                // the kernel's name for the field is zcrx_ifq_idx
  receives_++;
}

ZcrxReceived Zcrx::take(const io_uring_cqe& entry) {
  CHECK(receives_ > 0);
  ZcrxReceived received;
  received.result = entry.res;
  received.more = (entry.flags & IORING_CQE_F_MORE) != 0;
  if (!received.more) {
    // The bytes came before, in completions of their own; the second half of this one says nothing.
    if (entry.res > 0) received.result = -EIO;
    receives_--;
    // The kernel's error when every chunk of the area is held.
    const bool all_held = counters_.held > 0 || !waiting_.empty() || refill_ring_.queued() > 0;
    if (entry.res == -ENOMEM && all_held) received.result = -ENOBUFS;
    return received;
  }
  uapi::ZcrxCompletion completion;
  static_assert(sizeof(completion) == sizeof(io_uring_cqe));
  __builtin_memcpy(&completion, &entry.big_cqe, sizeof(completion));
  const auto size_bytes = static_cast<uint32_t>(entry.res);
  const uint64_t offset = completion.offset & offset_mask;
  // No pointer is made of what the kernel says before this.
  received.broken = entry.res <= 0 || (completion.offset & ~offset_mask) != registered_.token ||
                    !has_room(offset, size_bytes);
  if (received.broken) return received;
  received.offset = offset;
  received.chunk = mark_held(offset, size_bytes);
  return received;
}

// Chunks do not overlap, so they cannot hold more than the area has.
bool Zcrx::has_room(uint64_t offset, uint32_t size_bytes) const {
  if (offset >= registered_.area_bytes) return false;
  if (size_bytes > registered_.area_bytes - offset) return false;
  return counters_.held_bytes + size_bytes <= registered_.area_bytes;
}

ZcrxChunkId Zcrx::mark_held(uint64_t offset, uint32_t size_bytes) {
  uint32_t index;
  if (free_.empty()) {
    index = static_cast<uint32_t>(chunks_.size());
    chunks_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Chunk& chunk = chunks_[index];
  CHECK(!chunk.held);
  chunk.held = true;
  chunk.offset = offset;
  chunk.size_bytes = size_bytes;
  counters_.chunks++;
  counters_.bytes += size_bytes;
  counters_.held++;
  counters_.held_bytes += size_bytes;
  return {index, chunk.generation};
}

bool Zcrx::release(ZcrxChunkId id) {
  const bool known = id.index < chunks_.size() && chunks_[id.index].held &&
                     chunks_[id.index].generation == id.generation;
  if (!known) {
    counters_.refused++;
    return false;
  }
  Chunk& chunk = chunks_[id.index];
  chunk.held = false;
  chunk.generation++;
  free_.push_back(id.index);
  counters_.held--;
  counters_.held_bytes -= chunk.size_bytes;
  if (!ring_closed_) waiting_.push_back({chunk.offset, chunk.size_bytes});
  return true;
}

ZcrxChunkId Zcrx::id_of(uint32_t index) const {
  return {index, index < chunks_.size() ? chunks_[index].generation : 0};
}

uint64_t Zcrx::offset_of(uint32_t index) const {
  CHECK(index < chunks_.size());
  CHECK(chunks_[index].held);
  return chunks_[index].offset;
}

void Zcrx::refill() {
  if (waiting_.empty()) return;
  push_waiting();
  if (waiting_.empty()) return;
  counters_.full++;
  flush();
  push_waiting();
}

bool Zcrx::reclaim() {
  refill();
  const uint32_t queued = refill_ring_.queued();
  flush();
  return refill_ring_.queued() < queued;
}

void Zcrx::push_waiting() {
  bool pushed = false;
  while (!waiting_.empty()) {
    const Returned& returned = waiting_.front();
    if (!refill_ring_.push(returned.offset | registered_.token, returned.size_bytes)) break;
    waiting_.pop_front();
    pushed = true;
  }
  if (pushed) refill_ring_.publish();
}

void Zcrx::flush() {
  if (registered_.ring < 0 || refill_ring_.queued() == 0) return;
  uapi::ZcrxControl control = {};
  control.id = id();
  control.operation = uapi::zcrx_control_flush;
  const int error = register_with(registered_.ring, uapi::register_zcrx_control, &control, 0);
  // Refused (EINTR: a signal came first), the entries stay in the ring, where the kernel finds
  // them.
  if (error >= 0) counters_.flushes++;
}

}  // namespace io
