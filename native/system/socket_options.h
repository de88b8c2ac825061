// Calls on sockets that never wait and so need no submission: options and names.
#pragma once

#include <cstddef>
#include <cstdint>

#include "system/address.h"

namespace io {

// `level` and `name` are the system's own numbers. All return a negative errno when they fail.
int set_socket_option(int number, int level, int name, const void* value, size_t size_bytes);
// Returns how many bytes the system has written.
int get_socket_option(int number, int level, int name, void* into, size_t size_bytes);
int socket_name(int number, bool peer, AddressText& name);

}  // namespace io
