// The operating system's calls under one set of names. The differences between Linux, macOS and the
// BSDs are settled in system/, one file each, and nowhere else.
//
// Every call returns a count, a descriptor number or 0, or a negative errno. A call that a signal
// interrupts is repeated, up to max_interruptions times. New descriptors are close-on-exec. No
// function keeps anything: the owner of a number or of memory owns it afterwards too. A number that
// could not be made ready is closed.
//
// Calls on files may wait for a disk: they belong on a thread of the pool. Calls on sockets expect
// a number that does not block.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string>

namespace io::system {

// ---- Errors

// How often a call is made that says it was interrupted: for each time but the last one a signal
// has come while it was made. A file system may say so always, and then EINTR is the answer.
inline constexpr int max_interruptions = 100;

// "ECONNRESET"; for a number without a name "unknown error".
const char* error_name(int error);
// "Connection reset by peer", in the words of the system's library.
std::string error_text(int error);

// ---- The program

// Keeps this library in memory to the end of the process. Node unloads an addon with the last
// Worker that uses it, but a thread that still waits for a disk, or a fork handler, must not find
// its code unmapped.
void stay_loaded();

// ---- Descriptors

int set_non_blocking(int number);
// A send that blocks ends after a tick of the kernel's clock (EAGAIN), or never by itself. Of what
// is no socket nothing changes.
void limit_sends(int number, bool limited);
// Both ends do not block. ends[0] is read, ends[1] is written.
int open_pipe(int (&ends)[2]);
// Another number for the same file, which the caller owns.
int duplicate(int number);
// abi::descriptor_kind_*, or a negative errno.
int kind_of(int number);
// The family of a socket (AF_*).
int family_of(int number);
// A number that other code gives up, made ready: it is not inherited by programs that are started.
// One that is shared with that code (stdin) stays as it is; the result is then a duplicate.
int make_own(int number, bool is_shared);
void set_blocking(int number);
// Two unix sockets that are connected to each other; `type` is SOCK_STREAM or SOCK_DGRAM.
int open_socket_pair(int type, int (&ends)[2]);
// Of the process at the other end of a unix socket, when it connected. `process` is -1 where the
// system does not say it.
struct PeerCredentials {
  int64_t process = -1;
  uint32_t user = 0;
  uint32_t group = 0;
};
int peer_credentials(int number, PeerCredentials& found);
// A descriptor that is readable when the process has ended. -ENOSYS where there is none.
int open_process(int64_t process);
struct ProcessEnd {
  bool has_code = false;  // or it was ended by a signal
  int value = 0;
};
// Of a child of this process that has ended and was not waited for: -ECHILD for any other.
int process_end(int number, ProcessEnd& end);
// Joins a multicast group, or leaves it; of one source alone where that is given. -ENOSYS where the
// system lacks it. An interface of 0 is the system's choice.
int change_group(int number, bool joins, uint32_t interface, const sockaddr_storage& group,
                 const sockaddr_storage* source);
// Whether a pipe that has nothing to read has lost its last writer. A FIFO that has had no writer
// yet has not. It is asked before the read, since on macOS and NetBSD a read of 0 bytes clears the
// answer.
bool pipe_has_ended(int number);
// Whether a poller reports that the other end of this pipe is closed. macOS does not report it for
// a FIFO, which has to be polled.
bool reports_end_of_pipe(int number);
// Another number for the same file; this one is given up, or kept from being used where the system
// can do that. A negative errno when there is none: then the file is closed.
int move_number(int number);
// Whatever it returns, the number is no longer ours.
int close_number(int number);

// ---- Files. `flags` are abi::open_flag_*, `level` is abi::sync_level_*.

// Flags for open(2). Direct I/O is among them only where it is a flag of open.
int open_flags(uint32_t flags);
// A FIFO is opened without waiting for its other end. A file on which another process holds a lease
// is -EAGAIN: try again. A file that is not a stream blocks from then on, as it does in any
// program.
int open_file(int folder, const char* path, uint32_t flags, uint32_t mode);

// At `offset`, or at the current position and moving it when that is -1. At most
// abi::transfer_limit_bytes at once, which every system takes.
int32_t read_file(int number, uint8_t* data, size_t length, int64_t offset);
int32_t write_file(int number, const uint8_t* data, size_t length, int64_t offset);
int32_t read_vectors(int number, std::span<const iovec> vectors, int64_t offset);
int32_t write_vectors(int number, std::span<const iovec> vectors, int64_t offset);

// The guarantee of each level on each system: docs/guides/durability.md.
int sync_file(int number, uint32_t level);
// Of a range: reserves space, makes a hole or zeros, removes it or makes room for it. `mode` is
// abi::allocate_*. -EOPNOTSUPP where the file system, or the system, cannot.
int allocate(int number, int64_t offset, int64_t length, uint32_t mode);
// As fallocate(2) has the mode, on Linux.
int allocate_flags(uint32_t mode);
int truncate_file(int number, int64_t length);
// Locks a range, or the rest of the file when `length` is 0, without waiting: -EAGAIN when it is
// locked through another open of the file. The system drops the lock with the last descriptor of
// this open, also when the process is killed. `level` is abi::lock_level_*. Systems other than
// Linux lock a whole file, and refuse a range (ENOTSUP).
int lock_range(int number, uint32_t level, int64_t offset, int64_t length);
// A write with abi::write_flag_*. Other systems than Linux know the first of them, which is a write
// and a sync there; -EOPNOTSUPP for what the system or the file system does not know.
int32_t write_with(int number, std::span<const iovec> vectors, int64_t offset, uint32_t flags);
// As pwritev2(2) has them, on Linux.
int write_flags(uint32_t flags);
// Those that the system knows, as abi::feature_write_*.
uint32_t write_features();
// `advice` is abi::advice_*. Does nothing where the system has no such advice.
int advise(int number, int64_t offset, int64_t length, uint32_t advice);
// On Linux it writes a range out, and neither metadata nor the cache of the device. Elsewhere it is
// a sync of the whole file. `length` 0: all that follows.
int sync_range(int number, int64_t offset, int64_t length);
int change_mode_of(int number, uint32_t mode);
// Of user and group UINT32_MAX leaves it as it is.
int change_owner_of(int number, uint32_t user, uint32_t group);
// Those of the last read and of the last change.
int change_times_of(int number, const timespec (&times)[2]);
// Extended attributes. -ENOTSUP on the BSDs. `how` is abi::xattr_*.
int get_xattr(int number, const char* name, uint8_t* into, size_t size_bytes);
int set_xattr(int number, const char* name, const uint8_t* value, size_t size_bytes, uint32_t how);
// Names, each with a zero byte behind it.
int list_xattr(int number, uint8_t* into, size_t size_bytes);
int remove_xattr(int number, const char* name);
// From a file to another, or to another place of the same: how many bytes, 0 at the end. It may
// be fewer than asked. The file system makes the copy where it can.
int32_t copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length);
// The files share their blocks until one of them is written to. -EOPNOTSUPP where that cannot be.
int reflink(int from, int to);
// Fills abi::statfs_fields doubles.
int stat_file_system_of(int number, double* fields);
// Gives an open file a name, also one that has none.
int link_open_file(int number, const char* path);

