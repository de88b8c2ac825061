// The system calls of the readiness backends. Each makes the call of one operation and returns what
// io_uring would have as its result: a count, a descriptor or 0, or a negative errno.
#pragma once

#include <cstdint>

#include "engine/operation.h"

namespace io {

// What a descriptor is, which decides who makes the calls on it.
enum class Kind : uint8_t {
  unknown,
  socket,  // these three are tried at once, and again when they are ready
  pipe,
  device,     // a terminal, or another one that can be waited for
  file,       // its calls wait for a disk: left to the pool
  uncached,   // the same, opened for direct I/O: its pages are never in memory
  unwatched,  // a device that cannot be waited for: left to the pool, and asked again after a while
};

inline bool is_stream(Kind kind) {
  return kind == Kind::socket || kind == Kind::pipe || kind == Kind::device;
}

inline bool is_file(Kind kind) {
  return kind == Kind::file || kind == Kind::uncached || kind == Kind::unwatched;
}

// Asks the system, and makes a stream non-blocking, whoever opened it. A device is a stream only if
// it can be waited for, which the poller has to say: `unknown` then. Negative errno on failure.
int classify(int number, Kind& kind);

// Whether a file was opened for appending.
bool writes_to_end(int number);

// Tries an operation on a stream without waiting; -EAGAIN when it would have to wait.
int32_t attempt(Operation& operation);

// Whether the result says that the receiver of a unix datagram has no room. Its sender is writable
// anyway when it names the receiver in each datagram, so that nothing tells when there is
// room. Linux says EAGAIN, the BSDs and macOS say ENOBUFS.
bool receiver_is_full(const Operation& operation, int32_t result);

// BSDs and macOS refuse a unix datagram that is larger than the receiver's whole buffer as they do
// one for which there is no room at the moment. The sender cannot see that buffer, so its own
// stands for it: what fits there waits as long as it takes, and what does not is given up after
// this many refusals, which is a second.
inline constexpr uint8_t refusals_limit = 50;
bool fits_receiver(const Operation& operation);

// Whether the system says that a socket's other end, or its own receiving, is over.
bool has_ended(int number);

// A read of a file whose bytes are in memory already; -EAGAIN when they are not, or when the system
// cannot tell.
int32_t attempt_cached_read(const Operation& operation);
// Off for programs whose thread must not copy, and for file systems that get it wrong.
bool wants_cached_reads();

// Makes the call of an operation on a file or a path, which may wait: for threads of the pool.
int32_t perform(Operation& operation);
// Whether perform() can, without waiting for anything but a disk.
bool can_be_performed(const Operation& operation);

// Some file systems refuse to do asynchronously what they do when called plainly, and say
// EOPNOTSUPP (libuv#4268). Then the call is made here and now: late is better than never. What is
// not about a file, or was refused for another reason, keeps its result.
int32_t made_plainly(Operation& operation, int32_t refused);

// Whether a shutdown, by its result, has ended the receiving of a datagram socket. A stream's end
// is told by the system.
bool ends_datagrams(const Operation& shutdown, int32_t result);
// A receive on a datagram socket whose receiving was shut down, and that has nothing: its result.
// It is the end, as of a stream; but a message of 0 bytes is one that has come, so a receive of
// many messages ends with ENOTCONN.
int32_t nothing_received(Operation& operation);

// A read of no bytes, and its result when the system gave 0. pread() refuses a directory even then;
// io_uring does not, and for vectors of no bytes neither of the two does.
bool reads_nothing(const Operation& operation);
int32_t nothing_read(const Operation& operation);

// How much a read or a write is to move.
size_t wanted_bytes(const Operation& operation);

// Whether the next operation of a chain starts. The kernel's rule for io_uring, kept for all: reads
// and writes count only when they moved everything, sends and receives whenever they moved
// anything.
bool succeeded_in_full(const Operation& operation, int32_t result);

}  // namespace io
