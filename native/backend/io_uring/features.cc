// Asks the kernel what it can do: see io_uring/features.h.
#include "backend/io_uring/features.h"

#include <cerrno>

#include "abi/abi.h"
#include "support/check.h"
#include "backend/io_uring/uapi.h"

namespace io::uring {

namespace {

bool knows(const io_uring_probe* known, int opcode) {
  return opcode <= known->last_op && io_uring_opcode_supported(known, opcode) != 0;
}

// No list names the flags of an operation, so one is tried: on no descriptor, because the kernel
// looks at the flags first (EINVAL) and at the descriptor then (EBADF).
template <class Prepare>
bool takes(io_uring& ring, Prepare prepare) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring);
  CHECK(entry != nullptr);
  prepare(*entry);
  io_uring_sqe_set_data64(entry, 0);
  int32_t result = 0;
  // One completion, or two where the kernel had made its notification already.
  for (bool more = true; more;) {
    if (io_uring_submit_and_wait(&ring, 1) < 0) return false;
    io_uring_cqe* completion = nullptr;
    if (io_uring_peek_cqe(&ring, &completion) != 0) return false;
    if ((completion->flags & IORING_CQE_F_NOTIF) == 0) result = completion->res;
    more = (completion->flags & IORING_CQE_F_MORE) != 0;
    io_uring_cqe_seen(&ring, completion);
  }
  return result == -EBADF;
}

bool takes_report_usage(io_uring& ring) {
  return takes(ring, [](io_uring_sqe& entry) {
    io_uring_prep_rw(IORING_OP_SEND_ZC, &entry, -1, nullptr, 0, 0);
    entry.ioprio |= uapi::send_zc_report_usage;
  });
}

}  // namespace

uint32_t features_of(io_uring& ring, const io_uring_probe* known) {
  uint32_t features = 0;
  if (knows(known, IORING_OP_SEND_ZC)) features |= abi::feature_send_zero_copy;             // 6.0
  if (knows(known, IORING_OP_SENDMSG_ZC)) features |= abi::feature_send_vectors_zero_copy;  // 6.1
  if (knows(known, uapi::op_readv_fixed)) features |= abi::feature_registered_vectors;      // 6.15
  const bool sends = (features & abi::feature_send_zero_copy) != 0;
  if (sends && takes_report_usage(ring)) features |= abi::feature_reports_copies;  // 6.2
  return features;
}

bool takes_receive_limits(io_uring& ring) {
  return takes(ring, [](io_uring_sqe& entry) {
    io_uring_prep_recv(&entry, -1, nullptr, 0, 0);
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.ioprio |= IORING_RECV_MULTISHOT;
    uapi::set_receive_limit(entry, 1);
  });
}

}  // namespace io::uring
