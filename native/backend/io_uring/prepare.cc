// From a checked operation to the entry that the kernel reads: see io_uring/prepare.h.
#include "backend/io_uring/prepare.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "system/address.h"
#include "support/check.h"
#include "engine/buffer_groups.h"
#include "system/system.h"
#include "backend/calls.h"
#include "backend/io_uring/uapi.h"

namespace io::uring {

using abi::Opcode;

namespace {

unsigned send_flags(const Operation& operation) {
  return MSG_NOSIGNAL | (operation.without_waiting ? MSG_DONTWAIT : 0) |
         (operation.argument != 0 ? MSG_MORE : 0);
}

// 6.0 and 6.1; what the kernel does not know was not chosen (Engine::choose_way).
void prepare_zero_copy(Operation& operation, uint32_t features, io_uring_sqe* entry) {
  Extra* extra = operation.extra.get();
  const bool single = operation.buffer != no_buffer;
  const bool registered = operation.registered_index >= 0 &&
                          (single || (features & abi::feature_registered_vectors) != 0);
  if (single) {
    io_uring_prep_rw(IORING_OP_SEND_ZC, entry, operation.number, operation.address,
                     operation.length, 0);
    if (operation.opcode == Opcode::send_message && extra->message.msg_name != nullptr) {
      entry->addr2 = reinterpret_cast<uintptr_t>(&extra->address);
      entry->addr_len = static_cast<uint16_t>(extra->address_size_bytes);
    }
  } else {
    io_uring_prep_rw(IORING_OP_SENDMSG_ZC, entry, operation.number, &extra->message, 1, 0);
  }
  entry->msg_flags = send_flags(operation);
  if ((features & abi::feature_reports_copies) != 0) entry->ioprio |= uapi::send_zc_report_usage;
  if (!registered) return;
  entry->ioprio |= IORING_RECVSEND_FIXED_BUF;
  entry->buf_index = static_cast<uint16_t>(operation.registered_index);
}

void prepare_send(Operation& operation, io_uring_sqe* entry) {
  const unsigned flags = send_flags(operation);
  if (operation.opcode == Opcode::send && !operation.is_batch_head) {
    io_uring_prep_send(entry, operation.number, operation.left_address(), operation.left_length(),
                       static_cast<int>(flags));
  } else {
    io_uring_prep_sendmsg(entry, operation.number, &operation.extra->message, flags);
  }
  // 5.19: there was no space for all of it. A try now would find little or none; the kernel reports
  // space when a third of the socket's memory is free (sk_stream_is_writeable).
  const bool was_torn = operation.went_bytes > 0 && !operation.without_waiting;
  if (was_torn) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

// A send on a unix datagram socket that has to wait for its receiver goes out empty: the kernel's
// first try consumes its list of memory, finds the receiver full, and tries again later with the
// rest of the list (seen on Linux 6.18). A write remembers where its list began. A send with an
// address cannot be a write: then the kernel must not wait, and the backend tries again (EAGAIN).
void prepare_unix_datagram(Operation& operation, io_uring_sqe* entry) {
  constexpr uint64_t no_offset = 0;
  const int number = operation.number;
  if (operation.opcode == Opcode::send) {
    return io_uring_prep_write(entry, number, operation.address, operation.length, no_offset);
  }
  Extra& extra = *operation.extra;
  if (extra.message.msg_name == nullptr && operation.opcode != Opcode::send_control) {
    return io_uring_prep_writev(entry, number, extra.vectors.data(),
                                static_cast<unsigned>(extra.vectors.size()), no_offset);
  }
  io_uring_prep_sendmsg(entry, number, &extra.message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void prepare_receive_multishot(const Operation& operation, io_uring_sqe* entry) {
  prepare_receive_once(operation, entry);
  entry->ioprio |= IORING_RECV_MULTISHOT;  // 6.0
  uapi::set_receive_limit(*entry, static_cast<uint32_t>(operation.left_bytes));
}

// The kernel puts a header and the address in front of each message. The room for the address is
// such that the message begins where that behind a record does.
constexpr uint32_t name_bytes = abi::peer_size_bytes - sizeof(io_uring_recvmsg_out);
static_assert(name_bytes >= sizeof(sockaddr_un));

void prepare_receive_message_multishot(Operation& operation, io_uring_sqe* entry) {
  Extra& extra = *operation.extra;
  extra.message.msg_namelen = name_bytes;
  io_uring_prep_recvmsg(entry, operation.number, &extra.message, 0);
  entry->ioprio |= IORING_RECV_MULTISHOT;  // 6.0
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = static_cast<uint16_t>(BufferGroups::index_of(operation.argument));
}

int folder_of(int number) {
  return number == no_descriptor ? AT_FDCWD : number;
}

// 5.6. The kernel refuses a mode where nothing can be made.
void prepare_open_under_rules(const Operation& operation, int flags, io_uring_sqe* entry) {
  Extra& extra = *operation.extra;
  const bool creates =
      (operation.argument & (abi::open_flag_create | abi::open_flag_temporary)) != 0;
  extra.open_how = {static_cast<uint64_t>(flags), creates ? operation.argument_extra : 0,
                    system::resolve_flags(operation.rules)};
  io_uring_prep_openat2(entry, folder_of(operation.number), extra.path.c_str(),
                        reinterpret_cast<struct open_how*>(&extra.open_how));
}

// A FIFO is opened without waiting for its other end: the kernel does so by itself as long as it
// tries on our thread, and not in a worker.
void prepare_open(const Operation& operation, io_uring_sqe* entry) {
  const int flags = system::open_flags(operation.argument) | O_NONBLOCK;
  if (operation.rules != 0) return prepare_open_under_rules(operation, flags, entry);
  io_uring_prep_openat(entry, folder_of(operation.number), operation.extra->path.c_str(), flags,
                       operation.argument_extra);
}

// The kernel looks at the flags as pwritev2(2) does.
void prepare_write(const Operation& operation, io_uring_sqe* entry) {
  const int number = operation.number;
  const auto offset = static_cast<uint64_t>(operation.offset);
  if (operation.registered_index >= 0) {
    io_uring_prep_write_fixed(entry, number, operation.address, operation.length, offset,
                              operation.registered_index);
  } else {
    io_uring_prep_write(entry, number, operation.address, operation.length, offset);
  }
  if (operation.argument != 0) {
    entry->rw_flags = static_cast<__kernel_rwf_t>(system::write_flags(operation.argument));
  }
}

void prepare_write_vectored(const Operation& operation, io_uring_sqe* entry) {
  const auto& vectors = operation.extra->vectors;
  io_uring_prep_writev(entry, operation.number, vectors.data(),
                       static_cast<unsigned>(vectors.size()),
                       static_cast<uint64_t>(operation.offset));
  if (operation.argument != 0) {
    entry->rw_flags = static_cast<__kernel_rwf_t>(system::write_flags(operation.argument));
  }
}

void prepare_names(const Operation& operation, io_uring_sqe* entry) {
  const Extra& extra = *operation.extra;
  const char* path = extra.path.c_str();
  const char* path_to = extra.path_to.c_str();
  const int folder = folder_of(operation.number);
  const int folder_to = folder_of(extra.source);
  switch (operation.opcode) {
    case Opcode::rename:
      return io_uring_prep_renameat(entry, folder, path, folder_to, path_to, operation.argument);
    case Opcode::link:
      return io_uring_prep_linkat(entry, folder, path, folder_to, path_to, 0);
    case Opcode::symlink:
      return io_uring_prep_symlinkat(entry, path, folder_to, path_to);
    case Opcode::unlink:
      return io_uring_prep_unlinkat(entry, folder, path,
                                    operation.argument != 0 ? AT_REMOVEDIR : 0);
    case Opcode::mkdir:
      return io_uring_prep_mkdirat(entry, folder, path, operation.argument);
    default:
      CHECK(!"io_uring has no such operation");
  }
}

void prepare_file(const Operation& operation, io_uring_sqe* entry) {
  const int number = operation.number;
  // -1 is the current position, for the kernel as for us (IORING_FEAT_RW_CUR_POS).
  const uint64_t offset = static_cast<uint64_t>(operation.offset);
  Extra* extra = operation.extra.get();
  switch (operation.opcode) {
    case Opcode::open:
      return prepare_open(operation, entry);
    case Opcode::read:
      if (operation.registered_index >= 0) {
        return io_uring_prep_read_fixed(entry, number, operation.address, operation.length, offset,
                                        operation.registered_index);
      }
      return io_uring_prep_read(entry, number, operation.address, operation.length, offset);
    case Opcode::write:
      return prepare_write(operation, entry);
    case Opcode::read_vectored:
      return io_uring_prep_readv(entry, number, operation.extra->vectors.data(),
                                 static_cast<unsigned>(operation.extra->vectors.size()), offset);
    case Opcode::write_vectored:
      return prepare_write_vectored(operation, entry);
    case Opcode::stat: {
      const bool by_number = operation.argument == abi::stat_by_descriptor;
      int flags = by_number ? AT_EMPTY_PATH : 0;
      if (operation.argument == abi::stat_by_path_no_follow) flags = AT_SYMLINK_NOFOLLOW;
      return io_uring_prep_statx(entry, folder_of(number), extra->path.c_str(), flags,
                                 uapi::statx_fields,
                                 reinterpret_cast<struct statx*>(extra->raw_status));
    }
    case Opcode::sync:
      return io_uring_prep_fsync(
          entry, number, operation.argument == abi::sync_level_full ? 0 : IORING_FSYNC_DATASYNC);
    case Opcode::allocate:
      return io_uring_prep_fallocate(entry, number, system::allocate_flags(operation.argument),
                                     operation.offset, operation.extent);
    case Opcode::truncate:
      return io_uring_prep_rw(uapi::op_ftruncate, entry, number, nullptr, 0, offset);
    default:
      return prepare_names(operation, entry);
  }
}

void prepare_stream(Operation& operation, uint32_t features, io_uring_sqe* entry) {
  const int number = operation.number;
  Extra* extra = operation.extra.get();
  switch (operation.opcode) {
    case Opcode::accept:
      return io_uring_prep_accept(entry, number, nullptr, nullptr, SOCK_CLOEXEC);
    case Opcode::accept_multishot:
      return io_uring_prep_multishot_accept(entry, number, nullptr, nullptr, SOCK_CLOEXEC);
    case Opcode::connect:
      return io_uring_prep_connect(entry, number, reinterpret_cast<sockaddr*>(&extra->address),
                                   extra->address_size_bytes);
    case Opcode::send:
    case Opcode::send_vectored:
    case Opcode::send_message:
    case Opcode::send_control:
      if (operation.zero_copy) return prepare_zero_copy(operation, features, entry);
      return operation.unix_datagram ? prepare_unix_datagram(operation, entry)
                                     : prepare_send(operation, entry);
    case Opcode::receive:
      io_uring_prep_recv(entry, number, operation.address, operation.length, 0);
      // 5.19: the socket was empty, so a first try would only cost time.
      if (operation.poll_first) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
      return;
    case Opcode::peek:
      return io_uring_prep_recv(entry, number, operation.address, operation.length, MSG_PEEK);
    case Opcode::peek_message:
      return io_uring_prep_recvmsg(entry, number, &extra->message, MSG_PEEK);
    case Opcode::receive_message:
    case Opcode::receive_vectored:
      io_uring_prep_recvmsg(entry, number, &extra->message, 0);
      if (operation.poll_first) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
      return;
    case Opcode::receive_control:
      io_uring_prep_recvmsg(entry, number, &extra->message,
                            static_cast<unsigned>(system::control_flags));
      if (operation.poll_first) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
      return;
    case Opcode::receive_multishot:
      return prepare_receive_multishot(operation, entry);
    case Opcode::receive_message_multishot:
      return prepare_receive_message_multishot(operation, entry);
    case Opcode::poll:
      return io_uring_prep_poll_add(entry, number,
                                    static_cast<unsigned>(events_to_poll(operation)));
    case Opcode::poll_multishot:
      return io_uring_prep_poll_multishot(entry, number,
                                          static_cast<unsigned>(events_to_poll(operation)));
    default:
      CHECK(!"io_uring has no such operation");
  }
}

void prepare_other(const Operation& operation, io_uring_sqe* entry) {
  const int number = operation.number;
  switch (operation.opcode) {
    case Opcode::nop:
      return io_uring_prep_nop(entry);
    case Opcode::cancel_descriptor:
      return io_uring_prep_cancel_fd(entry, number, IORING_ASYNC_CANCEL_ALL);
    case Opcode::cancel_all:
      return io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    case Opcode::close:
      return io_uring_prep_close(entry, number);
    case Opcode::socket:
      return io_uring_prep_socket(entry, static_cast<int>(operation.argument),
                                  static_cast<int>(operation.argument_extra) | SOCK_CLOEXEC, 0, 0);
    case Opcode::shutdown:
      return io_uring_prep_shutdown(entry, number, static_cast<int>(operation.argument));
    default:
      CHECK(!"the engine carries out bind, listen and disconnect itself");
  }
}

}  // namespace

// The kernel takes a buffer of the group when there is something to receive, and fills as much of
// it as it can.
void prepare_receive_once(const Operation& operation, io_uring_sqe* entry) {
  io_uring_prep_recv(entry, operation.number, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = static_cast<uint16_t>(BufferGroups::index_of(operation.argument));
}

void receive_in_bundles(io_uring_sqe* entry, uint32_t buffer_size_bytes) {
  // Of one receive; others of the ring want their turn, too.
  constexpr uint32_t max_bytes = 256 * 1024;
  // The kernel maps at most 256 buffers, the first of which may be nearly full. When it fills all
  // that it has mapped, and that is less than the requested length, it receives once more before it
  // reports the first bytes. If that receive finds nothing, it waits for more, and receives that
  // fill the buffers behind would be reported first. It can find nothing because a unix socket
  // counts unread MSG_OOB bytes as available. So the requested length is never more than the mapped
  // buffers hold.
  constexpr uint32_t max_buffers = 255;
  entry->ioprio |= uapi::receive_bundle;
  entry->len = static_cast<uint32_t>(
      std::min<uint64_t>(max_bytes, uint64_t{max_buffers} * buffer_size_bytes));
}

void settle_message_head(uint8_t* buffer) {
  io_uring_recvmsg_out head;
  sockaddr_storage address = {};
  std::memcpy(&head, buffer, sizeof(head));
  const uint32_t length = std::min(head.namelen, name_bytes);
  std::memcpy(&address, buffer + sizeof(head), length);
  const bool truncated = (head.flags & MSG_TRUNC) != 0;
  write_record(address, length, truncated ? abi::peer_flag_truncated : 0, buffer);
}

void prepare(Operation& operation, uint32_t features, io_uring_sqe* entry) {
  switch (kind_of(operation.opcode)) {
    case abi::OperationKind::file:
      return prepare_file(operation, entry);
    case abi::OperationKind::stream:
      return prepare_stream(operation, features, entry);
    default:
      return prepare_other(operation, entry);
  }
}

bool is_linked_by_kernel(const Operation& operation) {
  return operation.is_linked() && is(operation.opcode, trait::linked_by_kernel) &&
         !reads_nothing(operation) && !refuses_to_wait(operation);
}

size_t hold_back(std::span<Operation* const> batch, size_t group) {
  size_t index = group - 1;
  for (; batch[index]->is_linked(); index++) batch[index]->successor = batch[index + 1];
  return index - (group - 1);
}

}  // namespace io::uring
