// From a checked operation to the entry that the kernel reads.
//
// Memory that the kernel reads through pointers while it *prepares* an entry (paths, addresses,
// time values, message headers and their vectors) need only live until the entry has been submitted
// (IORING_FEAT_SUBMIT_STABLE); it lives in the operation, so longer. Memory that it reads or writes
// later (buffers, the result of statx) lives in V8's memory, held by a buffer handle, or in the
// operation.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/operation.h"

namespace io::uring {

// user_data is the slot, then the number of the operation's try, and the slot's generation. A
// zero-copy send that is cancelled before it has begun, because it was linked to one that failed,
// completes without the flag for a notification, and a notification comes anyway. So completions of
// an earlier try must be distinguished from those of the present one.
inline constexpr uint32_t try_shift = 20;
inline constexpr uint32_t generation_shift = 36;  // of the generation its lowest 28 bits
static_assert(abi::max_in_flight_limit + 1000 < 1u << try_shift);
static_assert(try_shift + 8 * sizeof(Operation::tries) == 36);

inline uint64_t user_data_of(const Operation& operation) {
  return operation.slot | static_cast<uint64_t>(operation.tries) << try_shift |
         static_cast<uint64_t>(operation.generation) << generation_shift;
}
inline uint32_t slot_of(uint64_t user_data) {
  return static_cast<uint32_t>(user_data & ((1u << try_shift) - 1));
}

// The user_data of a cancel of ours: a slot that no operation has, and the target's slot and the
// lowest 24 bits of its generation, so that one that has missed names its target.
inline constexpr uint32_t cancel_slot = (1u << try_shift) - 16;
inline constexpr uint32_t target_generation_shift = 2 * try_shift;
inline constexpr uint32_t target_generation_mask = (1u << (64 - target_generation_shift)) - 1;
static_assert(abi::max_in_flight_limit + 1000 < cancel_slot);

inline uint64_t user_data_of_cancel(const Operation& target) {
  return cancel_slot | static_cast<uint64_t>(target.slot) << try_shift |
         static_cast<uint64_t>(target.generation) << target_generation_shift;
}
inline bool is_cancel(uint64_t user_data) {
  return slot_of(user_data) == cancel_slot;
}
inline uint32_t target_slot_of(uint64_t user_data) {
  return slot_of(user_data >> try_shift);
}
inline bool names_target(uint64_t user_data, const Operation& operation) {
  return user_data >> target_generation_shift == (operation.generation & target_generation_mask);
}

inline __kernel_timespec timespec_of(int64_t nanoseconds) {
  return {.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
}

// Everything but user_data and the flags, and not for a cancel, which names another operation.
void prepare(Operation& operation, uint32_t features, io_uring_sqe* entry);
// A receive_multishot that gives one completion.
void prepare_receive_once(const Operation& operation, io_uring_sqe* entry);
// For a receive_multishot on an incremental ring: each time it fills as many buffers as it has
// bytes for, up to what the kernel maps at once.
void receive_in_bundles(io_uring_sqe* entry, uint32_t buffer_size_bytes);
// Where a receive_message_multishot has put a message: the kernel's own words about it, which take
// as much room as the record of the sender, become that.
void settle_message_head(uint8_t* buffer);

// Whether the kernel may start the operation that follows in the chain. It ends a chain only after
// operations that report their failure to it, and io_uring/{fs,statx,sync,truncate,net}.c do not
// for the others (seen on 6.18): a rename would follow a sync that has failed.
bool is_linked_by_kernel(const Operation& operation);
// How many operations at the front of the chain the kernel gets at once. A deadline begins when its
// operation does, so the backend starts an operation with a deadline itself. `has` says whether the
// kernel has an operation.
template <class Has>
size_t group_length(std::span<Operation* const> batch, Has has) {
  size_t length = 1;
  while (is_linked_by_kernel(*batch[length - 1]) && !batch[length]->has_deadline &&
         has(*batch[length])) {
    length++;
  }
  return length;
}
// The rest of that chain waits for the last operation of the group: it is started, or ended, when
// that has completed. Returns how many wait.
size_t hold_back(std::span<Operation* const> batch, size_t group);

}  // namespace io::uring
