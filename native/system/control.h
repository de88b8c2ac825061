// What goes beside the bytes of a message: control messages (cmsg), from and to the record that
// TypeScript and the engine share (control_* in abi.def).
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <vector>

namespace io {

// Writes the control messages of a record into `control`, and names them in the header. `passed`
// are the numbers to be passed. 0 or a negative errno: -EOPNOTSUPP for what this system lacks.
int write_control(const uint8_t* record, const std::vector<int>& passed,
                  std::vector<uint8_t>& control, msghdr& message, int family);

// Room for whatever can come.
void expect_control(std::vector<uint8_t>& control, msghdr& message);

// Of a message that was received: writes all but the descriptors into the record, and appends these
// to `passed`; the caller owns them.
void read_control(msghdr& message, uint8_t* record, std::vector<int>& passed);

}  // namespace io
