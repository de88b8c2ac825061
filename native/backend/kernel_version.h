// Which kernel this is, and the kernels on which io_uring is not chosen by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace io {

// A version as one number, so that versions compare as numbers do. Linux has had a patch level of
// 337, so one byte per part, as in the kernel's own macro, is not enough.
using KernelVersion = uint64_t;

constexpr KernelVersion kernel_version(uint32_t first, uint32_t second, uint32_t patch) {
  return static_cast<KernelVersion>(first) << 40 | static_cast<KernelVersion>(second) << 20 | patch;
}
inline constexpr uint32_t kernel_part_limit = 1 << 20;

struct Kernel {
  std::string system;   // uname -s: "Linux"
  std::string release;  // uname -r: "6.1.0-27-amd64"
  std::string build;    // uname -v: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.115-1 (2024-11-01)"
};

Kernel running_kernel();

// "6.18.44-fc-v595" is 6.18.44 and "7.3" is 7.3.0; nothing when it does not begin with a version.
std::optional<KernelVersion> parse_release(std::string_view release);
// The upstream version that the kernel was built from. The release of Debian's kernels always has
// patch level 0; the build string has the real one.
std::optional<KernelVersion> version_of(const Kernel& kernel);

struct DeniedKernels {
  KernelVersion from;
  KernelVersion to;    // the last one
  const char* reason;  // a sentence without its end
};

// The row that names this kernel, or nullptr.
const DeniedKernels* denied_for_io_uring(const Kernel& kernel);

}  // namespace io
