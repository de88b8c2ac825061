// Between the forms of an address: see address.h.
#include "system/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "abi/abi.h"
#include "system/system.h"
#include "system/vsock.h"

namespace io {

namespace {

struct Record {
  uint32_t family;
  uint32_t port;
  uint32_t length;
  uint32_t scope;
  uint32_t flags;
  uint8_t bytes[abi::peer_size_bytes - abi::peer_bytes];
};

static_assert(sizeof(Record) == abi::peer_size_bytes);
static_assert(offsetof(Record, family) == abi::peer_family * 4);
static_assert(offsetof(Record, port) == abi::peer_port * 4);
static_assert(offsetof(Record, length) == abi::peer_length * 4);
static_assert(offsetof(Record, scope) == abi::peer_scope * 4);
static_assert(offsetof(Record, flags) == abi::peer_flags * 4);
static_assert(offsetof(Record, bytes) == abi::peer_bytes);
static_assert(sizeof(sockaddr_un::sun_path) <= sizeof(Record::bytes));

// A unix socket's path, or on Linux an abstract name, which begins with a zero byte, has a length
// and no end mark.
int set_path(const char* path, size_t length, sockaddr_storage& storage, socklen_t& size_bytes) {
  auto& address = reinterpret_cast<sockaddr_un&>(storage);
  const bool is_abstract = length > 0 && path[0] == '\0';
  const size_t end_mark = is_abstract ? 0 : 1;
  if (length == 0 || length + end_mark > sizeof(address.sun_path)) return -ENAMETOOLONG;
  if (is_abstract && !system::has_abstract_names) return -EINVAL;
  // The system would take a path up to its first zero byte for the whole.
  if (!is_abstract && std::memchr(path, '\0', length) != nullptr) return -EINVAL;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  size_bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length + end_mark);
  return 0;
}

// The size of the address of a socket without a name, or with a cut one, differs from system to
// system, and some count a path's end mark.
std::string path_of(const sockaddr_un& address, socklen_t size_bytes) {
  constexpr size_t before_path = offsetof(sockaddr_un, sun_path);
  if (size_bytes <= before_path) return {};
  const size_t room = std::min<size_t>(size_bytes - before_path, sizeof(address.sun_path));
  const bool is_abstract = system::has_abstract_names && address.sun_path[0] == '\0';
  return std::string(address.sun_path, is_abstract ? room : strnlen(address.sun_path, room));
}

// The part of a link-local address after the percent sign: an interface's name, or its number.
uint32_t scope_of(const std::string& text) {
  const uint32_t index = if_nametoindex(text.c_str());
  if (index != 0) return index;
  uint32_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? number : 0;
}

int parse_ipv6(const std::string& host, sockaddr_in6& address) {
  const size_t percent = host.find('%');
  const std::string digits = host.substr(0, percent);
  if (inet_pton(AF_INET6, digits.c_str(), &address.sin6_addr) != 1) return -EINVAL;
  if (percent != std::string::npos) {
    address.sin6_scope_id = scope_of(host.substr(percent + 1));
    if (address.sin6_scope_id == 0) return -ENODEV;
  }
  return 0;
}

// In a vsock address the text of the host is the decimal number of the cid.
int parse_vsock(const AddressText& text, sockaddr_storage& storage, socklen_t& size_bytes) {
  uint32_t cid = 0;
  const char* end = text.host.data() + text.host.size();
  const auto [stop, error] = std::from_chars(text.host.data(), end, cid);
  if (error != std::errc() || stop != end) return -EINVAL;
  return set_vsock(cid, text.port, storage, size_bytes);
}

std::string format_ipv6(const sockaddr_in6& address) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof(text));
  std::string host = text;
  char interface_name[IF_NAMESIZE];
  if (address.sin6_scope_id != 0 && if_indextoname(address.sin6_scope_id, interface_name)) {
    host += std::string("%") + interface_name;
  }
  return host;
}

}  // namespace

