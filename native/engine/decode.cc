// Checks of entries: every handle, bound, offset and number that JavaScript wrote. See decode.h.
#include "engine/decode.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "system/address.h"
#include "support/check.h"

namespace io {

namespace {

constexpr double offset_limit = 9007199254740991.0;  // 2^53 - 1

bool whole(double value, int64_t& out) {
  if (!(value >= 0 && value <= offset_limit)) return false;  // false for NaN too
  if (value != std::floor(value)) return false;
  out = static_cast<int64_t>(value);
  return true;
}

int decode_offset(const abi::Entry& entry, Operation& operation) {
  if (entry.offset == -1) {
    operation.offset = -1;  // the current position
    return 0;
  }
  return whole(entry.offset, operation.offset) ? 0 : -EINVAL;
}

int decode_descriptor(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  Descriptor* descriptor = context.descriptors.find(entry.descriptor);
  if (descriptor == nullptr) return -EBADF;
  if (descriptor->closing) return -EBADF;
  operation.number = Descriptors::number(entry.descriptor);
  return 0;
}

// What is known of the socket decides how the kernel is asked.
int decode_socket_use(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_descriptor(entry, context, operation);
  if (error != 0) return error;
  const Descriptor& descriptor = context.descriptors.at(operation.number);
  operation.poll_first = descriptor.receive_empty;
  operation.unix_datagram = descriptor.unix_datagram;
  return 0;
}

// How a send treats its memory; `flags` may stand above it in `argument`.
int decode_zero_copy(const abi::Entry& entry, uint32_t flags, Operation& operation) {
  const uint32_t mode = entry.argument & ~flags;
  if (mode > abi::zero_copy_always) return -EINVAL;
  operation.zero_copy_mode = static_cast<uint8_t>(mode);
  return 0;
}

int decode_memory(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  Buffer* buffer = context.buffers.find(entry.buffer);
  if (buffer == nullptr) return -EFAULT;
  uint8_t* address = nullptr;
  if (!context.buffers.resolve(*buffer, entry.buffer_offset, entry.length, address)) return -EFAULT;
  operation.buffer = entry.buffer;
  operation.registered_index = buffer->registered_index;
  operation.address = address;
  operation.length =
      entry.length > abi::transfer_limit_bytes ? abi::transfer_limit_bytes : entry.length;
  return 0;
}

// A piece of the text area, or null when it does not lie inside.
const char* text_at(const DecodeContext& context, double offset, uint32_t length) {
  int64_t start = 0;
  if (!whole(offset, start)) return nullptr;
  if (start > abi::text_size_bytes || length > abi::text_size_bytes - start) return nullptr;
  return reinterpret_cast<const char*>(context.text + start);
}

int decode_path(const DecodeContext& context, double offset, uint32_t length, std::string& path) {
  const char* text = text_at(context, offset, length);
  if (text == nullptr) return -EFAULT;
  if (length == 0) return -ENOENT;
  path.assign(text, length);
  return path.find('\0') == std::string::npos ? 0 : -EINVAL;
}

// The kernel takes the pieces of a vector as mapped memory when all lie in the same.
int32_t registered_index_of_all(const Extra& extra, const DecodeContext& context) {
  const uint32_t first = extra.more_buffers.front();
  for (const uint32_t handle : extra.more_buffers) {
    if (handle != first) return not_registered;
  }
  return context.buffers.find(first)->registered_index;
}

int decode_vectors(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const uint32_t count = entry.length;
  if (count == 0 || count > abi::vector_limit) return -EINVAL;
  const char* text = text_at(context, entry.buffer_offset, count * sizeof(abi::VectorEntry));
  if (text == nullptr) return -EFAULT;
  Extra& extra = operation.need_extra();
  extra.vectors.clear();
  extra.more_buffers.clear();
  // Linux cuts what is too much at once, macOS refuses it (EINVAL): so it is cut here.
  size_t room = abi::transfer_limit_bytes;
  for (uint32_t index = 0; index < count; index++) {
    abi::VectorEntry vector;
    std::memcpy(&vector, text + index * sizeof(vector), sizeof(vector));
    int64_t handle = 0;
    if (!whole(vector.buffer, handle) || handle > UINT32_MAX) return -EFAULT;
    Buffer* buffer = context.buffers.find(static_cast<uint32_t>(handle));
    if (buffer == nullptr) return -EFAULT;
    uint8_t* address = nullptr;
    if (!context.buffers.resolve(*buffer, vector.offset, vector.length, address)) return -EFAULT;
    const size_t length = std::min(static_cast<size_t>(vector.length), room);
    room -= length;
    extra.vectors.push_back({address, length});
    extra.more_buffers.push_back(static_cast<uint32_t>(handle));
  }
  extra.set_message();
  operation.length = static_cast<uint32_t>(abi::transfer_limit_bytes - room);
  operation.registered_index = registered_index_of_all(extra, context);
  return 0;
}

// The family stands in `argument`, the port in `argument_extra`, host or path in the text area.
int decode_address(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const char* text = text_at(context, entry.buffer_offset, entry.length);
  if (text == nullptr) return -EFAULT;
  Extra& extra = operation.need_extra();
  return parse_address({entry.argument, entry.argument_extra, std::string(text, entry.length)},
                       extra.address, extra.address_size_bytes);
}

int decode_open(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if ((entry.argument & ~abi::open_flags_all) != 0) return -EINVAL;
  if ((entry.argument_extra & ~07777u) != 0) return -EINVAL;
  operation.argument = entry.argument;
  operation.argument_extra = entry.argument_extra;
  return decode_path(context, entry.buffer_offset, entry.length, operation.need_extra().path);
}

// The result goes into a Float64Array of the caller: eight bytes a field, aligned.
int decode_stat(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  Buffer* buffer = context.buffers.find(entry.buffer);
  if (buffer == nullptr) return -EFAULT;
  constexpr double size_bytes = abi::stat_fields * sizeof(double);
  if (!context.buffers.resolve(*buffer, entry.buffer_offset, size_bytes, operation.address)) {
    return -EFAULT;
  }
  if (reinterpret_cast<uintptr_t>(operation.address) % sizeof(double) != 0) return -EFAULT;
  operation.buffer = entry.buffer;
  operation.argument = entry.argument;
  Extra& extra = operation.need_extra();
  extra.path.clear();
  if (entry.argument == abi::stat_by_descriptor) {
    return decode_descriptor(entry, context, operation);
  }
  return decode_path(context, entry.offset, entry.length, extra.path);
}

int decode_file_range(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if (!whole(entry.offset, operation.offset)) return -EINVAL;
  if (!whole(entry.extent, operation.extent)) return -EINVAL;
  operation.argument = entry.argument;
  return decode_descriptor(entry, context, operation);
}

// The socket stands where every operation has its descriptor, the file in `argument`.
int decode_send_file(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const auto file = static_cast<int32_t>(entry.argument);
  const Descriptor* source = context.descriptors.find(file);
  if (source == nullptr || source->closing || file == entry.descriptor) return -EBADF;
  operation.source = Descriptors::number(file);
  operation.length = std::min(entry.length, abi::transfer_limit_bytes);
  if (!whole(entry.offset, operation.offset)) return -EINVAL;
  return decode_descriptor(entry, context, operation);
}

int decode_two_paths(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  Extra& extra = operation.need_extra();
  const int from = decode_path(context, entry.buffer_offset, entry.length, extra.path);
  if (from != 0) return from;
  return decode_path(context, entry.offset, entry.argument, extra.path_to);
}

int decode_kind(uint32_t kind, Operation& operation) {
  if (kind != abi::socket_kind_stream && kind != abi::socket_kind_datagram) return -EINVAL;
  operation.argument_extra = kind == abi::socket_kind_stream ? SOCK_STREAM : SOCK_DGRAM;
  return 0;
}

int decode_socket(const abi::Entry& entry, const DecodeContext&, Operation& operation) {
  const int error = decode_kind(entry.argument_extra, operation);
  if (error != 0) return error;
  switch (entry.argument) {
    case abi::family_ipv4:
      operation.argument = AF_INET;
      return 0;
    case abi::family_ipv6:
      operation.argument = AF_INET6;
      return 0;
    case abi::family_unix:
      operation.argument = AF_UNIX;
      return 0;
    default:
      return -EAFNOSUPPORT;
  }
}

int decode_send(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_socket_use(entry, context, operation);
  if (error != 0) return error;
  if (decode_zero_copy(entry, 0, operation) != 0) return -EINVAL;
  return operation.opcode == abi::Opcode::send ? decode_memory(entry, context, operation)
                                               : decode_vectors(entry, context, operation);
}

// One piece of memory, as a message has it.
int decode_message_memory(const abi::Entry& entry, const DecodeContext& context,
                          Operation& operation) {
  const int error = decode_memory(entry, context, operation);
  if (error != 0) return error;
  Extra& extra = operation.need_extra();
  extra.vectors.assign(1, {operation.address, operation.length});
  extra.more_buffers.clear();
  extra.set_message();
  return 0;
}

// `offset` is where the record of the address stands in the text area, -1 when there is none.
int decode_send_message(const abi::Entry& entry, const DecodeContext& context,
                        Operation& operation) {
  int error = decode_socket_use(entry, context, operation);
  if (error != 0) return error;
  if (decode_zero_copy(entry, abi::message_vectored, operation) != 0) return -EINVAL;
  const bool vectored = (entry.argument & abi::message_vectored) != 0;
  error = vectored ? decode_vectors(entry, context, operation)
                   : decode_message_memory(entry, context, operation);
  if (error != 0 || entry.offset == -1) return error;
  const char* record = text_at(context, entry.offset, abi::peer_size_bytes);
  if (record == nullptr) return -EFAULT;
  Extra& extra = *operation.extra;
  extra.message.msg_name = &extra.address;
  const int result = read_record(reinterpret_cast<const uint8_t*>(record), extra.address,
                                 extra.address_size_bytes);
  extra.message.msg_namelen = extra.address_size_bytes;
  return result;
}

// The record of the sender is written to `offset` of the buffer whose handle is in `argument`.
int decode_receive_message(const abi::Entry& entry, const DecodeContext& context,
                           Operation& operation) {
  int error = decode_socket_use(entry, context, operation);
  if (error != 0) return error;
  error = decode_message_memory(entry, context, operation);
  if (error != 0) return error;
  Extra& extra = *operation.extra;
  Buffer* buffer = context.buffers.find(entry.argument);
  if (buffer == nullptr) return -EFAULT;
  if (!context.buffers.resolve(*buffer, entry.offset, abi::peer_size_bytes, extra.peer)) {
    return -EFAULT;
  }
  extra.more_buffers.push_back(entry.argument);
  extra.message.msg_name = &extra.address;
  extra.message.msg_namelen = sizeof(extra.address);
  return 0;
}

int decode_shutdown(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  switch (entry.argument) {
    case abi::shutdown_receive:
      operation.argument = SHUT_RD;
      break;
    case abi::shutdown_send:
      operation.argument = SHUT_WR;
      break;
    case abi::shutdown_both:
      operation.argument = SHUT_RDWR;
      break;
    default:
      return -EINVAL;
  }
  return decode_descriptor(entry, context, operation);
}

// The group stands in `argument`, a limit of bytes in `extent`, which is 0 for none.
int decode_receive_multishot(const abi::Entry& entry, const DecodeContext& context,
                             Operation& operation) {
  if (!context.groups.has(entry.argument, Lot::bytes)) return -EINVAL;
  if (!whole(entry.extent, operation.extent) || operation.extent > INT32_MAX) return -EINVAL;
  operation.argument = entry.argument;
  return decode_descriptor(entry, context, operation);
}

// The sender and the flags of each message are written into its piece, so the header here is only
// what the call asks for.
int decode_receive_message_multishot(const abi::Entry& entry, const DecodeContext& context,
                                     Operation& operation) {
  if (!context.groups.has(entry.argument, Lot::message)) return -EINVAL;
  operation.argument = entry.argument;
  operation.extent = 0;
  Extra& extra = operation.need_extra();
  extra.more_buffers.clear();
  std::memset(&extra.message, 0, sizeof(extra.message));
  return decode_descriptor(entry, context, operation);
}

// ---- one function for each form of abi.def that needs no more than the above

int decode_nothing(const abi::Entry&, const DecodeContext&, Operation&) {
  return 0;
}

int decode_duration(const abi::Entry& entry, const DecodeContext&, Operation& operation) {
  return whole(entry.offset, operation.offset) ? 0 : -EINVAL;
}

int decode_target(const abi::Entry& entry, const DecodeContext&, Operation& operation) {
  operation.argument = entry.argument;
  operation.argument_extra = entry.argument_extra;
  return 0;
}

int decode_place(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_descriptor(entry, context, operation);
  return error != 0 ? error : decode_offset(entry, operation);
}

int decode_transfer(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_place(entry, context, operation);
  return error != 0 ? error : decode_memory(entry, context, operation);
}

int decode_vectored_transfer(const abi::Entry& entry, const DecodeContext& context,
                             Operation& operation) {
  const int error = decode_place(entry, context, operation);
  return error != 0 ? error : decode_vectors(entry, context, operation);
}

int decode_receive(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_socket_use(entry, context, operation);
  return error != 0 ? error : decode_memory(entry, context, operation);
}

int decode_descriptor_and_address(const abi::Entry& entry, const DecodeContext& context,
                                  Operation& operation) {
  const int error = decode_descriptor(entry, context, operation);
  return error != 0 ? error : decode_address(entry, context, operation);
}

int decode_listen(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if (entry.argument > INT32_MAX) return -EINVAL;
  operation.argument = entry.argument;
  return decode_descriptor(entry, context, operation);
}

int decode_sync(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if (entry.argument < abi::sync_level_data || entry.argument > abi::sync_level_barrier) {
    return -EINVAL;
  }
  operation.argument = entry.argument;
  return decode_descriptor(entry, context, operation);
}

// The path stands at `offset`, its length in `argument`.
int decode_path_into_memory(const abi::Entry& entry, const DecodeContext& context,
                            Operation& operation) {
  const int error = decode_path(context, entry.offset, entry.argument, operation.need_extra().path);
  return error != 0 ? error : decode_memory(entry, context, operation);
}

// The argument is a mode, or 1 or 0.
int decode_path_and_argument(const abi::Entry& entry, const DecodeContext& context,
                             Operation& operation) {
  if (entry.argument > 07777) return -EINVAL;
  operation.argument = entry.argument;
  return decode_path(context, entry.buffer_offset, entry.length, operation.need_extra().path);
}

int decode_fields(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  switch (operation.opcode) {
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) \
  case abi::Opcode::name:                                              \
    return decode_##form(entry, context, operation);
#include "abi/abi.def"
  }
  return -EINVAL;  // no such operation
}

void take_into_use(const DecodeContext& context, Operation& operation, bool unref) {
  // A close is not in flight on its descriptor: it waits for those that are.
  if (operation.number != no_descriptor && !is(operation.opcode, trait::closes)) {
    Descriptor& descriptor = context.descriptors.at(operation.number);
    descriptor.operations.push(operation);
    descriptor.in_flight++;
    if (descriptor.unref) context.unref++;
    operation.uses |= uses_descriptor;
  }
  if (is(operation.opcode, trait::from_file)) {
    operation.need_extra();
    context.descriptors.at(operation.source).senders.push(operation);
    operation.uses |= uses_source;
  }
  if (operation.buffer != no_buffer) {
    context.buffers.begin(operation.buffer);
    operation.uses |= uses_buffer;
  }
  if (is(operation.opcode, trait::more_buffers)) {
    for (const uint32_t buffer : operation.extra->more_buffers) context.buffers.begin(buffer);
    operation.uses |= uses_more_buffers;
  }
  if (is(operation.opcode, trait::buffer_select)) {
    context.groups.begin(operation.argument);
    operation.uses |= uses_group;
  }
  // One with a descriptor is counted by that.
  if (unref && operation.number == no_descriptor) {
    context.unref++;
    operation.uses |= uses_unref;
  }
}

}  // namespace

