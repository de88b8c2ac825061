// Lent memory for the backends that receive by themselves: the pieces of each group that are free,
// and the one that is being filled. Several receives fill a piece, one behind the other, as they do
// in the kernel's incremental rings: so memory is used by the bytes that came and not by the number
// of receives.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../address.h"
#include "../backend.h"
#include "../groups.h"
#include "../system.h"

namespace io {

class Pieces {
 public:
  struct Received {
    Completed completed;
    bool filled;  // as much came as there was room for
  };

  void add(uint32_t group) {
    if (group >= groups_.size()) groups_.resize(group + 1);
    groups_[group] = Group{};
  }

  void remove(uint32_t group) { groups_[group] = Group{}; }

  void give(uint32_t group, uint32_t piece, uint8_t* data, uint32_t size_bytes) {
    groups_[group].free.push_back({data, size_bytes, static_cast<uint16_t>(piece)});
  }

  // The next receive of a multishot one: -EAGAIN when there is nothing, -ENOBUFS when everything is
  // lent. Its `more` is false when the limit of bytes is reached.
  Received receive(Operation& operation) {
    Group& from = groups_[Groups::index_of(operation.argument)];
    const bool message = operation.opcode == abi::Opcode::receive_message_multishot;
    return message ? receive_message(operation, from) : receive_bytes(operation, from);
  }

 private:
  struct Piece {
    uint8_t* data;
    uint32_t size_bytes;
    uint16_t number;
  };
  struct Group {
    std::vector<Piece> free;  // the last one that came goes first: it is still in the cache
    bool filling = false;
    Piece current = {};  // what is left of the one that is being filled
  };

  static Received receive_bytes(Operation& operation, Group& from) {
    Completed completed = {&operation, -ENOBUFS, false, false};
    if (!has_room(from)) return {completed, false};
    Piece& piece = from.current;
    completed.result = system::receive_bytes(operation.number, piece.data, piece.size_bytes);
    if (completed.result <= 0) return {completed, false};
    const auto count = static_cast<uint32_t>(completed.result);
    piece.data += count;
    piece.size_bytes -= count;
    from.filling = piece.size_bytes > 0;
    completed.piece = piece.number;
    completed.piece_open = from.filling;
    completed.more = operation.extent == 0 || operation.extent > count;
    if (operation.extent != 0) operation.extent -= count;
    return {completed, !from.filling};
  }

  // A message has a piece of its own, with the record of who sent it in front. An empty one has
  // too.
  static Received receive_message(Operation& operation, Group& from) {
    constexpr uint32_t head_bytes = abi::peer_size_bytes;
    Completed completed = {&operation, -ENOBUFS, false, false};
    if (from.free.empty()) return {completed, false};
    const Piece piece = from.free.back();
    Extra& extra = *operation.extra;
    iovec memory = {piece.data + head_bytes, piece.size_bytes - head_bytes};
    std::memset(&extra.message, 0, sizeof(extra.message));
    extra.message.msg_iov = &memory;
    extra.message.msg_iovlen = 1;
    extra.message.msg_name = &extra.address;
    extra.message.msg_namelen = sizeof(extra.address);
    completed.result = system::receive_message(operation.number, extra.message);
    extra.message.msg_iov = nullptr;
    if (completed.result < 0) return {completed, false};
    from.free.pop_back();
    write_sender(extra.message, extra.address, piece.data);
    completed.piece = piece.number;
    completed.more = true;
    return {completed, true};
  }

  static bool has_room(Group& group) {
    if (group.filling) return true;
    if (group.free.empty()) return false;
    group.current = group.free.back();
    group.free.pop_back();
    group.filling = true;
    return true;
  }

  std::vector<Group> groups_;
};

}  // namespace io
