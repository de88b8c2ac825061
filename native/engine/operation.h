// One operation: the request of a checked entry, with all memory that the kernel may read until the
// final completion. Operations live in a table by slot and are reused; they never move.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "abi/abi.h"
#include "system/system.h"

namespace io {

// free -> active (decoded) -> free (final completion). `closing` is a close that waits for the
// operations in flight on its descriptor, `parked` a receive or send that waits for the one before
// it. `sent` is a zero-copy send whose memory the kernel still has.
enum class Phase : uint8_t { free, active, closing, parked, sent };

// The state of the notification that the memory of a zero-copy send is free.
enum class Release : uint8_t { none, pending, done };

// In the reactor: nowhere (done, or not started because it follows others in a chain), parked until
// its descriptor is ready, handed to the pool, sleeping among the timers, or to be tried again
// after a while.
enum class Place : uint8_t { nowhere, parked, pooled, asleep, retried, at_full_peer };

// Why an operation is looked at again after a while: revisits.h.
enum class Revisit : uint8_t {
  close_pending,    // a close waits for the operations in flight on its descriptor
  close_at_once,    // the same, because the operation that it waits for has perhaps just started
  cancel_missed,    // a cancel did not find it, although it is in flight
  deadline_passed,  // with the backend: its deadline has passed and it has not ended
  reset_suspected,  // with io_uring: a receive whose connection may be over
                    // (io_uring/multishot_after_reset.h)
  retry,            // with the backend: it has to be tried again
};

// Why an operation that the kernel does not have waits in the io_uring backend: for nothing, for an
// event, for its next try, for a peer that is full, or for its time.
enum class Wait : uint8_t { none, event, retry, full_peer, alarm };

inline constexpr uint8_t uses_descriptor = 1;
inline constexpr uint8_t uses_buffer = 2;
inline constexpr uint8_t uses_more_buffers = 4;
// It has a place among the receives or sends of its socket.
inline constexpr uint8_t uses_stream = 8;
// It reads from another descriptor than the one it is on.
inline constexpr uint8_t uses_source = 16;
// It receives into the buffers of a group.
inline constexpr uint8_t uses_group = 32;
// It counts as an operation that keeps no event loop alive, whatever its descriptor says.
inline constexpr uint8_t uses_unref = 64;
// It has descriptors of its own: Extra::passed.
inline constexpr uint8_t uses_passed = 128;

// How an operation stands in its chain: Request::links. Those of the entry are its flags, shifted.
inline constexpr uint8_t link_shift = 8;
inline constexpr uint8_t link_next = 1;         // another one follows it
inline constexpr uint8_t link_yields = 2;       // its descriptor is that of the chain
inline constexpr uint8_t link_by_engine = 4;    // the engine starts that one, and no backend
inline constexpr uint8_t link_broken = 8;       // an earlier one has failed: it does not start
inline constexpr uint8_t link_held = 16;        // it has not started, and the engine has it
inline constexpr uint8_t link_lent_unref = 32;  // held, so that it keeps no event loop alive
inline constexpr uint8_t link_hard = 64;        // what follows starts also when this one has failed
inline constexpr uint8_t link_on_chain = 128;   // it uses the descriptor of the chain

namespace trait = abi::trait;

// Its neighbours in a list: operation_list.h.
struct Operation;
struct Links {
  Operation* previous = nullptr;
  Operation* next = nullptr;
};

inline constexpr int no_descriptor = -1;
// In the place of a descriptor's value: what the chain will yield, or has not yielded.
inline constexpr int32_t of_chain = static_cast<int32_t>(abi::chain_descriptor);
inline constexpr uint32_t no_buffer = UINT32_MAX;

// Which file a number stands for.
struct FileIdentity {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t inode = 0;  // 0: it is not known
  bool operator==(const FileIdentity&) const = default;
};

// Fields that only some operations need. Kept with its slot once made, so that a slot that sends
// vectors again allocates nothing.
struct Extra {
  std::string path;
  std::string path_to;
  uint8_t rules_from = 0;  // of `path` where there are two: abi::resolve_*
  uint8_t rules_to = 0;    // of `path_to`
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

