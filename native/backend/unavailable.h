// The sentences that say why a backend is not available: the call, its error, every likely cause
// with what this machine says of it, and what to change.
#pragma once

#include <string>

#include "engine/backend.h"

namespace io {

// "io_uring_setup failed with EPERM (Operation not permitted)"
std::string failed_call(const char* call, int error);

// No backend, because a call failed: EMFILE, ENFILE and ENOMEM mean the same for all backends.
Opened refuse(const char* call, int error);
// The same for a call of io_uring, whose other errors have causes of their own.
Opened refuse_io_uring(const char* call, int error);
// No backend, because the machine has no such thing.
Opened refuse_missing(std::string reason, std::string advice);

}  // namespace io
