// FIFOs as XNU and NetBSD have them: see systems.h. The calls stand between the engine and Linux;
// nothing is changed for what pipe() has made.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <mutex>
#include <set>
#include <tuple>

#include "real.h"
#include "systems.h"

namespace kqueue_layer {

namespace {

constexpr long pipefs_magic = 0x50495045;

// The FIFOs whose end has been reported since they had a writer.
class Reported {
 public:
  static Reported& get() {
    static auto* reported = new Reported;
    return *reported;
  }

  bool has(int number) {
    const std::lock_guard lock(mutex_);
    return reported_.contains(name_of(number));
  }

  void note(int number, bool ended) {
    const std::lock_guard lock(mutex_);
    if (ended)
      reported_.insert(name_of(number));
    else
      reported_.erase(name_of(number));
  }

 private:
  // With the time of its creation: the number of a file that is gone is given to another one.
  using Name = std::tuple<uint32_t, uint64_t, int64_t, uint32_t>;

  static Name name_of(int number) {
    struct statx status = {};
    ::statx(number, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status);
    const auto& born = status.stx_btime;
    return {status.stx_dev_minor, status.stx_ino, born.tv_sec, born.tv_nsec};
  }

  std::mutex mutex_;
  std::set<Name> reported_;
};

int bytes_in(int number) {
  int count = 0;
  return ::ioctl(number, FIONREAD, &count) == 0 ? count : 0;
}

ssize_t after_read(int number, ssize_t result) {
  if (!system_here().fifo_end_is_reported_once || !is_fifo(number)) return result;
  const int error = errno;
  if (result == 0) Reported::get().note(number, true);
  if (result > 0 || (result < 0 && error == EAGAIN)) Reported::get().note(number, false);
  errno = error;
  return result;
}

// poll() of XNU, or of a kernel that has reported the end already: it reports only the bytes.
short fifo_events(const pollfd& polled) {
  const bool has_bytes = bytes_in(polled.fd) > 0;
  const bool quiet = system_here().fifo_is_its_bytes || fifo_end_was_reported(polled.fd);
  if (!quiet) return polled.revents;
  auto events = static_cast<short>(polled.revents & ~(POLLIN | POLLHUP | POLLERR));
  if (has_bytes) events |= static_cast<short>(polled.events & POLLIN);
  return events;
}

}  // namespace

bool is_fifo(int number) {
  struct stat status;
  struct statfs system;
  if (::fstat(number, &status) != 0 || !S_ISFIFO(status.st_mode)) return false;
  return ::fstatfs(number, &system) == 0 && system.f_type != pipefs_magic;
}

bool fifo_end_was_reported(int number) {
  return system_here().fifo_end_is_reported_once && is_fifo(number) && Reported::get().has(number);
}

}  // namespace kqueue_layer

using namespace kqueue_layer;

// NOLINTBEGIN(bugprone-reserved-identifier)

extern "C" ssize_t __wrap_read(int number, void* data, size_t size) {
  return after_read(number, __real_read(number, data, size));
}

extern "C" ssize_t __wrap_readv(int number, const iovec* vectors, int count) {
  return after_read(number, __real_readv(number, vectors, count));
}

extern "C" int __wrap_poll(pollfd* polled, nfds_t count, int timeout) {
  const int found = __real_poll(polled, count, timeout);
  // Only a look at one descriptor is ever made of a FIFO.
  if (found != 1 || count != 1 || !is_fifo(polled->fd)) return found;
  polled->revents = fifo_events(*polled);
  return polled->revents == 0 ? 0 : 1;
}

extern "C" int __wrap_select(int count, fd_set* reading, fd_set* writing, fd_set* failing,
                             timeval* timeout) {
  const int found = __real_select(count, reading, writing, failing, timeout);
  if (found != 1 || reading == nullptr) return found;
  const int number = count - 1;
  return fifo_end_was_reported(number) && bytes_in(number) == 0 ? 0 : found;
}

// NOLINTEND(bugprone-reserved-identifier)