int parse_address(const AddressText& text, sockaddr_storage& storage, socklen_t& size_bytes) {
  std::memset(&storage, 0, sizeof(storage));
  if (text.family == abi::family_vsock) return parse_vsock(text, storage, size_bytes);
  if (text.port > UINT16_MAX) return -EINVAL;
  // The calls that read an address stop at a zero byte, and would not see what follows.
  const bool is_ip = text.family != abi::family_unix;
  if (is_ip && text.host.find('\0') != std::string::npos) return -EINVAL;
  const auto port = htons(static_cast<uint16_t>(text.port));
  if (text.family == abi::family_ipv4) {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_port = port;
    size_bytes = sizeof(address);
    return inet_pton(AF_INET, text.host.c_str(), &address.sin_addr) == 1 ? 0 : -EINVAL;
  }
  if (text.family == abi::family_ipv6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(storage);
    address.sin6_family = AF_INET6;
    address.sin6_port = port;
    size_bytes = sizeof(address);
    return parse_ipv6(text.host, address);
  }
  if (text.family != abi::family_unix) return -EAFNOSUPPORT;
  return set_path(text.host.data(), text.host.size(), storage, size_bytes);
}

int format_address(const sockaddr_storage& storage, socklen_t size_bytes, AddressText& text) {
  if (storage.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
    char digits[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, digits, sizeof(digits));
    text = {abi::family_ipv4, ntohs(address.sin_port), digits};
  } else if (storage.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(storage);
    text = {abi::family_ipv6, ntohs(address.sin6_port), format_ipv6(address)};
  } else if (storage.ss_family == AF_UNIX) {
    text = {abi::family_unix, 0,
            path_of(reinterpret_cast<const sockaddr_un&>(storage), size_bytes)};
  } else {
    uint32_t cid = 0;
    uint32_t port = 0;
    const int error = read_vsock(storage, size_bytes, cid, port);
    if (error != 0) return error;
    text = {abi::family_vsock, port, std::to_string(cid)};
  }
  return 0;
}

int read_record(const uint8_t* from, sockaddr_storage& storage, socklen_t& size_bytes) {
  Record record;
  std::memcpy(&record, from, sizeof(record));
  std::memset(&storage, 0, sizeof(storage));
  if (record.port > UINT16_MAX) return -EINVAL;
  const auto port = htons(static_cast<uint16_t>(record.port));
  if (record.family == abi::family_ipv4) {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    if (record.length != sizeof(address.sin_addr)) return -EINVAL;
    address.sin_family = AF_INET;
    address.sin_port = port;
    std::memcpy(&address.sin_addr, record.bytes, sizeof(address.sin_addr));
    size_bytes = sizeof(address);
    return 0;
  }
  if (record.family == abi::family_ipv6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(storage);
    if (record.length != sizeof(address.sin6_addr)) return -EINVAL;
    address.sin6_family = AF_INET6;
    address.sin6_port = port;
    address.sin6_scope_id = record.scope;
    std::memcpy(&address.sin6_addr, record.bytes, sizeof(address.sin6_addr));
    size_bytes = sizeof(address);
    return 0;
  }
  if (record.family != abi::family_unix) return -EAFNOSUPPORT;
  if (record.length > sizeof(record.bytes)) return -ENAMETOOLONG;
  return set_path(reinterpret_cast<const char*>(record.bytes), record.length, storage, size_bytes);
}

void write_record(const sockaddr_storage& storage, socklen_t size_bytes, uint32_t flags,
                  uint8_t* to) {
  Record record;
  std::memset(&record, 0, sizeof(record));
  record.flags = flags;
  if (size_bytes >= sizeof(sockaddr_in) && storage.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
    record.family = abi::family_ipv4;
    record.port = ntohs(address.sin_port);
    record.length = sizeof(address.sin_addr);
    std::memcpy(record.bytes, &address.sin_addr, record.length);
  } else if (size_bytes >= sizeof(sockaddr_in6) && storage.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(storage);
    record.family = abi::family_ipv6;
    record.port = ntohs(address.sin6_port);
    record.scope = address.sin6_scope_id;
    record.length = sizeof(address.sin6_addr);
    std::memcpy(record.bytes, &address.sin6_addr, record.length);
  } else if (size_bytes > offsetof(sockaddr_un, sun_path) && storage.ss_family == AF_UNIX) {
    const std::string path = path_of(reinterpret_cast<const sockaddr_un&>(storage), size_bytes);
    record.family = abi::family_unix;
    record.length = static_cast<uint32_t>(path.size());
    std::memcpy(record.bytes, path.data(), path.size());
  }
  std::memcpy(to, &record, sizeof(record));
}

void write_sender(const msghdr& message, const sockaddr_storage& address, uint8_t* record) {
  const bool truncated = (message.msg_flags & MSG_TRUNC) != 0;
  write_record(address, message.msg_namelen, truncated ? abi::peer_flag_truncated : 0, record);
}

}  // namespace io