int decode(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const uint32_t flags = entry.operation & ~0xffu;
  if ((flags & ~abi::entry_flags_all) != 0) return -EINVAL;
  operation.opcode = static_cast<abi::Opcode>(entry.operation & 0xff);
  operation.linked = (flags & abi::entry_flag_linked) != 0;
  operation.has_deadline = (flags & abi::entry_flag_deadline) != 0;
  operation.number = no_descriptor;
  operation.buffer = no_buffer;
  operation.source = no_descriptor;
  operation.registered_index = not_registered;
  operation.poll_first = false;
  operation.unix_datagram = false;
  operation.zero_copy_mode = abi::zero_copy_never;
  operation.zero_copy = false;
  operation.trial = 0;
  operation.fallen_back = false;
  operation.stalled = false;
  operation.without_waiting = false;
  operation.told_of_room = false;
  operation.went_bytes = 0;
  operation.cancel_wanted = false;
  operation.leads = false;
  operation.led = false;
  operation.uses = 0;

  if (operation.linked || operation.has_deadline) {
    if (!is(operation.opcode, trait::linkable)) return -EINVAL;
    if (operation.linked && operation.has_deadline) return -EINVAL;
    if (operation.has_deadline && !whole(entry.deadline_ns, operation.deadline_ns)) return -EINVAL;
  }
  const int error = decode_fields(entry, context, operation);
  if (error != 0) return error;

  take_into_use(context, operation, (flags & abi::entry_flag_unref) != 0);
  return 0;
}

void let_go_of_descriptor(const DecodeContext& context, Operation& operation) {
  if ((operation.uses & uses_descriptor) == 0) return;
  Descriptor& descriptor = context.descriptors.at(operation.number);
  descriptor.operations.remove(operation);
  descriptor.in_flight--;
  if (descriptor.unref) context.unref--;
  operation.uses &= static_cast<uint8_t>(~uses_descriptor);
}

void let_go(const DecodeContext& context, Operation& operation) {
  let_go_of_descriptor(context, operation);
  const uint8_t uses = operation.uses;
  if (uses == 0) return;
  if ((uses & uses_source) != 0) {
    context.descriptors.at(operation.source).senders.remove(operation);
  }
  if ((uses & uses_buffer) != 0) context.buffers.finish(operation.buffer);
  if ((uses & uses_more_buffers) != 0) {
    for (const uint32_t buffer : operation.extra->more_buffers) context.buffers.finish(buffer);
  }
  if ((uses & uses_group) != 0) context.groups.finish(operation.argument);
  if ((uses & uses_unref) != 0) context.unref--;
}

}  // namespace io
