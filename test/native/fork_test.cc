// A process that forks without starting another program: the child must not be able to touch the
// parent's rings, and what the parent has in flight goes on.
#if defined(__linux__)

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "support.h"

namespace native_tests {

namespace {

// 0 when nothing of io_uring is mapped here. Runs in the child, which may only end by _exit().
int look_for_rings() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("io_uring") != std::string::npos) return 1;
  }
  return maps.eof() ? 0 : 2;
}

int status_of(pid_t child) {
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  REQUIRE_EQUAL(ended, child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

NATIVE_TEST(fork_without_exec_shares_no_ring) {
  Rig rig;
  Memory memory(16);
  const uint32_t buffer = rig.add_buffer(memory.bytes.get(), 16);
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const int32_t reader = rig.engine->adopt(ends[0]);
  int32_t received = -1;
  rig.queue(transfer_entry(Opcode::receive, reader, buffer, 0, 16),
            [&](int32_t result, uint32_t) { received = result; });
  rig.submit();

  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(look_for_rings());
  REQUIRE_EQUAL(status_of(child), 0);

  REQUIRE_EQUAL(received, -1);
  REQUIRE(::write(ends[1], "hello", 5) == 5);
  rig.run();
  REQUIRE_EQUAL(received, 5);
  REQUIRE_EQUAL(rig.call(entry_of(Opcode::nop)), 0);
  ::close(ends[1]);
}

}  // namespace native_tests

#endif
