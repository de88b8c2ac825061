// Groups of lent pieces: see groups.h.
#include "engine/groups.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "support/check.h"

namespace io {

namespace {

// A handle is an index with the generation of its use above it.
constexpr uint32_t group_index_bits = 8;
static_assert(abi::groups_most == 1u << group_index_bits);
constexpr uint16_t group_generation_mask = 0x3fff;

}  // namespace

int32_t Groups::add(uint32_t* returned, uint32_t capacity, MemoryHold hold, Lot lot) {
  if (capacity == 0 || capacity > abi::pieces_most) return -EINVAL;
  const uint32_t index = unused_index();
  if (index == abi::groups_most) return -ENOSPC;
  const int error = backend_.add_group(index, capacity, lot);
  if (error != 0) return error;
  return take(index, returned, capacity, std::move(hold), lot);
}

int32_t Groups::add_area(uint32_t* words, uint32_t capacity, MemoryHold hold) {
  if (capacity == 0 || capacity > abi::chunks_most) return -EINVAL;
  const uint32_t index = unused_index();
  if (index == abi::groups_most) return -ENOSPC;
  const int error = backend_.add_area(index, capacity);
  if (error != 0) return error;
  const int32_t handle = take(index, words, capacity, std::move(hold), Lot::bytes);
  groups_[index].places = words + 1 + capacity;
  return handle;
}

uint32_t Groups::unused_index() const {
  const auto unused = [](const Group& group) { return !group.alive; };
  const auto found = std::find_if(groups_.begin(), groups_.end(), unused);
  return static_cast<uint32_t>(found - groups_.begin());
}

int32_t Groups::take(uint32_t index, uint32_t* returned, uint32_t capacity, MemoryHold hold,
                     Lot lot) {
  if (index == groups_.size()) groups_.emplace_back();
  Group& group = groups_[index];
  CHECK(group.in_flight == 0);
  CHECK(group.pieces.empty());
  group.alive = true;
  group.lot = lot;
  group.capacity = capacity;
  group.piece_bytes = 0;
  group.returned = returned;
  group.hold = std::move(hold);
  return static_cast<int32_t>(index | uint32_t{group.generation} << group_index_bits);
}

int Groups::add_pieces(uint32_t handle, uint32_t buffer, double offset, uint32_t stride_bytes,
                       uint32_t piece_bytes, uint32_t count) {
  Group* group = find(handle);
  if (group == nullptr || group->places != nullptr) return -EINVAL;
  if (count == 0 || count > group->capacity - group->pieces.size()) return -EINVAL;
  const uint32_t head_bytes = group->lot == Lot::message ? abi::peer_size_bytes : 0;
  if (piece_bytes <= head_bytes || piece_bytes > stride_bytes) return -EINVAL;
  if (group->piece_bytes != 0 && group->piece_bytes != piece_bytes) return -EINVAL;
  const Buffer* memory = buffers_.find(buffer);
  if (memory == nullptr || buffer == abi::text_handle) return -EFAULT;
  const double needed = static_cast<double>(stride_bytes) * (count - 1) + piece_bytes;
  uint8_t* address = nullptr;
  if (!buffers_.resolve(*memory, offset, needed, address)) return -EFAULT;

  buffers_.begin(buffer);
  group->buffers.push_back(buffer);
  group->piece_bytes = piece_bytes;
  for (uint32_t index = 0; index < count; index++, address += stride_bytes) {
    const auto piece = static_cast<uint32_t>(group->pieces.size());
    group->pieces.push_back({address, false});
    backend_.give(index_of(handle), piece, address, piece_bytes);
  }
  return 0;
}

int Groups::remove(uint32_t handle) {
  const Group* group = find(handle);
  if (group == nullptr) return -EINVAL;
  if (group->in_flight > 0) return -EBUSY;
  free(index_of(handle));
  return 0;
}

void Groups::remove_all() {
  for (uint32_t index = 0; index < groups_.size(); index++) {
    if (groups_[index].alive) free(index);
  }
}

// The backend lets go first: from then on nobody writes to the pieces.
void Groups::free(uint32_t index) {
  Group& group = groups_[index];
  CHECK(group.in_flight == 0);
  backend_.remove_group(index);
  for (const Piece& piece : group.pieces) lent_ -= piece.lent ? 1 : 0;
  lent_ -= group.lent;
  for (const uint32_t buffer : group.buffers) buffers_.finish(buffer);
  group.pieces.clear();
  group.buffers.clear();
  group.returned = nullptr;
  group.places = nullptr;
  group.lent = 0;
  group.hold = MemoryHold();
  group.alive = false;
  group.generation = (group.generation + 1) & group_generation_mask;
}

Group* Groups::find(uint32_t handle) {
  const uint32_t index = index_of(handle);
  if (index >= groups_.size()) return nullptr;
  Group& group = groups_[index];
  return group.alive && group.generation == handle >> group_index_bits ? &group : nullptr;
}

Group& Groups::at(uint32_t handle) {
  Group* group = find(handle);
  CHECK(group != nullptr);
  return *group;
}

void Groups::finish(uint32_t handle) {
  Group& group = at(handle);
  CHECK(group.in_flight > 0);
  group.in_flight--;
}

uint32_t Groups::lend(uint32_t handle, uint32_t number, bool open) {
  Group& group = at(handle);
  if (group.places != nullptr) {
    CHECK(number < group.capacity);
    group.places[number] = backend_.offset_of(number);
    group.lent++;
    lent_++;
    return abi::completion_flag_lent | number << abi::completion_piece_shift;
  }
  CHECK(number < group.pieces.size());
  Piece& piece = group.pieces[number];
  CHECK(!piece.lent);
  const uint32_t flags = abi::completion_flag_lent | number << abi::completion_piece_shift;
  if (open) return flags | abi::completion_flag_open;
  piece.lent = true;
  lent_++;
  return flags;
}

void Groups::take_returned() {
  for (uint32_t index = 0; index < groups_.size(); index++) {
    if (groups_[index].alive && groups_[index].returned[0] != 0) take_returned_of(index);
  }
}

void Groups::take_returned_of(uint32_t index) {
  Group& group = groups_[index];
  // The list is shared with JavaScript: a count beyond it is garbage.
  const uint32_t count = std::min(group.returned[0], group.capacity);
  group.returned[0] = 0;
  for (uint32_t at = 1; at <= count; at++) {
    if (take_back(group, index, group.returned[at]))
      lent_--;
    else
      refused_++;
  }
}

bool Groups::take_back(Group& group, uint32_t index, uint32_t number) {
  if (group.places != nullptr) {
    if (number >= group.capacity || !backend_.take_back(number)) return false;
    group.lent--;
    return true;
  }
  if (number >= group.pieces.size() || !group.pieces[number].lent) return false;
  Piece& piece = group.pieces[number];
  piece.lent = false;
  backend_.give(index, number, piece.address, group.piece_bytes);
  return true;
}

}  // namespace io
