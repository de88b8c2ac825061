// Checks of entries: every handle, bound, offset and number that JavaScript wrote. See decode.h.
#include "engine/decode.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "system/address.h"
#include "system/control.h"
#include "system/system.h"
#include "system/vsock.h"
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
  if (descriptor == nullptr) {
    const bool is_of_chain = static_cast<uint32_t>(entry.descriptor) == abi::chain_descriptor;
    if (!is_of_chain || !context.in_chain) return -EBADF;
    operation.links |= link_on_chain;  // its number is known when it starts
    operation.descriptor_value = of_chain;
    return 0;
  }
  if (descriptor->closing) return -EBADF;
  operation.number = Descriptors::number(entry.descriptor);
  return 0;
}

void have_no_source(Extra& extra) {
  extra.source = no_descriptor;
  extra.source_value = no_descriptor;
}

// The second descriptor, behind the first: a file that is read, or the directory of a second path.
int decode_source(uint32_t value, const DecodeContext& context, Operation& operation) {
  Extra& extra = operation.need_extra();
  have_no_source(extra);
  const Descriptor* found = context.descriptors.find(static_cast<int32_t>(value));
  if (found != nullptr && !found->closing) {
    extra.source = Descriptors::number(static_cast<int32_t>(value));
    return 0;
  }
  if (value != abi::chain_descriptor || !context.in_chain) return -EBADF;
  if ((operation.links & link_on_chain) == 0) operation.descriptor_value = no_descriptor;
  operation.links |= link_on_chain;
  extra.source_value = of_chain;
  return 0;
}

// The state of the socket decides how the kernel is asked.
int decode_socket_use(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_descriptor(entry, context, operation);
  if (error != 0 || operation.number == no_descriptor) return error;
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
  operation.registered_index = static_cast<int16_t>(buffer->registered_index);
  operation.address = address;
  operation.length =
      entry.length > abi::transfer_limit_bytes ? abi::transfer_limit_bytes : entry.length;
  return 0;
}

// A part of the text area, or null when it does not lie inside.
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

// The directory that a path is relative to, where it has one.
int decode_directory(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  have_no_source(operation.need_extra());
  if (static_cast<uint32_t>(entry.descriptor) == abi::no_directory) return 0;
  return decode_descriptor(entry, context, operation);
}

// One path, which stands in the text area as that of most operations does.
int decode_one_path(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_directory(entry, context, operation);
  if (error != 0) return error;
  return decode_path(context, entry.buffer_offset, entry.length, operation.need_extra().path);
}

// The kernel uses the buffers of a vector as registered memory when all lie in the same.
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
  // Linux cuts a length that is too large for one call, macOS refuses it (EINVAL): so it is cut
  // here.
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
  operation.registered_index = static_cast<int16_t>(registered_index_of_all(extra, context));
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
  return decode_one_path(entry, context, operation);
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
  have_no_source(extra);
  if (entry.argument == abi::stat_by_descriptor) {
    return decode_descriptor(entry, context, operation);
  }
  const int error = decode_directory(entry, context, operation);
  return error != 0 ? error : decode_path(context, entry.offset, entry.length, extra.path);
}

int decode_file_range(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if (!whole(entry.offset, operation.offset)) return -EINVAL;
  if (!whole(entry.extent, operation.extent)) return -EINVAL;
  operation.argument = entry.argument;
  return decode_descriptor(entry, context, operation);
}

// The level stands in `argument`, and in `argument_extra` whether to wait for other holders.
int decode_lock(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if (entry.argument > abi::lock_level_exclusive || entry.argument_extra > 1) return -EINVAL;
  const bool unlocks = operation.opcode == abi::Opcode::unlock;
  if (unlocks != (entry.argument == abi::lock_level_none)) return -EINVAL;
  operation.argument_extra = entry.argument_extra;
  return decode_file_range(entry, context, operation);
}

