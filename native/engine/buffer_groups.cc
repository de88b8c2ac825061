// Groups of provided buffers: see buffer_groups.h.
#include "engine/buffer_groups.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "support/check.h"

namespace io {

namespace {

// A handle is an index with the generation of its use above it.
constexpr uint32_t group_index_bits = 8;
static_assert(abi::max_groups == 1u << group_index_bits);
constexpr uint16_t group_generation_mask = 0x3fff;

}  // namespace

int32_t BufferGroups::add(uint32_t* returned, uint32_t capacity, BackingStore backing_store,
                          GroupContent content) {
  if (capacity == 0 || capacity > abi::max_group_buffers) return -EINVAL;
  const uint32_t index = unused_index();
  if (index == abi::max_groups) return -ENOSPC;
  const int error = backend_.add_group(index, capacity, content);
  if (error != 0) return error;
  return take(index, returned, capacity, std::move(backing_store), content);
}

int32_t BufferGroups::add_area(uint32_t* words, uint32_t capacity, BackingStore backing_store) {
  if (capacity == 0 || capacity > abi::max_chunks) return -EINVAL;
  if (backend_.area() == nullptr) return -EOPNOTSUPP;
  const uint32_t index = unused_index();
  if (index == abi::max_groups) return -ENOSPC;
  const int error = backend_.area()->add_group(index, capacity);
  if (error != 0) return error;
  const int32_t handle =
      take(index, words, capacity, std::move(backing_store), GroupContent::bytes);
  groups_[index].places = words + 1 + capacity;
  return handle;
}

uint32_t BufferGroups::unused_index() const {
  const auto unused = [](const BufferGroup& group) { return !group.alive; };
  const auto found = std::find_if(groups_.begin(), groups_.end(), unused);
  return static_cast<uint32_t>(found - groups_.begin());
}

int32_t BufferGroups::take(uint32_t index, uint32_t* returned, uint32_t capacity,
                           BackingStore backing_store, GroupContent content) {
  if (index == groups_.size()) groups_.emplace_back();
  BufferGroup& group = groups_[index];
  CHECK(group.in_flight == 0);
  CHECK(group.provided_buffers.empty());
  group.alive = true;
  group.content = content;
  group.capacity = capacity;
  group.buffer_size_bytes = 0;
  group.returned = returned;
  group.backing_store = std::move(backing_store);
  return static_cast<int32_t>(index | uint32_t{group.generation} << group_index_bits);
}

int BufferGroups::provide_buffers(uint32_t handle, uint32_t buffer, double offset,
                                  uint32_t stride_bytes, uint32_t buffer_size_bytes,
                                  uint32_t count) {
  BufferGroup* group = find(handle);
  if (group == nullptr || group->places != nullptr) return -EINVAL;
  if (count == 0 || count > group->capacity - group->provided_buffers.size()) return -EINVAL;
  const uint32_t head_bytes = group->content == GroupContent::message ? abi::peer_size_bytes : 0;
  if (buffer_size_bytes <= head_bytes || buffer_size_bytes > stride_bytes) return -EINVAL;
  if (group->buffer_size_bytes != 0 && group->buffer_size_bytes != buffer_size_bytes)
    return -EINVAL;
  const Buffer* memory = buffers_.find(buffer);
  if (memory == nullptr || buffer == abi::text_handle) return -EFAULT;
  const double needed = static_cast<double>(stride_bytes) * (count - 1) + buffer_size_bytes;
  uint8_t* address = nullptr;
  if (!buffers_.resolve(*memory, offset, needed, address)) return -EFAULT;

  buffers_.begin(buffer);
  group->buffers.push_back(buffer);
  group->buffer_size_bytes = buffer_size_bytes;
  for (uint32_t index = 0; index < count; index++, address += stride_bytes) {
    const auto buffer_id = static_cast<uint32_t>(group->provided_buffers.size());
    group->provided_buffers.push_back({address, false});
    backend_.provide(index_of(handle), buffer_id, address, buffer_size_bytes);
  }
  return 0;
}

int BufferGroups::remove(uint32_t handle) {
  const BufferGroup* group = find(handle);
  if (group == nullptr) return -EINVAL;
  if (group->in_flight > 0) return -EBUSY;
  free(index_of(handle));
  return 0;
}

void BufferGroups::remove_all() {
  for (uint32_t index = 0; index < groups_.size(); index++) {
    if (groups_[index].alive) free(index);
  }
}

// The backend gives up its side first: from then on nothing writes to the buffers.
void BufferGroups::free(uint32_t index) {
  BufferGroup& group = groups_[index];
  CHECK(group.in_flight == 0);
  backend_.remove_group(index);
  for (const ProvidedBuffer& provided_buffer : group.provided_buffers)
    held_ -= provided_buffer.held ? 1 : 0;
  held_ -= group.held;
  for (const uint32_t buffer : group.buffers) buffers_.finish(buffer);
  group.provided_buffers.clear();
  group.buffers.clear();
  group.returned = nullptr;
  group.places = nullptr;
  group.held = 0;
  group.backing_store = BackingStore();
  group.alive = false;
  group.generation = (group.generation + 1) & group_generation_mask;
}

BufferGroup* BufferGroups::find(uint32_t handle) {
  const uint32_t index = index_of(handle);
  if (index >= groups_.size()) return nullptr;
  BufferGroup& group = groups_[index];
  return group.alive && group.generation == handle >> group_index_bits ? &group : nullptr;
}

BufferGroup& BufferGroups::at(uint32_t handle) {
  BufferGroup* group = find(handle);
  CHECK(group != nullptr);
  return *group;
}

void BufferGroups::finish(uint32_t handle) {
  BufferGroup& group = at(handle);
  CHECK(group.in_flight > 0);
  group.in_flight--;
}

uint32_t BufferGroups::mark_held(uint32_t handle, uint32_t number, bool open) {
  BufferGroup& group = at(handle);
  if (group.places != nullptr) {
    CHECK(number < group.capacity);
    group.places[number] = backend_.area()->offset_of(number);
    group.held++;
    held_++;
    return abi::completion_flag_buffer | number << abi::completion_buffer_shift;
  }
  CHECK(number < group.provided_buffers.size());
  ProvidedBuffer& provided_buffer = group.provided_buffers[number];
  CHECK(!provided_buffer.held);
  const uint32_t flags = abi::completion_flag_buffer | number << abi::completion_buffer_shift;
  if (open) return flags | abi::completion_flag_open;
  provided_buffer.held = true;
  held_++;
  return flags;
}

void BufferGroups::take_returned() {
  for (uint32_t index = 0; index < groups_.size(); index++) {
    if (groups_[index].alive && groups_[index].returned[0] != 0) take_returned_of(index);
  }
}

void BufferGroups::take_returned_of(uint32_t index) {
  BufferGroup& group = groups_[index];
  // The list is shared with JavaScript: a count beyond it is garbage.
  const uint32_t count = std::min(group.returned[0], group.capacity);
  group.returned[0] = 0;
  for (uint32_t at = 1; at <= count; at++) {
    if (release(group, index, group.returned[at]))
      held_--;
    else
      refused_++;
  }
}

bool BufferGroups::release(BufferGroup& group, uint32_t index, uint32_t number) {
  if (group.places != nullptr) {
    if (number >= group.capacity || !backend_.area()->release_chunk(number)) return false;
    group.held--;
    return true;
  }
  if (number >= group.provided_buffers.size() || !group.provided_buffers[number].held) return false;
  ProvidedBuffer& provided_buffer = group.provided_buffers[number];
  provided_buffer.held = false;
  backend_.provide(index, number, provided_buffer.address, group.buffer_size_bytes);
  return true;
}

}  // namespace io
