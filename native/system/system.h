// The operating system's calls under one set of names. What differs between Linux, macOS and the
// BSDs is settled in system/, one file each, and nowhere else.
//
// Every call returns a count, a descriptor number or 0, or a negative errno. A call that a signal
// interrupted is made again, so many times (interruptions_most). New descriptors are close-on-exec.
// Nothing is kept: who owns a number or a piece of memory owns it afterwards too, and a number that
// could not be made ready is closed.
//
// Those on files may wait for a disk: they belong on a thread of the pool. Those on sockets expect
// a number that does not block.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace io::system {

// ---- Errors

// How often a call is made that says it was interrupted: for each time but the last one a signal
// has come while it was made. A file system may say so always, and then EINTR is the answer.
inline constexpr int interruptions_most = 100;

// "ECONNRESET"; for a number without a name "unknown error".
const char* error_name(int error);
// "Connection reset by peer", in the words of the system's library.
std::string error_text(int error);

// ---- The program

// Keeps this library in memory to the end of the process. Node unloads an addon with the last
// Worker that uses it, and what has been handed to the system (a thread that still waits for a
// disk, what a fork calls) must not find its code gone.
void stay_loaded();

// ---- Descriptors

int set_non_blocking(int number);
// Both ends do not block. ends[0] is read, ends[1] is written.
int open_pipe(int (&ends)[2]);
// Whether a pipe that has nothing to read has lost its last writer; a FIFO that nobody has opened
// for writing yet has not. It is asked before the read, since a read of 0 bytes takes the answer
// away on macOS and NetBSD.
bool pipe_has_ended(int number);
// Whether a poller is told that the other end of this pipe is gone. macOS does not tell it of a
// FIFO, which has to be asked now and then.
bool tells_end_of_pipe(int number);
// Another number for the same file; this one is given up, or kept from being used where the system
// can do that. A negative errno when there is none: then the file is closed.
int move_number(int number);
// Whatever it returns, the number is no longer ours.
int close_number(int number);

// ---- Files. `flags` are abi::open_flag_*, `level` is abi::sync_level_*.

// What open(2) is given for them. Direct I/O is among them only where it is a flag of open.
int open_flags(uint32_t flags);
// A FIFO is opened without waiting for its other end. A file that waits for whoever has a lease on
// it is -EAGAIN: to be tried again. What is no stream waits from then on, as it does for any
// program.
int open_file(const char* path, uint32_t flags, uint32_t mode);

// At `offset`, or at the current position and moving it when that is -1. At most
// abi::transfer_limit_bytes at once, which every system takes.
int32_t read_file(int number, uint8_t* data, size_t length, int64_t offset);
int32_t write_file(int number, const uint8_t* data, size_t length, int64_t offset);
int32_t read_vectors(int number, std::span<const iovec> vectors, int64_t offset);
int32_t write_vectors(int number, std::span<const iovec> vectors, int64_t offset);

// What each level promises on each system: docs/guides/durability.md.
int sync_file(int number, uint32_t level);
// Reserves space for a range. -EOPNOTSUPP where the file system, or the system, cannot.
int allocate(int number, int64_t offset, int64_t length, bool keep_size);
int truncate_file(int number, int64_t length);
// flock(2), without waiting: -EAGAIN when the file is locked through another open of it. The system
// drops the lock with the last descriptor of this open, also when the process is killed.
// `level` is abi::lock_level_*.
int lock_file(int number, uint32_t level);

int rename_path(const char* from, const char* to);
// Of a symbolic link it is the link that gets another name.
int link_path(const char* existing, const char* path);
int symlink_path(const char* target, const char* path);
int read_link(const char* path, uint8_t* into, size_t size_bytes);
// A folder is removed only when `folder` is true, and nothing else is then.
int unlink_path(const char* path, bool folder);
int make_folder(const char* path, uint32_t mode);

// The system's own structure, which it may write on another thread. On Linux it is struct statx,
// which io_uring writes too.
inline constexpr size_t raw_status_bytes = 256;
// `of` is abi::stat_by_*, which says whether `number` or `path` counts.
int stat_file(uint32_t of, int number, const char* path, uint8_t (&raw)[raw_status_bytes]);
// Turns it into abi::stat_fields doubles.
void read_status(const uint8_t (&raw)[raw_status_bytes], double* fields);

// ---- Sockets

// Linux has names of unix sockets that are no files: they begin with a zero byte.
#if defined(__linux__)
inline constexpr bool has_abstract_names = true;
#else
inline constexpr bool has_abstract_names = false;
#endif

// Of every send: a peer that is gone is EPIPE and never a signal. Where there is no such flag the
// sockets that come from here are told so themselves, and an adopted one by prepare_socket().
extern const int send_flags;

// Neither of them blocks. On Linux and the BSDs no program that another thread starts at this very
// moment inherits them; see darwin.cc for macOS.
int open_socket(int family, int type);
// -EAGAIN when nobody waits.
int accept_connection(int listener);
// What open_socket() does to a number that came from elsewhere.
int prepare_socket(int number);

// -EINPROGRESS: the socket becomes writable when the result is there, which connect_result() gives.
int connect_socket(int number, const sockaddr* address, socklen_t address_size_bytes);
int connect_result(int number);

int32_t send_bytes(int number, const uint8_t* data, size_t length);
int32_t send_message(int number, const msghdr& message);
int32_t receive_bytes(int number, uint8_t* data, size_t length);
// Writes the sender's address, its size and the flags into `message`.
int32_t receive_message(int number, msghdr& message);
// From a file to a socket, through no memory of ours. It may wait for the disk, but not for the
// socket: -EAGAIN when that takes nothing now. 0 at the end of the file.
#if defined(__linux__) || defined(__APPLE__) || defined(__FreeBSD__) || defined(__DragonFly__)
inline constexpr bool has_send_file = true;
#else
inline constexpr bool has_send_file = false;  // then it is -ENOSYS
#endif
int32_t send_file(int socket, int file, int64_t offset, size_t length);
// `direction` is SHUT_RD, SHUT_WR or SHUT_RDWR.
int shut_down_socket(int number, int direction);

}  // namespace io::system
