// The binary interface between TypeScript and the engine: constants and entry layouts made from
// abi.def, with the layouts pinned at compile time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/traits.h"

namespace io::abi {

// The highest number of an operation. Not all numbers below it are one.
inline constexpr uint32_t max_operation = [] {
  uint32_t max = 0;
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) \
  max = number > max ? number : max;
#include "abi/abi.def"
  return max;
}();

#define IO_CONSTANT(name, value) inline constexpr uint32_t name = value;
#include "abi/abi.def"

enum class Counter : uint32_t {
#define IO_COUNTER(name) name,
#include "abi/abi.def"
  count
};
inline constexpr size_t counter_count = static_cast<size_t>(Counter::count);

struct Entry {
  uint32_t operation;  // the operation number, flags above it
  uint32_t slot;
  uint32_t generation;
  int32_t descriptor;
  uint32_t buffer;  // handle of the memory that is read or written
  uint32_t length;
  double buffer_offset;
  double offset;
  double extent;
  double deadline_ns;
  uint32_t argument;
  uint32_t argument_extra;
};

struct CompletionEntry {
  uint32_t slot;
  uint32_t generation;
  int32_t result;
  uint32_t flags;
};

// One buffer of a vectored operation, as it stands in the text area.
struct VectorEntry {
  double buffer;
  double offset;
  double length;
};

#define IO_ENTRY_WORD(name, word) static_assert(offsetof(Entry, name) == (word)*4);
#define IO_ENTRY_DOUBLE(name, index) static_assert(offsetof(Entry, name) == (index)*8);
#define IO_COMPLETION_WORD(name, word) static_assert(offsetof(CompletionEntry, name) == (word)*4);
#include "abi/abi.def"

static_assert(sizeof(Entry) == 64);
static_assert(sizeof(CompletionEntry) == 16);
static_assert(sizeof(VectorEntry) == 24);

}  // namespace io::abi
