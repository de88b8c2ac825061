// The steps of zero-copy sends on io_uring: from the kernel's completions to those of the engine.
//
// Such a send has two completions: its own, and the notification that the kernel has released the
// memory. The engine gets two reports, or one when both are known, as they are when a device is
// done with the bytes at once. An error whose notification is pending waits for it: a caller that
// gets an error owns the memory.
#pragma once

#include <liburing.h>

#include "engine/backend.h"
#include "support/check.h"
#include "backend/io_uring/uapi.h"

namespace io::uring {

class ZeroCopyNotifications {
 public:
  // Whether the kernel has such sends, so that a notification may be on its way.
  bool any() const { return count_ > 0; }

  void start(Operation& operation) {
    count_++;
    operation.result_known = false;
    operation.release = Release::none;
    operation.copied = false;
    operation.reported = false;
  }

  static bool is_release(const io_uring_cqe& entry) {
    return (entry.flags & IORING_CQE_F_NOTIF) != 0;
  }

  static void take_release(Operation& operation, const io_uring_cqe& entry) {
    operation.release = Release::done;
    operation.copied = (static_cast<uint32_t>(entry.res) & uapi::notif_usage_zc_copied) != 0;
  }

  // Of a completion that is not the notification, after its result was noted.
  static void take_result(Operation& operation, const io_uring_cqe& entry) {
    const bool follows = (entry.flags & IORING_CQE_F_MORE) != 0;
    if (follows && operation.release == Release::none) operation.release = Release::pending;
  }

  // Reports to the engine as much as is known now.
  void report(Operation& operation, Completions& completed) {
    CHECK(operation.phase == Phase::active || operation.phase == Phase::sent);
    if (!operation.result_known) return;
    const int32_t result = operation.result;
    const bool pending = operation.release == Release::pending;
    if (pending && (result < 0 || operation.reported)) return;
    if (operation.reported && operation.phase == Phase::active) {
      // The first report is still in this list, unread: now it is the only one. It may have been
      // the only one before: when a send is cancelled in its chain, the kernel announces no
      // notification and posts one anyway (Linux 6.18).
      Completed& first = completed.at(operation.reported_at);
      if (first.more) end();
      first.more = false;
      first.copied = operation.copied;
      return;
    }
    if (!pending) end();
    operation.reported = true;
    operation.reported_at = static_cast<uint32_t>(completed.size());
    completed.push({.operation = &operation,
                    .result = result,
                    .more = pending,
                    .receive_empty = false,
                    .copied = operation.copied});
  }

  // One has got EAGAIN, and waits outside of the kernel until it is started once more.
  void release() { end(); }

 private:
  void end() {
    CHECK(count_ > 0);
    count_--;
  }

  uint32_t count_ = 0;
};

}  // namespace io::uring
