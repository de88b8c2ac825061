// One operation: what a checked entry says, with everything the kernel may look at until the final
// completion. Operations live in a table by slot and are reused; they never move.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "abi/abi.h"
#include "system/system.h"

namespace io {

// free -> active (decoded) -> free (final completion). `closing` is a close that waits for what is
// in flight on its descriptor, `parked` a receive or send that waits for the one before it.
// `sent` is a zero-copy send whose memory the kernel still has.
enum class Phase : uint8_t { free, active, closing, parked, sent };

// What is known of the kernel's word that the memory of a zero-copy send is free.
enum class Release : uint8_t { none, pending, done };

// In the reactor: nowhere (done, or not started because it follows others in a chain), parked until
// its descriptor is ready, handed to the pool, sleeping among the timers, or to be tried again
// after a while.
enum class Place : uint8_t { nowhere, parked, pooled, asleep, retried };

inline constexpr uint8_t uses_descriptor = 1;
inline constexpr uint8_t uses_buffer = 2;
inline constexpr uint8_t uses_more_buffers = 4;
// It has a place among the receives or sends of its socket.
inline constexpr uint8_t uses_stream = 8;
// It reads from another descriptor than the one it is on.
inline constexpr uint8_t uses_source = 16;
// It receives into memory that a group lends.
inline constexpr uint8_t uses_group = 32;
// It is counted as one that keeps no event loop alive, whatever its descriptor says.
inline constexpr uint8_t uses_unref = 64;

namespace trait = abi::trait;

// Its neighbours in a list: operation_list.h.
struct Operation;
struct Links {
  Operation* previous = nullptr;
  Operation* next = nullptr;
};

inline constexpr int no_descriptor = -1;
inline constexpr uint32_t no_buffer = UINT32_MAX;

// Which file a number stands for.
struct FileIdentity {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t inode = 0;  // 0: it is not known
  bool operator==(const FileIdentity&) const = default;
};

// What only some operations need. Kept with its slot once made, so that a slot that sends vectors
// again allocates nothing.
struct Extra {
  std::string path;
  std::string path_to;
  sockaddr_storage address;
  socklen_t address_size_bytes = 0;
  std::vector<iovec> vectors;
  std::vector<uint32_t> more_buffers;  // handles in use beside Operation::buffer
  msghdr message;

  // Of the vectors, and without an address.
  void set_message() {
    message = {};
    message.msg_iov = vectors.data();
    // A size_t on Linux, an int elsewhere; vector_limit fits both.
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(vectors.size());
  }

  FileIdentity identity;    // close: of what it closes, where the kernel may put that off
  Links from_source;        // send_file: among those that send the same file
  uint8_t* peer = nullptr;  // receive_message: the caller's record of the address
  alignas(8) uint8_t raw_status[system::raw_status_bytes];  // of a stat, as the system writes it
};

// What every operation touches comes first and fills one cache line.
struct alignas(64) Operation {
  uint32_t slot = 0;
  uint32_t generation = 0;
  abi::Opcode opcode = abi::Opcode::nop;
  Phase phase = Phase::free;
  uint8_t uses = 0;  // what decode() took into use: uses_*
  bool linked = false;
  bool has_deadline = false;
  bool poll_first = false;  // receive: the socket was empty, so wait before trying
  bool unix_datagram = false;
  bool without_waiting = false;  // send: the kernel shall try it once
  uint32_t received_bytes = 0;   // of a receive_multishot, since the kernel was given it
  uint16_t tries = 0;  // how often a backend that counts them was given operations of this slot
  uint8_t zero_copy_mode = 0;  // of a send: abi::zero_copy_*
  bool zero_copy = false;      // this time it goes without a copy
  uint8_t trial = 0;           // of SendCosts, that it is part of
  // Kept by the backend between the completions of such a send.
  Release release = Release::none;
  bool copied = false;
  bool fallen_back = false;            // it should have gone without a copy, and that was counted
  bool told = false;                   // its first step
  uint32_t told_at = 0;                // where, in the list of completions that it was told in
  uint16_t descriptor_generation = 0;  // of the socket that it was sent on
  bool cancel_wanted = false;          // of one that is being tried again
  bool stalled = false;  // parked because the kernel had no room, and not behind another one
  // Kept by the backend: of one with a deadline, and of a zero-copy send until its memory is free.
  bool deadline_fired = false;
  bool result_known = false;
  bool patient = false;       // the kernel may block with it forever: Engine::be_patient()
  bool told_of_room = false;  // of one that is stalled: it is tried again when there is room
  // 1 more than the slot of the next one of its chain that is in flight, and of the first one
  // behind the last; 0 for one that is in no chain.
  uint32_t chain = 0;
  int number = no_descriptor;  // the system's descriptor number
  uint32_t buffer = no_buffer;
  int32_t registered_index = -1;
  uint32_t went_bytes = 0;  // of a send that goes on after some of it has gone
  uint8_t* address = nullptr;
  int64_t offset = 0;
  uint32_t length = 0;
  uint32_t argument = 0;
  uint32_t argument_extra = 0;

  int32_t result = 0;  // kept with the two flags above
  int64_t extent = 0;
  int64_t deadline_ns = 0;
  int source = no_descriptor;  // send_file: the file's number
  // Kept by the reactor: where the operation is while it is in flight.
  Place place = Place::nowhere;
  bool begun = false;            // connect: the kernel is at it
  bool in_row = false;           // with those of the same file that move its position
  uint8_t refusals = 0;          // a unix datagram: how often its receiver has had no room
  bool joined = false;           // the next one in the pool's line goes to the same thread
  bool taken_by_thread = false;  // guarded by the pool's lock
  // A send in whose call others go, and one that goes in the call of another: engine_gather.cc.
  bool leads = false;
  bool led = false;
  // Where it stands among the times that the engine or the reactor looks at, counted from 1; 0 for
  // not there.
  uint32_t timer_index = 0;
  Links in_line;                   // where it waits: with the engine, or with the reactor
  Links on_descriptor;             // among all that is in flight on its descriptor
  Operation* successor = nullptr;  // the next one of its chain, which starts when it has succeeded
  // Kept by the io_uring backend: io_uring/asked.h, and io_uring.cc.
  uint64_t asked_before = 0;
  bool end_asked = false;
  bool after_failure = false;  // an earlier one of the kernel's chain has failed
  uint8_t repeats = 0;
  Operation* linked_next = nullptr;  // what the kernel starts when this one has succeeded
  std::unique_ptr<Extra> extra;

  // Nothing of what the reactor kept of the slot's last operation counts for this one.
  void start_anew() {
    if (!stalled) refusals = 0;
    begun = false;
    deadline_fired = false;
    in_row = false;
    joined = false;
  }

  Extra& need_extra() {
    if (!extra) extra = std::make_unique<Extra>();
    return *extra;
  }
};

}  // namespace io
