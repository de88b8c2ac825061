// EVFILT_VNODE of a queue: one inotify for all of its knotes, since a user has few of them. See
// layer.h.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>

#include "layer.h"

namespace kqueue_layer {

inline constexpr uint64_t vnodes_id = 3;  // below first_knote_id

class VnodeKnote;

class Vnodes {
 public:
  // Begins to watch a path for a knote: the number of the watch, or a negative errno.
  int add(int own, const char* path, uint32_t mask, VnodeKnote& knote);
  void remove(int watch, VnodeKnote& knote);
  // Takes what inotify has; called back for each knote that may have news.
  void collect(const std::function<void(Knote&)>& activate);
  int number() const { return inotify_.get(); }

 private:
  int open(int own);
  void post_all(const std::function<void(Knote&)>& activate);

  Owned inotify_;
  std::map<int, std::set<VnodeKnote*>> watchers_;
};

}  // namespace kqueue_layer
