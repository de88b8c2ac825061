// EVFILT_PROC: the end of a process. See layer.h.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "layer.h"
#include "real.h"
#include "systems.h"

namespace kqueue_layer {

namespace {

// macOS's; <sys/event.h> has it only for an engine that is compiled as macOS's.
constexpr uint32_t note_exitstatus = 0x04000000;

// pidfd_info of linux/pidfd.h, which Debian's headers lack. The kernel keeps the status there after
// the parent has waited for the process (Linux 6.15), as a BSD keeps it in the event.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup;
  uint32_t numbers[11];
  int32_t status;
};
constexpr unsigned long get_info = _IOWR(0xff, 11, PidfdInfo);
constexpr uint64_t info_exit = 1U << 3;
// Neither an exit nor a signal: no kernel reports it.
constexpr int unknown = -1;

int wait_for(int process, siginfo_t& found) {
  constexpr auto by_descriptor = static_cast<idtype_t>(3);  // P_PIDFD
  found = {};
  return ::waitid(by_descriptor, static_cast<id_t>(process), &found, WEXITED | WNOHANG | WNOWAIT);
}

int status_of(int process) {
  PidfdInfo info = {};
  info.mask = info_exit;
  if (::ioctl(process, get_info, &info) == 0 && (info.mask & info_exit) != 0) return info.status;
  siginfo_t found;
  if (wait_for(process, found) != 0 || found.si_pid == 0) return unknown;
  return found.si_code == CLD_EXITED ? W_EXITCODE(found.si_status, 0) : found.si_status;
}

class ProcessKnote : public Knote {
 public:
  using Knote::Knote;

  int attach() override {
    process_ = Owned(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(ident), 0)));
    if (!process_.valid()) return errno;
    if (system_here().ended_process_is_unknown && has_ended()) return ESRCH;
    siginfo_t found;
    const bool is_child = wait_for(process_.get(), found) == 0;
    if ((wanted & note_exitstatus) != 0 && !is_child) return EACCES;
    behaviour |= EV_ONESHOT;  // the kernels set it when the process ends
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = id;
    return ::epoll_ctl(sources.own, EPOLL_CTL_ADD, process_.get(), &event) == 0 ? 0 : errno;
  }

  bool holds() override {
    if (!has_ended()) return false;
    reported.flags = EV_EOF;
    reported.fflags = wanted;
    const bool is_told = !system_here().is_darwin || (wanted & note_exitstatus) != 0;
    reported.data = is_told ? status_of(process_.get()) : 0;
    return true;
  }

 private:
  bool has_ended() const {
    pollfd poller = {process_.get(), POLLIN, 0};
    return __real_poll(&poller, 1, 0) > 0;
  }

  Owned process_;
};

}  // namespace

std::unique_ptr<Knote> make_process_knote(const Sources& sources, uint64_t id,
                                          const struct kevent& change) {
  return std::make_unique<ProcessKnote>(sources, id, change);
}

}  // namespace kqueue_layer
