// The ranked candidates and the choice among them. See backend.h.
#include "engine/backend.h"

#include <cerrno>

#include "backend/unavailable.h"

namespace io {

namespace {

// Stands in for a candidate of another system. A program that names it gets the reason.
[[maybe_unused]] Opened open_elsewhere(const char* where) {
  return refuse_missing(
      std::string("it is an interface of ") + where + ", and this is " + running_kernel().system,
      "");
}
[[maybe_unused]] Opened open_on_linux(const BackendOptions&) {
  return open_elsewhere("Linux");
}
[[maybe_unused]] Opened open_on_bsd(const BackendOptions&) {
  return open_elsewhere("macOS and the BSDs");
}

#if IO_HAVE_LIBURING
constexpr auto open_io_uring_here = open_io_uring;
#elif defined(__linux__)
Opened open_io_uring_here(const BackendOptions&) {
  return refuse_missing("the engine was built without liburing",
                        "install liburing-dev, then run npm run build");
}
#endif

struct Ranked {
  const char* name;
  Opened (*open)(const BackendOptions& options);
  // The row that says why it is not chosen by itself on this kernel, if any. May be null.
  const DeniedKernels* (*denied)(const Kernel& kernel);
};

// Best first: an interface that reports completion comes before one that reports readiness. Those
// of other systems come last.
constexpr Ranked ranking[] = {
#if defined(__linux__)
    {"io_uring", open_io_uring_here, denied_for_io_uring},
    {"epoll", open_epoll, nullptr},
#endif
#if IO_HAVE_KQUEUE
    {"kqueue", open_kqueue, nullptr},
#else
    {"kqueue", open_on_bsd, nullptr},
#endif
#if !defined(__linux__)
    {"io_uring", open_on_linux, nullptr},
    {"epoll", open_on_linux, nullptr},
#endif
};

const DeniedKernels* denied_row(const Ranked& candidate, const Kernel& kernel) {
  return candidate.denied == nullptr ? nullptr : candidate.denied(kernel);
}

std::string passed_over(const Kernel& kernel, const DeniedKernels& row) {
  return std::string("not chosen by itself on Linux ") + kernel.release + ", where " + row.reason;
}

constexpr const char* denied_advice =
    "run another kernel, or name it (IO_BACKEND=io_uring) when the distribution has repaired its "
    "own";

// The reasons why `auto` did not take the better candidates.
std::string left_behind(const std::string& reasons) {
  return reasons.empty() ? "" : "; not " + reasons;
}

}  // namespace

bool may_fall_back(int error) {
  return error == ENOSYS || error == EPERM || error == EACCES || error == EINVAL;
}

std::vector<Candidate> probe_backends(Taskrun taskrun, const Kernel& kernel) {
  std::vector<Candidate> found;
  BackendOptions smallest;
  smallest.attached = true;  // as IO.open() opens it
  smallest.taskrun = taskrun;
  smallest.entries = abi::min_entries;
  smallest.in_flight_limit = abi::min_entries;
  for (const Ranked& candidate : ranking) {
    Opened opened = candidate.open(smallest);
    const bool available = opened.backend != nullptr;
    Candidate row = {
        candidate.name,           available, available, false, std::move(opened.reason),
        std::move(opened.advice), {}};
    if (available) {
      row.lacking = opened.backend->facts().lacking;
      row.features = opened.backend->facts().features;
    } else {
      row.ends_search = !may_fall_back(opened.error);
    }
    if (const DeniedKernels* denied = denied_row(candidate, kernel)) {
      row.automatic = false;
      row.ends_search = false;
      row.reason += "; " + passed_over(kernel, *denied);
      row.advice = denied_advice;
    }
    found.push_back(std::move(row));
  }
  return found;
}

Opened open_backend(const std::string& name, const BackendOptions& options, const Kernel& kernel) {
  const bool automatic = name == "auto";
  Opened last;
  std::string reasons;
  last.error = EINVAL;
  last.reason = "there is no backend of this name";
  for (const Ranked& candidate : ranking) {
    if (!automatic && name != candidate.name) continue;
    const DeniedKernels* denied = denied_row(candidate, kernel);
    if (automatic && denied != nullptr) {
      last = refuse_missing(passed_over(kernel, *denied), denied_advice);
    } else {
      last = candidate.open(options);
    }
    last.name = candidate.name;
    if (last.backend != nullptr && denied != nullptr) {
      last.reason += "; " + passed_over(kernel, *denied);
      // These hang when more completes than the ring holds.
      if (last.ring_room != 0)
        last.in_flight_limit = std::min(last.in_flight_limit, last.ring_room);
    }
    if (last.backend != nullptr) {
      last.reason += left_behind(reasons);
      return last;
    }
    if (!reasons.empty()) reasons += "; ";
    reasons += std::string(candidate.name) + ": " + last.reason;
    if (!may_fall_back(last.error)) break;
  }
  // With a name the caller itself says which backend this is about.
  if (automatic) last.reason = reasons;
  return last;
}

}  // namespace io
