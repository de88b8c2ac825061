// Addresses of vsock, by which a virtual machine and its host reach each other: vsock(7). An
// address is the number of a machine (cid) and a port, of 32 bits each, in the machine's own order
// of bytes. Linux and macOS have them. Elsewhere each call says -EAFNOSUPPORT.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <vector>

namespace io {

// AF_VSOCK.
int vsock_family();

// Both return 0 or a negative errno.
int set_vsock(uint32_t cid, uint32_t port, sockaddr_storage& address, socklen_t& size_bytes);
int read_vsock(const sockaddr_storage& address, socklen_t size_bytes, uint32_t& cid,
               uint32_t& port);

// The cids of this machine: those that a socket here may have, and none where no transport is
// loaded. Nothing is sent for it. The kernel may load its module, as for any first socket.
int find_vsock_cids(std::vector<uint32_t>& cids);

}  // namespace io
