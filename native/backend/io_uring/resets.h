// Receives that wait for the end of a connection which has ended before they began.
//
// When a peer has reset a connection, and more of its bytes are there than 32 receives take, the
// kernel takes 32 times what there is, waits for the socket to tell of more, takes the rest, and
// waits on. The reset has told already (io_recv_finish() and io_poll_check_events() of the kernel's
// io_uring; seen on Linux 6.18), so the receive would never end. One that has brought as much and
// goes on is looked at here: where the socket has ended, and nothing has come for a while, the
// kernel is asked to end the receive and given it again, and then finds the end at once.
#pragma once

#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/operation_table.h"

namespace io::uring {

class Resets {
 public:
  bool any() const { return !suspects_.empty(); }

  // A receive of bytes, `received_bytes` in all by now, has brought some and goes on.
  void note(const Operation& operation, uint32_t brought_bytes, uint32_t piece_bytes) {
    const uint64_t enough = std::min<uint64_t>(most_bytes, uint64_t{fewest_receives} * piece_bytes);
    const uint32_t before = operation.received_bytes - brought_bytes;
    if (before >= enough || operation.received_bytes < enough) return;
    suspects_.push_back({operation.slot, operation.generation, operation.tries, unknown});
  }

  // `end` asks the kernel to end one; it returns false when that cannot be asked now. Whoever else
  // asks for the same meanwhile is served, too: on a connection that is over a receive ends at
  // once.
  template <class End>
  void look(const OperationTable& operations, End end) {
    std::erase_if(suspects_, [&](Suspect& suspect) {
      const Operation& operation = operations[suspect.slot];
      if (operation.generation != suspect.generation || operation.tries != suspect.tries)
        return true;
      if (operation.phase != Phase::active || !is_over(operation.number)) return true;
      if (operation.received_bytes != suspect.received_bytes) {
        suspect.received_bytes = operation.received_bytes;
        return false;
      }
      if (!end(operation)) return false;
      ending_[suspect.slot] = suspect.generation;
      return true;
    });
  }

  // Of one that the kernel has ended: whether it shall have it again.
  bool takes_up(const Operation& operation) {
    const auto found = ending_.find(operation.slot);
    if (found == ending_.end()) return false;
    const bool is_meant = found->second == operation.generation;
    ending_.erase(found);
    return is_meant;
  }

 private:
  // One less than the kernel's MULTISHOT_MAX_RETRY, since a receive may begin within a piece; and
  // what a bundle brings at most.
  static constexpr uint32_t fewest_receives = 31;
  static constexpr uint64_t most_bytes = 256 * 1024;
  static constexpr uint32_t unknown = UINT32_MAX;

  struct Suspect {
    uint32_t slot;
    uint32_t generation;
    uint16_t tries;
    uint32_t received_bytes;  // at the last look
  };

  // In both directions, so nothing can be waited for.
  static bool is_over(int number) {
    pollfd asked = {.fd = number, .events = 0, .revents = 0};
    return ::poll(&asked, 1, 0) > 0 && (asked.revents & POLLHUP) != 0;
  }

  std::vector<Suspect> suspects_;
  std::unordered_map<uint32_t, uint32_t> ending_;  // slots and generations
};

}  // namespace io::uring