// A number from which events of the files that are added to it are read. It does not block. On
// Linux read_file() gives the records of inotify(7). On other systems it is a kqueue of its own,
// and read_watch() gives records of the same form, without names, whose mask has the NOTE_* of
// EVFILT_VNODE. A kqueue knows of a file only as long as that is open.
#if defined(__linux__)
inline constexpr bool watch_is_kqueue = false;
#else
inline constexpr bool watch_is_kqueue = true;
#endif
int open_watch();
// Adds an open file or directory; the result is its number in the events. In a kqueue that is the
// file's own.
int add_watch(int watch, int file);
int remove_watch(int watch, uint32_t added);
// Whether a number is a kqueue; false on Linux.
bool is_watch(int number);
// The records that there are, as many as have space; -EAGAIN when there is none.
int32_t read_watch(int watch, uint8_t* into, size_t size_bytes);

// ---- Paths
//
// `folder` is the number of the directory that a relative path begins at, from folder_of().

// The process's own directory for a number that is -1.
int folder_of(int number);
// `flags` is abi::rename_* or 0. -ENOTSUP where the system has none of them.
int rename_path(int folder, const char* from, int folder_to, const char* to, uint32_t flags);
// Of a symbolic link it is the link that gets another name.
int link_path(int folder, const char* existing, int folder_to, const char* path);
int symlink_path(const char* target, int folder, const char* path);
int read_link(int folder, const char* path, uint8_t* into, size_t size_bytes);
// A regular file to a name that is not there, with its permissions; `how` is abi::copy_*. How many
// bytes it has. -EFBIG for more than abi::copy_limit_bytes, -ENOTSUP for one with setuid, setgid or
// the sticky bit. What has failed leaves no name.
int32_t copy_file(int folder, const char* from, int folder_to, const char* to, uint32_t how);
// A folder is removed only when `is_folder` is true, and nothing else is then.
int unlink_path(int folder, const char* path, bool is_folder);
int make_folder(int folder, const char* path, uint32_t mode);
int change_mode(int folder, const char* path, uint32_t mode, bool follows);
// Of user and group UINT32_MAX leaves it as it is.
int change_owner(int folder, const char* path, uint32_t user, uint32_t group, bool follows);
int change_times(int folder, const char* path, const timespec (&times)[2], bool follows);
// `wanted` is R_OK, W_OK and X_OK or-ed, or F_OK.
int check_access(int folder, const char* path, uint32_t wanted, bool follows);
// The path without links and dots, as bytes; how many. -ENOSYS where the system cannot say it of
// what is relative to a directory.
int real_path(int folder, const char* path, bool follows, uint8_t* into, size_t size_bytes);
int path_of_number(int number, uint8_t* into, size_t size_bytes);
// Fills abi::statfs_fields doubles.
int stat_file_system(int folder, const char* path, bool follows, double* fields);
// Extended attributes by path, as those by number.
struct PathOf {
  int folder;
  const char* path;
  bool follows;
};
int get_xattr_at(const PathOf& file, const char* name, uint8_t* into, size_t size_bytes);
int set_xattr_at(const PathOf& file, const char* name, const uint8_t* value, size_t size_bytes,
                 uint32_t how);
