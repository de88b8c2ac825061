// Declarations that the parts of the test-only kqueue share. It exists so that the backend for
// macOS and the BSDs can be run on Linux; nothing of it is shipped.
//
//   kqueue.cc     the calls of <sys/event.h>, and which number is which queue
//   queue.cc      changes, the list of active knotes, waiting
//   readiness.cc  EVFILT_READ and EVFILT_WRITE of descriptors that can be polled   on epoll
//   processes.cc  EVFILT_PROC of the end of a process                              on a pidfd
//   timers.cc     EVFILT_TIMER                                                     on a timerfd
//   user.cc       EVFILT_USER
//   vnodes.cc     EVFILT_VNODE of files and directories                            on inotify
//
// Other filters, and EVFILT_READ of regular files, are refused: the backend uses none of them.
//
// It works as the kernels do: a Linux event says that a knote may have news, which puts the knote
// on the queue's list. When the program asks, the filter runs again and decides. So the descriptors
// below are all edge-triggered, and their events are only a hint.
//
// **Closing.** Linux has no event for the close of a descriptor of the program. Whenever a knote
// matters (it may be reported, it is changed), the layer checks that its number still names the
// file that it was attached to, and drops it otherwise. epoll knows exactly: it has registered the
// file and not the number, so adding the number once more fails with EEXIST as long as it is the
// same file. The queue's own number is different, since the queue behind it has to be freed:
// programs are linked with -Wl,--wrap=close, which tells EVFILT_VNODE too.
#pragma once

#include <sys/event.h>

#include <cstdint>
#include <memory>

namespace kqueue_layer {

// A descriptor that is closed with its owner.
class Owned {
 public:
  Owned() = default;
  explicit Owned(int number) : number_(number) {}
  Owned(Owned&& other) noexcept : number_(other.release()) {}
  Owned& operator=(Owned&& other) noexcept;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned();
  int get() const { return number_; }
  bool valid() const { return number_ >= 0; }
  int release();

 private:
  int number_ = -1;
};

// The epoll descriptors of a queue. Each registration carries the id of its knote. `reading` and
// `writing` have the program's descriptors, apart from each other: one registration for both would
// take news of one direction for news of the other, which EV_CLEAR would show. (One case is left:
// when a peer ends its direction, Linux wakes both, so EVFILT_WRITE is reported once more than on a
// BSD.) `own` has both of them and the descriptors that wake a waiting thread.
struct Sources {
  int own;
  int reading;
  int writing;
  class Vnodes* vnodes;
};

// One (ident, filter) on a queue. Everything is called under the queue's lock.
class Knote {
 public:
  Knote(const Sources& sources, uint64_t id, const struct kevent& change);
  virtual ~Knote() = default;
  Knote(const Knote&) = delete;
  Knote& operator=(const Knote&) = delete;

  // Begins to watch; 0 or an errno. The watch ends with the object.
  virtual int attach() = 0;
  // A change of a knote that is there already; 0 or an errno.
  virtual int touch(const struct kevent& change);
  // Runs the filter: whether there is an event, which is left in `reported`.
  virtual bool holds() = 0;
  // The event was reported and is EV_CLEAR.
  virtual void reset() {}
  // Whether the number still is what the knote was attached to.
  virtual bool alive() { return true; }

  struct kevent event() const;

  const uint64_t id;
  const uintptr_t ident;
  const int16_t filter;
  uint16_t behaviour;  // EV_CLEAR, EV_ONESHOT, EV_DISPATCH
  uint32_t wanted;     // fflags and data of the change
  int64_t parameter;
  void* udata;
  bool active = false;  // there may be an event to report
  bool disabled = false;
  bool queued = false;

 protected:
  struct Reported {
    uint16_t flags = 0;
    uint32_t fflags = 0;
    int64_t data = 0;
  };

  int descriptor() const { return static_cast<int>(ident); }

  const Sources sources;
  Reported reported;
};

inline constexpr uint16_t behaviour_flags = EV_CLEAR | EV_ONESHOT | EV_DISPATCH;
inline constexpr uint64_t first_knote_id = 16;  // smaller ids are the queue's own

// Whether the ident of a filter is a descriptor.
bool takes_descriptor(int16_t filter);
// The knote for a change, not yet attached; null for a filter that there is not.
std::unique_ptr<Knote> make_knote(const Sources& sources, uint64_t id, const struct kevent& change);

std::unique_ptr<Knote> make_readiness_knote(const Sources&, uint64_t id, const struct kevent&);
std::unique_ptr<Knote> make_process_knote(const Sources&, uint64_t id, const struct kevent&);
std::unique_ptr<Knote> make_timer_knote(const Sources&, uint64_t id, const struct kevent&);
std::unique_ptr<Knote> make_user_knote(const Sources&, uint64_t id, const struct kevent&);
std::unique_ptr<Knote> make_vnode_knote(const Sources&, uint64_t id, const struct kevent&);

}  // namespace kqueue_layer
