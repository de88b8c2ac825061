// The ranked candidates and the choice among them. See backend.h.
#include "backend.h"

#include <cerrno>

namespace io {

namespace {

struct Ranked {
  const char* name;
  Opened (*open)(const BackendOptions& options);
};

#if !IO_HAVE_LIBURING
Opened no_io_uring(const BackendOptions&) {
  Opened opened;
  opened.reason = "built without liburing: install liburing-dev and build again";
  opened.error = ENOSYS;
  return opened;
}
#endif

constexpr Ranked candidates[] = {
#if IO_HAVE_LIBURING
    {"io_uring", open_io_uring},
#else
    {"io_uring", no_io_uring},
#endif
};

}  // namespace

std::vector<Candidate> probe_backends() {
  std::vector<Candidate> found;
  BackendOptions smallest;
  smallest.entries = abi::entries_least;
  smallest.in_flight_limit = abi::entries_least;
  for (const Ranked& candidate : candidates) {
    const Opened opened = candidate.open(smallest);
    found.push_back({candidate.name, opened.backend != nullptr, opened.reason});
  }
  return found;
}

Opened open_backend(const std::string& name, const BackendOptions& options) {
  Opened last;
  std::string reasons;
  bool known = false;
  for (const Ranked& candidate : candidates) {
    if (name != "auto" && name != candidate.name) continue;
    known = true;
    last = candidate.open(options);
    last.name = candidate.name;
    if (last.backend != nullptr || last.fatal) {
      last.reason = reasons + last.reason;
      return last;
    }
    reasons += std::string(candidate.name) + ": " + last.reason + "; ";
  }
  if (!known) {
    last.error = EINVAL;
    last.reason = "there is no backend of this name";
  }
  return last;
}

}  // namespace io
