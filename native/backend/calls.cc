// The system calls of operations: see calls.h.
#include "backend/calls.h"
#include "backend/path_calls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support/check.h"
#include "system/system.h"

#ifdef RWF_NOWAIT
#include <sys/syscall.h>
#endif

namespace io {

namespace {

using abi::Opcode;

constexpr int64_t current_position = -1;

#ifdef POLLRDHUP
constexpr short ended_events = POLLHUP | POLLERR | POLLRDHUP;
#else
constexpr short ended_events = POLLHUP | POLLERR;
#endif

short poll_now(int number, short events) {
  pollfd polled = {.fd = number, .events = events, .revents = 0};
  return ::poll(&polled, 1, 0) > 0 ? polled.revents : 0;
}

// The kernel connects on its own after the first call; this asks how far it is. A descriptor
// becomes writable when that has ended, for better or worse, and perhaps for no reason at all.
int32_t connect_outcome(int number) {
  const int result = system::connect_result(number);
  if (result != 0) return result;
  sockaddr_storage peer;
  socklen_t size = sizeof(peer);
  if (::getpeername(number, reinterpret_cast<sockaddr*>(&peer), &size) == 0) return 0;
  // EINVAL is macOS's word for a peer that has connected and gone again.
  if (errno == EINVAL) return 0;
  if (errno != ENOTCONN) return -errno;
  // The kernel reports the error once, and a receive or send may have taken it already.
  return (poll_now(number, POLLOUT) & (POLLHUP | POLLERR)) != 0 ? -ECONNABORTED : -EAGAIN;
}

// -EAGAIN without `begun`: the backlog of a unix listener is full, and no connect has begun.
int32_t attempt_connect(Operation& operation) {
  if (operation.begun) return connect_outcome(operation.number);
  const Extra& extra = *operation.extra;
  const auto* address = reinterpret_cast<const sockaddr*>(&extra.address);
  int result = system::connect_socket(operation.number, address, extra.address_size_bytes);
  // Linux's result after an earlier connect failed and its error was reported. The call resets that
  // state, and the next one connects again. io_uring does the same.
  if (result == -ECONNABORTED)
    result = system::connect_socket(operation.number, address, extra.address_size_bytes);
  if (result != -EINPROGRESS) return result;
  operation.begun = true;
  return -EAGAIN;
}

bool waits_for_disk(const struct stat& status) {
  return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode);
}

int32_t write_with_flags(const Operation& operation, int64_t offset) {
  const iovec whole = {operation.address, operation.length};
  const bool vectored = operation.opcode == Opcode::write_vectored;
  const std::span<const iovec> vectors =
      vectored ? std::span<const iovec>(operation.extra->vectors) : std::span(&whole, 1);
  return system::write_with(operation.number, vectors, offset, operation.argument);
}

int32_t transfer(const Operation& operation, int64_t offset) {
  const int number = operation.number;
  if (is(operation.opcode, trait::writes) && operation.argument != 0) {
    return write_with_flags(operation, offset);
  }
  switch (operation.opcode) {
    case Opcode::read:
      return system::read_file(number, operation.address, operation.length, offset);
    case Opcode::write:
      return system::write_file(number, operation.address, operation.length, offset);
    case Opcode::read_vectored:
      return system::read_vectors(number, operation.extra->vectors, offset);
    default:
      CHECK(operation.opcode == Opcode::write_vectored);
      return system::write_vectors(number, operation.extra->vectors, offset);
  }
}

}  // namespace

bool is_of_disk(int number) {
  struct stat status;
  return ::fstat(number, &status) == 0 && waits_for_disk(status);
}

