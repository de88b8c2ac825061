// Addresses of vsock: see vsock.h.
#include "system/vsock.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "system/system.h"

#if defined(__linux__)
#include <linux/vm_sockets.h>
#elif defined(__APPLE__) && __has_include(<sys/vsock.h>)
#include <sys/vsock.h>
#endif

namespace io {

#if defined(__linux__) || defined(__APPLE__)

namespace {

#if !defined(VMADDR_CID_ANY)
// What <sys/vsock.h> of macOS has, for a compiler whose headers lack that file.
constexpr uint32_t VMADDR_CID_ANY = UINT32_MAX;
constexpr uint32_t VMADDR_PORT_ANY = UINT32_MAX;
#define IOCTL_VM_SOCKETS_GET_LOCAL_CID _IOR('s', 209, uint32_t)
struct sockaddr_vm {
  uint8_t svm_len;  // written by the kernel
  sa_family_t svm_family;
  uint16_t svm_reserved1;
  uint32_t svm_port;
  uint32_t svm_cid;
};
static_assert(sizeof(sockaddr_vm) == 12);
#endif

static_assert(sizeof(sockaddr_vm) <= sizeof(sockaddr_storage));

int try_to_bind(uint32_t cid) {
  const int number = system::open_socket(AF_VSOCK, SOCK_STREAM);
  if (number < 0) return number;
  sockaddr_storage address;
  socklen_t size_bytes = 0;
  set_vsock(cid, VMADDR_PORT_ANY, address, size_bytes);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const int result = ::bind(number, generic, size_bytes) == 0 ? 0 : -errno;
  ::close(number);
  return result;
}

// VMADDR_CID_ANY when the system does not say it.
uint32_t ask_for_cid() {
  uint32_t cid = VMADDR_CID_ANY;
#if defined(__linux__)
  const int number = ::open("/dev/vsock", O_RDONLY | O_CLOEXEC);
#else
  const int number = system::open_socket(AF_VSOCK, SOCK_STREAM);
#endif
  if (number < 0) return cid;
  if (::ioctl(number, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) != 0) cid = VMADDR_CID_ANY;
  ::close(number);
  return cid;
}

}  // namespace

int vsock_family() {
  return AF_VSOCK;
}

int set_vsock(uint32_t cid, uint32_t port, sockaddr_storage& storage, socklen_t& size_bytes) {
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  std::memset(&storage, 0, sizeof(storage));
  std::memcpy(&storage, &address, sizeof(address));
  size_bytes = sizeof(address);
  return 0;
}

int read_vsock(const sockaddr_storage& storage, socklen_t size_bytes, uint32_t& cid,
               uint32_t& port) {
  sockaddr_vm address;
  if (storage.ss_family != AF_VSOCK || size_bytes < sizeof(address)) return -EAFNOSUPPORT;
  std::memcpy(&address, &storage, sizeof(address));
  cid = address.svm_cid;
  port = address.svm_port;
  return 0;
}

int find_vsock_cids(std::vector<uint32_t>& cids) {
  const int error = try_to_bind(VMADDR_CID_ANY);
  if (error != 0) return error;
  const uint32_t own = ask_for_cid();
  if (own != VMADDR_CID_ANY) cids.push_back(own);
#if defined(__linux__)
  // The answer above is one of several, and leaves that of the module vsock_loopback out.
  for (const uint32_t cid : {VMADDR_CID_LOCAL, VMADDR_CID_HOST}) {
    const bool is_known = std::find(cids.begin(), cids.end(), cid) != cids.end();
    if (!is_known && try_to_bind(cid) == 0) cids.push_back(cid);
  }
#endif
  return 0;
}

#else

int vsock_family() {
  return -EAFNOSUPPORT;
}

int set_vsock(uint32_t, uint32_t, sockaddr_storage&, socklen_t&) {
  return -EAFNOSUPPORT;
}

int read_vsock(const sockaddr_storage&, socklen_t, uint32_t&, uint32_t&) {
  return -EAFNOSUPPORT;
}

int find_vsock_cids(std::vector<uint32_t>&) {
  return -EAFNOSUPPORT;
}

#endif

}  // namespace io
