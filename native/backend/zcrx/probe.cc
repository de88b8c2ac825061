// The reason why zcrx is not available: tries one step after the other and describes the first that
// fails.
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "support/check.h"
#include "backend/kernel_version.h"
#include "backend/unavailable.h"
#include "backend/zcrx/zcrx.h"

namespace io {

namespace {

constexpr size_t trial_pages = 16;
// An index that no interface has: with it a registration fails with ENODEV once the kernel, the
// rights and the ring are as they must be, and with something else before.
constexpr uint32_t no_interface = INT32_MAX;

constexpr const char* registering = "io_uring_register(IORING_REGISTER_ZCRX_IFQ)";

ZcrxProbe missing(std::string reason, std::string advice) {
  return {false, std::move(reason), std::move(advice)};
}

ZcrxProbe missing(const char* call, int error, const std::string& cause, std::string advice) {
  return missing(failed_call(call, error) + ": " + cause, std::move(advice));
}

// One ioctl of ethtool(8). 0 or an errno.
template <class T>
int ask_device(const std::string& interface, T& question) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return errno;
  ifreq request = {};
  CHECK(interface.size() < sizeof(request.ifr_name));
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  request.ifr_data = reinterpret_cast<char*>(&question);
  const int error = ioctl(socket, SIOCETHTOOL, &request) < 0 ? errno : 0;
  ::close(socket);
  return error;
}

std::string driver_of(const std::string& interface) {
  ethtool_drvinfo found = {};
  found.cmd = ETHTOOL_GDRVINFO;
  if (ask_device(interface, found) != 0) return "it has no driver that says its name";
  return "its driver is " + std::string(found.driver, strnlen(found.driver, sizeof(found.driver)));
}

// A registration cannot tell whether packets are directed to the queue: rules of the device decide.
std::string steering_of(const std::string& interface) {
  ethtool_rxnfc found = {};
  found.cmd = ETHTOOL_GRXCLSRLCNT;
  const int error = ask_device(interface, found);
  if (error == 0 && found.rule_cnt > 0) {
    return std::to_string(found.rule_cnt) + " flow rules are set on it (ethtool -n " + interface +
           ")";
  }
  const std::string why = error == 0 ? "no flow rule is set on it" : "it has no flow steering";
  return why + ", so what it receives on other queues is copied";
}

std::string steering_advice(const std::string& interface, uint32_t queue) {
  return "direct the wanted packets to the queue (ethtool -N " + interface +
         " flow-type tcp4 dst-port <port> action " + std::to_string(queue) +
         ") and the others away from it (ethtool -X " + interface + " equal <other queues>)";
}

// ---- the kernel and the rights

ZcrxProbe without_kernel(int error) {
  const std::string release = running_kernel().release;
  switch (error) {
    case EPERM:
      return missing(registering, error,
                     "the process has not the capability CAP_NET_ADMIN of the first user namespace",
                     "give it to the process (setcap cap_net_admin+ep $(command -v node), docker "
                     "run --cap-add NET_ADMIN)");
    case EOPNOTSUPP:
      return missing(registering, error,
                     "this kernel (" + release + ") is built without CONFIG_IO_URING_ZCRX",
                     "run a kernel that is built with it");
    case EINVAL:
      return missing(registering, error,
                     "the kernel does not know the call (this is " + release +
                         "; it came with Linux 6.15), or a sandbox imitates io_uring",
                     "run on Linux 6.15 or later");
    case ENOMEM:
      return missing(registering, error,
                     "there is no memory for the refill ring, or none may be "
                     "locked",
                     "raise RLIMIT_MEMLOCK (ulimit -l) and the memory limit");
    default:
      return missing(registering, error, "not one of the known causes", "report it");
  }
}

// ---- the interface

ZcrxProbe without_memory(int error, size_t area_bytes) {
  return missing(registering, error,
                 "the area of " + std::to_string(area_bytes) +
                     " bytes may not be locked in memory, or there is not as much",
                 "raise RLIMIT_MEMLOCK (ulimit -l) and the memory limit, or ask for a smaller "
                 "area");
}

std::string no_queue(const ZcrxOptions& options) {
  return options.interface + " has no receive queue " + std::to_string(options.queue);
}

std::string queue_advice(const ZcrxOptions& options) {
  return "name a lower one, or give it more (ethtool -L " + options.interface +
         " combined <count>)";
}

ZcrxProbe without_interface(const ZcrxOpened& opened, const ZcrxOptions& options) {
  const std::string& name = options.interface;
  const std::string queue = "queue " + std::to_string(options.queue);
  // No device has as many queues, and the kernel keeps the number for itself.
  const int error = options.queue == UINT32_MAX && opened.error == EINVAL ? ERANGE : opened.error;
  switch (error) {
    case ENODEV:
      return missing(opened.call, error,
                     "there is no interface " + name + " in this network namespace",
                     "name one that \"ip link\" shows here");
    case EOPNOTSUPP:
      return missing(opened.call, error,
                     name + " cannot receive into foreign memory: " + driver_of(name) +
                         ", and needs queue management and DMA, which virtual interfaces do not "
                         "have",
                     "use a network device whose driver has it, such as bnxt_en, fbnic, gve and "
                     "mlx5_core in recent kernels");
    case ERANGE:
      return missing(opened.call, error, no_queue(options), queue_advice(options));
    case EINVAL:
      return missing(opened.call, error,
                     "header split is off on " + name +
                         " or does not begin at 0 bytes, so headers would be received into the "
                         "area",
                     "ethtool -G " + name + " tcp-data-split on hds-thresh 0");
    case EEXIST:
      return missing(opened.call, error,
                     queue + " of " + name +
                         " receives into foreign memory already, of another ring that may have "
                         "been closed a moment ago, or an XDP program is attached to " +
                         name,
                     "use another queue, or detach the program (ip link set " + name + " xdp off)");
    case EBUSY:
      return missing(opened.call, error,
                     queue + " of " + name + " is used by AF_XDP or leased to a virtual interface",
                     "use another queue");
    case ENOMEM:
      return without_memory(error, options.area_bytes);
    default:
      return missing(opened.call, error, "not one of the known causes (" + driver_of(name) + ")",
                     "report it, with this line");
  }
}

// ---- the trials

// A ring and an area for one trial, let go in the order that zcrx.h asks for.
class Trial {
 public:
  Trial() {
    options.area_bytes = trial_pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    io_uring_params parameters = {};
    parameters.flags = Zcrx::ring_flags;
    error = -io_uring_queue_init_params(8, &ring_, &parameters);
    if (error != 0) return;
    void* area = mmap(nullptr, options.area_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    options.area = static_cast<uint8_t*>(area);
  }
  ~Trial() {
    if (error != 0) return;
    io_uring_queue_exit(&ring_);
    if (opened.zcrx != nullptr) opened.zcrx->ring_closed();
    opened.zcrx.reset();
    CHECK(munmap(options.area, options.area_bytes) == 0);
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  bool knows_receive() {
    io_uring_probe* known = io_uring_get_probe_ring(&ring_);
    if (known == nullptr) return false;
    const bool knows = io_uring_opcode_supported(known, uapi::op_receive_zero_copy) != 0;
    io_uring_free_probe(known);
    return knows;
  }

  // 0, or the errno that says what of the kernel or of the rights is missing.
  int try_kernel() {
    const int failed = Zcrx::try_index(ring_, options, no_interface);
    return failed == ENODEV ? 0 : failed;
  }

  bool try_interface(const std::string& interface, uint32_t queue) {
    options.interface = interface;
    options.queue = queue;
    opened = Zcrx::open(ring_, options);
    return opened.zcrx != nullptr;
  }

  ZcrxOptions options;
  ZcrxOpened opened;
  int error;  // of the ring; there is none then

 private:
  io_uring ring_;
};

// The kernel and the rights.
ZcrxProbe try_general(Trial& trial) {
  if (trial.error != 0) {
    const Opened refused = refuse_io_uring("io_uring_setup", trial.error);
    return missing(refused.reason + "; a ring with completions of 32 bytes is needed",
                   refused.advice);
  }
  if (!trial.knows_receive()) {
    return missing("the kernel has no IORING_OP_RECV_ZC: it is older than 6.15 (this is " +
                       running_kernel().release + ")",
                   "run on Linux 6.15 or later");
  }
  if (const int error = trial.try_kernel(); error != 0) return without_kernel(error);
  return {true,
          "the kernel has it and the process may use it; whether a device can is found out "
          "by naming the device and a queue of it",
          ""};
}

// True when the system lists the queues of the interface, and this one is not among them.
bool lacks_queue(const ZcrxOptions& options) {
  const std::string folder = "/sys/class/net/" + options.interface + "/queues/rx-";
  if (access((folder + "0").c_str(), F_OK) != 0) return false;
  return access((folder + std::to_string(options.queue)).c_str(), F_OK) != 0;
}

}  // namespace

ZcrxProbe Zcrx::probe(const std::string& interface, uint32_t queue) {
  Trial trial;
  ZcrxProbe general = try_general(trial);
  if (interface.empty() || !general.available) return general;
  if (!trial.try_interface(interface, queue)) return without_interface(trial.opened, trial.options);
  return {true,
          "works on queue " + std::to_string(queue) + " of " + interface + " (" +
              driver_of(interface) + "); " + steering_of(interface),
          steering_advice(interface, queue)};
}

ZcrxProbe Zcrx::look(const ZcrxOptions& options) {
  if (!options.interface.empty()) {
    if (if_nametoindex(options.interface.c_str()) == 0) {
      return without_interface({nullptr, "if_nametoindex", ENODEV}, options);
    }
    if (lacks_queue(options)) return missing(no_queue(options), queue_advice(options));
  }
  Trial trial;
  return try_general(trial);
}

ZcrxProbe Zcrx::why_not(const ZcrxOpened& opened, const ZcrxOptions& options) {
  if (!options.interface.empty()) return without_interface(opened, options);
  if (opened.error == ENOMEM) return without_memory(opened.error, options.area_bytes);
  if (opened.error != EINVAL) return without_kernel(opened.error);
  return missing(opened.call, opened.error,
                 "this kernel (" + running_kernel().release +
                     ") receives into the program's memory only by a device; without one it came "
                     "with Linux 7.1",
                 "name an interface and a queue of it, or run Linux 7.1 or later");
}

}  // namespace io