int classify(int number, Kind& kind) {
  struct stat status;
  if (::fstat(number, &status) != 0) return -errno;
  if (waits_for_disk(status)) {
    kind = Kind::file;
#ifdef O_DIRECT
    if ((::fcntl(number, F_GETFL) & O_DIRECT) != 0) kind = Kind::uncached;
#endif
    return 0;
  }
  if (S_ISSOCK(status.st_mode)) {
    kind = Kind::socket;
    return system::prepare_socket(number);
  }
  // A kqueue says that it is a FIFO, and refuses to be made non-blocking.
  if (!S_ISCHR(status.st_mode) && system::is_watch(number)) {
    kind = Kind::watch;
    return 0;
  }
  kind = S_ISFIFO(status.st_mode) ? Kind::pipe : Kind::device;
  if (S_ISCHR(status.st_mode)) kind = Kind::unknown;
  return is_stream(kind) ? system::set_non_blocking(number) : 0;
}

bool writes_to_end(int number) {
  const int flags = ::fcntl(number, F_GETFL);
  return flags >= 0 && (flags & O_APPEND) != 0;
}

short events_to_poll(const Operation& operation) {
  return operation.argument == abi::poll_readable ? POLLIN : POLLOUT;
}

int32_t events_of_poll(unsigned events) {
  uint32_t found = 0;
  if ((events & POLLIN) != 0) found |= abi::poll_readable;
  if ((events & POLLOUT) != 0) found |= abi::poll_writable;
  if ((events & POLLHUP) != 0) found |= abi::poll_hang_up;
  if ((events & (POLLERR | POLLNVAL)) != 0) found |= abi::poll_error;
  return static_cast<int32_t>(found);
}

namespace {

// What such a descriptor is, which has no type of file. `unknown` is the answer without /proc.
bool is_anonymous(int number, const char* kind, bool unknown) {
#if defined(__linux__)
  struct stat status;
  if (::fstat(number, &status) != 0 || (status.st_mode & S_IFMT) != 0) return false;
  char path[32];
  char name[64] = {};
  std::snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
  if (::readlink(path, name, sizeof(name) - 1) < 0) return unknown;
  return std::strstr(name, kind) != nullptr;
#else
  static_cast<void>(number);
  static_cast<void>(kind);
  static_cast<void>(unknown);
  return false;
#endif
}

}  // namespace

// An eventfd or an epoll. Without /proc it may be one, to be on the safe side.
bool is_eventfd(int number) {
  return is_anonymous(number, "[event", true);
}

bool is_ring(int number) {
  return is_anonymous(number, "[io_uring]", false);
}

bool has_ended(int number) {
  return (poll_now(number, ended_events) & ended_events) != 0;
}

int32_t attempt(Operation& operation) {
  const int number = operation.number;
  switch (operation.opcode) {
    case Opcode::read:
    case Opcode::write:
    case Opcode::read_vectored:
    case Opcode::write_vectored:
      return transfer(operation, current_position);  // a stream has no other
    case Opcode::accept:
    case Opcode::accept_multishot:
      return system::accept_connection(number);
    case Opcode::connect:
      return attempt_connect(operation);
    case Opcode::send:
      return operation.is_batch_head
                 ? system::send_message(number, operation.extra->message, false)
                 : system::send_bytes(number, operation.left_address(), operation.left_length(),
                                      operation.argument != 0);
    case Opcode::send_vectored:
    case Opcode::send_message:
    case Opcode::send_control:
      return system::send_message(number, operation.extra->message, operation.argument != 0);
    case Opcode::peek:
      return system::peek_bytes(number, operation.address, operation.length);
    case Opcode::receive:
      return system::receive_bytes(number, operation.address, operation.length);
    case Opcode::receive_message:
    case Opcode::receive_vectored:
      return system::receive_message(number, operation.extra->message);
    case Opcode::peek_message:
      return system::receive_message(number, operation.extra->message, MSG_PEEK);
    case Opcode::receive_control:
      return system::receive_message(number, operation.extra->message, system::control_flags);
    case Opcode::receive_multishot:
    case Opcode::receive_message_multishot:
      return system::receive_bytes(number, nullptr, 0);  // to get the error of the descriptor
    case Opcode::poll:
    case Opcode::poll_multishot: {
      const short events = poll_now(number, events_to_poll(operation));
      return events == 0 ? -EAGAIN : events_of_poll(static_cast<unsigned short>(events));
    }
    default:
      CHECK(!"an operation that never waits for a stream");
  }
}

