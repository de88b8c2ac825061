// The steps of zero-copy sends on io_uring: from the kernel's completions to what the engine is
// told.
//
// Such a send has two completions: its own, and the kernel's word that it has released the memory.
// The engine is told in two steps, or in
// one when both are known, as they are when a device is done with the bytes at once. An error that
// the word still follows waits for it: whoever is told of an error owns the memory.
#pragma once

#include <liburing.h>

#include "engine/backend.h"
#include "support/check.h"
#include "backend/io_uring/uapi.h"

namespace io::uring {

class Steps {
 public:
  // Whether the kernel has such sends, so that its word may be on its way.
  bool any() const { return count_ > 0; }

  void start(Operation& operation) {
    count_++;
    operation.result_known = false;
    operation.release = Release::none;
    operation.copied = false;
    operation.told = false;
  }

  static bool is_release(const io_uring_cqe& entry) {
    return (entry.flags & IORING_CQE_F_NOTIF) != 0;
  }

  static void take_release(Operation& operation, const io_uring_cqe& entry) {
    operation.release = Release::done;
    operation.copied = (static_cast<uint32_t>(entry.res) & uapi::notif_usage_zc_copied) != 0;
  }

  // Of a completion that is not the kernel's word, after its result was noted.
  static void take_result(Operation& operation, const io_uring_cqe& entry) {
    const bool follows = (entry.flags & IORING_CQE_F_MORE) != 0;
    if (follows && operation.release == Release::none) operation.release = Release::pending;
  }

  // Tells the engine as much as is known now.
  void tell(Operation& operation, Completions& completed) {
    CHECK(operation.phase == Phase::active || operation.phase == Phase::sent);
    if (!operation.result_known) return;
    const int32_t result = operation.result;
    const bool pending = operation.release == Release::pending;
    if (pending && (result < 0 || operation.told)) return;
    if (operation.told && operation.phase == Phase::active) {
      // The first step stands in this very list, unseen: now it is the only one. It may have been
      // that before: of one that is cancelled in its chain the kernel says no word to come, and
      // gives it anyway (Linux 6.18).
      Completed& first = completed.at(operation.told_at);
      if (first.more) end();
      first.more = false;
      first.copied = operation.copied;
      return;
    }
    if (!pending) end();
    operation.told = true;
    operation.told_at = static_cast<uint32_t>(completed.size());
    completed.push({.operation = &operation,
                    .result = result,
                    .more = pending,
                    .receive_empty = false,
                    .copied = operation.copied});
  }

 private:
  void end() {
    CHECK(count_ > 0);
    count_--;
  }

  uint32_t count_ = 0;
};

}  // namespace io::uring
