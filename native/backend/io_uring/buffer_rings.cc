// Rings of provided buffers: see buffer_rings.h.
#include "backend/io_uring/buffer_rings.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "support/check.h"
#include "backend/io_uring/uapi.h"

namespace io {

BufferRings::BufferRings(io_uring& ring, const uring::KernelTraits& traits)
    : ring_(ring), incremental_(!traits.buffers_filled_once), bundles_(!traits.no_bundles) {}

BufferRings::~BufferRings() {
  for (uint32_t group = 0; group < rings_.size(); group++) {
    if (rings_[group].entries != nullptr) remove(group);
  }
}

int BufferRings::add(uint32_t group, uint32_t capacity, bool shared) {
  if (group >= rings_.size()) rings_.resize(group + 1);
  BufferRing& ring = rings_[group];
  CHECK(ring.entries == nullptr);
  ring.entry_count = 1;
  while (ring.entry_count < capacity) ring.entry_count *= 2;
  ring.tail = 0;
  ring.incremental = shared && incremental_;
  ring.head = 0;
  ring.filled_bytes = 0;
  ring.distrusted = false;
  ring.buffers.assign(capacity, ProvidedBuffer{});

  // The kernel wants it to begin at a page.
  const size_t size_bytes = ring.entry_count * sizeof(io_uring_buf);
  void* memory =
      mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return -errno;
  // A child that forks without exec must not make the parent's page another one than the kernel's.
  if (madvise(memory, size_bytes, MADV_DONTFORK) != 0) {
    const int error = errno;  // ENOMEM: the process has as many mappings as it may
    munmap(memory, size_bytes);
    return -error;
  }
  io_uring_buf_reg registration;
  std::memset(&registration, 0, sizeof(registration));
  registration.ring_addr = reinterpret_cast<uintptr_t>(memory);
  registration.ring_entries = ring.entry_count;
  registration.bgid = static_cast<uint16_t>(group);
  if (ring.incremental) uapi::set_incremental(registration);
  const int error = io_uring_register_buf_ring(&ring_, &registration, 0);
  if (error != 0) {
    munmap(memory, size_bytes);
    return error;
  }
  ring.entries = static_cast<io_uring_buf_ring*>(memory);
  return 0;
}

void BufferRings::remove(uint32_t group) {
  BufferRing& ring = rings_[group];
  CHECK(ring.entries != nullptr);
  // Memory that the kernel does not release stays mapped. Nor may a munmap succeed: it can split
  // a mapping where the process has as many as it may.
  if (io_uring_unregister_buf_ring(&ring_, static_cast<int>(group)) == 0) {
    munmap(ring.entries, ring.entry_count * sizeof(io_uring_buf));
  }
  ring.entries = nullptr;
}

// The ring cannot be full: it has a place for every buffer, and a buffer is in it once.
void BufferRings::provide(uint32_t group, uint32_t buffer_id, uint8_t* data, uint32_t size_bytes) {
  BufferRing& ring = rings_[group];
  CHECK(buffer_id < ring.buffers.size());
  ring.buffers[buffer_id] = {data, size_bytes, true};
  // Its last field is not written: in the first entry the ring's tail stands there.
  io_uring_buf& entry = ring.entries->bufs[ring.tail & (ring.entry_count - 1)];
  entry.addr = reinterpret_cast<uintptr_t>(data);
  entry.len = size_bytes;
  entry.bid = static_cast<uint16_t>(buffer_id);
  ring.tail++;
  // Not std::atomic_ref, which libc++ has since 19 only.
  __atomic_store_n(&ring.entries->tail, ring.tail, __ATOMIC_RELEASE);
}

void BufferRings::provide_again(uint32_t group, uint32_t buffer_id) {
  BufferRing& ring = rings_[group];
  // An incremental ring moves on by the bytes that came, so it takes no buffer without any.
  if (ring.incremental || !claim(group, buffer_id)) return distrust(group);
  const ProvidedBuffer& again = ring.buffers[buffer_id];
  provide(group, buffer_id, again.data, again.size_bytes);
}

bool BufferRings::claim(uint32_t group, uint32_t buffer_id) {
  BufferRing& ring = rings_[group];
  if (buffer_id >= ring.buffers.size()) return false;
  if (!ring.incremental) return std::exchange(ring.buffers[buffer_id].provided, false);
  return ring.head != ring.tail &&
         ring.entries->bufs[ring.head & (ring.entry_count - 1)].bid == buffer_id;
}

BufferRings::Part BufferRings::take(uint32_t group, uint32_t size_bytes) {
  BufferRing& ring = rings_[group];
  CHECK(ring.incremental);
  if (ring.head == ring.tail) return {};
  // The kernel changes the address and the length of an entry, and never its number.
  const uint32_t buffer_id = ring.entries->bufs[ring.head & (ring.entry_count - 1)].bid;
  if (buffer_id >= ring.buffers.size()) return {};
  const uint32_t room_bytes = ring.buffers[buffer_id].size_bytes - ring.filled_bytes;
  const Part part = {buffer_id, std::min(size_bytes, room_bytes), size_bytes < room_bytes};
  ring.filled_bytes += part.size_bytes;
  if (!part.open) {
    ring.head++;
    ring.filled_bytes = 0;
  }
  return part;
}

}  // namespace io
