// Causes and advice for the errors of setting a backend up. See unavailable.h.
#include "backend/unavailable.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "backend/kernel_version.h"
#include "system/system.h"

namespace io {

namespace {

struct Words {
  std::string causes;
  std::string advice;
};

// The first bytes of a small file of the kernel; empty when it cannot be read.
std::string read_start(const char* path) {
  FILE* file = std::fopen(path, "re");
  if (file == nullptr) return {};
  char text[4096];
  const size_t length = std::fread(text, 1, sizeof(text), file);
  std::fclose(file);
  return std::string(text, length);
}

// Whether a seccomp filter is in place for this thread: 2 is SECCOMP_MODE_FILTER (proc(5)).
bool has_seccomp_filter() {
  return read_start("/proc/thread-self/status").find("\nSeccomp:\t2") != std::string::npos;
}

// The first character of the sysctl: '0', '1', '2', or 0 before Linux 6.6, which has none.
char io_uring_disabled() {
  const std::string text = read_start("/proc/sys/kernel/io_uring_disabled");
  return text.empty() ? '\0' : text[0];
}

std::string limit_text(int resource, const char* unit) {
  rlimit limit;
  if (getrlimit(resource, &limit) != 0) return "unknown";
  if (limit.rlim_cur == RLIM_INFINITY) return "unlimited";
  return std::to_string(limit.rlim_cur) + unit;
}

constexpr const char* profile_advice =
    "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile (docker run "
    "or podman run --security-opt seccomp=<profile>.json; in Kubernetes "
    "securityContext.seccompProfile)";
constexpr const char* sysctl_advice =
    "sysctl -w kernel.io_uring_disabled=0, on the host when this is a container";

Words forbidden() {
  const char sysctl = io_uring_disabled();
  const bool filter = has_seccomp_filter();
  Words words;
  words.causes = std::string("forbidden by a seccomp profile (") +
                 (filter ? "this process runs under one" : "this process runs under none") +
                 "; those of Docker 25 and later and of containerd forbid io_uring), by sysctl "
                 "kernel.io_uring_disabled (";
  if (sysctl != '\0') words.causes += std::string("it is ") + sysctl + " here; ";
  words.causes +=
      "1 needs CAP_SYS_ADMIN or the group of kernel.io_uring_group, 2 forbids it to all), or by a "
      "security module (SELinux, AppArmor)";
  const bool by_sysctl = sysctl == '1' || sysctl == '2';
  if (by_sysctl) words.advice = sysctl_advice;
  if (filter) words.advice += (by_sysctl ? "; " : "") + std::string(profile_advice);
  if (words.advice.empty()) words.advice = "see what the log of the security module says";
  return words;
}

Words missing() {
  const bool filter = has_seccomp_filter();
  std::string causes =
      "the kernel has no io_uring (older than 5.1, or built without CONFIG_IO_URING; this is " +
      running_kernel().release + "), or a sandbox hides it (gVisor, or a seccomp profile that " +
      "answers ENOSYS, as Podman's does; this process runs under " + (filter ? "one)" : "none)");
  if (filter) return {causes, profile_advice};
  return {causes, "run on Linux 5.19 or later, outside of the sandbox"};
}

Words too_old() {
  return {
      "the kernel does not know the flags: it is older than 5.19, or a sandbox imitates a part "
      "of io_uring (this is " +
          running_kernel().release + ")",
      "run on Linux 5.19 or later"};
}

// Measured on 6.18. Since 6.14, when the rings became memory regions, a process without
// CAP_IPC_LOCK needs locked memory for them. From 5.12 to 6.13 only registered buffers counted.
Words no_memory_for_rings() {
  return {
      "not enough memory for the rings: those of this user exceed RLIMIT_MEMLOCK (" +
          limit_text(RLIMIT_MEMLOCK, " bytes") +
          " here; Linux counts them before 5.12 and from 6.14 on, unless the process has "
          "CAP_IPC_LOCK, and with them those that Node 22 and later make for their event loops, "
          "or those that were closed just now), or the memory limit of the container or cgroup is "
          "reached, or memory is in pieces that are too small (before Linux 6.10 a ring lies in "
          "one)",
      "raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= of systemd, docker run --ulimit "
      "memlock=-1) and the memory limit (memory.max, docker run --memory), ask for fewer "
      "operations in flight (inFlightLimit), or name another backend (IO_BACKEND=epoll)"};
}

Words no_descriptors(int error) {
  if (error == ENFILE) {
    return {"the system has no descriptors left",
            "raise the sysctl fs.file-max, or see who holds them (lsof)"};
  }
  return {
      "too many descriptors are open (RLIMIT_NOFILE is " + limit_text(RLIMIT_NOFILE, "") + " here)",
      "close some, or raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE= of systemd, docker run "
      "--ulimit nofile=65536)"};
}

Words words_for(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
      return no_descriptors(error);
    case ENOMEM:
      return {"not enough memory: the memory limit of the container or cgroup is reached",
              "raise the memory limit (memory.max, docker run --memory)"};
    case EAGAIN:
      return {
          "no thread could be started: RLIMIT_NPROC, or the limit of processes of the "
          "container or cgroup, is reached",
          "raise it (ulimit -u, LimitNPROC= of systemd, pids.max, docker run --pids-limit)"};
    case ENOSPC:
      return {
          "the descriptors that this user waits for have reached the sysctl "
          "fs.epoll.max_user_watches",
          "raise it, or see who waits for so many"};
    default:
      return {"not one of the known causes", "report it, with this line"};
  }
}

Words words_for_io_uring(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return forbidden();
    case ENOSYS:
      return missing();
    case EINVAL:
      return too_old();
    case ENOMEM:
      return no_memory_for_rings();
    default:
      return words_for(error);
  }
}

Opened refuse_with(const char* call, int error, const Words& words) {
  Opened opened;
  opened.reason = failed_call(call, error) + ": " + words.causes;
  opened.advice = words.advice;
  opened.error = error;
  return opened;
}

}  // namespace

std::string failed_call(const char* call, int error) {
  return std::string(call) + " failed with " + system::error_name(error) + " (" +
         std::strerror(error) + ")";
}

Opened refuse(const char* call, int error) {
  return refuse_with(call, error, words_for(error));
}

Opened refuse_io_uring(const char* call, int error) {
  return refuse_with(call, error, words_for_io_uring(error));
}

Opened refuse_missing(std::string reason, std::string advice) {
  Opened opened;
  opened.reason = std::move(reason);
  opened.advice = std::move(advice);
  opened.error = ENOSYS;
  return opened;
}

}  // namespace io
