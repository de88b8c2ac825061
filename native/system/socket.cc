// Socket options and names: see socket.h.
#include "system/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "abi/abi.h"

namespace io {

namespace {

struct SystemOption {
  int level;
  int name;
};

bool find_option(uint32_t option, SystemOption& found) {
  switch (option) {
    case abi::socket_option_no_delay:
      found = {IPPROTO_TCP, TCP_NODELAY};
      return true;
    case abi::socket_option_keep_alive:
      found = {SOL_SOCKET, SO_KEEPALIVE};
      return true;
    case abi::socket_option_reuse_address:
      found = {SOL_SOCKET, SO_REUSEADDR};
      return true;
    case abi::socket_option_reuse_port:
#if defined(SO_REUSEPORT_LB)  // FreeBSD: this one spreads connections, SO_REUSEPORT does not
      found = {SOL_SOCKET, SO_REUSEPORT_LB};
#else
      found = {SOL_SOCKET, SO_REUSEPORT};
#endif
      return true;
    case abi::socket_option_receive_buffer_bytes:
      found = {SOL_SOCKET, SO_RCVBUF};
      return true;
    case abi::socket_option_send_buffer_bytes:
      found = {SOL_SOCKET, SO_SNDBUF};
      return true;
    case abi::socket_option_broadcast:
      found = {SOL_SOCKET, SO_BROADCAST};
      return true;
    default:
      return false;
  }
}

}  // namespace

int set_socket_option(int number, uint32_t option, int32_t value) {
  SystemOption found;
  if (!find_option(option, found)) return -EINVAL;
  return ::setsockopt(number, found.level, found.name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

int socket_name(int number, bool peer, AddressText& name) {
  sockaddr_storage storage;
  std::memset(&storage, 0, sizeof(storage));
  socklen_t size = sizeof(storage);
  auto* generic = reinterpret_cast<sockaddr*>(&storage);
  const int error =
      peer ? ::getpeername(number, generic, &size) : ::getsockname(number, generic, &size);
  return error == 0 ? format_address(storage, size, name) : -errno;
}

}  // namespace io
