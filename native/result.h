// From the kernel's result structures to the fields that abi.def names.
#pragma once

#include <cstdint>

#include "operation.h"

namespace io {

// Writes abi::stat_fields doubles to `out`, which is aligned for them.
void write_stat_result(const Extra& extra, uint8_t* out);

}  // namespace io
