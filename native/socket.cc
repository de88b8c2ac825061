// Socket options and names: see socket.h.
#include "socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "abi.h"
#include "system.h"

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
    default:
      return false;
  }
}

void name_of_ipv6(const sockaddr_in6& address, SocketName& name) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof(text));
  name.family = abi::family_ipv6;
  name.port = ntohs(address.sin6_port);
  name.host = text;
  char interface_name[IF_NAMESIZE];
  if (address.sin6_scope_id != 0 && if_indextoname(address.sin6_scope_id, interface_name)) {
    name.host += std::string("%") + interface_name;
  }
}

}  // namespace

int set_socket_option(int number, uint32_t option, int32_t value) {
  SystemOption found;
  if (!find_option(option, found)) return -EINVAL;
  return ::setsockopt(number, found.level, found.name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

int socket_name(int number, bool peer, SocketName& name) {
  sockaddr_storage storage;
  std::memset(&storage, 0, sizeof(storage));
  socklen_t size = sizeof(storage);
  auto* generic = reinterpret_cast<sockaddr*>(&storage);
  const int error =
      peer ? ::getpeername(number, generic, &size) : ::getsockname(number, generic, &size);
  if (error != 0) return -errno;
  if (storage.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
    name = {abi::family_ipv4, ntohs(address.sin_port), text};
  } else if (storage.ss_family == AF_INET6) {
    name_of_ipv6(reinterpret_cast<const sockaddr_in6&>(storage), name);
  } else if (storage.ss_family == AF_UNIX) {
    const auto& address = reinterpret_cast<const sockaddr_un&>(storage);
    // The size of a socket without a name, or with a cut one, differs from system to system.
    constexpr size_t before_path = offsetof(sockaddr_un, sun_path);
    const size_t length = size > before_path ? size - before_path : 0;
    std::string path(address.sun_path, std::min(length, sizeof(address.sun_path)));
    // A file's path ends with a zero byte; an abstract name begins with one.
    const bool abstract = system::has_abstract_names && !path.empty() && path[0] == '\0';
    if (!abstract) path.resize(std::strlen(path.c_str()));
    name = {abi::family_unix, 0, path};
  } else {
    return -EAFNOSUPPORT;
  }
  return 0;
}

}  // namespace io
