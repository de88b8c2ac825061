// The kernel's table of registered buffers, made when the first buffer is registered.
#pragma once

#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/check.h"

namespace io::uring {

class RegisteredBuffers {
 public:
  explicit RegisteredBuffers(io_uring& ring) : ring_(ring) {}

  // Whole pages that have not been written to since they were zero. Their index in the table, or
  // -1.
  int32_t add(uint8_t* data, size_t size_bytes) {
    // Less than a page would take its neighbours with it when it is given up.
    const auto page_bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    if (reinterpret_cast<uintptr_t>(data) % page_bytes != 0) return -1;
    if (size_bytes == 0 || size_bytes % page_bytes != 0) return -1;
    if (!made_) {
      // 5.19. Fails with ENOMEM under a tight memlock limit: reads and writes then go the plain
      // way.
      if (io_uring_register_buffers_sparse(&ring_, limit) != 0) return -1;
      made_ = true;
      for (uint32_t index = limit; index > 0; index--) free_.push_back(index - 1);
    }
    if (free_.empty()) return -1;
    const uint32_t index = free_.back();
    keep_pages_small(data, size_bytes);
    if (!update(index, data, size_bytes)) return -1;
    free_.pop_back();
    return static_cast<int32_t>(index);
  }

  // Should the kernel have no memory for the word that they are given up, they stay mapped, and
  // their place in the table stays taken.
  void remove(int32_t index) {
    if (update(static_cast<uint32_t>(index), nullptr, 0)) {
      free_.push_back(static_cast<uint32_t>(index));
    }
  }

 private:
  static constexpr uint32_t limit = 1024;

  // A send without a copy from a huge page is charged to its socket with all that lies before it in
  // that page, up to 2 MiB for every packet (io_sg_from_iter() of the kernel's io_uring/net.c;
  // seen on 6.12, 6.18 and 7.3). So the socket is soon full, and one packet at a time is on its
  // way. Pages that are huge by now, as those of a heap that is used again, are given up: the next
  // ones are zero, too.
  static void keep_pages_small(uint8_t* data, size_t size_bytes) {
    // It may be refused: a kernel without huge pages does not know the advice (EINVAL), one with
    // larger pages than ours may find that it begins within one (EINVAL), and the process may have
    // as many mappings as it may (EAGAIN, ENOMEM). The memory is as good then, if dearer to send.
    if (madvise(data, size_bytes, MADV_NOHUGEPAGE) != 0) return;
    // EINVAL: a process that locks all of its memory does not give pages up.
    madvise(data, size_bytes, MADV_DONTNEED);
  }

  bool update(uint32_t index, uint8_t* data, size_t size_bytes) {
    const iovec buffer = {data, size_bytes};
    const __u64 tag = 0;
    return io_uring_register_buffers_update_tag(&ring_, index, &buffer, &tag, 1) == 1;
  }

  io_uring& ring_;
  bool made_ = false;
  std::vector<uint32_t> free_;
};

}  // namespace io::uring
