// EVFILT_READ and EVFILT_WRITE of sockets, pipes and whatever else epoll takes. See layer.h.
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>

#include "calls.h"
#include "layer.h"
#include "real.h"
#include "systems.h"

namespace kqueue_layer {

namespace {

int socket_option(int number, int option) {
  int value = 0;
  socklen_t size = sizeof(value);
  return __real_getsockopt(number, SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

bool tcp_status(int number, tcp_info& info) {
  if (socket_option(number, SO_PROTOCOL) != IPPROTO_TCP) return false;
  socklen_t size = sizeof(info);
  return __real_getsockopt(number, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
}

// The pending error. SO_ERROR would take it away from the program and Linux has no other way to see
// it, so this is the most likely one: a TCP socket that never received a segment timed out, one
// that received a single segment was refused, and any other was reset.
uint32_t likely_error(int number) {
  tcp_info info = {};
  if (tcp_status(number, info)) {
    if (info.tcpi_segs_in == 0) return ETIMEDOUT;
    return info.tcpi_segs_in == 1 ? ECONNREFUSED : ECONNRESET;
  }
  return socket_option(number, SO_TYPE) == SOCK_DGRAM ? ECONNREFUSED : ECONNRESET;
}

// As the kernel numbers them (net/tcp_states.h); no header for programs has them beside TCP_INFO.
enum TcpState : uint8_t {
  tcp_fin_wait_1 = 4,
  tcp_fin_wait_2 = 5,
  tcp_time_wait = 6,
  tcp_last_ack = 9,
  tcp_closing = 11,
};

// Whether the program itself has ended the direction in which it sends. Only TCP says so on Linux.
bool sending_ended(int number) {
  tcp_info info = {};
  if (!tcp_status(number, info)) return false;
  switch (info.tcpi_state) {
    case tcp_fin_wait_1:
    case tcp_fin_wait_2:
    case tcp_time_wait:
    case tcp_last_ack:
    case tcp_closing:
      return true;
    default:
      return false;
  }
}

class ReadinessKnote : public Knote {
 public:
  using Knote::Knote;

  ~ReadinessKnote() override {
    // Refused when the number is closed, or is another file by now: then there is nothing to undo.
    if (attached_) ::epoll_ctl(source(), EPOLL_CTL_DEL, descriptor(), nullptr);
  }

  int attach() override {
    const int number = descriptor();
    const int flags = ::fcntl(number, F_GETFL);
    struct stat status;
    if (flags < 0 || ::fstat(number, &status) != 0) return EBADF;
    is_socket_ = S_ISSOCK(status.st_mode);
    is_pipe_ = S_ISFIFO(status.st_mode);
    const int access = flags & O_ACCMODE;
    // The manual pages do not define the wrong end of a pipe: some kernels refuse it and some never
    // report an event. A program has to live with the refusal.
    if (filter == EVFILT_READ && access == O_WRONLY) return EINVAL;
    if (filter == EVFILT_WRITE && access == O_RDONLY) return EINVAL;
    if (filter == EVFILT_WRITE && is_queue(number)) return EINVAL;
    // Kernels answer on files, too. Nothing here asks, since a file is never waited for.
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) return EINVAL;
    is_quiet_ = is_pipe_ && system_here().fifo_is_its_bytes && is_fifo(number);
    if (S_ISCHR(status.st_mode) && is_refused(status.st_rdev)) return EINVAL;
    // A pipe whose other end is closed is refused; these kernels do that, although it is not
    // documented.
    if (filter == EVFILT_WRITE && is_pipe_ && !is_quiet_ && (look() & POLLERR) != 0)
      return system_here().gone_pipe_error;
    const int error = enrol(EPOLL_CTL_ADD);
    // The same file was on this number before and was not closed for good in between.
    if (error == EEXIST) return enrol(EPOLL_CTL_MOD);
    return error == EPERM ? ENODEV : error;
  }

  bool holds() override {
    reported = {};
    const short seen = look();
    if ((seen & POLLNVAL) != 0) return false;
    if (is_quiet_) return is_in_bytes();
    return filter == EVFILT_READ ? is_readable(seen) : is_writable(seen);
  }

  bool alive() override {
    // Adding the same file again is refused. When it is another one, it is not ours to watch.
    epoll_event event = {};
    if (::epoll_ctl(source(), EPOLL_CTL_ADD, descriptor(), &event) == 0) {
      ::epoll_ctl(source(), EPOLL_CTL_DEL, descriptor(), nullptr);
      return false;
    }
    return errno == EEXIST;
  }

 private:
  int source() const { return filter == EVFILT_READ ? sources.reading : sources.writing; }

  int enrol(int operation) {
    epoll_event event = {};
    event.events = EPOLLET;
    event.events |= filter == EVFILT_READ ? EPOLLIN | EPOLLRDHUP | EPOLLPRI : EPOLLOUT;
    event.data.u64 = id;
    if (::epoll_ctl(source(), operation, descriptor(), &event) != 0) return errno;
    attached_ = true;
    return 0;
  }

  short look() const {
    const short events = filter == EVFILT_READ ? POLLIN | POLLPRI | POLLRDHUP : POLLOUT | POLLRDHUP;
    pollfd poller = {descriptor(), events, 0};
    return __real_poll(&poller, 1, 0) < 0 ? static_cast<short>(POLLNVAL) : poller.revents;
  }

  // A device that counts no bytes: all but terminals, and /dev/tty however it is asked.
  bool is_refused(dev_t device) const {
    if (!system_here().device_counts_nothing) return false;
    constexpr unsigned tty_major = 5;
    constexpr unsigned first_pty_major = 136;
    constexpr unsigned last_pty_major = 143;
    if (major(device) == tty_major && minor(device) == 0) return true;
    if (major(device) >= first_pty_major && major(device) <= last_pty_major) return false;
    return (wanted & NOTE_LOWAT) == 0 || parameter != 1;
  }

  // A FIFO that reports only its bytes, or their space, and never its other end.
  bool is_in_bytes() {
    int used = 0;
    if (::ioctl(descriptor(), FIONREAD, &used) != 0) used = 0;
    reported.data = filter == EVFILT_READ ? used : ::fcntl(descriptor(), F_GETPIPE_SZ) - used;
    return reported.data > 0;
  }

  // A socket that is not connected yet: Linux says that it is hung up and writable, but neither of
  // its directions was ended.
  bool is_fresh(short seen) const {
    return is_socket_ && (seen & POLLHUP) != 0 && (seen & (POLLRDHUP | POLLERR)) == 0;
  }

  bool is_readable(short seen) {
    if (is_fresh(seen)) return false;
    if (is_socket_ && socket_option(descriptor(), SO_ACCEPTCONN) != 0) {
      reported.data = connections_waiting();
      return (seen & POLLIN) != 0;
    }
    int available = 0;
    // A descriptor that cannot count its contents (an eventfd, a queue) has at least one.
    if (::ioctl(descriptor(), FIONREAD, &available) != 0) available = (seen & POLLIN) != 0 ? 1 : 0;
    reported.data = available;
    const short over = is_socket_ ? POLLRDHUP : POLLHUP;
    if ((seen & over) != 0 && !fifo_end_was_reported(descriptor())) reported.flags |= EV_EOF;
    const bool failed = (seen & POLLERR) != 0;
    if (failed && is_socket_) reported.fflags = likely_error(descriptor());
    if ((reported.flags & EV_EOF) != 0 || failed) return true;
    // An empty datagram is something to receive, too.
    if ((wanted & NOTE_LOWAT) == 0) return (seen & POLLIN) != 0;
    return (seen & POLLIN) != 0 && available >= parameter;
  }

  bool is_writable(short seen) {
    if (is_fresh(seen)) return false;
    const bool failed = (seen & POLLERR) != 0;
    const short both = POLLHUP | POLLRDHUP;
    bool ended = failed;
    if (is_socket_) ended = failed || (seen & both) == both || sending_ended(descriptor());
    if (ended) reported.flags |= EV_EOF;
    if (failed && is_socket_) reported.fflags = likely_error(descriptor());
    reported.data = room();
    if (ended) return true;
    if ((wanted & NOTE_LOWAT) == 0) return (seen & POLLOUT) != 0;
    return (seen & POLLOUT) != 0 && reported.data >= parameter;
  }

  // TCP reports how many connections wait; for others Linux only reports that there is one.
  int64_t connections_waiting() const {
    tcp_info info = {};
    if (!tcp_status(descriptor(), info)) return 1;
    return std::max<int64_t>(info.tcpi_unacked, 1);
  }

  int64_t room() const {
    int used = 0;
    int64_t size = 0;
    if (is_socket_) {
      size = socket_option(descriptor(), SO_SNDBUF);
      if (::ioctl(descriptor(), SIOCOUTQ, &used) != 0) used = 0;
    } else if (is_pipe_) {
      size = ::fcntl(descriptor(), F_GETPIPE_SZ);
      if (::ioctl(descriptor(), FIONREAD, &used) != 0) used = 0;
    }
    return std::max<int64_t>(size - used, 1);
  }

  bool attached_ = false;
  bool is_socket_ = false;
  bool is_pipe_ = false;
  bool is_quiet_ = false;
};

}  // namespace

std::unique_ptr<Knote> make_readiness_knote(const Sources& sources, uint64_t id,
                                            const struct kevent& change) {
  return std::make_unique<ReadinessKnote>(sources, id, change);
}

}  // namespace kqueue_layer
