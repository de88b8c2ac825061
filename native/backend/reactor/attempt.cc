// The system calls of the readiness backends: see attempt.h.
#include "backend/reactor/attempt.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
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
  // The reason is told once: a receive or send may have been told instead.
  return (poll_now(number, POLLOUT) & (POLLHUP | POLLERR)) != 0 ? -ECONNABORTED : -EAGAIN;
}

// -EAGAIN without `begun` is a unix socket's whose listener has no place: nothing has begun.
int32_t attempt_connect(Operation& operation) {
  if (operation.begun) return connect_outcome(operation.number);
  const Extra& extra = *operation.extra;
  const auto* address = reinterpret_cast<const sockaddr*>(&extra.address);
  int result = system::connect_socket(operation.number, address, extra.address_size_bytes);
  // Linux's word for the end of an earlier connect, whose reason has been told. It is taken back
  // with that, and the next call begins again; io_uring does the same.
  if (result == -ECONNABORTED)
    result = system::connect_socket(operation.number, address, extra.address_size_bytes);
  if (result != -EINPROGRESS) return result;
  operation.begun = true;
  return -EAGAIN;
}

bool waits_for_disk(const struct stat& status) {
  return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode);
}

bool is_of_disk(int number) {
  struct stat status;
  return ::fstat(number, &status) == 0 && waits_for_disk(status);
}

int32_t transfer(const Operation& operation, int64_t offset) {
  const int number = operation.number;
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
  kind = S_ISFIFO(status.st_mode) ? Kind::pipe : Kind::device;
  if (S_ISCHR(status.st_mode)) kind = Kind::unknown;
  return is_stream(kind) ? system::set_non_blocking(number) : 0;
}

bool writes_to_end(int number) {
  const int flags = ::fcntl(number, F_GETFL);
  return flags >= 0 && (flags & O_APPEND) != 0;
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
      return system::send_bytes(number, operation.address, operation.length);
    case Opcode::send_vectored:
    case Opcode::send_message:
      return system::send_message(number, operation.extra->message);
    case Opcode::receive:
      return system::receive_bytes(number, operation.address, operation.length);
    case Opcode::receive_message:
      return system::receive_message(number, operation.extra->message);
    case Opcode::receive_multishot:
    case Opcode::receive_message_multishot:
      return system::receive_bytes(number, nullptr, 0);  // to hear what is wrong with it
    default:
      CHECK(!"an operation that never waits for a stream");
  }
}

#ifdef RWF_NOWAIT

// Linux 4.14; as a call by number, since musl has a function for it only since 1.2.5. A short count
// may be the end of the file or a hole in what is cached, so only a full one is taken: the pool
// reads the others once more.
int32_t attempt_cached_read(const Operation& operation) {
  if (operation.offset == current_position) return -EAGAIN;  // it would be moved
  const iovec whole = {operation.address, operation.length};
  const bool vectored = operation.opcode == Opcode::read_vectored;
  const iovec* pieces = vectored ? operation.extra->vectors.data() : &whole;
  const int count = vectored ? static_cast<int>(operation.extra->vectors.size()) : 1;
  constexpr long upper_half = 0;  // of the position, where a register has only half of it
  const long result = ::syscall(SYS_preadv2, operation.number, pieces, count, operation.offset,
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

int32_t perform(Operation& operation) {
  const int number = operation.number;
  Extra* extra = operation.extra.get();
  switch (operation.opcode) {
    case Opcode::send_file:
      return system::send_file(number, operation.source, operation.offset, operation.length);
    case Opcode::open:
      return system::open_file(extra->path.c_str(), operation.argument, operation.argument_extra);
    case Opcode::close:
      return system::close_number(number);
    case Opcode::read:
    case Opcode::write:
    case Opcode::read_vectored:
    case Opcode::write_vectored:
      return transfer(operation, operation.offset);
    case Opcode::stat:
      return system::stat_file(operation.argument, number, extra->path.c_str(), extra->raw_status);
    case Opcode::sync:
      return system::sync_file(number, operation.argument);
    case Opcode::allocate:
      return system::allocate(number, operation.offset, operation.extent, operation.argument != 0);
    case Opcode::truncate:
      return system::truncate_file(number, operation.offset);
    case Opcode::rename:
      return system::rename_path(extra->path.c_str(), extra->path_to.c_str());
    case Opcode::link:
      return system::link_path(extra->path.c_str(), extra->path_to.c_str());
    case Opcode::symlink:
      return system::symlink_path(extra->path.c_str(), extra->path_to.c_str());
    case Opcode::readlink:
      return system::read_link(extra->path.c_str(), operation.address, operation.length);
    case Opcode::unlink:
      return system::unlink_path(extra->path.c_str(), operation.argument != 0);
    case Opcode::mkdir:
      return system::make_folder(extra->path.c_str(), operation.argument);
    case Opcode::shutdown:
      return system::shut_down_socket(number, static_cast<int>(operation.argument));
    default:
      CHECK(!"an operation that no thread of the pool makes");
  }
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
  const bool addressed =
      operation.opcode == Opcode::send_message && operation.extra->message.msg_name != nullptr;
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
  if (operation.opcode == Opcode::receive_message) {
    operation.extra->message.msg_namelen = 0;
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

size_t wanted_bytes(const Operation& operation) {
  if (!is(operation.opcode, trait::more_buffers)) return operation.length;
  size_t wanted = 0;
  for (const iovec& vector : operation.extra->vectors) wanted += vector.iov_len;
  return wanted;
}

bool succeeded_in_full(const Operation& operation, int32_t result) {
  if (result < 0) return false;
  return !is(operation.opcode, trait::transfers) ||
         static_cast<size_t>(result) == wanted_bytes(operation);
}

}  // namespace io
