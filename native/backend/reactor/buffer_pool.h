// Provided buffers for the backends that receive by themselves: the free buffers of each group, and
// the one that is being filled. Several receives fill a buffer, one behind the other, as in the
// kernel's incremental rings. So memory is used by the bytes that arrive and not by the number of
// receives.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "system/address.h"
#include "engine/backend.h"
#include "support/check.h"
#include "engine/buffer_groups.h"
#include "system/system.h"

namespace io {

class BufferPool {
 public:
  struct Received {
    int32_t result;       // of the call
    bool more = true;     // the limit of bytes is not reached
    bool filled = false;  // as much came as there was room for
  };

  void add(uint32_t group) {
    if (group >= groups_.size()) groups_.resize(group + 1);
    groups_[group] = Group{};
  }

  void remove(uint32_t group) { groups_[group] = Group{}; }

  void provide(uint32_t group, uint32_t buffer_id, uint8_t* data, uint32_t size_bytes) {
    groups_[group].free.push_back({data, size_bytes, static_cast<uint16_t>(buffer_id)});
  }

  // The next receive of a multishot one: -EAGAIN when there is nothing to receive, -ENOBUFS when
  // JavaScript holds every buffer. `reported` gets a completion for each buffer that received
  // bytes. With `much` one call fills several buffers.
  template <class List>
  Received receive(Operation& operation, bool much, List& reported) {
    Group& from = groups_[BufferGroups::index_of(operation.argument)];
    const bool message = operation.opcode == abi::Opcode::receive_message_multishot;
    return message ? receive_message(operation, from, reported)
                   : receive_bytes(operation, from, much, reported);
  }

 private:
  struct ProvidedBuffer {
    uint8_t* data;
    uint32_t size_bytes;
    uint16_t number;
  };
  struct Group {
    std::vector<ProvidedBuffer>
        free;  // the last one that came goes first: it is still in the cache
    bool filling = false;
    ProvidedBuffer current = {};  // what is left of the one that is being filled
  };

  static constexpr size_t max_vectors = 16;
  static constexpr uint64_t bytes_at_once = 256 * 1024;

  template <class List>
  static Received receive_bytes(Operation& operation, Group& from, bool much, List& reported) {
    if (!has_room(from)) return {-ENOBUFS};
    iovec memory[max_vectors];
    const auto [count, room_bytes] = collect(operation, from, much, memory);
    const int32_t result =
        count == 1 ? system::receive_bytes(operation.number, from.current.data, room_bytes)
                   : receive_vector(operation.number, memory, count);
    if (result <= 0) return {result};
    const bool more = operation.extent == 0 || operation.left_bytes > result;
    if (operation.extent != 0) operation.left_bytes -= result;
    report(operation, from, static_cast<uint32_t>(result), more, reported);
    return {result, more, static_cast<size_t>(result) == room_bytes};
  }

  struct Room {
    size_t count;
    size_t size_bytes;
  };

  // The rest of the buffer that is being filled, and with `much` the next ones.
  static Room collect(const Operation& operation, const Group& from, bool much, iovec* memory) {
    memory[0] = {from.current.data, from.current.size_bytes};
    Room room = {1, from.current.size_bytes};
    if (!much) return room;
    const auto limit = static_cast<uint64_t>(operation.left_bytes);
    const uint64_t max = limit == 0 ? bytes_at_once : std::min(bytes_at_once, limit);
    for (size_t index = from.free.size(); index > 0; index--) {
      if (room.count == max_vectors || room.size_bytes >= max) break;
      const ProvidedBuffer& next = from.free[index - 1];
      memory[room.count++] = {next.data, next.size_bytes};
      room.size_bytes += next.size_bytes;
    }
    return room;
  }

  static int32_t receive_vector(int number, iovec* memory, size_t count) {
    msghdr message = {};
    message.msg_iov = memory;
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
    return system::receive_message(number, message);
  }

  // Goes through the buffers in the order in which collect() has taken them.
  template <class List>
  static void report(Operation& operation, Group& from, uint32_t left, bool more, List& reported) {
    while (left > 0) {
      CHECK(has_room(from));
      ProvidedBuffer& buffer = from.current;
      const uint32_t count = std::min(left, buffer.size_bytes);
      buffer.data += count;
      buffer.size_bytes -= count;
      left -= count;
      from.filling = buffer.size_bytes > 0;
      reported.push_back({.operation = &operation,
                          .result = static_cast<int32_t>(count),
                          .more = more || left > 0,
                          .receive_empty = false,
                          .buffer_open = from.filling,
                          .buffer_id = buffer.number});
    }
  }

  // A message has a buffer of its own, with the record of who sent it in front. An empty one has
  // too.
  template <class List>
  static Received receive_message(Operation& operation, Group& from, List& reported) {
    constexpr uint32_t head_bytes = abi::peer_size_bytes;
    if (from.free.empty()) return {-ENOBUFS};
    const ProvidedBuffer buffer = from.free.back();
    Extra& extra = *operation.extra;
    iovec memory = {buffer.data + head_bytes, buffer.size_bytes - head_bytes};
    std::memset(&extra.message, 0, sizeof(extra.message));
    extra.message.msg_iov = &memory;
    extra.message.msg_iovlen = 1;
    extra.message.msg_name = &extra.address;
    extra.message.msg_namelen = sizeof(extra.address);
    const int32_t result = system::receive_message(operation.number, extra.message);
    extra.message.msg_iov = nullptr;
    if (result < 0) return {result};
    from.free.pop_back();
    write_sender(extra.message, extra.address, buffer.data);
    reported.push_back({.operation = &operation,
                        .result = result,
                        .more = true,
                        .receive_empty = false,
                        .buffer_id = buffer.number});
    return {result, true, true};
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
