// The properties of an operation: the columns `kind` and `traits` of its row in abi.def. All code
// that treats several operations alike asks here, so that a new operation is described once.
#pragma once

#include <array>
#include <cstdint>

namespace io::abi {

enum class Opcode : uint8_t {
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) name = number,
#include "abi/abi.def"
};

// How a readiness backend (epoll, kqueue) makes an operation:
enum class OperationKind : uint8_t {
  bookkeeping,  // itself, without the system
  time,         // by its wait for events, which ends in time
  call,         // by a call that never waits
  stream,       // by trying, at once and whenever the descriptor is ready
  file,         // by a thread of the pool, because it may wait for a disk
  close,        // by a call, on a thread of the pool where it may wait for a disk
};

// Sets of traits are or-ed. An operation has any of a set when is() says so.
namespace trait {

// ---- its effect, which decides which operations wait for which

inline constexpr uint32_t receives = 1 << 0;  // takes bytes or messages from a socket
inline constexpr uint32_t sends = 1 << 1;     // gives bytes or messages to a socket
inline constexpr uint32_t accepts = 1 << 2;   // takes connections from a listener
inline constexpr uint32_t connects = 1 << 3;
inline constexpr uint32_t reads = 1 << 4;   // of a file, at a place or at its position
inline constexpr uint32_t writes = 1 << 5;  // the same
inline constexpr uint32_t cancels = 1 << 6;
inline constexpr uint32_t closes = 1 << 7;

// Those of a socket and direction are made in the order in which they were queued.
inline constexpr uint32_t in_order = receives | sends | accepts;
// A chain goes on after one of these only when it has moved all of its bytes.
inline constexpr uint32_t transfers = reads | writes;
// Waits for a descriptor to be readable; the others of kind `stream` or `file` for it to be
// writable.
inline constexpr uint32_t incoming = receives | accepts | reads;
// May wait without a limit in the kernel, for space in the send buffer of a socket.
inline constexpr uint32_t waits_for_space = sends | writes | connects;
// Ends other operations, so it is taken also when the limit of operations in flight is reached.
inline constexpr uint32_t ends_others = cancels | closes;

// ---- its arguments and result

inline constexpr uint32_t buffer_select = 1 << 8;  // its memory comes from a buffer group
inline constexpr uint32_t more_buffers = 1 << 9;   // of several buffers: Extra::more_buffers
inline constexpr uint32_t from_file = 1 << 10;     // reads from Operation::source
inline constexpr uint32_t multishot = 1 << 11;     // completes more than once
inline constexpr uint32_t yields_descriptor = 1 << 12;
inline constexpr uint32_t yields_other = 1 << 13;  // another result than the kernel's

// Engine::settle() makes their result.
inline constexpr uint32_t settled = yields_descriptor | yields_other;

// ---- how it is made

// The engine makes the call at once, on every backend: it never waits.
inline constexpr uint32_t made_by_engine = 1 << 14;
// Where the kernel's io_uring has no such operation, a thread makes the call.
inline constexpr uint32_t made_by_thread_else = 1 << 15;
// A thread may make the call: perform(). The same holds for transfers on a file.
inline constexpr uint32_t on_thread = 1 << 16;
// May take milliseconds, so the pool does not let these keep others from being made.
inline constexpr uint32_t slow = 1 << 17;
// Of a file. Where its file system refuses to make it asynchronously, it is called: made_plainly().
inline constexpr uint32_t made_plainly = 1 << 18;
// In a chain io_uring may start the operation that follows, because the kernel knows when this one
// has failed.
inline constexpr uint32_t linked_by_kernel = 1 << 19;
// It does not, so that the backend starts what follows.
inline constexpr uint32_t linked_by_backend = 1 << 20;
// Of one path or two, each of which may be relative to a descriptor, and resolved under rules. A
// thread makes its call where the kernel has no operation that keeps to the rules.
inline constexpr uint32_t resolves = 1 << 23;
// More than prepare() is needed for its entry of io_uring: IoUring::prepare_special().
inline constexpr uint32_t special_entry = 1 << 21;
// A success that io_uring reports is not its result yet: IoUring::success_of().
inline constexpr uint32_t special_result = 1 << 22;

// A backend makes those of a chain that stand next to each other by itself; the engine starts the
// others. These may have a deadline.
inline constexpr uint32_t linkable = linked_by_kernel | linked_by_backend;
// The engine does not hand them to the backend as they are: Engine::route().
inline constexpr uint32_t routed = in_order | cancels | closes | writes | connects | made_by_engine;

// By the number in an entry. A number that is not an operation has no traits.
inline constexpr std::array<uint32_t, 256> by_number = [] {
  std::array<uint32_t, 256> table{};
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) table[number] = traits;
#include "abi/abi.def"
  return table;
}();

}  // namespace trait

constexpr bool is(Opcode opcode, uint32_t traits) {
  return (trait::by_number[static_cast<uint8_t>(opcode)] & traits) != 0;
}

inline constexpr std::array<OperationKind, 256> kinds_by_number = [] {
  std::array<OperationKind, 256> table{};
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) \
  table[number] = OperationKind::kind;
#include "abi/abi.def"
  return table;
}();

constexpr OperationKind kind_of(Opcode opcode) {
  return kinds_by_number[static_cast<uint8_t>(opcode)];
}

// Moves no bytes: it waits until its descriptor is ready, in the direction that its argument names.
constexpr bool is_poll(Opcode opcode) {
  return opcode == Opcode::poll || opcode == Opcode::poll_multishot;
}

}  // namespace io::abi
