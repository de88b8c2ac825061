// The kernel's name taken apart, and the list of kernels whose io_uring is broken. See
// kernel_version.h.
#include "backend/kernel_version.h"

#include <sys/utsname.h>

#include <charconv>
#include <iterator>

namespace io {

namespace {

// Only kernels on which a program that does nothing wrong loses its process or its data, and only
// where the releases are known from the kernel's own history; docs/guides/backends.md has what else
// is known and why it is not here.
//
// CVE-2024-50060: the fix for long overflow flushes ("io_uring: check if we need to reschedule
// during overflow flush") went into two stable series without the change that it builds on
// ("io_uring: always lock __io_cqring_overflow_flush"), and released a lock that it did not hold.
constexpr const char* overflow_reason =
    "a completion ring that overflows hangs the process for good, so that not even SIGKILL ends "
    "it (nodejs/node#55587)";

constexpr DeniedKernels denied[] = {
    {kernel_version(6, 1, 113), kernel_version(6, 1, 115), overflow_reason},
    {kernel_version(6, 6, 57), kernel_version(6, 6, 59), overflow_reason},
};

constexpr bool in_order() {
  for (size_t row = 0; row < std::size(denied); row++) {
    if (denied[row].from > denied[row].to) return false;
    if (row > 0 && denied[row - 1].to >= denied[row].from) return false;
  }
  return true;
}
static_assert(in_order());

// Takes a number from the front of `text`; false when there is none, or none that makes sense.
bool take_part(std::string_view& text, uint32_t& part) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
  if (error != std::errc() || part >= kernel_part_limit) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take_dot(std::string_view& text) {
  if (!text.starts_with('.')) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Kernel running_kernel() {
  utsname names;
  // It can only fail for an address that is not ours.
  if (uname(&names) != 0) return {};
  return {names.sysname, names.release, names.version};
}

std::optional<KernelVersion> parse_release(std::string_view release) {
  uint32_t first = 0;
  uint32_t second = 0;
  uint32_t patch = 0;
  if (!take_part(release, first) || !take_dot(release) || !take_part(release, second)) {
    return std::nullopt;
  }
  // "7.3", "7.3-rc2" and "6.1.y" have no patch level.
  if (take_dot(release) && !take_part(release, patch)) patch = 0;
  return kernel_version(first, second, patch);
}

std::optional<KernelVersion> version_of(const Kernel& kernel) {
  const std::optional<KernelVersion> version = parse_release(kernel.release);
  constexpr std::string_view mark = " Debian ";
  const size_t place = kernel.build.find(mark);
  if (!version || place == std::string::npos) return version;
  const auto real = parse_release(std::string_view(kernel.build).substr(place + mark.size()));
  constexpr KernelVersion series = ~static_cast<KernelVersion>(kernel_part_limit - 1);
  // A build that names another series says something else.
  if (real && (*real & series) == (*version & series)) return real;
  return version;
}

const DeniedKernels* denied_for_io_uring(const Kernel& kernel) {
  const std::optional<KernelVersion> version = version_of(kernel);
  if (!version) return nullptr;
  for (const DeniedKernels& row : denied) {
    if (*version >= row.from && *version <= row.to) return &row;
  }
  return nullptr;
}

}  // namespace io
