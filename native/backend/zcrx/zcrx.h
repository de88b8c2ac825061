// Receive into user memory by the network device ("zcrx"), Linux 6.15: the device writes the
// payload of the packets of one of its queues into an area of ours. Each completion of a receive
// names a chunk of the area; chunks go back through a ring that the kernel reads, the refill ring.
//
//     area     |  chunk  |  chunk  |  ...           the device, or the kernel, writes
//        ^ names   |          |
//     completion queue     refill ring [ head: the kernel's | tail: ours ]
//
// Who owns what. The area is the caller's, page-aligned, and is the kernel's from open() on: a
// chunk is ours from the completion that names it until release(). The refill ring's memory is
// ours, mapped by open(). Tear-down, in this order: end the receives and take their final
// completions; close the ring; ring_closed(); destroy this; then the area may be freed. Closing a
// ring returns before the kernel has released the device's queue, so packets may still be written
// then. ring_closed() therefore removes the pages from the area (the kernel keeps them until it has
// finished) and copies the chunks that are still held into new ones. The addresses stay valid,
// chunks keep their bytes, the rest reads as zeros, and the device can overwrite nothing that is
// stored there later.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "backend/io_uring/uapi.h"

namespace io {

// Carries numbers to the kernel: we write entries and the tail, the kernel reads them and writes
// the head. Both count from 0 and wrap around at 2^32.
class RefillRing {
 public:
  // In the kernel's layout. An offset outside of the memory ends the process.
  RefillRing(uint8_t* memory, size_t size_bytes, const uapi::ZcrxOffsets& offsets,
             uint32_t entry_count);

  // False when it is full: an entry that the kernel has not read is never overwritten. publish()
  // hands the pushed entries to the kernel.
  bool push(uint64_t offset, uint32_t size_bytes);
  void publish();
  // Entries that the kernel has not read yet.
  uint32_t queued() const;
  uint32_t entry_count() const { return entry_count_; }

 private:
  uint32_t* head_;
  uint32_t* tail_;
  uapi::ZcrxRefill* entries_;
  uint32_t entry_count_;
  uint32_t next_;  // the tail, including unpublished entries
};

struct ZcrxOptions {
  std::string interface;  // empty: no device, the kernel copies (7.1)
  uint32_t queue = 0;
  uint8_t* area = nullptr;
  size_t area_bytes = 0;
};

// Names a chunk that is held. Wrong and old ones are refused, so it may go through JavaScript.
struct ZcrxChunkId {
  uint32_t index = 0;
  uint32_t generation = 0;
};

struct ZcrxReceived {
  // Bytes in the chunk; 0 at the end of the stream or of the limit; or a negative errno. -ENOBUFS:
  // all chunks are held, receive again after one was released. -ENOSPC: the completion queue was
  // full, receive again.
  int32_t result = 0;
  bool more = false;
  bool broken = false;  // the kernel names memory outside the area, or a chunk that is held
  // When the result is above 0.
  ZcrxChunkId chunk;
  size_t offset = 0;  // in the area
};

struct ZcrxCounters {
  uint64_t chunks = 0;   // that came
  uint64_t bytes = 0;    // in them
  uint64_t refused = 0;  // releases of chunks that were not held
  uint64_t full = 0;     // how often the refill ring had no room for a return
  uint64_t flushes = 0;  // how often the kernel was asked to read the refill ring
  uint32_t held = 0;     // chunks that are held now
  uint64_t held_bytes = 0;
};

struct ZcrxProbe {
  bool available = false;
  std::string reason;  // one sentence
  std::string advice;  // what to change; may be empty
};

class Zcrx;
struct ZcrxOpened {
  std::unique_ptr<Zcrx> zcrx;  // null when `error` says why not
  const char* call = nullptr;  // the call that failed
  int error = 0;
};

class Zcrx {
 public:
  // The results of a registration.
  struct Registered {
    uapi::ZcrxQueue queue = {};
    uint64_t token = 0;
    uint8_t* area = nullptr;
    size_t area_bytes = 0;
    uint8_t* refill = nullptr;
    size_t refill_bytes = 0;
    bool owns_refill = false;  // mapped by open()
    int ring = -1;             // to flush the refill ring, or -1 where the kernel cannot
  };

