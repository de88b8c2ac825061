// The calls on sockets, where the four systems answer in another way than Linux: see systems.h.
// Only sockets that the engine made are known here, and only between sockets of one process does a
// sender know its receiver's buffer; that is enough for tests.
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "calls.h"
#include "real.h"
#include "systems.h"

namespace kqueue_layer {

namespace {

// The other systems have these under numbers of their own, which Linux does not use.
constexpr int option_no_signal = 0x1022;
constexpr int option_reuse_port_spread = 0x10000;
// 127.0.105.1: a send to it meets a device whose queue is full.
constexpr uint32_t full_device_address = 0x7f006901;
// kern.ipc.somaxconn.
constexpr int backlog_limit = 128;

struct Socket {
  int family = AF_UNSPEC;
  int type = 0;
  bool failed = false;     // a connect has failed
  bool no_signal = false;  // SO_NOSIGPIPE
  size_t send_bytes = 0;
  size_t receive_bytes = 0;
  std::string path;  // of a unix socket that is bound
};

class Sockets {
 public:
  static Sockets& get() {
    static auto* sockets = new Sockets;
    return *sockets;
  }

  void put(int number, Socket socket) {
    const std::lock_guard lock(mutex_);
    sockets_[number] = std::move(socket);
  }

  void take(int number) {
    const std::lock_guard lock(mutex_);
    sockets_.erase(number);
  }

  // A copy, since another thread may close it.
  std::optional<Socket> find(int number) {
    if (!system_here().is_bsd) return std::nullopt;
    const std::lock_guard lock(mutex_);
    const auto found = sockets_.find(number);
    if (found == sockets_.end()) return std::nullopt;
    return found->second;
  }

  template <class Change>
  void change(int number, Change change) {
    const std::lock_guard lock(mutex_);
    const auto found = sockets_.find(number);
    if (found != sockets_.end()) change(found->second);
  }

  // The size of the receive buffer at this path; the system's default when it is not known.
  size_t receive_bytes_at(std::string_view path) {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, socket] : sockets_) {
      if (socket.type == SOCK_DGRAM && socket.path == path) return socket.receive_bytes;
    }
    return system_here().unix_receive_bytes;
  }

 private:
  std::mutex mutex_;
  std::map<int, Socket> sockets_;
};

int fail(int error) {
  errno = error;
  return -1;
}

std::string path_of(const sockaddr* address, socklen_t size) {
  if (address == nullptr || address->sa_family != AF_UNIX) return {};
  const auto* named = reinterpret_cast<const sockaddr_un*>(address);
  const size_t room = size - offsetof(sockaddr_un, sun_path);
  return {named->sun_path, strnlen(named->sun_path, room)};
}

std::string path_of_peer(int number) {
  sockaddr_un peer = {};
  socklen_t size = sizeof(peer);
  auto* generic = reinterpret_cast<sockaddr*>(&peer);
  return ::getpeername(number, generic, &size) == 0 ? path_of(generic, size) : std::string();
}