int32_t attempt_on_watch(Operation& operation) {
  if (operation.opcode != Opcode::read) return -EINVAL;
  return system::read_watch(operation.number, operation.address, operation.length);
}

#ifdef RWF_NOWAIT

// Linux 4.14. Called by number, since musl has a function for it only since 1.2.5. A short count
// may be the end of the file or a hole in the page cache, so only a full count is taken: the pool
// reads the others again.
int32_t attempt_cached_read(const Operation& operation) {
  if (operation.offset == current_position) return -EAGAIN;  // it would be moved
  const iovec whole = {operation.address, operation.length};
  const bool vectored = operation.opcode == Opcode::read_vectored;
  const iovec* vectors = vectored ? operation.extra->vectors.data() : &whole;
  const int count = vectored ? static_cast<int>(operation.extra->vectors.size()) : 1;
  constexpr long upper_half = 0;  // of the position, where a register has only half of it
  const long result = ::syscall(SYS_preadv2, operation.number, vectors, count, operation.offset,
                                upper_half, RWF_NOWAIT);
  if (result <= 0) return -EAGAIN;
  const auto taken = static_cast<int32_t>(result);
  return succeeded_in_full(operation, taken) ? taken : -EAGAIN;
}

#else

int32_t attempt_cached_read(const Operation&) {
  return -EAGAIN;
}

#endif

bool wants_cached_reads() {
  const char* wish = std::getenv("IO_CACHED_READS");
  return wish == nullptr || std::strcmp(wish, "pool") != 0;
}

namespace {

int32_t perform_on_attribute(Operation& operation) {
  const int number = operation.number;
  const char* name = operation.extra ? operation.extra->path.c_str() : "";
  switch (operation.opcode) {
    case Opcode::get_xattr:
      return system::get_xattr(number, name, operation.address, operation.length);
    case Opcode::set_xattr:
      return system::set_xattr(number, name, operation.address, operation.length,
                               operation.argument_extra);
    case Opcode::list_xattr:
      return system::list_xattr(number, operation.address, operation.length);
    default:
      return system::remove_xattr(number, name);
  }
}

// Those on an open file, beside reading and writing.
int32_t perform_on_file(Operation& operation) {
  const int number = operation.number;
  const Extra* extra = operation.extra.get();
  switch (operation.opcode) {
    case Opcode::lock:
    case Opcode::unlock:
      return system::lock_range(number, operation.argument, operation.offset, operation.extent);
    case Opcode::advise:
      return system::advise(number, operation.offset, operation.extent, operation.argument);
    case Opcode::sync_range:
      return system::sync_range(number, operation.offset, operation.extent);
    case Opcode::fchmod:
      return system::change_mode_of(number, operation.argument);
    case Opcode::fchown:
      return system::change_owner_of(number, operation.argument, operation.argument_extra);
    case Opcode::futimes:
      return system::change_times_of(number, extra->times);
    case Opcode::get_xattr:
    case Opcode::set_xattr:
    case Opcode::list_xattr:
    case Opcode::remove_xattr:
      return perform_on_attribute(operation);
    case Opcode::copy_range:
      return system::copy_range(extra->source, operation.offset, number, operation.extent,
                                operation.length);
    case Opcode::reflink:
      return system::reflink(extra->source, number);
    case Opcode::fstatfs:
      return system::stat_file_system_of(number, reinterpret_cast<double*>(operation.address));
    case Opcode::link_descriptor:
      return system::link_open_file(number, extra->path.c_str());
    case Opcode::watch:
      return system::open_watch();
    case Opcode::watch_add:
      return system::add_watch(number, extra->source);
    case Opcode::watch_remove:
      return system::remove_watch(number, operation.argument);
    default:
      CHECK(!"an operation that no thread of the pool makes");
  }
}

}  // namespace

