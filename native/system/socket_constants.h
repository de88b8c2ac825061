// The numbers of levels and options of sockets, which differ between systems.
#pragma once

#include <span>

namespace io {

struct SocketConstant {
  const char* name;  // as in the system's headers: "SO_MARK"
  int value;
};

std::span<const SocketConstant> socket_constants();

}  // namespace io
