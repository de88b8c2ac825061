// The loss of a system call or descriptor that a backend cannot work without.
#pragma once

namespace io {

// A call failed that fails for nothing that an operation has done: the program has forbidden it to
// itself by now (seccomp), or other code has closed a descriptor of the backend.
struct Loss {
  const char* call = "";
  int error = 0;  // 0: nothing is lost
};

}  // namespace io
