// A kqueue: its knotes, and the list of those that may have an event. See layer.h.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "layer.h"
#include "vnodes.h"

namespace kqueue_layer {

class Queue {
 public:
  // 0 or an errno.
  int open();
  // A number for the program, which then owns it: another name of the queue's own descriptor, so
  // that a call under way never uses a number that was closed and reused.
  int make_number() const;

  // The work of kevent().
  int call(const struct kevent* changes, int change_count, struct kevent* events, int event_count,
           const struct timespec* timeout);

  // The program has closed its number: calls under way end with EBADF.
  void close();
  // The program closes a file, which takes it out of every queue.
  void forget(int number);
  // In a child after fork(): its copies of the descriptors go, and nothing else may be touched.
  void abandon();

 private:
  using Key = std::pair<int16_t, uintptr_t>;

  int apply(const struct kevent& change);
  int add(const Key& key, const struct kevent& change);
  void remove(const Key& key);
  void activate(Knote& knote);
  void collect();
  void collect_from(int source);
  int scan(struct kevent* events, int event_count);
  void sync_awake();
  Sources sources() { return {own_.get(), reading_.get(), writing_.get(), &vnodes_}; }

  std::mutex mutex_;
  Owned own_;
  Owned reading_;
  Owned writing_;
  // Readable as long as the list is not empty: the list wakes waiting threads, and makes the queue
  // itself readable for its watchers.
  Owned awake_;
  bool awake_set_ = false;
  bool closed_ = false;
  Vnodes vnodes_;  // before the knotes, which leave it
  std::map<Key, std::unique_ptr<Knote>> knotes_;
  std::unordered_map<uint64_t, Knote*> by_id_;
  std::deque<uint64_t> active_;  // ids, since a knote on the list may be removed
  uint64_t next_id_ = first_knote_id;
};

}  // namespace kqueue_layer
