// The systems that the layer can be. See systems.h.
#include "systems.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kqueue_layer {

namespace {

// kern.ipc.* and net.local.dgram.* of the systems as they are installed.
constexpr System systems[] = {
    {},
    {.name = "macos",
     .fifo_is_its_bytes = true,
     .fifo_end_is_reported_once = true,
     .device_counts_nothing = true,
     .ended_process_is_unknown = true,
     .is_bsd = true,
     .is_darwin = true,
     .udp_send_bytes = 9216,
     .unix_send_bytes = 2048,
     .unix_receive_bytes = 4096},
    {.name = "freebsd",
     .is_bsd = true,
     .udp_send_bytes = 9216,
     .unix_send_bytes = 2048,
     .unix_receive_bytes = 16384,
     .v6_only = true},
    {.name = "netbsd",
     .gone_pipe_error = EBADF,
     .fifo_end_is_reported_once = true,
     .ended_process_is_unknown = true,
     .unlink_of_one_is_link = true,
     .is_bsd = true,
     .udp_send_bytes = 9216,
     .unix_send_bytes = 2048,
     .unix_receive_bytes = 4096,
     .v6_only = true},
    {.name = "openbsd",
     .ended_process_is_unknown = true,
     .rename_is_posted_early = true,
     .is_bsd = true,
     .udp_send_bytes = 9216,
     .unix_send_bytes = 2048,
     .unix_receive_bytes = 4096,
     .v6_only = true,
     .v6_only_is_fixed = true},
};

const System& find_system() {
  const char* wish = std::getenv("IO_KQUEUE_SYSTEM");
  if (wish == nullptr || *wish == '\0') return systems[0];
  for (const System& system : systems) {
    if (std::strcmp(system.name, wish) == 0) return system;
  }
  std::fprintf(stderr, "IO_KQUEUE_SYSTEM names no system of test/kqueue: %s\n", wish);
  std::abort();
}

}  // namespace

const System& system_here() {
  static const System& system = find_system();
  return system;
}

}  // namespace kqueue_layer
