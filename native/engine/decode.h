// From an entry, which anybody may have scribbled on, to a checked operation.
#pragma once

#include "abi/abi.h"
#include "engine/buffers.h"
#include "engine/descriptors.h"
#include "engine/groups.h"
#include "engine/operation.h"

namespace io {

struct DecodeContext {
  Buffers& buffers;
  Descriptors& descriptors;
  Groups& groups;
  const uint8_t* text;  // text_size_bytes of it
  uint32_t& unref;      // operations in flight that keep no event loop alive
};

// Fills `operation` and takes the descriptor and the buffers into use. Returns 0, or a negative
// errno; then nothing has been taken into use.
int decode(const abi::Entry& entry, const DecodeContext& context, Operation& operation);

// Gives back what decode() took into use; the descriptor may go first, once.
void let_go_of_descriptor(const DecodeContext& context, Operation& operation);
void let_go(const DecodeContext& context, Operation& operation);

}  // namespace io
