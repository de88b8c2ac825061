// Socket options and names: see socket_options.h.
#include "system/socket_options.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace io {

int set_socket_option(int number, int level, int name, const void* value, size_t size_bytes) {
  const auto size = static_cast<socklen_t>(size_bytes);
  return ::setsockopt(number, level, name, value, size) == 0 ? 0 : -errno;
}

int get_socket_option(int number, int level, int name, void* into, size_t size_bytes) {
  auto size = static_cast<socklen_t>(size_bytes);
  const int result = ::getsockopt(number, level, name, into, &size);
  return result == 0 ? static_cast<int>(size) : -errno;
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