  FileIdentity identity;  // close: of the file that it closes, where the kernel may defer that
  // send_file: the file's number. Of two paths: the number of the second one's directory.
  int source = no_descriptor;
  int32_t source_value = no_descriptor;  // as Operation::descriptor_value
  Links from_source;  // send_file: in the list of operations that send the same file
  // An open under rules, as openat2(2) reads it.
  struct {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
  } open_how;
  timespec times[2];        // utimes, futimes: of the last read and of the last change
  uint8_t* peer = nullptr;  // receive_message: the caller's record of the address
  // receive_control: `peer` is the caller's record. send_control: duplicates of what is passed, so
  // that it may be closed meanwhile.
  std::vector<uint8_t> control;
  std::vector<int> passed;
  alignas(8) uint8_t raw_status[system::raw_status_bytes];  // of a stat, as the system writes it
};

// The request of an entry, as decode() has checked it. decode() sets the fields from `number` on,
// and reads some of them at once. The compiler makes stores of 8 bytes of it, so these begin at a
// multiple of 8: a processor waits for a store that holds only a part of what is read.
struct Request {
  uint32_t slot = 0;
  uint32_t generation = 0;
  int number = no_descriptor;  // the system's descriptor number
  uint32_t buffer = no_buffer;
  abi::Opcode opcode = abi::Opcode::nop;
  uint8_t links = 0;  // link_*
  bool has_deadline = false;
  bool poll_first = false;  // receive: the socket was empty, so wait before trying
  bool unix_datagram = false;
  uint8_t zero_copy_mode = 0;  // of a send: abi::zero_copy_*
  int16_t registered_index = -1;
  uint8_t* address = nullptr;
  int64_t offset = 0;
  uint32_t length = 0;
  uint32_t argument = 0;

