// Receive into user memory by the network device ("zcrx"), Linux 6.15: the device writes the
// payload of the packets of one of its queues into an area of ours. Each completion of a receive
// names a chunk of the area; chunks go back through a ring that the kernel reads, the refill ring.
//
//     area     |  chunk  |  chunk  |  ...           the device, or the kernel, writes
//        ^ names   |          |
//     completion queue     refill ring [ head: the kernel's | tail: ours ]
//
// Who owns what. The area is the caller's, page-aligned, and is the kernel's from open() on: a
// chunk is ours from the completion that names it until give_back(). The refill ring's memory is
// ours, mapped by open(). Tear-down, in this order: end the receives and take their final
// completions; close the ring; ring_closed(); destroy this; then the area may be freed. Closing a
// ring returns before the kernel has released the device's queue, so that packets may still be
// written then. ring_closed() therefore takes the pages out of the area (they stay the kernel's
// alone, until it is done) and puts a copy of what is still lent into the new ones: the addresses
// stay valid, chunks keep their bytes, the rest reads as zeros, and nothing that is put there later
// can be overwritten.
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
  // As the kernel laid it out; what lies outside of the memory ends the process.
  RefillRing(uint8_t* memory, size_t size_bytes, const uapi::ZcrxOffsets& offsets,
             uint32_t entry_count);

  // False when it is full: an entry that the kernel has not read is never overwritten. What was
  // pushed is the kernel's with publish().
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
  uint32_t next_;  // the tail, with what is not published
};

struct ZcrxOptions {
  std::string interface;  // empty: no device, the kernel copies (7.1)
  uint32_t queue = 0;
  uint8_t* area = nullptr;
  size_t area_bytes = 0;
};

// Names a chunk that is lent. Wrong and old ones are refused, so it may go through JavaScript.
struct ZcrxChunkId {
  uint32_t index = 0;
  uint32_t generation = 0;
};

struct ZcrxReceived {
  // Bytes in the chunk; 0 at the end of the stream or of the limit; or a negative errno. -ENOBUFS:
  // all chunks are lent, receive again when one was given back. -ENOSPC: the completion queue was
  // full, receive again.
  int32_t result = 0;
  bool more = false;
  bool broken = false;  // the kernel names memory that is not the area's, or is lent
  // When the result is above 0.
  ZcrxChunkId chunk;
  size_t offset = 0;  // in the area
};

struct ZcrxCounters {
  uint64_t chunks = 0;   // that came
  uint64_t bytes = 0;    // in them
  uint64_t refused = 0;  // returns of what was not lent
  uint64_t full = 0;     // how often the refill ring had no room for a return
  uint64_t flushes = 0;  // how often the kernel was asked to read the refill ring
  uint32_t lent = 0;     // chunks that are lent now
  uint64_t lent_bytes = 0;
};

struct ZcrxProbe {
  bool available = false;
  std::string reason;  // one sentence
  std::string advice;  // what to change; may be empty
};

class Zcrx;
struct ZcrxOpened {
  std::unique_ptr<Zcrx> zcrx;  // null when `error` says why not
  const char* call = nullptr;  // the one that failed
  int error = 0;
};

class Zcrx {
 public:
  // What a registration has given.
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
  // What can be told before a ring is set up for open(), without touching the device: whether the
  // interface and its queue exist, then the kernel and the rights.
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
  // Gives a chunk back; false when it is not lent. The kernel has it after refill().
  bool give_back(ZcrxChunkId chunk);
  // The chunk that has this number now; a number that none ever had names one that is not lent.
  ZcrxChunkId id_of(uint32_t index) const;
  // Of a chunk that is lent.
  uint64_t offset_of(uint32_t index) const;
  // Puts what was given back into the refill ring, as far as there is room; call it once per round.
  void refill();
  // To be called before a receive that ended with -ENOBUFS is made again: makes sure that the
  // kernel has what was given back. False when it has taken nothing, so that the receive would only
  // end in the same way: wait for a give_back() then. (Before 6.19 it cannot be asked, and takes
  // what it needs when its device needs it.)
  bool reclaim();
  // The ring is closed, see above.
  void ring_closed();

  uint8_t* area() const { return registered_.area; }
  uint32_t id() const { return registered_.queue.id; }
  uint32_t receives() const { return receives_; }
  // Given back, but the refill ring had no room yet.
  size_t waiting() const { return waiting_.size(); }
  const ZcrxCounters& counters() const { return counters_; }

 private:
  struct Chunk {
    uint64_t offset = 0;
    uint32_t size_bytes = 0;
    uint32_t generation = 0;
    bool lent = false;
  };
  struct Returned {
    uint64_t offset;
    uint32_t size_bytes;
  };

  bool has_room(uint64_t offset, uint32_t size_bytes) const;
  ZcrxChunkId lend(uint64_t offset, uint32_t size_bytes);
  void push_waiting();
  // Asks the kernel to read the refill ring now; it does so by itself when the device needs memory,
  // which without a device is never. Does nothing where the kernel cannot be asked (before 6.19).
  void flush();

  Registered registered_;
  RefillRing refill_ring_;
  // By index. It grows to the most chunks that were ever lent at once, which the area bounds: they
  // do not overlap.
  std::vector<Chunk> chunks_;
  std::vector<uint32_t> free_;
  std::deque<Returned> waiting_;
  uint32_t receives_ = 0;
  bool ring_closed_ = false;
  ZcrxCounters counters_;
};

}  // namespace io
