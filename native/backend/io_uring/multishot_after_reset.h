// Multishot receives on a connection that was reset before they began.
//
// When a peer has reset a connection, and more of its bytes are left than 32 receives take, the
// kernel receives 32 times, waits for the socket's next event, takes the rest, and waits again. The
// event of the reset has passed by then (io_recv_finish() and io_poll_check_events() of the
// kernel's io_uring; seen on Linux 6.18), so the receive would never end. A receive that has
// brought as much and goes on is checked here: if the socket has ended, and no bytes have come for
// a while, the backend cancels the receive and starts it again, and then it finds the end at once.
#pragma once

#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "engine/operation.h"

namespace io::uring {

class MultishotAfterReset {
 public:
  // The kernel is given a receive of bytes.
  static void begin(Operation& operation) {
    operation.received_bytes = 0;
    operation.looked_at_bytes = unknown;
    operation.ended_for_reset = false;
  }

  // A receive that has received so many bytes by now, the last ones just now, goes on. True when it
  // has to be checked from now on.
  static bool is_suspect(const Operation& operation, uint32_t brought_bytes,
                         uint32_t buffer_size_bytes) {
    const uint64_t enough =
        std::min<uint64_t>(max_bytes, uint64_t{min_receives} * buffer_size_bytes);
    const uint32_t before = operation.received_bytes - brought_bytes;
    return before < enough && operation.received_bytes >= enough;
  }

  // `end` asks the kernel to end the receive; it returns false when that cannot be asked now.
  // Another cancel of it is served by that, too: on a connection that is over a receive ends at
  // once. True when it has to be looked at once more.
  template <class End>
  static bool look(Operation& operation, End end) {
    if (operation.phase != Phase::active) return false;
    if (!is_over(operation.number)) return false;
    if (operation.received_bytes != operation.looked_at_bytes) {
      operation.looked_at_bytes = operation.received_bytes;
      return true;
    }
    operation.ended_for_reset = end(operation);
    return !operation.ended_for_reset;
  }

  // For a receive that the kernel has ended: whether it is started again.
  static bool takes_up(Operation& operation) {
    return std::exchange(operation.ended_for_reset, false);
  }

 private:
  // One less than the kernel's MULTISHOT_MAX_RETRY, since a receive may begin within a buffer; and
  // what a bundle brings at most.
  static constexpr uint32_t min_receives = 31;
  static constexpr uint64_t max_bytes = 256 * 1024;
  static constexpr uint32_t unknown = UINT32_MAX;

  // In both directions, so nothing can be waited for.
  static bool is_over(int number) {
    pollfd asked = {.fd = number, .events = 0, .revents = 0};
    return ::poll(&asked, 1, 0) > 0 && (asked.revents & POLLHUP) != 0;
  }
};

}  // namespace io::uring
