// Datagram sockets whose receiving was shut down.
//
// A receive that would wait there is at the end: a blocking one gets 0 from the kernel. A
// non-blocking one gets EAGAIN, and the poll that io_uring arms then reports readiness at once. So
// a single receive is tried 128 times, blocks in a worker, and ends, and a multishot one never ends
// (seen on Linux 6.18). Here receives do not wait on such a socket, and EAGAIN is the end. Receives
// that waited before get a cancel of our own.
#pragma once

#include "backend/calls.h"
#include "backend/io_uring/shut_sockets.h"

namespace io::uring {

class ReceivesAfterShutdown : public ShutSockets {
 public:
  void note(const Operation& shutdown, int32_t result) {
    if (ends_datagrams(shutdown, result)) add(shutdown.number);
  }

  static bool is_receive(abi::Opcode opcode) { return is(opcode, trait::receives); }

  // `end` asks the kernel to cancel a waiting receive; it returns false when that cannot be asked
  // now.
  template <class End>
  void end_waiting(Descriptors& descriptors, End end) {
    const auto waits = [](const Operation& operation) { return is_receive(operation.opcode); };
    ShutSockets::end_waiting(descriptors, waits, end);
  }
};

}  // namespace io::uring
