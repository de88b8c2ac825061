// Lent memory for the backends that receive by themselves: the pieces of each group that are free,
// and the one that is being filled. Several receives fill a piece, one behind the other, as they do
// in the kernel's incremental rings: so memory is used by the bytes that came and not by the number
// of receives.
#pragma once

#include <cerrno>
#include <cstdint>
#include <vector>

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

  // One receive_multishot's next receive: -EAGAIN when there is nothing, -ENOBUFS when everything
  // is lent. Its `more` is false when the limit of bytes is reached.
  Received receive(Operation& operation) {
    Group& from = groups_[Groups::index_of(operation.argument)];
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
