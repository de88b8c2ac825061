// Operations that wait for a peer that takes nothing now, and of which no event says when it does:
// a unix datagram to an address whose receiver is full, a connect to a unix listener whose backlog
// is full. (A kernel wakes the sender that is connected to the receiver: unix_dgram_poll() of
// Linux. A sender that names the receiver is always writable.)
//
// Those that wait for one peer stand in one line, and one of them is tried for all. When it has
// gone, the next one is tried, until the peer is full again. A peer that has taken something, or
// has just become full, is tried after 1, 2, 4, 8 and 16 ms, and then in turn with the others: 32
// of them every 20 ms. When a peer that was tried in turn has taken something, others may have room
// as well, and the next one in turn is tried at once. So what waiting costs is bounded by what
// goes, and does not grow with the number of operations or peers. A receive by the same IO makes
// room at the peer that its socket is, and no other peer has to be tried.
//
// Who owns an operation that waits here: the backend. Each is in the line of its peer.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <list>
#include <span>
#include <string>
#include <unordered_map>

#include "engine/backend.h"
#include "engine/operation.h"
#include "engine/operation_list.h"

namespace io {

class FullPeers {
 public:
  bool empty() const { return peers_.empty(); }
  size_t size() const { return size_; }

  // It was tried, and its peer is full.
  void add(Operation& operation, int64_t now_ns) {
    if (empty()) turn_ns_ = now_ns + turn_interval_ns;
    const std::string name = name_of(operation);
    const auto [found, is_new] = peers_.try_emplace(name);
    if (is_new) {
      with_room_.emplace_back();
      found->second = std::prev(with_room_.end());
      found->second->name = name;
      found->second->list = &with_room_;
    }
    const Place peer = found->second;
    peer->line.push(operation);
    size_++;
    if (peer->list == &with_room_) wait(peer, now_ns);
  }

  // It has ended.
  void remove(Operation& operation) {
    const auto found = peers_.find(name_of(operation));
    CHECK(found != peers_.end());
    take(found->second, operation);
  }

  // An operation has ended: when it names a peer, that one has taken it, or is gone.
  void went(const Operation& operation, int32_t result) {
    const bool names_peer = operation.unix_datagram && is(operation.opcode, trait::sends);
    if (!names_peer && operation.opcode != abi::Opcode::connect) return;
    if (result == -ECANCELED || result == -ETIMEDOUT) return;
    const auto found = peers_.find(name_of(operation));
    if (found == peers_.end()) return;
    const bool was_in_turn = found->second->list == &in_turn_;
    has_room(found->second);
    if (was_in_turn && !in_turn_.empty()) move(in_turn_.begin(), with_room_);
  }

  // Receives among the completions have made room.
  void note_received(std::span<const Completed> completed) {
    for (const Completed& one : completed) {
      const Operation& operation = *one.operation;
      if (!operation.unix_datagram || !is(operation.opcode, trait::receives)) continue;
      if (one.result >= 0) received(operation.number);
    }
  }

  // When some are tried next; the greatest number when none wait.
  int64_t due_ns() const {
    if (empty()) return std::numeric_limits<int64_t>::max();
    int64_t due_ns = turn_ns_;
    for (const std::list<Peer>& peers : soon_) {
      if (!peers.empty()) due_ns = std::min(due_ns, peers.front().due_ns);
    }
    return due_ns;
  }
  // Whether some are to be tried now.
  bool any_with_room() const { return !with_room_.empty(); }

  // Gives operations to `attempt`, which are no longer here: those of peers that have room, or that
  // are due. Each comes back by add() or went().
  template <class Attempt>
  void go(int64_t now_ns, Attempt attempt) {
    note_due(now_ns);
    for (size_t left = attempts_in_row; left > 0 && any_with_room(); left--) {
      const Place peer = with_room_.begin();
      if (peer->line.empty()) {
        forget(peer);
        continue;
      }
      Operation& operation = *peer->line.first();
      // The others of its line wait for what becomes of this one.
      wait(peer, now_ns);
      take(peer, operation);
      attempt(operation);
    }
  }