  // Whether the backend gets the operation that follows it in its chain together with it.
  bool is_linked() const { return (links & (link_next | link_by_engine)) == link_next; }
};

// The engine's state of it.
struct EngineState {
  Phase phase = Phase::free;
  uint8_t uses = 0;            // what decode() took into use: uses_*
  uint8_t revisits = 0;        // a bit for each Revisit that is to come
  uint8_t trial = 0;           // of SendCosts, that it is part of
  bool zero_copy = false;      // this time it goes without a copy
  bool cancel_wanted = false;  // of an operation that is being tried again
  // A batch head, and a member of a batch: send_coalescing.cc.
  bool is_batch_head = false;
  bool batched = false;
  uint32_t went_bytes = 0;  // of a send: how much of it has gone, when the rest goes on
  // The operations of a chain that are in flight form a circle. This is 1 + the slot of the next
  // one in it; the last one has that of the first. 0: it is in no chain.
  uint32_t chain = 0;
  Links on_descriptor;  // among all that is in flight on its descriptor
};

// The backend's state of it, from submit() to its last completion.
struct BackendState {
  Operation* successor = nullptr;  // the next one of its chain, which starts when it has succeeded
  // Kept by the io_uring backend: io_uring/cancel_requests.h, and io_uring.cc.
  uint64_t asked_before = 0;
  Operation* linked_next = nullptr;  // what the kernel starts when this one has succeeded
  uint16_t tries = 0;                // how often the kernel was given operations of this slot
  bool end_asked : 1 = false;
  bool end_given : 1 = false;  // the kernel has a cancel of it, which has not missed it
  bool after_failure = false;  // an earlier one of the kernel's chain has failed
  uint8_t repeats = 0;
  // Why it waits outside of the kernel, and how it waits for space in the send buffer of a stream
  // socket: io_uring/writable_sockets.h.
  Wait wait = Wait::none;
  bool without_waiting = false;  // the kernel tries it once
  bool may_block = false;        // the kernel may block a worker with it
  bool was_writable = false;     // its socket was reported as writable before this try
  bool ended_for_reset = false;  // io_uring/multishot_after_reset.h
  bool made_once = false;        // a receive_multishot that the kernel has for one completion
  uint8_t own_entries = 0;       // cancel_all: bits of the backend's own entries that it meets
  // Of one with a deadline, and of a zero-copy send until its memory is free.
  bool deadline_fired = false;
  bool result_known = false;
  // Kept by the reactor, and for calls that a thread makes: where the operation is meanwhile.
  Place place = Place::nowhere;
  bool begun = false;            // connect: the kernel is at it
  bool in_row = false;           // with those of the same file that move its position
  uint8_t refusals = 0;          // a send on a unix socket: how often it had to go on waiting
  bool joined = false;           // the next one in the pool's line goes to the same thread
  bool taken_by_thread = false;  // guarded by the pool's lock
  // Where it stands among the times that the engine or the backend looks at, counted from 1; 0 for
  // not there.
  uint32_t timer_index = 0;
};

// One cache line has the fields of request and engine that every operation needs, and the next one
// those of the backend. The fields of some operations come behind.
inline constexpr size_t cache_line_bytes = 64;
static_assert(sizeof(Request) + offsetof(EngineState, on_descriptor) == cache_line_bytes);
static_assert(sizeof(Request) + sizeof(EngineState) + sizeof(BackendState) == 2 * cache_line_bytes);

struct alignas(cache_line_bytes) Operation : Request, EngineState, BackendState {
  std::unique_ptr<Extra> extra;
  Links in_line;  // where it waits: with the engine, or with the backend
  // Of the request.
  uint32_t argument_extra = 0;
  uint8_t rules = 0;  // of a path: abi::resolve_*
  uint8_t looks = 0;  // a close that waits: how often it has asked again, after a while
  int64_t extent = 0;
  int64_t deadline_ns = 0;
  // Of the engine.
  int64_t due_ns = 0;        // of one that has waited for its turn: when that deadline is over
  uint32_t ended_count = 0;  // a cancel of several: those that have ended without the kernel
  int32_t descriptor_value = no_descriptor;  // of a held one: number and generation
  // Of the backend.
  int32_t result = 0;          // kept with deadline_fired and result_known
  int64_t left_bytes = 0;      // a receive_multishot with a limit: how much of it is left
  int64_t flushes_before = 0;  // a receive into an area: zcrx/receives.cc
  // Zero-copy sends: how they are reported, which the backend keeps, and the engine's counters.
  Release release = Release::none;
  bool copied = false;
  bool fallen_back = false;            // it should have gone without a copy, and that was counted
  bool reported = false;               // its first step was reported
  uint32_t reported_at = 0;            // its index in the list of completions
  uint16_t descriptor_generation = 0;  // of the socket that it was sent on
  // Of a receive_multishot on io_uring.
  uint32_t received_bytes = 0;   // since the kernel was given it
  uint32_t looked_at_bytes = 0;  // of them, at the last look: io_uring/multishot_after_reset.h

  // Nothing of what the reactor kept of the slot's last operation counts for this one.
  void start_anew() {
    refusals = 0;
    begun = false;
    deadline_fired = false;
    in_row = false;
    joined = false;
    end_asked = false;
  }

  // When its deadline is over, if it begins now.
  int64_t deadline_at(int64_t now_ns) const { return due_ns != 0 ? due_ns : now_ns + deadline_ns; }

  // What is left of a send.
  uint8_t* left_address() const { return address + went_bytes; }
  uint32_t left_length() const { return length - went_bytes; }

  // send_file: the file's number.
  int source() const { return (uses & uses_source) != 0 ? extra->source : no_descriptor; }

  Extra& need_extra() {
    if (!extra) extra = std::make_unique<Extra>();
    return *extra;
  }
};

}  // namespace io
