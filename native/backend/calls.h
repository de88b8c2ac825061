// The system call of one operation, for both kinds of backend: the reactor makes all of its calls
// here, io_uring those that no entry makes. Each returns what io_uring would have as its result: a
// count, a descriptor or 0, or a negative errno.
#pragma once

#include <cstdint>

#include "engine/chains.h"
#include "engine/descriptors.h"
#include "engine/operation.h"

namespace io {

// The kind of a descriptor, which decides which thread makes the calls on it.
enum class Kind : uint8_t {
  unknown,
  socket,  // these four are tried at once, and again when they are ready
  pipe,
  device,     // a terminal, or another device that can be polled
  watch,      // a kqueue of io.watch(): a stream of records
  file,       // its calls wait for a disk: left to the pool
  uncached,   // the same, opened for direct I/O: its pages are never in memory
  unwatched,  // a device that cannot be waited for: left to the pool, and asked again after a while
};

inline bool is_stream(Kind kind) {
  return kind == Kind::socket || kind == Kind::pipe || kind == Kind::device || kind == Kind::watch;
}

inline bool is_file(Kind kind) {
  return kind == Kind::file || kind == Kind::uncached || kind == Kind::unwatched;
}

// Asks the system, and makes a stream non-blocking even if other code opened it. A device is a
// stream only if it can be polled, which the poller has to say: `unknown` then. Negative errno on
// failure.
int classify(int number, Kind& kind);

// Whether it is a regular file, a directory or a disk, which are always ready.
bool is_of_disk(int number);

// Whether a file was opened for appending.
bool writes_to_end(int number);

// Tries an operation on a stream without waiting; -EAGAIN when it would have to wait.
int32_t attempt(Operation& operation);
// The same on a kqueue of io.watch(), of which only a read gives anything.
int32_t attempt_on_watch(Operation& operation);

// Whether the result says that the receive buffer of a unix datagram's receiver is full. A sender
// that names the receiver in each datagram is always writable, so no event says when there is
// space. Linux returns EAGAIN, the BSDs and macOS return ENOBUFS.
bool receiver_is_full(const Operation& operation, int32_t result);

// BSDs and macOS refuse a unix datagram that is larger than the receiver's whole buffer with the
// same error as one for which there is no space at the moment. The sender cannot see that buffer,
// so its own send buffer stands in for it. A datagram that fits there is retried without a limit. A
// larger one fails after this many refusals, which is a second.
inline constexpr uint8_t refusals_limit = 50;
bool fits_receiver(const Operation& operation);

// Whether a send may wait although its peer takes nothing more: no poll of Linux reports that the
// peer of a unix connection has shut down receiving, nor that another process that shares the
// socket has shut down sending. A try says so, by EPIPE.
inline bool may_stall(const Operation& operation, Descriptors& descriptors) {
  return is(operation.opcode, trait::sends | trait::writes) &&
         descriptors.at(operation.number).unix_connection;
}

// The events of poll(2), from and to those of a poll operation (abi::poll_*).
short events_to_poll(const Operation& operation);
int32_t events_of_poll(unsigned events);

// Whether a descriptor is an eventfd, or an epoll, which may have one in it.
bool is_eventfd(int number);

// Whether it is an io_uring.
bool is_ring(int number);

// Whether the system says that a socket's other end, or its own receiving, is over.
bool has_ended(int number);

// A read of a file from the page cache; -EAGAIN when the bytes are not cached, or when the system
// cannot say.
int32_t attempt_cached_read(const Operation& operation);
// Off for programs whose thread must not copy, and for file systems where it is broken.
bool wants_cached_reads();

// Makes the call of an operation on a file or a path, which may wait: for threads of the pool.
int32_t perform(Operation& operation);
// Whether a refusal (EAGAIN) of perform() says that another process is in the way, which no event
// reports the end of: a lease on a file that is opened, or a lock. Then the call is made again
// after a while.
bool waits_for_others(const Operation& operation);
// A write with the flag `nowait`: what would have to wait is refused (EAGAIN), and not kept.
bool refuses_to_wait(const Operation& operation);
// Whether perform() can, without waiting for anything but a disk.
bool can_be_performed(const Operation& operation);

// Some file systems refuse to do an operation asynchronously that they do as a plain call, and
// return EOPNOTSUPP (libuv#4268). Then the call is made here, on this thread. An operation that is
// not on a file, or was refused for another reason, keeps its result.
int32_t made_plainly(Operation& operation, int32_t refused);

// Whether a shutdown, by its result, has ended the receiving of a datagram socket. For a stream the
// system reports the end.
bool ends_datagrams(const Operation& shutdown, int32_t result);
// The result of a receive on a datagram socket whose receiving was shut down, when nothing is left
// to receive. It is the end, as of a stream. But a result of 0 means an empty message, so a
// multishot receive of messages ends with ENOTCONN.
int32_t nothing_received(Operation& operation);

// A read of no bytes, and its result when the system gave 0. pread() refuses a directory even then;
// io_uring does not, and for vectors of no bytes neither of the two does.
bool reads_nothing(const Operation& operation);
int32_t nothing_read(const Operation& operation);

}  // namespace io