// The socket stands where every operation has its descriptor, the file in `argument`.
int decode_send_file(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if (static_cast<int32_t>(entry.argument) == entry.descriptor) return -EBADF;
  int error = decode_descriptor(entry, context, operation);
  if (error == 0) error = decode_source(entry.argument, context, operation);
  if (error != 0) return error;
  operation.length = std::min(entry.length, abi::transfer_limit_bytes);
  return whole(entry.offset, operation.offset) ? 0 : -EINVAL;
}

// The directory of the first path stands where every operation has its descriptor, that of the
// second in `argument_extra`; the flags of a rename or copy in `buffer`, and above them the rules
// of the second path. Each path is resolved under the rules of its own directory.
int decode_two_paths(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  int error = decode_directory(entry, context, operation);
  if (error == 0 && entry.argument_extra != abi::no_directory)
    error = decode_source(entry.argument_extra, context, operation);
  if (error != 0) return error;
  Extra& extra = *operation.extra;
  const uint32_t how = entry.buffer & ((1u << abi::second_resolve_shift) - 1);
  const uint32_t rules_to = entry.buffer >> abi::second_resolve_shift;
  operation.argument = how;
  if (operation.opcode == abi::Opcode::copy_file) {
    if (how > abi::copy_flags_all) return -EINVAL;
  } else {
    if (how > abi::rename_exchange) return -EINVAL;  // one of them, or none
    if (how != 0 && operation.opcode != abi::Opcode::rename) return -EINVAL;
  }
  if ((rules_to & ~abi::resolve_all) != 0) return -EINVAL;
  extra.rules_from = operation.rules;
  extra.rules_to = static_cast<uint8_t>(rules_to);
  operation.rules |= extra.rules_to;  // what the kernel has to be asked about
  const int from = decode_path(context, entry.buffer_offset, entry.length, extra.path);
  if (from != 0) return from;
  return decode_path(context, entry.offset, entry.argument, extra.path_to);
}

int decode_kind(uint32_t kind, Operation& operation) {
  switch (kind) {
    case abi::socket_kind_stream:
      operation.argument_extra = SOCK_STREAM;
      return 0;
    case abi::socket_kind_datagram:
      operation.argument_extra = SOCK_DGRAM;
      return 0;
    case abi::socket_kind_seqpacket:
      operation.argument_extra = SOCK_SEQPACKET;
      return 0;
    default:
      return -EINVAL;
  }
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
    case abi::family_vsock: {
      const int family = vsock_family();
      if (family < 0) return family;
      // A message that waits for space is torn by Linux: docs/decisions/vsock.md.
      if (operation.argument_extra != SOCK_STREAM) return -ESOCKTNOSUPPORT;
      operation.argument = static_cast<uint32_t>(family);
      return 0;
    }
    default:
      return -EAFNOSUPPORT;
  }
}

int decode_send(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_socket_use(entry, context, operation);
  if (error != 0) return error;
  if (decode_zero_copy(entry, abi::send_more, operation) != 0) return -EINVAL;
  operation.argument = entry.argument & abi::send_more;
  return operation.opcode == abi::Opcode::send ? decode_memory(entry, context, operation)
                                               : decode_vectors(entry, context, operation);
}

// One buffer, as a message has it.
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
  operation.argument = 0;
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

// The operation has numbers of its own for them, so that they may be closed while it waits.
int decode_passed(const abi::Entry& entry, const char* list, const DecodeContext& context,
                  Operation& operation) {
  Extra& extra = *operation.extra;
  extra.passed.clear();
  for (uint32_t index = 0; index < entry.argument_extra; index++) {
    int32_t value = 0;
    std::memcpy(&value, list + index * sizeof(value), sizeof(value));
    Descriptor* found = context.descriptors.find(value);
    const int number =
        found == nullptr || found->closing ? -EBADF : system::duplicate(Descriptors::number(value));
    if (number < 0) return number;
    extra.passed.push_back(number);
    // The receiver gets the socket with all that was set of it.
    found->is_shared = true;
    if (std::exchange(found->sends_limited, false)) system::limit_sends(number, false);
  }
  return 0;
}

void close_passed(Extra& extra) {
  for (const int number : extra.passed) ::close(number);
  extra.passed.clear();
}