int32_t perform(Operation& operation) {
  if (is(operation.opcode, trait::resolves)) return perform_on_path(operation);
  const int number = operation.number;
  switch (operation.opcode) {
    case Opcode::send_file:
      return system::send_file(number, operation.extra->source, operation.offset, operation.length);
    case Opcode::close:
      return system::close_number(number);
    case Opcode::read:
    case Opcode::write:
    case Opcode::read_vectored:
    case Opcode::write_vectored:
      return transfer(operation, operation.offset);
    case Opcode::sync:
      return system::sync_file(number, operation.argument);
    case Opcode::allocate:
      return system::allocate(number, operation.offset, operation.extent, operation.argument);
    case Opcode::truncate:
      return system::truncate_file(number, operation.offset);
    case Opcode::read_directory:
      return system::read_folder(number, operation.address, operation.length);
    case Opcode::shutdown:
      return system::shut_down_socket(number, static_cast<int>(operation.argument));
    default:
      return perform_on_file(operation);
  }
}

bool waits_for_others(const Operation& operation) {
  if (operation.opcode == Opcode::lock) return operation.argument_extra != 0;
  return operation.opcode == Opcode::open;
}

bool refuses_to_wait(const Operation& operation) {
  return is(operation.opcode, trait::writes) && (operation.argument & abi::write_flag_no_wait) != 0;
}

bool can_be_performed(const Operation& operation) {
  if (is(operation.opcode, trait::on_thread)) return true;
  return is(operation.opcode, trait::transfers) && is_of_disk(operation.number);
}

int32_t made_plainly(Operation& operation, int32_t refused) {
  if (refused != -EOPNOTSUPP) return refused;
  const bool may_be = is(operation.opcode, trait::transfers | trait::made_plainly);
  return may_be && is_of_disk(operation.number) ? perform(operation) : refused;
}

bool receiver_is_full(const Operation& operation, int32_t result) {
  if (!operation.unix_datagram) return false;
  if (result == -ENOBUFS) return true;
  const bool is_message =
      operation.opcode == Opcode::send_message || operation.opcode == Opcode::send_control;
  const bool addressed = is_message && operation.extra->message.msg_name != nullptr;
  return addressed && result == -EAGAIN;
}

bool fits_receiver(const Operation& operation) {
  int room_bytes = 0;
  socklen_t size = sizeof(room_bytes);
  if (::getsockopt(operation.number, SOL_SOCKET, SO_RCVBUF, &room_bytes, &size) != 0) return true;
  size_t needed_bytes = sizeof(sockaddr_un);  // the sender's name lies in the same buffer
  if (operation.opcode == Opcode::send) {
    needed_bytes += operation.length;
  } else {
    for (const iovec& vector : operation.extra->vectors) needed_bytes += vector.iov_len;
  }
  return needed_bytes <= static_cast<size_t>(room_bytes);
}

bool ends_datagrams(const Operation& shutdown, int32_t result) {
  // ENOTCONN: UDP says so, and has made it anyway.
  if ((result != 0 && result != -ENOTCONN) || shutdown.argument == SHUT_WR) return false;
  int type = 0;
  socklen_t size = sizeof(type);
  return ::getsockopt(shutdown.number, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
         type == SOCK_DGRAM;
}

int32_t nothing_received(Operation& operation) {
  if (operation.opcode == Opcode::receive_message_multishot) return -ENOTCONN;
  const bool is_message = operation.opcode == Opcode::receive_message ||
                          operation.opcode == Opcode::peek_message ||
                          operation.opcode == Opcode::receive_control;
  if (is_message) {
    operation.extra->message.msg_namelen = 0;
    operation.extra->message.msg_controllen = 0;
    operation.extra->message.msg_flags = 0;
  }
  return 0;
}

bool reads_nothing(const Operation& operation) {
  return operation.opcode == Opcode::read && operation.length == 0;
}

int32_t nothing_read(const Operation& operation) {
  struct stat status;
  const bool known = ::fstat(operation.number, &status) == 0;
  return known && S_ISDIR(status.st_mode) ? -EISDIR : 0;
}

}  // namespace io
