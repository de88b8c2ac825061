// Addresses of sockets, in the three forms that they have here: the system's structure, text for
// people, and the record that TypeScript and the engine share. The layout of a record is in abi.def
// (peer_*) and the same on every system.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace io {

struct AddressText {
  uint32_t family = 0;  // abi::family_*
  uint32_t port = 0;
  std::string host;  // digits (of vsock those of the cid), or the path of a unix socket
};

// All return 0 or a negative errno.
int parse_address(const AddressText& text, sockaddr_storage& address, socklen_t& size_bytes);
int format_address(const sockaddr_storage& address, socklen_t size_bytes, AddressText& text);

// Reads a record that JavaScript wrote.
int read_record(const uint8_t* record, sockaddr_storage& address, socklen_t& size_bytes);
// A socket without a name, as the sender of a unix datagram may be, has family 0 and no bytes.
void write_record(const sockaddr_storage& address, socklen_t size_bytes, uint32_t flags,
                  uint8_t* record);
// Of a message that was received: who sent it, and whether it was cut.
void write_sender(const msghdr& message, const sockaddr_storage& address, uint8_t* record);

}  // namespace io
