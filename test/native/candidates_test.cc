// The choice of a backend: names of kernels, the kernels that are passed over, and how a set-up
// that lacks memory goes on.
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "engine/backend.h"
#include "backend/kernel_version.h"
#include "support.h"
#include "backend/unavailable.h"

namespace native_tests {

using io::Kernel;
using io::kernel_version;
using io::parse_release;
using io::version_of;

namespace {

Kernel linux_kernel(const char* release, const char* build = "#1 SMP PREEMPT_DYNAMIC") {
  return {"Linux", release, build};
}

bool is_denied(const char* release, const char* build = "#1 SMP PREEMPT_DYNAMIC") {
  return io::denied_for_io_uring(linux_kernel(release, build)) != nullptr;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

NATIVE_TEST(kernel_releases) {
  const std::pair<const char*, io::KernelVersion> good[] = {
      {"6.1.115-1-amd64", kernel_version(6, 1, 115)},
      {"5.15.0", kernel_version(5, 15, 0)},
      {"6.18.44-fc-v595", kernel_version(6, 18, 44)},
      {"7.3", kernel_version(7, 3, 0)},
      {"7.3-rc2", kernel_version(7, 3, 0)},
      {"6.6.57+", kernel_version(6, 6, 57)},
      {"4.9.337", kernel_version(4, 9, 337)},
      {"5.15.167.4-microsoft-standard-WSL2", kernel_version(5, 15, 167)},
      {"5.14.0-427.13.1.el9_4.x86_64", kernel_version(5, 14, 0)},
      {"6.1.y", kernel_version(6, 1, 0)},
      {"6.1.", kernel_version(6, 1, 0)},
  };
  for (const auto& [release, version] : good) {
    REQUIRE(parse_release(release).has_value());
    REQUIRE_EQUAL(*parse_release(release), version);
  }
  const char* bad[] = {
      "",     "garbage", "6",         "6.",          ".1.2",          "-6.1.2",
      " 6.1", "v6.1",    "6.-1.2",    "6,1",         "99999999999.1", "6.99999999999",
      "6..1", "0x6.1",   "1048576.0", "4294967297.1"};
  for (const char* release : bad) REQUIRE(!parse_release(release).has_value());
  // A patch level that makes no sense leaves the series standing.
  REQUIRE_EQUAL(*parse_release("6.1.99999999999"), kernel_version(6, 1, 0));
}

NATIVE_TEST(kernel_versions_compare) {
  REQUIRE(kernel_version(6, 1, 115) < kernel_version(6, 1, 116));
  REQUIRE(kernel_version(6, 1, 999) < kernel_version(6, 2, 0));
  REQUIRE(kernel_version(5, 999, 999) < kernel_version(6, 0, 0));
  // A byte per part would say that these are equal, or the other way round.
  REQUIRE(kernel_version(4, 9, 337) > kernel_version(4, 9, 255));
  REQUIRE(kernel_version(4, 9, 337) < kernel_version(4, 10, 0));
}

NATIVE_TEST(kernel_of_debian) {
  const char* build = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.115-1 (2024-11-01)";
  REQUIRE_EQUAL(*version_of(linux_kernel("6.1.0-27-amd64", build)), kernel_version(6, 1, 115));
  REQUIRE_EQUAL(*version_of(linux_kernel("6.1.0-27-amd64")), kernel_version(6, 1, 0));
  // Another series: a foreign kernel on a Debian.
  REQUIRE_EQUAL(*version_of(linux_kernel("6.6.58", build)), kernel_version(6, 6, 58));
  REQUIRE_EQUAL(*version_of(linux_kernel("6.1.0", "#1 Debian unknown")), kernel_version(6, 1, 0));
  REQUIRE(!version_of(linux_kernel("unknown", build)).has_value());
}

NATIVE_TEST(kernel_denylist) {
  for (const char* release : {"6.1.113", "6.1.115-1-amd64", "6.1.114-126.197.amzn2023.x86_64",
                              "6.6.57", "6.6.58-gentoo", "6.6.59"}) {
    REQUIRE(is_denied(release));
  }
  for (const char* release : {"6.1.112", "6.1.116", "6.6.56", "6.6.60", "6.2.114", "5.15.0", "7.3",
                              "6.18.44-fc-v595", "6.1.0-27-amd64", "garbage", ""}) {
    REQUIRE(!is_denied(release));
  }
  REQUIRE(is_denied("6.1.0-27-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.115-1 (2024-11-01)"));
  REQUIRE(!is_denied("6.1.0-28-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)"));
}

NATIVE_TEST(choice_passes_a_denied_kernel_over) {
  const Kernel denied = linux_kernel("6.1.115");
  const io::BackendOptions options;
  const io::Opened here = io::open_backend("io_uring", options);
  if (here.backend == nullptr) {
    std::printf("skipped: %s\n", here.reason.c_str());
    std::fflush(nullptr);
    std::_Exit(77);
  }
  const io::Opened automatic = io::open_backend("auto", options, denied);
  REQUIRE(automatic.backend == nullptr || std::string("io_uring") != automatic.name);
  REQUIRE(contains(automatic.reason, "io_uring: not chosen by itself on Linux 6.1.115, where"));

  const io::Opened named = io::open_backend("io_uring", options, denied);
  REQUIRE(named.backend != nullptr);
  REQUIRE(contains(named.reason, "io_uring works here"));
  REQUIRE(contains(named.reason, "not chosen by itself on Linux 6.1.115, where"));

  for (const io::Candidate& candidate : io::probe_backends(io::Taskrun::measured, denied)) {
    if (std::string("io_uring") != candidate.name) continue;
    REQUIRE(candidate.available);
    REQUIRE(!candidate.automatic);
    REQUIRE(!candidate.ends_search);
    REQUIRE(contains(candidate.reason, "6.1.115"));
    REQUIRE(contains(candidate.advice, "IO_BACKEND=io_uring"));
  }
  const Kernel repaired = linux_kernel("6.1.116");
  for (const io::Candidate& candidate : io::probe_backends(io::Taskrun::measured, repaired)) {
    if (std::string("io_uring") == candidate.name) REQUIRE(candidate.automatic);
  }
}

NATIVE_TEST(choice_of_an_unknown_name) {
  const io::Opened opened = io::open_backend("magic", {});
  REQUIRE(opened.backend == nullptr);
  REQUIRE_EQUAL(opened.error, EINVAL);
  REQUIRE(contains(opened.reason, "there is no backend of this name"));
}

NATIVE_TEST(choice_falls_back_on_few_errors) {
  for (const int error : {ENOSYS, EPERM, EACCES, EINVAL}) REQUIRE(io::may_fall_back(error));
  for (const int error : {ENOMEM, EMFILE, ENFILE, EIO, EAGAIN, EFAULT, 0}) {
    REQUIRE(!io::may_fall_back(error));
  }
}

NATIVE_TEST(set_up_halves_until_there_is_room) {
  std::vector<uint32_t> tried;
  const auto with_room_for = [&](uint32_t max) {
    tried.clear();
    return [&tried, max](uint32_t limit) {
      tried.push_back(limit);
      return limit > max ? ENOMEM : 0;
    };
  };
  uint32_t limit = 4104;
  REQUIRE_EQUAL(io::halve_until_room(limit, with_room_for(5000)), 0);
  REQUIRE_EQUAL(limit, 4104);
  REQUIRE(tried == std::vector<uint32_t>({4104}));

  REQUIRE_EQUAL(io::halve_until_room(limit, with_room_for(600)), 0);
  REQUIRE_EQUAL(limit, 513);
  REQUIRE(tried == std::vector<uint32_t>({4104, 2052, 1026, 513}));

  limit = 200;
  REQUIRE_EQUAL(io::halve_until_room(limit, with_room_for(0)), ENOMEM);
  REQUIRE(tried == std::vector<uint32_t>({200, 100, 50, io::ring_room_floor}));

  // The request lies below the floor: there is nothing to halve.
  limit = 10;
  REQUIRE_EQUAL(io::halve_until_room(limit, with_room_for(0)), ENOMEM);
  REQUIRE_EQUAL(limit, 10);

  limit = 4104;
  int calls = 0;
  const auto refuses = [&](uint32_t) { return ++calls == 1 ? EPERM : 0; };
  REQUIRE_EQUAL(io::halve_until_room(limit, refuses), EPERM);
  REQUIRE_EQUAL(calls, 1);
}

NATIVE_TEST(refusals_name_call_error_causes_and_advice) {
  const io::Opened forbidden = io::refuse_io_uring("io_uring_setup", EPERM);
  REQUIRE(forbidden.backend == nullptr);
  REQUIRE_EQUAL(forbidden.error, EPERM);
  for (const char* part : {"io_uring_setup failed with EPERM (", "seccomp", "this process runs",
                           "kernel.io_uring_disabled", "SELinux"}) {
    REQUIRE(contains(forbidden.reason, part));
  }
  REQUIRE(!forbidden.advice.empty());
  REQUIRE(contains(io::refuse_io_uring("io_uring_setup", ENOSYS).reason, "gVisor"));
  REQUIRE(contains(io::refuse_io_uring("io_uring_setup", EINVAL).reason, "older than 5.19"));
  REQUIRE(contains(io::refuse_io_uring("io_uring_setup", ENOMEM).reason, "RLIMIT_MEMLOCK"));
  REQUIRE(contains(io::refuse_io_uring("io_uring_setup", ENOMEM).advice, "inFlightLimit"));
  REQUIRE(contains(io::refuse("epoll_create1", EMFILE).reason, "RLIMIT_NOFILE is "));
  REQUIRE(contains(io::refuse("epoll_create1", EMFILE).advice, "ulimit -n"));
  REQUIRE(contains(io::refuse("epoll_create1", ENFILE).advice, "fs.file-max"));
  REQUIRE(contains(io::refuse("epoll_create1", ENOMEM).reason, "memory limit"));
  REQUIRE(contains(io::refuse("pthread_create", EAGAIN).reason, "RLIMIT_NPROC"));
  REQUIRE(contains(io::refuse("epoll_ctl", ENOSPC).reason, "max_user_watches"));
  REQUIRE(contains(io::refuse("epoll_create1", EIO).reason, "not one of the known causes"));
}

}  // namespace native_tests
