// What the running kernel's io_uring lacks or gets wrong, and what is done about it. It is found
// out once in a process; everything else asks the struct. The list is kernel_traits.def.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <optional>
#include <string>

#include "backend/kernel.h"

namespace io::uring {

// Of each row of the list: whether what it says is done here.
struct KernelTraits {
#define IO_KERNEL_TRAIT(name, how, kernels, done, side, file, test) bool name = false;
#include "backend/io_uring/kernel_traits.def"
};

// Any thread may ask. The first call asks the ring, on which nothing may be in flight yet; `known`
// is what it lists.
KernelTraits kernel_traits(io_uring& ring, const io_uring_probe& known);

// What only the version tells. A kernel that does not say which it is has none of what is newer.
void find_by_version(const std::optional<KernelVersion>& version, KernelTraits& traits);

// abi::feature_* of a kernel.
uint32_t features_of(const KernelTraits& traits);

// Names of those that are active here and not on every kernel, with commas; empty for none.
std::string active_traits(const KernelTraits& traits);

}  // namespace io::uring
