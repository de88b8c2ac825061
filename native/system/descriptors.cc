// Descriptors that other code has opened, and pairs: see system.h.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "abi/abi.h"
#include "system/system.h"
#include "system/vsock.h"
#include "system/common.h"

#if defined(__APPLE__)
#include <sys/un.h>
#endif

namespace io::system {

namespace {

int option_of(int number, int name, int& value) {
  socklen_t size = sizeof(value);
  return ::getsockopt(number, SOL_SOCKET, name, &value, &size) == 0 ? 0 : -errno;
}

int kind_of_socket(int number) {
  int type = 0;
  const int error = option_of(number, SO_TYPE, type);
  if (error != 0) return error;
  // VMware's datagrams of vsock have addresses that no record of ours holds.
  const bool is_vsock = family_of(number) == vsock_family();
  if (type == SOCK_DGRAM && !is_vsock) return abi::descriptor_kind_datagram;
  if (type != SOCK_STREAM) return abi::descriptor_kind_other;
  int listens = 0;
  if (option_of(number, SO_ACCEPTCONN, listens) != 0) listens = 0;
  return listens != 0 ? abi::descriptor_kind_listener : abi::descriptor_kind_socket;
}

}  // namespace

int kind_of(int number) {
  struct stat status;
  if (::fstat(number, &status) != 0) return -errno;
  const mode_t mode = status.st_mode;
  if (S_ISSOCK(mode)) return kind_of_socket(number);
  if (S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode)) return abi::descriptor_kind_file;
  if (S_ISFIFO(mode)) return abi::descriptor_kind_pipe;
  if (!S_ISCHR(mode)) return abi::descriptor_kind_other;
  return ::isatty(number) != 0 ? abi::descriptor_kind_terminal : abi::descriptor_kind_device;
}

int family_of(int number) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (::getsockname(number, reinterpret_cast<sockaddr*>(&address), &size) != 0) return -errno;
  return address.ss_family;
}

int make_own(int number, bool is_shared) {
  if (is_shared) return duplicate(number);
  const int flags = ::fcntl(number, F_GETFD);
  if (flags < 0) return -errno;
  if ((flags & FD_CLOEXEC) == 0) ::fcntl(number, F_SETFD, flags | FD_CLOEXEC);
  return number;
}

void set_blocking(int number) {
  const int flags = ::fcntl(number, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0) ::fcntl(number, F_SETFL, flags & ~O_NONBLOCK);
}

int open_socket_pair(int type, int (&ends)[2]) {
#if defined(SOCK_CLOEXEC)
  type |= SOCK_CLOEXEC;  // at once: another thread may start a program
#endif
  const int result = result_of([&] { return ::socketpair(AF_UNIX, type, 0, ends); });
  if (result < 0) return result;
  for (const int end : ends) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    const int error = prepare_socket(end);
    if (error >= 0) continue;
    ::close(ends[0]);
    ::close(ends[1]);
    return error;
  }
  return 0;
}

int peer_credentials(int number, PeerCredentials& found) {
#if defined(__linux__)
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(number, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return -errno;
  if (family_of(number) != AF_UNIX) return -EOPNOTSUPP;
  if (credentials.pid == 0) return -ENOTCONN;
  found = {credentials.pid, credentials.uid, credentials.gid};
  return 0;
#else
  uid_t user = 0;
  gid_t group = 0;
  if (::getpeereid(number, &user, &group) != 0) return -errno;
  found = {-1, user, group};
#if defined(LOCAL_PEERPID)  // macOS
  pid_t process = -1;
  socklen_t size = sizeof(process);
  if (::getsockopt(number, 0, LOCAL_PEERPID, &process, &size) == 0) found.process = process;
#endif
  return 0;
#endif
}

#if defined(MCAST_JOIN_GROUP)

int change_group(int number, bool joins, uint32_t interface, const sockaddr_storage& group,
                 const sockaddr_storage* source) {
  const int level = group.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  if (source == nullptr) {
    group_req request = {};
    request.gr_interface = interface;
    request.gr_group = group;
    const int name = joins ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP;
    return ::setsockopt(number, level, name, &request, sizeof(request)) == 0 ? 0 : -errno;
  }
  group_source_req request = {};
  request.gsr_interface = interface;
  request.gsr_group = group;
  request.gsr_source = *source;
  const int name = joins ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP;
  return ::setsockopt(number, level, name, &request, sizeof(request)) == 0 ? 0 : -errno;
}

#else

int change_group(int, bool, uint32_t, const sockaddr_storage&, const sockaddr_storage*) {
  return -ENOSYS;
}

#endif

}  // namespace io::system
