// Calls on sockets that never wait and so need no submission: options and names.
#pragma once

#include <cstdint>
#include <string>

namespace io {

struct SocketName {
  uint32_t family = 0;  // abi::family_*
  uint32_t port = 0;
  std::string host;  // or the path of a unix socket
};

// Both return 0 or a negative errno. `option` is one of abi::socket_option_*.
int set_socket_option(int number, uint32_t option, int32_t value);
int socket_name(int number, bool peer, SocketName& name);

}  // namespace io