int list_xattr_at(const PathOf& file, uint8_t* into, size_t size_bytes);
int remove_xattr_at(const PathOf& file, const char* name);
// For calls that look at a file and move no bytes of it: O_PATH where there is that.
extern const int look_flags;

// The next entries of a directory, each with a head of abi::directory_entry_head_bytes, without
// "." and ".."; how many bytes they are, 0 at the end.
int read_folder(int number, uint8_t* into, size_t size_bytes);

// abi::resolve_* as openat2(2) has them.
uint64_t resolve_flags(uint32_t rules);
// As open_file(). -ENOSYS where the system cannot keep to rules.
int open_file_under_rules(int folder, const char* path, uint32_t flags, uint32_t mode,
                          uint32_t rules);

// The system's own structure, which it may write on another thread. On Linux it is struct statx,
// which io_uring writes too.
inline constexpr size_t raw_status_bytes = 256;
// `of` is abi::stat_by_*, which says whether `number` is the file, or the folder of `path`.
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

// For every send: a peer that has closed is EPIPE and never a signal. Where there is no such flag,
// new sockets get an option instead, and an adopted one gets it in prepare_socket().
extern const int send_flags;

// Neither of them blocks. On Linux and the BSDs no program that another thread starts at this very
// moment inherits them; see darwin.cc for macOS.
int open_socket(int family, int type);
// -EAGAIN when no connection waits.
int accept_connection(int listener);
// The set-up of open_socket() for a number that came from elsewhere.
int prepare_socket(int number);

// -EINPROGRESS: the socket becomes writable when the result is there, which connect_result() gives.
int connect_socket(int number, const sockaddr* address, socklen_t address_size_bytes);
int connect_result(int number);
// Of a datagram socket alone. -1 with errno, as the calls for which it stands.
int disconnect_socket(int number);

// `more`: more follows at once, so a part of a packet waits for that (MSG_MORE). It makes no
// difference where the system has no such flag: macOS and the BSDs.
int32_t send_bytes(int number, const uint8_t* data, size_t length, bool more);
int32_t send_message(int number, const msghdr& message, bool more);
int32_t receive_bytes(int number, uint8_t* data, size_t length);
// The bytes stay in the socket.
int32_t peek_bytes(int number, uint8_t* data, size_t length);
// Writes the sender's address, its size and the flags into `message`.
int32_t receive_message(int number, msghdr& message, int flags = 0);
// For every receive of control messages: descriptors among them are close-on-exec, where the system
// has a flag for that.
extern const int control_flags;
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
