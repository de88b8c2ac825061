// The names that this system has for levels and options of sockets, from its headers. A name that
// is missing here can be given as a number.
#include "system/socket_constants.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#if defined(__linux__)
#include <linux/vm_sockets.h>
#endif

namespace io {

namespace {

#define IO_NAME(name) \
  SocketConstant {    \
#name, name       \
  }
constexpr SocketConstant names[] = {
    IO_NAME(SOL_SOCKET),
    IO_NAME(IPPROTO_IP),
    IO_NAME(IPPROTO_IPV6),
    IO_NAME(IPPROTO_TCP),
    IO_NAME(IPPROTO_UDP),
#ifdef SOL_UDP
    IO_NAME(SOL_UDP),
#endif
#ifdef AF_VSOCK
    IO_NAME(AF_VSOCK),  // the level of the options of vsock
#endif
#ifdef SOL_VSOCK
    IO_NAME(SOL_VSOCK),
#endif
#ifdef SO_ACCEPTCONN
    IO_NAME(SO_ACCEPTCONN),
#endif
#ifdef SO_ACCEPTFILTER
    IO_NAME(SO_ACCEPTFILTER),
#endif
#ifdef SO_ATTACH_BPF
    IO_NAME(SO_ATTACH_BPF),
#endif
#ifdef SO_ATTACH_FILTER
    IO_NAME(SO_ATTACH_FILTER),
#endif
#ifdef SO_ATTACH_REUSEPORT_CBPF
    IO_NAME(SO_ATTACH_REUSEPORT_CBPF),
#endif
#ifdef SO_BINDTODEVICE
    IO_NAME(SO_BINDTODEVICE),
#endif
#ifdef SO_BROADCAST
    IO_NAME(SO_BROADCAST),
#endif
#ifdef SO_BUSY_POLL
    IO_NAME(SO_BUSY_POLL),
#endif
#ifdef SO_BUSY_POLL_BUDGET
    IO_NAME(SO_BUSY_POLL_BUDGET),
#endif
#ifdef SO_COOKIE
    IO_NAME(SO_COOKIE),
#endif
#ifdef SO_DETACH_FILTER
    IO_NAME(SO_DETACH_FILTER),
#endif
#ifdef SO_DOMAIN
    IO_NAME(SO_DOMAIN),
#endif
#ifdef SO_DONTROUTE
    IO_NAME(SO_DONTROUTE),
#endif
#ifdef SO_ERROR
    IO_NAME(SO_ERROR),
#endif
#ifdef SO_INCOMING_CPU
    IO_NAME(SO_INCOMING_CPU),
#endif
#ifdef SO_INCOMING_NAPI_ID
    IO_NAME(SO_INCOMING_NAPI_ID),
#endif
#ifdef SO_KEEPALIVE
    IO_NAME(SO_KEEPALIVE),
#endif
#ifdef SO_LINGER
    IO_NAME(SO_LINGER),
#endif
#ifdef SO_LINGER_SEC
    IO_NAME(SO_LINGER_SEC),
#endif
#ifdef SO_LOCK_FILTER
    IO_NAME(SO_LOCK_FILTER),
#endif
#ifdef SO_MARK
    IO_NAME(SO_MARK),
#endif
#ifdef SO_MAX_PACING_RATE
    IO_NAME(SO_MAX_PACING_RATE),
#endif
#ifdef SO_MEMINFO
    IO_NAME(SO_MEMINFO),
#endif
#ifdef SO_NOSIGPIPE
    IO_NAME(SO_NOSIGPIPE),
#endif
#ifdef SO_OOBINLINE
    IO_NAME(SO_OOBINLINE),
#endif
#ifdef SO_PASSCRED
    IO_NAME(SO_PASSCRED),
#endif
#ifdef SO_PEEK_OFF
    IO_NAME(SO_PEEK_OFF),
#endif
#ifdef SO_PEERCRED
    IO_NAME(SO_PEERCRED),
#endif
#ifdef SO_PEERGROUPS
    IO_NAME(SO_PEERGROUPS),
#endif
#ifdef SO_PEERSEC
    IO_NAME(SO_PEERSEC),
#endif
#ifdef SO_PREFER_BUSY_POLL
    IO_NAME(SO_PREFER_BUSY_POLL),
#endif
#ifdef SO_PRIORITY
    IO_NAME(SO_PRIORITY),
#endif
#ifdef SO_PROTOCOL
    IO_NAME(SO_PROTOCOL),
#endif
#ifdef SO_RCVBUF
    IO_NAME(SO_RCVBUF),
#endif
#ifdef SO_RCVBUFFORCE
    IO_NAME(SO_RCVBUFFORCE),
#endif
#ifdef SO_RCVLOWAT
    IO_NAME(SO_RCVLOWAT),
#endif
#ifdef SO_RESERVE_MEM
    IO_NAME(SO_RESERVE_MEM),
#endif
#ifdef SO_REUSEADDR
    IO_NAME(SO_REUSEADDR),
#endif
#ifdef SO_REUSEPORT
    IO_NAME(SO_REUSEPORT),
#endif
#ifdef SO_REUSEPORT_LB
    IO_NAME(SO_REUSEPORT_LB),
#endif
#ifdef SO_RXQ_OVFL
    IO_NAME(SO_RXQ_OVFL),
#endif
#ifdef SO_SELECT_ERR_QUEUE
    IO_NAME(SO_SELECT_ERR_QUEUE),
#endif
#ifdef SO_SNDBUF
    IO_NAME(SO_SNDBUF),
#endif
#ifdef SO_SNDBUFFORCE
    IO_NAME(SO_SNDBUFFORCE),
#endif
#ifdef SO_SNDLOWAT
    IO_NAME(SO_SNDLOWAT),
#endif
#ifdef SO_TIMESTAMP
    IO_NAME(SO_TIMESTAMP),
#endif
#ifdef SO_TIMESTAMPING
    IO_NAME(SO_TIMESTAMPING),
#endif
#ifdef SO_TIMESTAMPNS
    IO_NAME(SO_TIMESTAMPNS),
#endif
#ifdef SO_TXTIME
    IO_NAME(SO_TXTIME),
#endif
#ifdef SO_TYPE
    IO_NAME(SO_TYPE),
#endif
#ifdef SO_USER_COOKIE
    IO_NAME(SO_USER_COOKIE),
#endif
#ifdef SO_VM_SOCKETS_BUFFER_SIZE
    IO_NAME(SO_VM_SOCKETS_BUFFER_SIZE),
#endif
#ifdef SO_VM_SOCKETS_BUFFER_MIN_SIZE
    IO_NAME(SO_VM_SOCKETS_BUFFER_MIN_SIZE),
#endif
#ifdef SO_VM_SOCKETS_BUFFER_MAX_SIZE
    IO_NAME(SO_VM_SOCKETS_BUFFER_MAX_SIZE),
#endif
#ifdef SO_VM_SOCKETS_CONNECT_TIMEOUT
    IO_NAME(SO_VM_SOCKETS_CONNECT_TIMEOUT),
#endif
#ifdef SO_ZEROCOPY
    IO_NAME(SO_ZEROCOPY),
#endif
#ifdef IP_BIND_ADDRESS_NO_PORT
    IO_NAME(IP_BIND_ADDRESS_NO_PORT),
#endif
#ifdef IP_BOUND_IF
    IO_NAME(IP_BOUND_IF),
#endif
#ifdef IP_DONTFRAG
    IO_NAME(IP_DONTFRAG),
#endif
#ifdef IP_FREEBIND
    IO_NAME(IP_FREEBIND),
#endif
#ifdef IP_HDRINCL
    IO_NAME(IP_HDRINCL),
#endif
#ifdef IP_MTU
    IO_NAME(IP_MTU),
#endif
#ifdef IP_MTU_DISCOVER
    IO_NAME(IP_MTU_DISCOVER),
#endif
#ifdef IP_OPTIONS
    IO_NAME(IP_OPTIONS),
#endif
#ifdef IP_PKTINFO
    IO_NAME(IP_PKTINFO),
#endif
#ifdef IP_RECVDSTADDR
    IO_NAME(IP_RECVDSTADDR),
#endif
#ifdef IP_MULTICAST_LOOP
    IO_NAME(IP_MULTICAST_LOOP),
#endif
#ifdef IP_MULTICAST_IF
    IO_NAME(IP_MULTICAST_IF),
#endif
#ifdef IP_MULTICAST_TTL
    IO_NAME(IP_MULTICAST_TTL),
#endif
#ifdef IP_RECVERR
    IO_NAME(IP_RECVERR),
#endif
#ifdef IP_RECVTOS
    IO_NAME(IP_RECVTOS),
#endif
#ifdef IP_RECVTTL
    IO_NAME(IP_RECVTTL),
#endif
#ifdef IP_TOS
    IO_NAME(IP_TOS),
#endif
#ifdef IP_TRANSPARENT
    IO_NAME(IP_TRANSPARENT),
#endif
#ifdef IP_TTL
    IO_NAME(IP_TTL),
#endif
#ifdef IPV6_BOUND_IF
    IO_NAME(IPV6_BOUND_IF),
#endif
#ifdef IPV6_DONTFRAG
    IO_NAME(IPV6_DONTFRAG),
#endif
#ifdef IPV6_FREEBIND
    IO_NAME(IPV6_FREEBIND),
#endif
#ifdef IPV6_MTU
    IO_NAME(IPV6_MTU),
#endif
#ifdef IPV6_MTU_DISCOVER
    IO_NAME(IPV6_MTU_DISCOVER),
#endif
#ifdef IPV6_RECVERR
    IO_NAME(IPV6_RECVERR),
#endif
#ifdef IPV6_RECVHOPLIMIT
    IO_NAME(IPV6_RECVHOPLIMIT),
#endif
#ifdef IPV6_RECVPKTINFO
    IO_NAME(IPV6_RECVPKTINFO),
#endif
#ifdef IPV6_MULTICAST_LOOP
    IO_NAME(IPV6_MULTICAST_LOOP),
#endif
#ifdef IPV6_MULTICAST_IF
    IO_NAME(IPV6_MULTICAST_IF),
#endif
#ifdef IPV6_MULTICAST_HOPS
    IO_NAME(IPV6_MULTICAST_HOPS),
#endif
#ifdef IPV6_RECVTCLASS
    IO_NAME(IPV6_RECVTCLASS),
#endif
#ifdef IPV6_TCLASS
    IO_NAME(IPV6_TCLASS),
#endif
#ifdef IPV6_TRANSPARENT
    IO_NAME(IPV6_TRANSPARENT),
#endif
#ifdef IPV6_UNICAST_HOPS
    IO_NAME(IPV6_UNICAST_HOPS),
#endif
#ifdef IPV6_V6ONLY
    IO_NAME(IPV6_V6ONLY),
#endif
#ifdef TCP_CONGESTION
    IO_NAME(TCP_CONGESTION),
#endif
#ifdef TCP_CONNECTIONTIMEOUT
    IO_NAME(TCP_CONNECTIONTIMEOUT),
#endif
#ifdef TCP_CORK
    IO_NAME(TCP_CORK),
#endif
#ifdef TCP_DEFER_ACCEPT
    IO_NAME(TCP_DEFER_ACCEPT),
#endif
#ifdef TCP_FASTOPEN
    IO_NAME(TCP_FASTOPEN),
#endif
#ifdef TCP_FASTOPEN_CONNECT
    IO_NAME(TCP_FASTOPEN_CONNECT),
#endif
#ifdef TCP_INFO
    IO_NAME(TCP_INFO),
#endif
#ifdef TCP_INQ
    IO_NAME(TCP_INQ),
#endif
#ifdef TCP_KEEPALIVE
    IO_NAME(TCP_KEEPALIVE),
#endif
#ifdef TCP_KEEPCNT
    IO_NAME(TCP_KEEPCNT),
#endif
#ifdef TCP_KEEPIDLE
    IO_NAME(TCP_KEEPIDLE),
#endif
#ifdef TCP_KEEPINTVL
    IO_NAME(TCP_KEEPINTVL),
#endif
#ifdef TCP_LINGER2
    IO_NAME(TCP_LINGER2),
#endif
#ifdef TCP_MAXSEG
    IO_NAME(TCP_MAXSEG),
#endif
#ifdef TCP_MD5SIG
    IO_NAME(TCP_MD5SIG),
#endif
#ifdef TCP_NODELAY
    IO_NAME(TCP_NODELAY),
#endif
#ifdef TCP_NOPUSH
    IO_NAME(TCP_NOPUSH),
#endif
#ifdef TCP_NOTSENT_LOWAT
    IO_NAME(TCP_NOTSENT_LOWAT),
#endif
#ifdef TCP_QUICKACK
    IO_NAME(TCP_QUICKACK),
#endif
#ifdef TCP_SAVED_SYN
    IO_NAME(TCP_SAVED_SYN),
#endif
#ifdef TCP_SAVE_SYN
    IO_NAME(TCP_SAVE_SYN),
#endif
#ifdef TCP_SYNCNT
    IO_NAME(TCP_SYNCNT),
#endif
#ifdef TCP_THIN_LINEAR_TIMEOUTS
    IO_NAME(TCP_THIN_LINEAR_TIMEOUTS),
#endif
#ifdef TCP_TIMESTAMP
    IO_NAME(TCP_TIMESTAMP),
#endif
#ifdef TCP_TX_DELAY
    IO_NAME(TCP_TX_DELAY),
#endif
#ifdef TCP_ULP
    IO_NAME(TCP_ULP),
#endif
#ifdef TCP_USER_TIMEOUT
    IO_NAME(TCP_USER_TIMEOUT),
#endif
#ifdef TCP_WINDOW_CLAMP
    IO_NAME(TCP_WINDOW_CLAMP),
#endif
#ifdef UDP_GRO
    IO_NAME(UDP_GRO),
#endif
#ifdef UDP_SEGMENT
    IO_NAME(UDP_SEGMENT),
#endif
};
#undef IO_NAME

}  // namespace

std::span<const SocketConstant> socket_constants() {
  return names;
}

}  // namespace io
