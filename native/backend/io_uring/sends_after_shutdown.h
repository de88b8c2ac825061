// Stream sockets whose sending was shut down: no event ends a send that waits there.
//
// A shutdown wakes what waits at that moment. But unix_poll() of Linux 6.18 does not report a unix
// socket as writable after it, unless both directions are shut. The kernel makes a shutdown in a
// worker, so a send may begin to wait just after it: the rest of a send that waits for space before
// it is tried, or one that the writable epoll has (writable_sockets.h). Such a send would wait
// until the peer reads or closes. So a send that is given to the kernel later does not wait. One
// that waits at the time when the shutdown completes gets a cancel of our own, and ends with the
// EPIPE that a further try would get.
#pragma once

#include <sys/socket.h>

#include "backend/io_uring/shut_sockets.h"

namespace io::uring {

class SendsAfterShutdown : public ShutSockets {
 public:
  // A shutdown has succeeded.
  void note(const Operation& shutdown, const Descriptor& descriptor) {
    if (shutdown.argument != SHUT_RD && descriptor.is_stream) add(shutdown.number);
  }

  static bool is_send(abi::Opcode opcode) { return is(opcode, trait::sends | trait::writes); }

  // `end` ends a send that may wait; it returns false when that is not possible now.
  template <class End>
  void end_waiting(Descriptors& descriptors, End end) {
    const auto waits = [](const Operation& operation) {
      return is_send(operation.opcode) && !operation.batched;
    };
    ShutSockets::end_waiting(descriptors, waits, end);
  }
};

}  // namespace io::uring
