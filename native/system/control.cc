// Control messages: see control.h.
#include "system/control.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "abi/abi.h"
#include "system/address.h"

namespace io {

namespace {

// Linux 4.18 and 5.0; its headers may be older.
#if defined(UDP_SEGMENT) && defined(UDP_GRO)
#define IO_CUTS_DATAGRAMS 1
constexpr int udp_segment = UDP_SEGMENT;
constexpr int udp_gro = UDP_GRO;
#elif defined(__linux__)
#define IO_CUTS_DATAGRAMS 1
constexpr int udp_segment = 103;
constexpr int udp_gro = 104;
#else
#define IO_CUTS_DATAGRAMS 0
#endif

// The macro of musl compares signed with unsigned numbers.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
cmsghdr* next_control(msghdr& message, cmsghdr* one) {
  return CMSG_NXTHDR(&message, one);
}
#pragma GCC diagnostic pop

uint32_t word_of(const uint8_t* record, size_t word) {
  uint32_t value = 0;
  std::memcpy(&value, record + word * sizeof(value), sizeof(value));
  return value;
}

void set_word(uint8_t* record, size_t word, uint32_t value) {
  std::memcpy(record + word * sizeof(value), &value, sizeof(value));
}

// Control messages in a buffer that has room for them.
class Writer {
 public:
  explicit Writer(std::vector<uint8_t>& buffer) : buffer_(buffer) { buffer_.clear(); }

  template <class Value>
  void add(int level, int type, const Value& value) {
    add_bytes(level, type, &value, sizeof(value));
  }

  void add_bytes(int level, int type, const void* data, size_t size_bytes) {
    const size_t start = buffer_.size();
    buffer_.resize(start + CMSG_SPACE(size_bytes));
    cmsghdr head = {};
    head.cmsg_level = level;
    head.cmsg_type = type;
    head.cmsg_len = static_cast<decltype(head.cmsg_len)>(CMSG_LEN(size_bytes));
    std::memcpy(buffer_.data() + start, &head, sizeof(head));
    std::memcpy(buffer_.data() + start + CMSG_LEN(0), data, size_bytes);
  }

  void finish(msghdr& message) {
    message.msg_control = buffer_.empty() ? nullptr : buffer_.data();
    message.msg_controllen = static_cast<decltype(message.msg_controllen)>(buffer_.size());
  }