// The record stands at `offset` of the text area, and has so many descriptors as `argument_extra`
// says.
int decode_send_control(const abi::Entry& entry, const DecodeContext& context,
                        Operation& operation) {
  int error = decode_socket_use(entry, context, operation);
  if (error != 0) return error;
  if (operation.number == no_descriptor) return -EINVAL;  // its family decides
  if ((entry.argument & ~abi::message_vectored) != 0) return -EINVAL;
  operation.argument = 0;
  error = entry.argument != 0 ? decode_vectors(entry, context, operation)
                              : decode_message_memory(entry, context, operation);
  if (error != 0) return error;
  const uint32_t count = entry.argument_extra;
  if (count > abi::max_passed) return -EINVAL;
  const char* text = text_at(context, entry.offset, abi::control_list + count * sizeof(int32_t));
  if (text == nullptr) return -EFAULT;
  const auto* record = reinterpret_cast<const uint8_t*>(text);
  Extra& extra = *operation.extra;
  uint32_t flags = 0;
  std::memcpy(&flags, record, sizeof(flags));
  if ((flags & abi::control_has_peer) != 0) {
    extra.message.msg_name = &extra.address;
    error = read_record(record + abi::control_peer, extra.address, extra.address_size_bytes);
    extra.message.msg_namelen = extra.address_size_bytes;
    if (error != 0) return error;
  }
  error = decode_passed(entry, text + abi::control_list, context, operation);
  if (error == 0) {
    const int family = system::family_of(operation.number);
    // Other sockets ignore them.
    if (!extra.passed.empty() && family != AF_UNIX) error = -EINVAL;
    if (error == 0)
      error = write_control(record, extra.passed, extra.control, extra.message, family);
  }
  if (error != 0) close_passed(extra);
  if (error == 0 && !extra.passed.empty()) operation.uses |= uses_passed;
  return error;
}

// As receive_message, with a longer record.
int decode_receive_control(const abi::Entry& entry, const DecodeContext& context,
                           Operation& operation) {
  int error = decode_socket_use(entry, context, operation);
  if (error != 0) return error;
  error = decode_message_memory(entry, context, operation);
  if (error != 0) return error;
  Extra& extra = *operation.extra;
  Buffer* buffer = context.buffers.find(entry.argument);
  if (buffer == nullptr) return -EFAULT;
  if (!context.buffers.resolve(*buffer, entry.offset, abi::control_size_bytes, extra.peer)) {
    return -EFAULT;
  }
  extra.more_buffers.push_back(entry.argument);
  extra.message.msg_name = &extra.address;
  extra.message.msg_namelen = sizeof(extra.address);
  expect_control(extra.control, extra.message);
  return 0;
}

int decode_poll(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if (entry.argument != abi::poll_readable && entry.argument != abi::poll_writable) return -EINVAL;
  operation.argument = entry.argument;
  return decode_descriptor(entry, context, operation);
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
  if (!context.groups.has(entry.argument, GroupContent::bytes)) return -EINVAL;
  if (!whole(entry.extent, operation.extent) || operation.extent > INT32_MAX) return -EINVAL;
  operation.left_bytes = operation.extent;
  operation.argument = entry.argument;
  return decode_descriptor(entry, context, operation);
}