  // The visit may remove the operation that it is given, and no other.
  template <class Visit>
  void each(Visit visit) {
    for (const auto& [name, peer] : peers_) peer->line.each(visit);
  }

 private:
  static constexpr int64_t turn_interval_ns = 20'000'000;
  static constexpr size_t peers_in_turn = 32;
  static constexpr int64_t first_delay_ns = 1'000'000;
  static constexpr size_t delays = 5;
  // Before other completions have their turn.
  static constexpr size_t attempts_in_row = 64;

  struct Peer {
    std::string name;
    OperationQueue line;
    std::list<Peer>* list = nullptr;  // the one that it is in
    size_t tries = 0;                 // since it has taken something
    int64_t due_ns = 0;               // of one that is tried soon
  };
  using Place = std::list<Peer>::iterator;

  static std::string name_of(const void* address, socklen_t size) {
    const auto* bytes = static_cast<const char*>(address);
    constexpr size_t path_at = offsetof(sockaddr_un, sun_path);
    // A path may stand there with the zero byte behind it, or without.
    const bool is_path = static_cast<const sockaddr*>(address)->sa_family == AF_UNIX &&
                         size > path_at && bytes[path_at] != 0;
    if (!is_path) return {bytes, size};
    return {bytes + path_at, ::strnlen(bytes + path_at, size - path_at)};
  }

  // A sender that is connected does not know its peer's name, so it waits in a line of its own.
  static std::string name_of(const Operation& operation) {
    const Extra* extra = operation.extra.get();
    if (operation.opcode == abi::Opcode::connect) {
      return name_of(&extra->address, extra->address_size_bytes);
    }
    const bool is_message = operation.opcode == abi::Opcode::send_message ||
                            operation.opcode == abi::Opcode::send_control;
    if (!is_message || extra->message.msg_name == nullptr) return std::to_string(operation.number);
    return name_of(extra->message.msg_name, extra->message.msg_namelen);
  }

  void received(int number) {
    sockaddr_storage address = {};
    socklen_t size = sizeof(address);
    if (::getsockname(number, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
    const auto found = peers_.find(name_of(&address, size));
    if (found != peers_.end()) has_room(found->second);
  }

  void has_room(Place peer) {
    peer->tries = 0;
    move(peer, with_room_);
  }

  // Its next try is due after a while, or comes in turn.
  void wait(Place peer, int64_t now_ns) {
    if (peer->tries == delays) return move(peer, in_turn_);
    const size_t index = peer->tries++;
    peer->due_ns = now_ns + (first_delay_ns << index);
    move(peer, soon_[index]);
  }

  void note_due(int64_t now_ns) {
    for (std::list<Peer>& peers : soon_) {
      while (!peers.empty() && peers.front().due_ns <= now_ns) move(peers.begin(), with_room_);
    }
    if (now_ns < turn_ns_) return;
    turn_ns_ = now_ns + turn_interval_ns;
    for (size_t left = std::min(peers_in_turn, in_turn_.size()); left > 0; left--) {
      move(in_turn_.begin(), with_room_);
    }
  }

  // To the end of a list.
  static void move(Place peer, std::list<Peer>& to) {
    to.splice(to.end(), *peer->list, peer);
    peer->list = &to;
  }

  void take(Place peer, Operation& operation) {
    peer->line.remove(operation);
    size_--;
  }

  // A peer for which none waits is forgotten when it would be tried next: until then the operation
  // that was taken may come back.
  void forget(Place peer) {
    peers_.erase(peer->name);
    peer->list->erase(peer);
  }

  std::list<Peer> with_room_;                 // to be tried at once
  std::array<std::list<Peer>, delays> soon_;  // to be tried after 1, 2, 4, 8 or 16 ms
  std::list<Peer> in_turn_;                   // those first that were tried longest ago
  std::unordered_map<std::string, Place> peers_;
  size_t size_ = 0;
  int64_t turn_ns_ = 0;
};

}  // namespace io
