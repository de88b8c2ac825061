// macOS. See ../system.h.
//
// Close-on-exec. open() has O_CLOEXEC, but socket(), accept() and pipe() have nothing of the kind:
// the flag can only be set by a second call. A fork between the two would pass the number to the
// child, so both calls are made under a lock that every fork() of this process waits for.
// posix_spawn() is a system call there and does not wait for the lock. libuv starts its children
// with POSIX_SPAWN_CLOEXEC_DEFAULT, which passes only the descriptors that were asked for, and
// forks only where user or group of the child are set. One gap remains: another library's own
// posix_spawn() on another thread without that flag.
#if defined(__APPLE__)

// Without it select() takes no number above 1,023.
#define _DARWIN_UNLIMITED_SELECT 1

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/attr.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "abi/abi.h"
#include "support/check.h"
#include "system/system.h"
#include "system/common.h"
#include "system/folder_entries.h"

namespace io::system {

namespace {

pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;

void lock_fork() {
  CHECK(pthread_mutex_lock(&fork_lock) == 0);
}

void unlock_fork() {
  CHECK(pthread_mutex_unlock(&fork_lock) == 0);
}

// While one of these lives, no fork of this process begins. It must not live for long: a call made
// meanwhile may not wait.
class NoFork {
 public:
  NoFork() {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    // The handlers must stay where they are: see stay_loaded().
    const auto set_up = [] { CHECK(pthread_atfork(lock_fork, unlock_fork, unlock_fork) == 0); };
    CHECK(pthread_once(&once, set_up) == 0);
    lock_fork();
  }
  ~NoFork() { unlock_fork(); }
  NoFork(const NoFork&) = delete;
  NoFork& operator=(const NoFork&) = delete;
};

int close_on_exec(int number) {
  return ::fcntl(number, F_SETFD, FD_CLOEXEC) == 0 ? 0 : -errno;
}

// Made ready, or closed.
int or_close(int number, int error) {
  if (error == 0) return number;
  ::close(number);
  return error;
}

// File systems that are not Apple's may not know a request; any other error is the disk's answer.
bool unknown_request(int error) {
  return error == -ENOTSUP || error == -EOPNOTSUPP || error == -EINVAL || error == -ENOTTY;
}

int request(int number, int command) {
  return result_of([&] { return ::fcntl(number, command); });
}

}  // namespace

const int send_flags = 0;  // SO_NOSIGPIPE, see prepare_socket()

int open_pipe(int (&ends)[2]) {
  int error = 0;
  {
    const NoFork no_fork;
    if (::pipe(ends) != 0) return -errno;
    error = close_on_exec(ends[0]);
    if (error == 0) error = close_on_exec(ends[1]);
  }
  if (error == 0) error = set_non_blocking(ends[0]);
  if (error == 0) error = set_non_blocking(ends[1]);
  if (error == 0) return 0;
  ::close(ends[0]);
  ::close(ends[1]);
  return error;
}

// poll() is made of the same filter as kqueue, which counts the bytes of a FIFO and nothing else
// (XNU's vnode_readable_data_count). Only select() asks the socket behind it whether it has ended.
bool pipe_has_ended(int number) {
  const auto index = static_cast<size_t>(number);
  std::vector<fd_set> numbers(index / FD_SETSIZE + 1);
  // The processors of a Mac are little-endian, so the bits of a set are in the order of its bytes.
  auto* bytes = reinterpret_cast<uint8_t*>(numbers.data());
  bytes[index / 8] = static_cast<uint8_t>(1U << (index % 8));
  timeval at_once = {};
  return ::select(number + 1, numbers.data(), nullptr, nullptr, &at_once) > 0;
}

// fifo_close() posts to no knote, whichever end is closed. A pipe of pipe() is no vnode and reports
// it; fstatfs() refuses such a pipe.
bool reports_end_of_pipe(int number) {
  struct statfs unused;
  return ::fstatfs(number, &unused) != 0;
}

int open_flags(uint32_t flags) {
  return common_open_flags(flags);
}

// F_NOCACHE is what macOS has for direct I/O: it passes the cache where it can, asks for no
// alignment, and is not an error where it cannot.
int open_file(int folder, const char* path, uint32_t flags, uint32_t mode) {
  if ((flags & of_linux_alone) != 0) return -ENOTSUP;
  const int how = open_flags(flags);
  const int number =
      wait_for_file(result_of([&] { return ::openat(folder, path, how | O_NONBLOCK, mode); }), how);
  if (number < 0 || (flags & abi::open_flag_direct) == 0) return number;
  return or_close(number, ::fcntl(number, F_NOCACHE, 1) == -1 ? -errno : 0);
}

const int look_flags = O_RDONLY | O_NONBLOCK;

uint64_t resolve_flags(uint32_t) {
  return 0;
}

int open_file_under_rules(int, const char*, uint32_t, uint32_t, uint32_t) {
  return -ENOSYS;
}

int rename_path(int folder, const char* from, int folder_to, const char* to, uint32_t flags) {
  unsigned how = 0;
  if (flags == abi::rename_no_replace) how = RENAME_EXCL;
  if (flags == abi::rename_exchange) how = RENAME_SWAP;
  if (how == 0) return result_of([&] { return ::renameat(folder, from, folder_to, to); });
  return result_of([&] { return ::renameatx_np(folder, from, folder_to, to, how); });
}

int path_of_number(int number, uint8_t* into, size_t size_bytes) {
  char path[MAXPATHLEN];
  const int result = result_of([&] { return ::fcntl(number, F_GETPATH, path); });
  if (result < 0) return result;
  const size_t length = std::strlen(path);
  if (length > size_bytes) return -ERANGE;
  std::memcpy(into, path, length);
  return static_cast<int>(length);
}

namespace {

// The kinds of a vnode, in the order of sys/vnode.h: VNON, VREG, VDIR, VBLK, VCHR, VLNK, VSOCK,
// VFIFO.
uint8_t kind_of_vnode(uint32_t type) {
  constexpr uint8_t kinds[] = {
      abi::kind_unknown,          abi::kind_file, abi::kind_directory, abi::kind_block_device,
      abi::kind_character_device, abi::kind_link, abi::kind_socket,    abi::kind_fifo};
  return type < sizeof(kinds) ? kinds[type] : static_cast<uint8_t>(abi::kind_unknown);
}

}  // namespace

// getattrlistbulk(2), macOS 10.10: the only call with the state in the descriptor that programs may
// make. It leaves "." and ".." out. The attributes come in the order of their bits.
int read_folder(int number, uint8_t* into, size_t size_bytes) {
  attrlist wanted = {};
  wanted.bitmapcount = ATTR_BIT_MAP_COUNT;
  wanted.commonattr = ATTR_CMN_RETURNED_ATTRS | ATTR_CMN_NAME | ATTR_CMN_OBJTYPE;
  const int count =
      result_of([&] { return ::getattrlistbulk(number, &wanted, into, size_bytes, 0); });
  if (count <= 0) return count;
  EntryWriter writer(into);
  const uint8_t* at = into;
  for (int index = 0; index < count; index++) {
    uint32_t length = 0;
    std::memcpy(&length, at, sizeof(length));
    const uint8_t* field = at + sizeof(length) + sizeof(attribute_set_t);
    attrreference_t name;
    std::memcpy(&name, field, sizeof(name));
    uint32_t type = 0;
    std::memcpy(&type, field + sizeof(name), sizeof(type));
    const char* text = reinterpret_cast<const char*>(field) + name.attr_dataoffset;
    at += length;
    writer.add(kind_of_vnode(type), text, std::strlen(text));
  }
  return writer.size_bytes();
}

// fsync() hands the bytes to the device and does not wait for its cache, so it keeps no promise of
// ours. It is the last resort, for file systems that know neither of the other two.
int sync_file(int number, uint32_t level) {
  int result = -ENOTSUP;
  if (level == abi::sync_level_barrier) result = request(number, F_BARRIERFSYNC);
  if (unknown_request(result)) result = request(number, F_FULLFSYNC);
  if (unknown_request(result)) result = result_of([&] { return ::fsync(number); });
  return std::min(result, 0);
}

// F_PREALLOCATE adds space behind the end of what a file has, all of it or none. Holes inside the
// file stay holes. The size is then set by truncating, which would cut off what another write added
// meanwhile: so it is looked at again just before.
int allocate(int number, int64_t offset, int64_t length, uint32_t mode) {
  if (length == 0) return -EINVAL;  // as Linux says
  if (mode == abi::allocate_punch_hole) {
    fpunchhole_t hole = {};
    hole.fp_offset = offset;
    hole.fp_length = length;
    const int result = result_of([&] { return ::fcntl(number, F_PUNCHHOLE, &hole); });
    return result == -ENOTTY ? -EOPNOTSUPP : std::min(result, 0);
  }
  if (mode > abi::allocate_keep_size) return -EOPNOTSUPP;
  struct stat status;
  if (::fstat(number, &status) != 0) return -errno;
  const int64_t end = offset + length;
  const int64_t present = std::max<int64_t>(status.st_size, status.st_blocks * 512);
  if (end > present) {
    fstore_t store = {};
    store.fst_flags = F_ALLOCATEALL;
#if defined(F_ALLOCATEPERSIST)  // macOS 13: the space survives the close
    store.fst_flags |= F_ALLOCATEPERSIST;
#endif
    store.fst_posmode = F_PEOFPOSMODE;
    store.fst_length = end - present;
    const int result = result_of([&] { return ::fcntl(number, F_PREALLOCATE, &store); });
    if (result < 0) return unknown_request(result) ? -EOPNOTSUPP : result;
  }
  if (mode == abi::allocate_keep_size) return 0;
  if (::fstat(number, &status) != 0) return -errno;
  return status.st_size < end ? truncate_file(number, end) : 0;
}

int open_socket(int family, int type) {
  int number = -1;
  int error = 0;
  {
    const NoFork no_fork;
    number = ::socket(family, type, 0);
    if (number < 0) return -errno;
    error = close_on_exec(number);
  }
  if (error == 0) error = prepare_socket(number);
  return or_close(number, error);
}

// Waiting here would keep every fork waiting, so the listener must not block.
int accept_connection(int listener) {
  int number = -1;
  int error = 0;
  {
    const NoFork no_fork;
    number = result_of([&] { return ::accept(listener, nullptr, nullptr); });
    if (number < 0) return number;
    error = close_on_exec(number);
  }
  return or_close(number, error == 0 ? prepare_socket(number) : error);
}

// The count is set even when the call fails, because the socket was full or a signal came.
int32_t send_file(int socket, int file, int64_t offset, size_t length) {
  if (length == 0) return 0;  // to the system it would mean all of the file
  for (int times = 1;; times++) {
    off_t count = static_cast<off_t>(std::min<size_t>(length, abi::transfer_limit_bytes));
    const int error = ::sendfile(file, socket, offset, &count, nullptr, 0) == 0 ? 0 : errno;
    // After any other error `count` may still be the requested length.
    if (error != 0 && error != EAGAIN && error != EINTR) return result_of_send(-error);
    if (error == 0 || count > 0) return static_cast<int32_t>(count);
    if (error == EAGAIN || times == max_interruptions) return -error;
  }
}

// A socket whose two directions are closed takes no options (EINVAL of XNU's sosetoptlock): a unix
// connection whose client has sent and closed before it was accepted, or one that was reset. Its
// bytes can still be received. An accepted socket has the option from its listener.
int prepare_socket(int number) {
  const int on = 1;
  const int result = ::setsockopt(number, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
  if (result != 0 && errno != EINVAL) return -errno;
  return set_non_blocking(number);
}

}  // namespace io::system

#endif
