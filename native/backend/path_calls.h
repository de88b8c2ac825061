// The system calls of operations on paths. See calls.h.
#pragma once

#include <cstdint>

#include "engine/operation.h"

namespace io {

// Of an operation with the trait `resolves`.
int32_t perform_on_path(Operation& operation);

}  // namespace io
