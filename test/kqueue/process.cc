// EVFILT_PROC on a pidfd, which tells the exit of a process and nothing else. See layer.h.
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "layer.h"

namespace kqueue_layer {

namespace {

// The status as wait(2) gives it, without taking it from the program. Another's child has none.
int exit_status(int process) {
  siginfo_t info = {};
  const auto by_descriptor = static_cast<idtype_t>(3);  // P_PIDFD
  if (::waitid(by_descriptor, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) !=
      0) {
    return 0;
  }
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

class ProcessKnote : public Knote {
 public:
  using Knote::Knote;

  int attach() override {
    if ((wanted & ~NOTE_EXIT) != 0) return ENOTSUP;
    process_ = Owned(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(ident), 0)));
    if (!process_.valid()) return errno == EINVAL ? ESRCH : errno;
    return watch_own(process_.get());
  }

  bool holds() override {
    pollfd poller = {process_.get(), POLLIN, 0};
    if ((wanted & NOTE_EXIT) == 0 || ::poll(&poller, 1, 0) <= 0) return false;
    told.fflags = NOTE_EXIT;
    told.data = exit_status(process_.get());
    // There is nothing after it, so the knote goes with it.
    told.flags = EV_EOF;
    behaviour |= EV_ONESHOT;
    return true;
  }

 private:
  Owned process_;
};

}  // namespace

std::unique_ptr<Knote> make_process_knote(const Sources& sources, uint64_t id,
                                          const struct kevent& change) {
  return std::make_unique<ProcessKnote>(sources, id, change);
}

}  // namespace kqueue_layer