  // The set-up flags that the ring needs beside its own. A ring with them has completions of 32
  // bytes only: CQE_MIXED (6.18) would save memory on rings that do other things too, but every
  // kernel with zcrx knows CQE32 (5.19), and every liburing steps over it correctly.
  static constexpr unsigned ring_flags =
      IORING_SETUP_CQE32 | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER;

  // Registers with `ring`, which must outlive every receive. Restarts the device's queue. Needs
  // CAP_NET_ADMIN.
  static ZcrxOpened open(io_uring& ring, const ZcrxOptions& options);
  // Whether open() would succeed, by trying: the first thing that is missing and what to change.
  // Without an interface only the kernel and the rights are tried; with one its queue is restarted
  // twice when everything is there.
  static ZcrxProbe probe(const std::string& interface, uint32_t queue);
  // Checks that need no ring and do not touch the device: whether the interface and its queue
  // exist, then the kernel and the rights.
  static ZcrxProbe look(const ZcrxOptions& options);
  // Why open() has failed.
  static ZcrxProbe why_not(const ZcrxOpened& opened, const ZcrxOptions& options);

  // For probe(): the errno of a registration with an interface by its number, 0 when it succeeds.
  static int try_index(io_uring& ring, const ZcrxOptions& options, uint32_t interface_index);

  explicit Zcrx(const Registered& registered);
  ~Zcrx();
  Zcrx(const Zcrx&) = delete;
  Zcrx& operator=(const Zcrx&) = delete;

  // A multishot receive on a TCP socket, of up to `limit_bytes` (0: no limit). It counts as in
  // flight from here on, until take() has returned a result without `more`.
  void prepare(io_uring_sqe& entry, int socket, uint32_t limit_bytes);
  // A completion of such a receive, of a ring with ring_flags.
  ZcrxReceived take(const io_uring_cqe& entry);
  // Returns a chunk; false when it is not held. The kernel has it after refill().
  bool release(ZcrxChunkId chunk);
  // The chunk that has this number now. A number that was never used names a chunk that is not
  // held.
  ZcrxChunkId id_of(uint32_t index) const;
  // Of a chunk that is held.
  uint64_t offset_of(uint32_t index) const;
  // Puts released chunks into the refill ring, as far as there is space; call it once per round.
  void refill();
  // Call it before a receive that ended with -ENOBUFS is made again: it makes sure that the kernel
  // has the released chunks. False when the kernel has taken none, so that the receive would only
  // end in the same way: wait for a release() then. (There is no such call before 6.19, where the
  // kernel takes the chunks when its device needs them.)
  bool reclaim();
  // The ring is closed, see above.
  void ring_closed();

  uint8_t* area() const { return registered_.area; }
  uint32_t id() const { return registered_.queue.id; }
  uint32_t receives() const { return receives_; }
  // Released, but the refill ring had no space yet.
  size_t waiting() const { return waiting_.size(); }
  const ZcrxCounters& counters() const { return counters_; }

 private:
  struct Chunk {
    uint64_t offset = 0;
    uint32_t size_bytes = 0;
    uint32_t generation = 0;
    bool held = false;
  };
  struct Returned {
    uint64_t offset;
    uint32_t size_bytes;
  };

  bool has_room(uint64_t offset, uint32_t size_bytes) const;
  ZcrxChunkId mark_held(uint64_t offset, uint32_t size_bytes);
  void push_waiting();
  // Asks the kernel to read the refill ring now; it does so by itself when the device needs memory,
  // which without a device is never. Does nothing where the kernel cannot be asked (before 6.19).
  void flush();

  Registered registered_;
  RefillRing refill_ring_;
  // By index. It grows to the largest number of chunks that were ever held at once. The area bounds
  // that, since chunks do not overlap.
  std::vector<Chunk> chunks_;
  std::vector<uint32_t> free_;
  std::deque<Returned> waiting_;
  uint32_t receives_ = 0;
  bool ring_closed_ = false;
  ZcrxCounters counters_;
};

}  // namespace io
