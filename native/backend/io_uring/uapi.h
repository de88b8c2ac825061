// Constants of io_uring that are newer than the kernel headers of the systems we build on (Debian
// 12: liburing 2.3, kernel 6.1), each with the kernel that brought it. They are numbers of the
// kernel's binary interface (include/uapi/linux/io_uring.h) and never change.
#pragma once

#include <liburing.h>

#include <cstdint>

namespace io::uapi {

inline constexpr int op_ftruncate = 55;    // 6.9
inline constexpr int op_readv_fixed = 60;  // 6.15, together with vectors of registered memory
                                           // for SENDMSG_ZC
inline constexpr uint16_t send_zc_report_usage = 1u << 3;    // 6.2, in an entry's ioprio
inline constexpr uint32_t notif_usage_zc_copied = 1u << 31;  // 6.2, in a notification's result

// STATX_BASIC_STATS and STATX_BTIME (4.11), which the headers of musl have only since 1.2.5. Older
// kernels ignore the others: STATX_MNT_ID (5.8), STATX_DIOALIGN (6.1) and STATX_WRITE_ATOMIC
// (6.11).
inline constexpr unsigned statx_fields = 0x7ff | 0x800 | 0x1000 | 0x2000 | 0x10000;
// A wait that is not counted as waiting for a disk (6.15).
inline constexpr unsigned feature_no_iowait = 1u << 17;
inline constexpr unsigned enter_no_iowait = 1u << 7;
inline constexpr int madvise_dontneed_locked = 24;  // MADV_DONTNEED_LOCKED, 5.18

// ---- Rings of provided buffers

// One receive fills as many of the ring's buffers as it has bytes for (6.10), in an entry's ioprio.
// With a length the bytes of one receive are so many at most (6.17).
inline constexpr uint16_t receive_bundle = 1u << 4;

// A ring of provided buffers whose entries are filled by several receives, one behind the other
// (6.12). The kernel's name for the field is flags.
inline void set_incremental(io_uring_buf_reg& registration) {
  constexpr uint16_t ring_incremental = 2;  // IOU_PBUF_RING_INC
  registration.pad = ring_incremental;
}

// A multishot receive ends by itself after so many bytes (6.17). The kernel's name for the field is
// optlen; older ones answer EINVAL when it is not 0.
inline void set_receive_limit(io_uring_sqe& entry, uint32_t limit_bytes) {
  entry.file_index = limit_bytes;
}

// ---- Receive into user memory by the network device ("zcrx"), Linux 6.15

inline constexpr int op_receive_zero_copy = 58;        // IORING_OP_RECV_ZC, 6.15
inline constexpr unsigned register_zcrx_queue = 32;    // IORING_REGISTER_ZCRX_IFQ, 6.15
inline constexpr unsigned register_query = 35;         // IORING_REGISTER_QUERY, 6.18
inline constexpr unsigned register_zcrx_control = 36;  // IORING_REGISTER_ZCRX_CTRL, 6.19

// The memory that a ring shares with the kernel (struct io_uring_region_desc, 6.13).
struct RegionDescription {
  uint64_t address;
  uint64_t size_bytes;
  uint32_t flags;
  uint32_t id;
  uint64_t map_offset;
  uint64_t reserved[4];
};
static_assert(sizeof(RegionDescription) == 64);
inline constexpr uint32_t region_of_user = 1;  // IORING_MEM_REGION_TYPE_USER

// An entry of the refill ring (struct io_uring_zcrx_rqe).
struct ZcrxRefill {
  uint64_t offset;  // with the number of the area in the high bits
  uint32_t size_bytes;
  uint32_t reserved;
};
static_assert(sizeof(ZcrxRefill) == 16);

// The second half of a completion of 32 bytes (struct io_uring_zcrx_cqe).
struct ZcrxCompletion {
  uint64_t offset;  // with the number of the area in the high bits
  uint64_t reserved;
};
static_assert(sizeof(ZcrxCompletion) == 16);

inline constexpr int zcrx_area_shift = 48;  // IORING_ZCRX_AREA_SHIFT

// Where the parts of the refill ring lie (struct io_uring_zcrx_offsets).
struct ZcrxOffsets {
  uint32_t head;
  uint32_t tail;
  uint32_t entries;
  uint32_t reserved;
  uint64_t reserved_more[2];
};
static_assert(sizeof(ZcrxOffsets) == 32);

// struct io_uring_zcrx_area_reg
struct ZcrxArea {
  uint64_t address;
  uint64_t size_bytes;
  uint64_t token;  // the kernel's: the number of the area in the high bits
  uint32_t flags;
  uint32_t dmabuf;
  uint64_t reserved[2];
};
static_assert(sizeof(ZcrxArea) == 48);

// struct io_uring_zcrx_ifq_reg
struct ZcrxQueue {
  uint32_t interface_index;
  uint32_t queue;
  uint32_t refill_entries;
  uint32_t flags;
  uint64_t area;    // a pointer to a ZcrxArea
  uint64_t region;  // a pointer to a RegionDescription
  ZcrxOffsets offsets;
  uint32_t id;
  uint32_t chunk_bytes;
  uint64_t reserved[3];
};
static_assert(sizeof(ZcrxQueue) == 96);
// ZCRX_REG_NODEV, 7.1: without a device. The kernel copies into the area; the rest is the same.
inline constexpr uint32_t zcrx_without_device = 2;

// struct zcrx_ctrl
struct ZcrxControl {
  uint32_t id;
  uint32_t operation;
  uint64_t reserved[2];
  uint64_t arguments[6];
};
static_assert(sizeof(ZcrxControl) == 72);
inline constexpr uint32_t zcrx_control_flush = 0;  // ZCRX_CTRL_FLUSH_RQ

// struct io_uring_query_hdr and struct io_uring_query_zcrx (IO_URING_QUERY_ZCRX, 6.19)
struct QueryHeader {
  uint64_t next;
  uint64_t data;
  uint32_t operation;
  uint32_t size_bytes;
  int32_t result;
  uint32_t reserved[3];
};
static_assert(sizeof(QueryHeader) == 40);
inline constexpr uint32_t query_zcrx = 1;
struct ZcrxAbilities {
  uint64_t register_flags;
  uint64_t area_flags;
  uint32_t control_operations;  // how many the kernel knows
  uint32_t features;
  uint32_t header_bytes;  // of the refill ring
  uint32_t header_alignment;
  uint64_t reserved;
};
static_assert(sizeof(ZcrxAbilities) == 40);

}  // namespace io::uapi
