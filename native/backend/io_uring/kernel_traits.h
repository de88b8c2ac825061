// The gaps and faults of the running kernel's io_uring, and the workarounds. They are detected once
// in a process; all other code asks the struct. The list is kernel_traits.def.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <optional>
#include <string>

#include "backend/kernel_version.h"

namespace io::uring {

// For each row of the list: whether its workaround is active here.
struct KernelTraits {
#define IO_KERNEL_TRAIT(name, how, kernels, done, side, file, test) bool name = false;
#include "backend/io_uring/kernel_traits.def"
};

// Any thread may call it. The first call uses the ring, on which nothing may be in flight yet;
// `known` is the ring's list of operations.
KernelTraits kernel_traits(io_uring& ring, const io_uring_probe& known);

// Traits that only the version shows. A kernel without a known version counts as old.
void find_by_version(const std::optional<KernelVersion>& version, KernelTraits& traits);

// abi::feature_* of a kernel.
uint32_t features_of(const KernelTraits& traits);

// Names of the traits that are active here and not on every kernel, with commas; empty for none.
std::string active_traits(const KernelTraits& traits);

}  // namespace io::uring
