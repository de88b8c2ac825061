// The calls that the linker sends to the layer first (--wrap, see CMakeLists.txt), as Linux has
// them.
#pragma once

#include <poll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
int __real_close(int number);
ssize_t __real_read(int number, void* data, size_t size);
ssize_t __real_readv(int number, const iovec* vectors, int count);
int __real_poll(pollfd* polled, nfds_t count, int timeout);
int __real_select(int count, fd_set* reading, fd_set* writing, fd_set* failing, timeval* timeout);
int __real_socket(int family, int type, int protocol);
int __real_bind(int number, const sockaddr* address, socklen_t size);
int __real_listen(int number, int backlog);
int __real_accept(int number, sockaddr* address, socklen_t* size);
int __real_accept4(int number, sockaddr* address, socklen_t* size, int flags);
int __real_connect(int number, const sockaddr* address, socklen_t size);
int __real_shutdown(int number, int how);
ssize_t __real_send(int number, const void* data, size_t size, int flags);
ssize_t __real_sendmsg(int number, const msghdr* message, int flags);
ssize_t __real_write(int number, const void* data, size_t size);
ssize_t __real_writev(int number, const iovec* vectors, int count);
int __real_setsockopt(int number, int level, int name, const void* value, socklen_t size);
int __real_getsockopt(int number, int level, int name, void* value, socklen_t* size);

int __wrap_close(int number);
ssize_t __wrap_read(int number, void* data, size_t size);
ssize_t __wrap_readv(int number, const iovec* vectors, int count);
int __wrap_poll(pollfd* polled, nfds_t count, int timeout);
int __wrap_select(int count, fd_set* reading, fd_set* writing, fd_set* failing, timeval* timeout);
int __wrap_socket(int family, int type, int protocol);
int __wrap_bind(int number, const sockaddr* address, socklen_t size);
int __wrap_listen(int number, int backlog);
int __wrap_accept(int number, sockaddr* address, socklen_t* size);
int __wrap_accept4(int number, sockaddr* address, socklen_t* size, int flags);
int __wrap_connect(int number, const sockaddr* address, socklen_t size);
int __wrap_shutdown(int number, int how);
ssize_t __wrap_send(int number, const void* data, size_t size, int flags);
ssize_t __wrap_sendmsg(int number, const msghdr* message, int flags);
ssize_t __wrap_write(int number, const void* data, size_t size);
ssize_t __wrap_writev(int number, const iovec* vectors, int count);
int __wrap_setsockopt(int number, int level, int name, const void* value, socklen_t size);
int __wrap_getsockopt(int number, int level, int name, void* value, socklen_t* size);
}
// NOLINTEND(bugprone-reserved-identifier)