 private:
  std::vector<uint8_t>& buffer_;
};

// The address to send from, and the interface to send by.
int add_local(const uint8_t* record, Writer& writer, int family) {
  const uint32_t interface = word_of(record, abi::control_interface);
  sockaddr_storage address = {};
  socklen_t size_bytes = 0;
  if (word_of(record + abi::control_local, abi::peer_family) != 0) {
    const int error = read_record(record + abi::control_local, address, size_bytes);
    if (error != 0) return error;
    if (address.ss_family != family) return -EAFNOSUPPORT;
  }
  if (family == AF_INET6) {
    in6_pktinfo info = {};
    info.ipi6_addr = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    info.ipi6_ifindex = interface;
    writer.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    return 0;
  }
#if defined(IP_PKTINFO)
  in_pktinfo info = {};
  info.ipi_ifindex = static_cast<decltype(info.ipi_ifindex)>(interface);
  info.ipi_spec_dst = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  writer.add(IPPROTO_IP, IP_PKTINFO, info);
  return 0;
#else
  return -EOPNOTSUPP;
#endif
}

int add_numbers(const uint8_t* record, Writer& writer, int family) {
  const uint32_t flags = word_of(record, abi::control_flags);
  const bool is_ipv6 = family == AF_INET6;
  if ((flags & abi::control_has_segments) != 0) {
#if IO_CUTS_DATAGRAMS
    writer.add(IPPROTO_UDP, udp_segment,
               static_cast<uint16_t>(word_of(record, abi::control_segment_bytes)));
#else
    return -EOPNOTSUPP;
#endif
  }
  if ((flags & abi::control_has_tos) != 0) {
    const auto tos = static_cast<int>(word_of(record, abi::control_tos));
    if (is_ipv6)
      writer.add(IPPROTO_IPV6, IPV6_TCLASS, tos);
    else
      writer.add(IPPROTO_IP, IP_TOS, tos);
  }
  if ((flags & abi::control_has_ttl) != 0) {
    const auto ttl = static_cast<int>(word_of(record, abi::control_ttl));
    if (is_ipv6)
      writer.add(IPPROTO_IPV6, IPV6_HOPLIMIT, ttl);
    else
      writer.add(IPPROTO_IP, IP_TTL, ttl);
  }
  return 0;
}

// Bytes that are an int, or one byte, as some systems have it.
uint32_t number_in(const uint8_t* data, size_t size_bytes) {
  if (size_bytes < sizeof(int)) return size_bytes == 0 ? 0 : data[0];
  int value = 0;
  std::memcpy(&value, data, sizeof(value));
  return static_cast<uint32_t>(value);
}

void note(uint8_t* record, uint32_t flag) {
  set_word(record, abi::control_flags, word_of(record, abi::control_flags) | flag);
}

void note_number(uint8_t* record, uint32_t flag, size_t word, const uint8_t* data, size_t size) {
  set_word(record, word, number_in(data, size));
  note(record, flag);
}

template <class Value>
bool read_as(Value& value, const uint8_t* data, size_t size_bytes) {
  if (size_bytes < sizeof(value)) return false;
  std::memcpy(&value, data, sizeof(value));
  return true;
}

void note_time(uint8_t* record, double seconds, double nanoseconds) {
  std::memcpy(record + abi::control_seconds, &seconds, sizeof(seconds));
  std::memcpy(record + abi::control_nanoseconds, &nanoseconds, sizeof(nanoseconds));
  note(record, abi::control_has_time);
}

void note_local(uint8_t* record, const sockaddr_storage& address, socklen_t size_bytes,
                uint32_t interface) {
  write_record(address, size_bytes, 0, record + abi::control_local);
  set_word(record, abi::control_interface, interface);
  note(record, abi::control_has_local);
}

void read_socket_level(int type, const uint8_t* data, size_t size_bytes, uint8_t* record,
                       std::vector<int>& passed) {
  if (type == SCM_RIGHTS) {
    for (size_t at = 0; at + sizeof(int) <= size_bytes; at += sizeof(int)) {
      int number = -1;
      std::memcpy(&number, data + at, sizeof(number));
      // macOS has no flag of recvmsg for it.
      ::fcntl(number, F_SETFD, FD_CLOEXEC);
      passed.push_back(number);
    }
  }
#if defined(SCM_TIMESTAMPNS)
  timespec precise = {};
  if (type == SCM_TIMESTAMPNS && read_as(precise, data, size_bytes)) {
    note_time(record, static_cast<double>(precise.tv_sec), static_cast<double>(precise.tv_nsec));
  }
#endif
#if defined(SCM_TIMESTAMP)
  timeval coarse = {};
  if (type == SCM_TIMESTAMP && read_as(coarse, data, size_bytes)) {
    note_time(record, static_cast<double>(coarse.tv_sec),
              static_cast<double>(coarse.tv_usec) * 1000);
  }
#endif
#if defined(SO_RXQ_OVFL)
  if (type == SO_RXQ_OVFL) {
    note_number(record, abi::control_has_drops, abi::control_drops, data, size_bytes);
  }
#endif
}

void read_ipv4(int type, const uint8_t* data, size_t size_bytes, uint8_t* record) {
  if (type == IP_TOS) {
    return note_number(record, abi::control_has_tos, abi::control_tos, data, size_bytes);
  }
  if (type == IP_TTL) {
    return note_number(record, abi::control_has_ttl, abi::control_ttl, data, size_bytes);
  }
#if defined(IP_RECVTOS)
  if (type == IP_RECVTOS) {
    return note_number(record, abi::control_has_tos, abi::control_tos, data, size_bytes);
  }
#endif
#if defined(IP_RECVTTL)
  if (type == IP_RECVTTL) {
    return note_number(record, abi::control_has_ttl, abi::control_ttl, data, size_bytes);
  }
#endif
  sockaddr_storage storage = {};
  auto& address = reinterpret_cast<sockaddr_in&>(storage);
  address.sin_family = AF_INET;
#if defined(IP_PKTINFO)
  in_pktinfo info = {};
  if (type == IP_PKTINFO && read_as(info, data, size_bytes)) {
    address.sin_addr = info.ipi_addr;
    note_local(record, storage, sizeof(address), static_cast<uint32_t>(info.ipi_ifindex));
  }
#endif
#if defined(IP_RECVDSTADDR)
  if (type == IP_RECVDSTADDR && read_as(address.sin_addr, data, size_bytes)) {
    note_local(record, storage, sizeof(address), 0);
  }
#endif
}

void read_ipv6(int type, const uint8_t* data, size_t size_bytes, uint8_t* record) {
  if (type == IPV6_TCLASS) {
    return note_number(record, abi::control_has_tos, abi::control_tos, data, size_bytes);
  }
  if (type == IPV6_HOPLIMIT) {
    return note_number(record, abi::control_has_ttl, abi::control_ttl, data, size_bytes);
  }
  in6_pktinfo info = {};
  if (type != IPV6_PKTINFO || !read_as(info, data, size_bytes)) return;
  sockaddr_storage storage = {};
  auto& address = reinterpret_cast<sockaddr_in6&>(storage);
  address.sin6_family = AF_INET6;
  address.sin6_addr = info.ipi6_addr;
  note_local(record, storage, sizeof(address), info.ipi6_ifindex);
}

}  // namespace

int write_control(const uint8_t* record, const std::vector<int>& passed,
                  std::vector<uint8_t>& control, msghdr& message, int family) {
  Writer writer(control);
  int error = add_numbers(record, writer, family);
  const uint32_t flags = word_of(record, abi::control_flags);
  if (error == 0 && (flags & abi::control_has_local) != 0) {
    error = add_local(record, writer, family);
  }
  if (error != 0) return error;
  if (!passed.empty()) {
    writer.add_bytes(SOL_SOCKET, SCM_RIGHTS, passed.data(), passed.size() * sizeof(int));
  }
  writer.finish(message);
  return 0;
}

void expect_control(std::vector<uint8_t>& control, msghdr& message) {
  constexpr size_t for_numbers = 512;
  control.resize(CMSG_SPACE(abi::max_passed * sizeof(int)) + for_numbers);
  message.msg_control = control.data();
  message.msg_controllen = static_cast<decltype(message.msg_controllen)>(control.size());
}

void read_control(msghdr& message, uint8_t* record, std::vector<int>& passed) {
  std::memset(record, 0, abi::control_peer);
  std::memset(record + abi::control_local, 0, abi::peer_size_bytes);
  if ((message.msg_flags & MSG_CTRUNC) != 0) note(record, abi::control_was_truncated);
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = next_control(message, one)) {
    if (one->cmsg_len < CMSG_LEN(0)) return;
    const uint8_t* data = CMSG_DATA(one);
    const size_t size_bytes = one->cmsg_len - CMSG_LEN(0);
    if (one->cmsg_level == SOL_SOCKET) {
      read_socket_level(one->cmsg_type, data, size_bytes, record, passed);
    } else if (one->cmsg_level == IPPROTO_IP) {
      read_ipv4(one->cmsg_type, data, size_bytes, record);
    } else if (one->cmsg_level == IPPROTO_IPV6) {
      read_ipv6(one->cmsg_type, data, size_bytes, record);
#if IO_CUTS_DATAGRAMS
    } else if (one->cmsg_level == IPPROTO_UDP && one->cmsg_type == udp_gro) {
      note_number(record, abi::control_has_segments, abi::control_segment_bytes, data, size_bytes);
#endif
    }
  }
}

}  // namespace io