// The sender and the flags of each message are written into its buffer, so the header here has only
// the request of the call.
int decode_receive_message_multishot(const abi::Entry& entry, const DecodeContext& context,
                                     Operation& operation) {
  if (!context.groups.has(entry.argument, GroupContent::message)) return -EINVAL;
  operation.argument = entry.argument;
  operation.extent = 0;
  operation.left_bytes = 0;
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

// Of one buffer or several; the flags stand in `argument`.
int decode_write(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if ((entry.argument & ~abi::write_flags_all) != 0) return -EINVAL;
  operation.argument = entry.argument;
  const int error = decode_place(entry, context, operation);
  if (error != 0) return error;
  return operation.opcode == abi::Opcode::write ? decode_memory(entry, context, operation)
                                                : decode_vectors(entry, context, operation);
}

int decode_allocate(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  if (entry.argument > abi::allocate_insert) return -EINVAL;
  return decode_file_range(entry, context, operation);
}

int decode_descriptor_and_mode(const abi::Entry& entry, const DecodeContext& context,
                               Operation& operation) {
  if (entry.argument > 07777) return -EINVAL;
  operation.argument = entry.argument;
  return decode_descriptor(entry, context, operation);
}

// User and group; of each 2^32 - 1 leaves it as it is.
int decode_descriptor_and_owner(const abi::Entry& entry, const DecodeContext& context,
                                Operation& operation) {
  operation.argument = entry.argument;
  operation.argument_extra = entry.argument_extra;
  return decode_descriptor(entry, context, operation);
}

// Milliseconds since 1970, with fractions, as a Date has them, and nanoseconds behind them, which a
// fraction would round.
bool decode_time(double ms, uint32_t more_ns, timespec& time) {
  constexpr double max_ms = 8.64e15;
  constexpr uint32_t ns_of_ms = 1'000'000;
  constexpr long ns_of_second = 1'000'000'000;
  if (!(std::fabs(ms) <= max_ms) || more_ns >= ns_of_ms) return false;  // NaN is no time
  const double seconds = std::floor(ms / 1e3);
  const long ns = static_cast<long>(std::floor((ms - seconds * 1e3) * 1e6)) + more_ns;
  time.tv_sec = static_cast<time_t>(seconds) + ns / ns_of_second;
  time.tv_nsec = ns % ns_of_second;
  return true;
}

// The milliseconds stand at `offset` and `extent`, what is behind them in `buffer` and
// `argument_extra`.
int decode_times(const abi::Entry& entry, Operation& operation) {
  Extra& extra = operation.need_extra();
  const bool are_times = decode_time(entry.offset, entry.buffer, extra.times[0]) &&
                         decode_time(entry.extent, entry.argument_extra, extra.times[1]);
  return are_times ? 0 : -EINVAL;
}

int decode_descriptor_and_times(const abi::Entry& entry, const DecodeContext& context,
                                Operation& operation) {
  const int error = decode_times(entry, operation);
  return error != 0 ? error : decode_descriptor(entry, context, operation);
}

// The name stands at `offset`, its length in `argument`, and in `argument_extra` whether one that
// is set may be there.
int decode_attribute(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  int error = decode_descriptor(entry, context, operation);
  if (error != 0) return error;
  if (entry.argument_extra > abi::xattr_replace) return -EINVAL;
  operation.argument_extra = entry.argument_extra;
  if (operation.opcode != abi::Opcode::list_xattr) {
    error = decode_path(context, entry.offset, entry.argument, operation.need_extra().path);
  }
  if (error != 0 || operation.opcode == abi::Opcode::remove_xattr) return error;
  return decode_memory(entry, context, operation);
}

// The file that is read stands in `argument`, its place at `offset`, that of the other at `extent`.
int decode_two_files(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  int error = decode_descriptor(entry, context, operation);
  if (error == 0) error = decode_source(entry.argument, context, operation);
  if (error != 0) return error;
  operation.length = std::min(entry.length, abi::transfer_limit_bytes);
  if (!whole(entry.offset, operation.offset)) return -EINVAL;
  return whole(entry.extent, operation.extent) ? 0 : -EINVAL;
}

// The result goes into a Float64Array of the caller, as that of a stat does.
int decode_file_system_record(const abi::Entry& entry, const DecodeContext& context,
                              Operation& operation) {
  const int error = decode_descriptor(entry, context, operation);
  if (error != 0) return error;
  if (decode_memory(entry, context, operation) != 0) return -EFAULT;
  const bool fits = operation.length >= abi::statfs_fields * sizeof(double) &&
                    reinterpret_cast<uintptr_t>(operation.address) % sizeof(double) == 0;
  return fits ? 0 : -EFAULT;
}

int decode_descriptor_and_path(const abi::Entry& entry, const DecodeContext& context,
                               Operation& operation) {
  const int error = decode_descriptor(entry, context, operation);
  if (error != 0) return error;
  return decode_path(context, entry.buffer_offset, entry.length, operation.need_extra().path);
}

int decode_receive(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const int error = decode_socket_use(entry, context, operation);
  return error != 0 ? error : decode_memory(entry, context, operation);
}

int decode_receive_vectored(const abi::Entry& entry, const DecodeContext& context,
                            Operation& operation) {
  const int error = decode_socket_use(entry, context, operation);
  return error != 0 ? error : decode_vectors(entry, context, operation);
}

int decode_descriptor_and_address(const abi::Entry& entry, const DecodeContext& context,
                                  Operation& operation) {
  const int error = decode_descriptor(entry, context, operation);
  return error != 0 ? error : decode_address(entry, context, operation);
}

int decode_descriptor_and_number(const abi::Entry& entry, const DecodeContext& context,
                                 Operation& operation) {
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
  int error = decode_directory(entry, context, operation);
  if (error != 0) return error;
  error = decode_path(context, entry.offset, entry.argument, operation.need_extra().path);
  if (error == 0) error = decode_memory(entry, context, operation);
  if (error != 0 || operation.opcode != abi::Opcode::statfs) return error;
  const bool fits = operation.length >= abi::statfs_fields * sizeof(double) &&
                    reinterpret_cast<uintptr_t>(operation.address) % sizeof(double) == 0;
  return fits ? 0 : -EFAULT;
}

// The path stands at `extent`, the name at `offset` with its length in `argument`; `argument_extra`
// has the rest.
int decode_path_and_attribute(const abi::Entry& entry, const DecodeContext& context,
                              Operation& operation) {
  int error = decode_directory(entry, context, operation);
  if (error != 0) return error;
  Extra& extra = *operation.extra;
  operation.argument = entry.argument_extra & abi::xattr_of_link;
  operation.argument_extra = entry.argument_extra & (abi::xattr_of_link - 1);
  if (operation.argument_extra > abi::xattr_replace) return -EINVAL;
  const uint32_t length = entry.argument_extra >> abi::xattr_path_shift;
  error = decode_path(context, entry.extent, length, extra.path);
  if (error == 0 && operation.opcode != abi::Opcode::list_xattr_at) {
    error = decode_path(context, entry.offset, entry.argument, extra.path_to);
  }
  if (error != 0 || operation.opcode == abi::Opcode::remove_xattr_at) return error;
  return decode_memory(entry, context, operation);
}

int decode_descriptor_and_memory(const abi::Entry& entry, const DecodeContext& context,
                                 Operation& operation) {
  const int error = decode_descriptor(entry, context, operation);
  return error != 0 ? error : decode_memory(entry, context, operation);
}

// User and group; of each 2^32 - 1 leaves it as it is. `buffer` is 1 for the link itself.
int decode_path_and_owner(const abi::Entry& entry, const DecodeContext& context,
                          Operation& operation) {
  if (entry.buffer > 1) return -EINVAL;
  operation.argument = entry.argument;
  operation.argument_extra = entry.argument_extra;
  operation.offset = entry.buffer;
  return decode_one_path(entry, context, operation);
}

// `argument` is 1 for the link itself.
int decode_path_and_times(const abi::Entry& entry, const DecodeContext& context,
                          Operation& operation) {
  if (entry.argument > 1) return -EINVAL;
  operation.argument = entry.argument;
  const int error = decode_times(entry, operation);
  return error != 0 ? error : decode_one_path(entry, context, operation);
}

// The argument is a mode, or 1 or 0.
int decode_path_and_argument(const abi::Entry& entry, const DecodeContext& context,
                             Operation& operation) {
  if (entry.argument > 07777) return -EINVAL;
  operation.argument = entry.argument;
  return decode_one_path(entry, context, operation);
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

void take_descriptors(const DecodeContext& context, Operation& operation) {
  // A close does not count as in flight on its descriptor: it waits for the operations that do.
  if (operation.number != no_descriptor && !is(operation.opcode, trait::closes)) {
    Descriptor& descriptor = context.descriptors.at(operation.number);
    descriptor.operations.push(operation);
    descriptor.in_flight++;
    if (descriptor.unref) context.unref++;
    operation.uses |= uses_descriptor;
  }
  if (is(operation.opcode, trait::from_file | trait::resolves) &&
      operation.extra->source != no_descriptor) {
    context.descriptors.at(operation.extra->source).senders.push(operation);
    operation.uses |= uses_source;
  }
}

void take_into_use(const DecodeContext& context, Operation& operation, bool unref) {
  take_descriptors(context, operation);
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

// What few operations have taken into use.
[[gnu::noinline]] void let_go_of_rest(const DecodeContext& context, Operation& operation,
                                      uint8_t uses) {
  if ((uses & uses_source) != 0) {
    context.descriptors.at(operation.source()).senders.remove(operation);
  }
  if ((uses & uses_more_buffers) != 0) {
    for (const uint32_t buffer : operation.extra->more_buffers) context.buffers.finish(buffer);
  }
  if ((uses & uses_group) != 0) context.groups.finish(operation.argument);
  if ((uses & uses_unref) != 0) context.unref--;
  if ((uses & uses_passed) != 0) close_passed(*operation.extra);
}

}  // namespace

int decode(const abi::Entry& entry, const DecodeContext& context, Operation& operation) {
  const uint32_t flags = entry.operation & ~0xffu;
  if ((flags & ~abi::entry_flags_all) != 0) return -EINVAL;
  operation.opcode = static_cast<abi::Opcode>(entry.operation & 0xff);
  static_assert(abi::entry_flag_linked >> link_shift == link_next);
  static_assert(abi::entry_flag_hard_link >> link_shift == link_hard);
  operation.links = static_cast<uint8_t>(flags >> link_shift & (link_next | link_hard));
  operation.has_deadline = (flags & abi::entry_flag_deadline) != 0;
  operation.number = no_descriptor;
  operation.buffer = no_buffer;
  operation.registered_index = static_cast<int16_t>(not_registered);
  operation.poll_first = false;
  operation.unix_datagram = false;
  operation.zero_copy_mode = abi::zero_copy_never;
  operation.zero_copy = false;
  operation.trial = 0;
  operation.fallen_back = false;
  operation.went_bytes = 0;
  operation.cancel_wanted = false;
  operation.is_batch_head = false;
  operation.batched = false;
  operation.uses = 0;
  operation.revisits = 0;
  operation.rules = static_cast<uint8_t>(flags >> abi::entry_resolve_shift & abi::resolve_all);
  if (operation.rules != 0 && !is(operation.opcode, trait::resolves)) return -EINVAL;

  if (operation.links != 0 || operation.has_deadline) {
    const bool linked = (operation.links & link_next) != 0;
    if (operation.has_deadline && !is(operation.opcode, trait::linkable)) return -EINVAL;
    if (operation.links == link_hard) return -EINVAL;
    if (linked && is(operation.opcode, trait::multishot)) return -EINVAL;  // it can be the last one
    if (operation.has_deadline && !whole(entry.deadline_ns, operation.deadline_ns)) return -EINVAL;
    operation.due_ns = 0;
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

void leave_descriptors(const DecodeContext& context, Operation& operation) {
  let_go_of_descriptor(context, operation);
  if ((operation.uses & uses_source) != 0) {
    context.descriptors.at(operation.source()).senders.remove(operation);
    operation.uses &= static_cast<uint8_t>(~uses_source);
  }
  if ((operation.uses & uses_unref) != 0) return;
  context.unref++;  // what is in flight of its chain counts
  operation.uses |= uses_unref;
  operation.links |= link_lent_unref;
}

void join_descriptors(const DecodeContext& context, Operation& operation) {
  take_descriptors(context, operation);
  if ((operation.links & link_lent_unref) == 0) return;
  context.unref--;
  operation.uses &= static_cast<uint8_t>(~uses_unref);
  operation.links &= static_cast<uint8_t>(~link_lent_unref);
}

void let_go(const DecodeContext& context, Operation& operation) {
  let_go_of_descriptor(context, operation);
  const uint8_t uses = operation.uses;
  if ((uses & uses_buffer) != 0) context.buffers.finish(operation.buffer);
  if ((uses & ~uses_buffer) != 0) let_go_of_rest(context, operation, uses);
}

}  // namespace io