bool is_connected(int number) {
  sockaddr_storage peer;
  socklen_t size = sizeof(peer);
  return ::getpeername(number, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

bool is_listener(int number) {
  int listens = 0;
  socklen_t size = sizeof(listens);
  return __real_getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

// Both directions: the peer has ended or reset it, and sends go nowhere.
bool is_over(int number) {
  pollfd polled = {number, POLLIN | POLLRDHUP, 0};
  constexpr short both = POLLHUP | POLLRDHUP;
  return __real_poll(&polled, 1, 0) == 1 && (polled.revents & both) == both;
}

size_t size_of(const msghdr& message) {
  size_t size = 0;
  for (size_t index = 0; index < message.msg_iovlen; index++)
    size += message.msg_iov[index].iov_len;
  return size;
}

bool is_full_device(const void* address) {
  if (address == nullptr) return false;
  if (static_cast<const sockaddr*>(address)->sa_family != AF_INET) return false;
  return ntohl(static_cast<const sockaddr_in*>(address)->sin_addr.s_addr) == full_device_address;
}

// Why these kernels refuse a datagram that Linux takes: an errno, or 0.
int refusal_of(int number, const Socket& socket, const msghdr& message) {
  if (socket.type != SOCK_DGRAM) return 0;
  const bool addressed = message.msg_name != nullptr;
  const bool connected = is_connected(number);
  if (addressed == connected) return addressed ? EISCONN : 0;
  const size_t size = size_of(message);
  if (size > socket.send_bytes) return EMSGSIZE;
  if (socket.family != AF_UNIX) {
    return is_full_device(message.msg_name) ? ENOBUFS : 0;
  }
  const std::string path =
      addressed ? path_of(static_cast<const sockaddr*>(message.msg_name), message.msg_namelen)
                : path_of_peer(number);
  const size_t name_bytes = sizeof(sockaddr_un);  // the sender's lies in the same buffer
  return size + name_bytes > Sockets::get().receive_bytes_at(path) ? ENOBUFS : 0;
}

int flags_of(const Socket& socket, int flags) {
  if (!system_here().is_darwin) return flags;
  // MSG_DONTWAIT is not looked at, and there is no MSG_NOSIGNAL.
  flags &= ~(MSG_DONTWAIT | MSG_NOSIGNAL);
  return socket.no_signal ? flags | MSG_NOSIGNAL : flags;
}

ssize_t after_send(const Socket& socket, ssize_t result) {
  if (result >= 0) return result;
  // A receiver that has no room is not waited for.
  if (socket.type == SOCK_DGRAM && socket.family == AF_UNIX && errno == EAGAIN) errno = ENOBUFS;
  const bool resets = socket.type == SOCK_STREAM && errno == ECONNRESET;
  if (resets && system_here().is_darwin) errno = EPROTOTYPE;
  return result;
}

// Linux resets a connection that is closed with unread bytes; these systems end it.
void take_unread(int number) {
  const std::optional<Socket> socket = Sockets::get().find(number);
  if (!socket || socket->type != SOCK_STREAM || is_listener(number)) return;
  linger linger = {};
  socklen_t size = sizeof(linger);
  __real_getsockopt(number, SOL_SOCKET, SO_LINGER, &linger, &size);
  if (linger.l_onoff != 0) return;
  int unread = 0;
  if (::ioctl(number, FIONREAD, &unread) != 0 || unread == 0) return;
  __real_shutdown(number, SHUT_WR);
  char bytes[16384];
  while (::recv(number, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
  }
}

int accepted(int listener, int number) {
  if (number < 0) return number;
  std::optional<Socket> socket = Sockets::get().find(listener);
  if (socket) {
    socket->path.clear();
    Sockets::get().put(number, *socket);
  }
  return number;
}

}  // namespace

void before_close(int number) {
  if (!system_here().is_bsd) return;
  take_unread(number);
  Sockets::get().take(number);
}

}  // namespace kqueue_layer

using namespace kqueue_layer;

// NOLINTBEGIN(bugprone-reserved-identifier)

extern "C" int __wrap_socket(int family, int type, int protocol) {
  const int number = __real_socket(family, type, protocol);
  const System& system = system_here();
  if (number < 0 || !system.is_bsd) return number;
  const bool is_unix = family == AF_UNIX;
  Socket socket;
  socket.family = family;
  socket.type = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
  socket.send_bytes = is_unix ? system.unix_send_bytes : system.udp_send_bytes;
  socket.receive_bytes = system.unix_receive_bytes;
  Sockets::get().put(number, socket);
  const int on = 1;
  if (family == AF_INET6 && system.v6_only)
    __real_setsockopt(number, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  return number;
}

extern "C" int __wrap_bind(int number, const sockaddr* address, socklen_t size) {
  const int result = __real_bind(number, address, size);
  if (result != 0) return result;
  Sockets::get().change(number, [&](Socket& socket) { socket.path = path_of(address, size); });
  return result;
}

extern "C" int __wrap_listen(int number, int backlog) {
  const bool cut = system_here().is_bsd;
  return __real_listen(number, cut ? std::min(backlog, backlog_limit) : backlog);
}

extern "C" int __wrap_accept(int number, sockaddr* address, socklen_t* size) {
  return accepted(number, __real_accept(number, address, size));
}

extern "C" int __wrap_accept4(int number, sockaddr* address, socklen_t* size, int flags) {
  return accepted(number, __real_accept4(number, address, size, flags));
}

extern "C" int __wrap_connect(int number, const sockaddr* address, socklen_t size) {
  const std::optional<Socket> socket = Sockets::get().find(number);
  if (!socket || socket->type != SOCK_STREAM) return __real_connect(number, address, size);
  if (socket->failed) return fail(EINVAL);
  const int result = __real_connect(number, address, size);
  if (result == 0 || errno == EINPROGRESS || errno == EALREADY || errno == EISCONN) return result;
  const int error = errno;
  // A unix listener with a full backlog refuses.
  if (error == EAGAIN) return fail(ECONNREFUSED);
  if (socket->family != AF_UNIX)
    Sockets::get().change(number, [](Socket& changed) { changed.failed = true; });
  return fail(error);
}

extern "C" int __wrap_shutdown(int number, int how) {
  if (system_here().is_bsd && is_listener(number)) return fail(ENOTCONN);
  return __real_shutdown(number, how);
}

extern "C" ssize_t __wrap_sendmsg(int number, const msghdr* message, int flags) {
  const std::optional<Socket> socket = Sockets::get().find(number);
  if (!socket) return __real_sendmsg(number, message, flags);
  const int refused = refusal_of(number, *socket, *message);
  if (refused != 0) return fail(refused);
  return after_send(*socket, __real_sendmsg(number, message, flags_of(*socket, flags)));
}

extern "C" ssize_t __wrap_send(int number, const void* data, size_t size, int flags) {
  const std::optional<Socket> socket = Sockets::get().find(number);
  if (!socket) return __real_send(number, data, size, flags);
  iovec whole = {const_cast<void*>(data), size};  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  msghdr message = {};
  message.msg_iov = &whole;
  message.msg_iovlen = 1;
  return __wrap_sendmsg(number, &message, flags);
}

extern "C" ssize_t __wrap_write(int number, const void* data, size_t size) {
  const std::optional<Socket> socket = Sockets::get().find(number);
  const ssize_t result = __real_write(number, data, size);
  return socket ? after_send(*socket, result) : result;
}

extern "C" ssize_t __wrap_writev(int number, const iovec* vectors, int count) {
  const std::optional<Socket> socket = Sockets::get().find(number);
  const ssize_t result = __real_writev(number, vectors, count);
  return socket ? after_send(*socket, result) : result;
}

extern "C" int __wrap_setsockopt(int number, int level, int name, const void* value,
                                 socklen_t size) {
  const System& system = system_here();
  if (!system.is_bsd) return __real_setsockopt(number, level, name, value, size);
  if (level == SOL_SOCKET && name == option_no_signal) {
    if (is_over(number)) return fail(EINVAL);
    Sockets::get().change(number, [](Socket& socket) { socket.no_signal = true; });
    return 0;
  }
  if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && system.v6_only_is_fixed) return fail(EINVAL);
  if (level == SOL_SOCKET && name == option_reuse_port_spread) name = SO_REUSEPORT;
  const int result = __real_setsockopt(number, level, name, value, size);
  if (result != 0 || level != SOL_SOCKET || size != sizeof(int)) return result;
  const auto wanted = static_cast<size_t>(*static_cast<const int*>(value));
  Sockets::get().change(number, [&](Socket& socket) {
    if (name == SO_SNDBUF) socket.send_bytes = wanted;
    if (name == SO_RCVBUF) socket.receive_bytes = wanted;
  });
  return result;
}

extern "C" int __wrap_getsockopt(int number, int level, int name, void* value, socklen_t* size) {
  const std::optional<Socket> socket = Sockets::get().find(number);
  const bool is_unix_datagram = socket && socket->family == AF_UNIX && socket->type == SOCK_DGRAM;
  if (is_unix_datagram && level == SOL_SOCKET && name == SO_RCVBUF) {
    *static_cast<int*>(value) = static_cast<int>(socket->receive_bytes);
    return 0;
  }
  const int result = __real_getsockopt(number, level, name, value, size);
  const bool reports_failure = result == 0 && level == SOL_SOCKET && name == SO_ERROR;
  if (socket && reports_failure && *static_cast<const int*>(value) != 0)
    Sockets::get().change(number, [](Socket& changed) { changed.failed = true; });
  return result;
}

// NOLINTEND(bugprone-reserved-identifier)
