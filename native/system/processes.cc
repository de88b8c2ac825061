// Descriptors of processes: see system.h. Linux has them; macOS and the BSDs have EVFILT_PROC of a
// kqueue. A queue that has an event is itself readable, so a queue of its own for each process that
// is waited for takes the place of such a descriptor.
#include <sys/types.h>
#include <sys/wait.h>

#include <cerrno>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif __has_include(<sys/event.h>)
#include <fcntl.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

#include "system/kevent_data.h"
#endif

#include "system/common.h"
#include "system/system.h"

namespace io::system {

#if defined(__linux__)

// By their numbers, because C libraries have names for them only since 2022 or so.
int open_process(int64_t process) {
  return result_of([&] { return ::syscall(SYS_pidfd_open, static_cast<pid_t>(process), 0); });
}

// It stays to be waited for: a child of Node's is Node's to wait for.
int process_end(int number, ProcessEnd& end) {
  constexpr auto by_descriptor = static_cast<idtype_t>(3);  // P_PIDFD, Linux 5.4
  siginfo_t found = {};
  const int32_t result = result_of([&] {
    return ::waitid(by_descriptor, static_cast<id_t>(number), &found, WEXITED | WNOHANG | WNOWAIT);
  });
  if (result < 0) return result;
  if (found.si_pid == 0) return -EAGAIN;
  end.has_code = found.si_code == CLD_EXITED;
  end.value = found.si_status;
  return 0;
}

#elif defined(EVFILT_PROC)

namespace {

// What the queue carries as user data.
constexpr uint64_t is_other = 0;
constexpr uint64_t is_child = 1;

// A child that has ended and was not waited for. It stays to be waited for.
enum class Child { none, running, ended };

Child look_at_child(int64_t process, siginfo_t& found) {
  found = {};  // XNU leaves it as it is when nothing has ended
  const int32_t result = result_of([&] {
    return ::waitid(P_PID, static_cast<id_t>(process), &found, WEXITED | WNOHANG | WNOWAIT);
  });
  if (result < 0) return Child::none;
  return found.si_pid == 0 ? Child::running : Child::ended;
}

// An event of the queue at once: a timer, since no other filter has one on every system. Its number
// is the end of the child.
int add_ended(int queue, const siginfo_t& found) {
  const bool has_code = found.si_code == CLD_EXITED;
  const auto value = static_cast<uintptr_t>(found.si_status) << 1U | (has_code ? 1U : 0U);
  struct kevent change;
  EV_SET(&change, value, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, kevent_data_of(is_child));
  return ::kevent(queue, &change, 1, nullptr, 0, nullptr) == 0 ? 0 : -errno;
}

int add_process(int queue, int64_t process) {
  siginfo_t found;
  const Child child = look_at_child(process, found);
  struct kevent change;
  unsigned wanted = NOTE_EXIT;
#if defined(NOTE_EXITSTATUS)
  // macOS gives the status only with it, and refuses it for any process but a child (EACCES).
  if (child != Child::none) wanted |= NOTE_EXITSTATUS;
#endif
  EV_SET(&change, static_cast<uintptr_t>(process), EVFILT_PROC, EV_ADD, wanted, 0,
         kevent_data_of(child == Child::none ? is_other : is_child));
  if (::kevent(queue, &change, 1, nullptr, 0, nullptr) == 0) return 0;
  // macOS, NetBSD and OpenBSD know no process that has ended, although it was not waited for.
  const int error = -errno;
  if (error != -ESRCH || look_at_child(process, found) != Child::ended) return error;
  return add_ended(queue, found);
}

}  // namespace

int open_process(int64_t process) {
  const int queue = ::kqueue();
  if (queue < 0) return -errno;
  // No child of fork(2) inherits a queue, so nothing can come in between.
  int error = ::fcntl(queue, F_SETFD, FD_CLOEXEC) == 0 ? 0 : -errno;
  if (error == 0) error = add_process(queue, process);
  if (error == 0) return queue;
  ::close(queue);
  return error;
}

// The end of another process than a child is not told, as on Linux.
int process_end(int number, ProcessEnd& end) {
  struct kevent event;
  const timespec at_once = {};
  const int32_t count =
      result_of([&] { return ::kevent(number, nullptr, 0, &event, 1, &at_once); });
  if (count < 0) return count;
  if (count == 0) return -EAGAIN;
  if (token_of(event.udata) != is_child) return -ECHILD;
  if (event.filter == EVFILT_TIMER) {
    end.has_code = (event.ident & 1U) != 0;
    end.value = static_cast<int>(event.ident >> 1U);
    return 0;
  }
  const int status = static_cast<int>(event.data);
  if (!WIFEXITED(status) && !WIFSIGNALED(status)) return -ECHILD;
  end.has_code = WIFEXITED(status);
  end.value = end.has_code ? WEXITSTATUS(status) : WTERMSIG(status);
  return 0;
}

#else

int open_process(int64_t) {
  return -ENOSYS;
}

int process_end(int, ProcessEnd&) {
  return -ENOSYS;
}

#endif

}  // namespace io::system
