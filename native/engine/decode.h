// From an entry, whose memory JavaScript may have overwritten, to a checked operation.
#pragma once

#include "abi/abi.h"
#include "engine/buffers.h"
#include "engine/descriptors.h"
#include "engine/buffer_groups.h"
#include "engine/operation.h"

namespace io {

struct DecodeContext {
  Buffers& buffers;
  Descriptors& descriptors;
  BufferGroups& groups;
  const uint8_t* text;  // text_size_bytes of it
  uint32_t& unref;      // operations in flight that keep no event loop alive
  bool in_chain = false;
};

// Fills `operation` and takes the descriptor and the buffers into use. Returns 0, or a negative
// errno; then nothing has been taken into use.
int decode(const abi::Entry& entry, const DecodeContext& context, Operation& operation);

// Releases the memory and descriptor that decode() took into use; the descriptor may go first,
// once.
void let_go_of_descriptor(const DecodeContext& context, Operation& operation);
// Of an operation that waits for its turn in a chain: nothing counts it as in flight on its
// descriptors meanwhile.
void leave_descriptors(const DecodeContext& context, Operation& operation);
void join_descriptors(const DecodeContext& context, Operation& operation);
void let_go(const DecodeContext& context, Operation& operation);

}  // namespace io
