// Calls on sockets that never wait and so need no submission: options and names.
#pragma once

#include <cstdint>

#include "system/address.h"

namespace io {

// Both return 0 or a negative errno. `option` is one of abi::socket_option_*.
int set_socket_option(int number, uint32_t option, int32_t value);
int socket_name(int number, bool peer, AddressText& name);

}  // namespace io
