// Finds out what the running kernel can do: see io_uring/kernel_traits.h.
#include "backend/io_uring/kernel_traits.h"

#include <cerrno>
#include <mutex>
#include <string_view>

#include "abi/abi.h"
#include "support/check.h"
#include "backend/io_uring/uapi.h"
#include "backend/io_uring/late_eventfd_signals.h"

namespace io::uring {

namespace {

bool lacks(const io_uring_probe& known, int opcode) {
  return opcode > known.last_op || io_uring_opcode_supported(&known, opcode) == 0;
}

// No list names the flags of an operation, so one is tried: on no descriptor, because the kernel
// looks at the flags first (EINVAL) and at the descriptor then (EBADF). Nothing when the ring took
// no entry, which says nothing about the kernel.
template <class Prepare>
std::optional<bool> refuses(io_uring& ring, Prepare prepare) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring);
  CHECK(entry != nullptr);
  prepare(*entry);
  io_uring_sqe_set_data64(entry, 0);
  int32_t result = 0;
  // One completion, or two where the kernel had made its notification already.
  for (bool more = true; more;) {
    if (io_uring_submit_and_wait(&ring, 1) < 0) return std::nullopt;
    io_uring_cqe* completion = nullptr;
    if (io_uring_peek_cqe(&ring, &completion) != 0) return std::nullopt;
    if ((completion->flags & IORING_CQE_F_NOTIF) == 0) result = completion->res;
    more = (completion->flags & IORING_CQE_F_MORE) != 0;
    io_uring_cqe_seen(&ring, completion);
  }
  return result != -EBADF;
}

std::optional<bool> refuses_report_usage(io_uring& ring) {
  return refuses(ring, [](io_uring_sqe& entry) {
    io_uring_prep_rw(IORING_OP_SEND_ZC, &entry, -1, nullptr, 0, 0);
    entry.ioprio |= uapi::send_zc_report_usage;
  });
}

std::optional<bool> refuses_receive_limits(io_uring& ring) {
  return refuses(ring, [](io_uring_sqe& entry) {
    io_uring_prep_recv(&entry, -1, nullptr, 0, 0);
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.ioprio |= IORING_RECV_MULTISHOT;
    uapi::set_receive_limit(entry, 1);
  });
}

constexpr bool is_always(std::string_view how) {
  return how == "always";
}

// False when something could not be tried: then it is tried again by the next ring.
bool find(io_uring& ring, const io_uring_probe& known, KernelTraits& traits) {
#define IO_KERNEL_TRAIT(name, how, kernels, done, side, file, test) traits.name = is_always(#how);
#include "backend/io_uring/kernel_traits.def"
  traits.truncate_by_thread = lacks(known, uapi::op_ftruncate);
  traits.sends_copy = lacks(known, IORING_OP_SEND_ZC);
  traits.vectored_sends_copy = lacks(known, IORING_OP_SENDMSG_ZC);
  traits.vectors_are_not_registered = lacks(known, uapi::op_readv_fixed);
  traits.multishot_receives_once = lacks(known, IORING_OP_SEND_ZC);
  traits.waits_count_as_disk = (ring.features & uapi::feature_no_iowait) == 0;
  const Kernel kernel = running_kernel();
  find_by_version(version_of(kernel), traits);
  traits.overflow_hangs = denied_for_io_uring(kernel) != nullptr;
  const auto reports = traits.sends_copy ? true : refuses_report_usage(ring);
  const auto limits = refuses_receive_limits(ring);
  traits.copies_are_not_reported = reports.value_or(true);
  traits.limited_receives_once = limits.value_or(true);
  // Without a limit in the kernel it makes receives one by one. A receive that it hands to a worker
  // takes its buffer at once and whole (io_should_commit(), Linux 6.18), and no byte of it may be
  // lost.
  traits.buffers_filled_once = traits.buffers_filled_once || traits.limited_receives_once;
  traits.no_bundles = traits.no_bundles || traits.buffers_filled_once;
  return reports.has_value() && limits.has_value();
}

}  // namespace

KernelTraits kernel_traits(io_uring& ring, const io_uring_probe& known) {
  static std::mutex mutex;
  static KernelTraits traits;
  static bool is_found = false;
  const std::lock_guard lock(mutex);
  if (!is_found) is_found = find(ring, known, traits);
  return traits;
}

void find_by_version(const std::optional<KernelVersion>& version, KernelTraits& traits) {
  const auto is_before = [&](uint32_t first, uint32_t second) {
    return !version.has_value() || *version < kernel_version(first, second, 0);
  };
  traits.buffers_filled_once = is_before(6, 16);
  traits.no_bundles = is_before(6, 18);
}

uint32_t features_of(const KernelTraits& traits) {
  uint32_t features = 0;
  if (!traits.sends_copy) features |= abi::feature_send_zero_copy;
  if (!traits.vectored_sends_copy) features |= abi::feature_send_vectors_zero_copy;
  if (!traits.vectors_are_not_registered) features |= abi::feature_registered_vectors;
  if (!traits.copies_are_not_reported) features |= abi::feature_reports_copies;
  return features;
}

std::string active_traits(const KernelTraits& traits) {
  std::string names;
#define IO_KERNEL_TRAIT(name, how, kernels, done, side, file, test) \
  if (traits.name && !is_always(#how)) names += names.empty() ? #name : ", " #name;
#include "backend/io_uring/kernel_traits.def"
  return names;
}

}  // namespace io::uring
