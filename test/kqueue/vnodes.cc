// EVFILT_VNODE, from what inotify(7) says of the same file. See layer.h.
//
// The kernels post while they make the call, and merge until the program asks; so does this. What
// inotify cannot tell apart is found by comparing the file with what it was, and in doubt less is
// posted than a kernel would.
#include "vnodes.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "real.h"
#include "systems.h"

namespace kqueue_layer {

namespace {

constexpr uint32_t of_names = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
constexpr uint32_t of_folder = of_names | IN_ATTRIB | IN_MOVE_SELF;
constexpr uint32_t of_file = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF;

}  // namespace

class VnodeKnote : public Knote {
 public:
  using Knote::Knote;

  ~VnodeKnote() override {
    sources.vnodes->remove(own_, *this);
    if (above_ != own_) sources.vnodes->remove(above_, *this);
  }

  int attach() override {
    if (::fstat(descriptor(), &was_) != 0) return EBADF;
    // Others are vnodes too, and nothing here asks for them.
    if (!S_ISREG(was_.st_mode) && !is_folder()) return EINVAL;
    own_ =
        sources.vnodes->add(sources.own, path().c_str(), is_folder() ? of_folder : of_file, *this);
    if (own_ < 0) return -own_;
    name_ = name();
    watch_above();
    return 0;
  }

  bool holds() override {
    reported = {};
    reported.fflags = posted_ & wanted;
    return reported.fflags != 0;
  }

  void reset() override { posted_ = 0; }

  // More than a kernel would, when nothing is known.
  void post_what_may_be() {
    watch_above();
    compare(IN_MODIFY);
    const std::string before = std::exchange(name_, name());
    if (name_ != before) posted_ |= NOTE_RENAME;
    if (is_folder()) posted_ |= NOTE_WRITE | NOTE_LINK;
  }

  // Something has happened to it, or, of a directory, in the one that it is in.
  void look(int watch, const inotify_event& event) {
    if (watch == own_) {
      if ((event.mask & IN_MOVE_SELF) != 0) {
        posted_ |= NOTE_RENAME;
        name_ = name();
        watch_above();
      }
      if ((event.mask & of_names) != 0) post_names(event.mask);
      if ((event.mask & (IN_MODIFY | IN_ATTRIB)) != 0 && event.len == 0) compare(event.mask);
    } else if (!is_gone_) {
      compare(0);
    }
  }

 private:
  bool is_folder() const { return S_ISDIR(was_.st_mode); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor()); }

  std::string name() const {
    char name[4096];
    const ssize_t length = ::readlink(path().c_str(), name, sizeof(name));
    return {name, static_cast<size_t>(std::max<ssize_t>(length, 0))};
  }

  // Linux does not tell a directory that is open of its own removal.
  void watch_above() {
    if (!is_folder()) return;
    const int before = above_;
    const int above = sources.vnodes->add(sources.own, (path() + "/..").c_str(), of_folder, *this);
    if (above == before) return;
    if (before != own_) sources.vnodes->remove(before, *this);
    above_ = above;
  }

  void post_names(uint32_t mask) {
    const bool of_folder = (mask & IN_ISDIR) != 0;
    const bool leaves = (mask & IN_MOVED_FROM) != 0;
    if (leaves && of_folder && system_here().rename_is_posted_early) return;
    posted_ |= NOTE_WRITE;
    if (of_folder) posted_ |= NOTE_LINK;
  }

  void compare(uint32_t mask) {
    struct stat now;
    if (::fstat(descriptor(), &now) != 0) return;
    if (is_folder()) {
      is_gone_ = now.st_nlink == 0;
      if (is_gone_) posted_ |= NOTE_DELETE;
      if (!is_gone_ && (mask & IN_ATTRIB) != 0) posted_ |= NOTE_ATTRIB;
      return;
    }
    if ((mask & IN_MODIFY) != 0) {
      post_content(was_.st_size, now.st_size);
      was_.st_size = now.st_size;
    }
    if ((mask & IN_ATTRIB) == 0) return;
    const struct stat before = std::exchange(was_, now);
    was_.st_size = before.st_size;  // until that is reported
    if (now.st_nlink < before.st_nlink) post_unlink(now.st_nlink);
    if (now.st_nlink > before.st_nlink) posted_ |= NOTE_LINK;
    const bool as_it_was =
        now.st_mode == before.st_mode && now.st_uid == before.st_uid && now.st_gid == before.st_gid;
    if (now.st_nlink == before.st_nlink || !as_it_was) posted_ |= NOTE_ATTRIB;
  }

  // Cutting a file is a change of its attributes, and Linux merges it with a write that follows.
  void post_content(off_t before, off_t now) {
    if (now < before) posted_ |= NOTE_ATTRIB;
    if (now >= before || now > 0) posted_ |= NOTE_WRITE;
    if (now > before) posted_ |= NOTE_EXTEND;
  }

  void post_unlink(nlink_t left) {
    const System& system = system_here();
    if (left > 0 && system.unlink_of_one_is_link) {
      posted_ |= NOTE_LINK;
    } else {
      posted_ |= system.is_darwin ? NOTE_DELETE | NOTE_LINK : NOTE_DELETE;
    }
  }

  struct stat was_ = {};
  std::string name_;
  int own_ = -1;
  int above_ = -1;
  bool is_gone_ = false;
  uint32_t posted_ = 0;
};

int Vnodes::open(int own) {
  inotify_ = Owned(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.valid()) return -errno;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = vnodes_id;
  return ::epoll_ctl(own, EPOLL_CTL_ADD, inotify_.get(), &event) == 0 ? 0 : -errno;
}

int Vnodes::add(int own, const char* path, uint32_t mask, VnodeKnote& knote) {
  if (!inotify_.valid()) {
    const int error = open(own);
    if (error != 0) return error;
  }
  const int watch = ::inotify_add_watch(inotify_.get(), path, mask);
  if (watch < 0) return -errno;
  watchers_[watch].insert(&knote);
  return watch;
}

void Vnodes::remove(int watch, VnodeKnote& knote) {
  const auto found = watchers_.find(watch);
  if (found == watchers_.end()) return;
  found->second.erase(&knote);
  if (!found->second.empty()) return;
  watchers_.erase(found);
  ::inotify_rm_watch(inotify_.get(), watch);
}

void Vnodes::collect(const std::function<void(Knote&)>& activate) {
  alignas(inotify_event) char bytes[16384];
  for (;;) {
    const ssize_t count = __real_read(inotify_.get(), bytes, sizeof(bytes));
    if (count <= 0) return;
    for (ssize_t at = 0; at < count;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(bytes + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event.len);
      if ((event.mask & IN_Q_OVERFLOW) != 0) post_all(activate);
      const auto found = watchers_.find(event.wd);
      if (found == watchers_.end()) continue;
      // A copy: a look may change who watches.
      for (VnodeKnote* knote : std::vector(found->second.begin(), found->second.end())) {
        knote->look(event.wd, event);
        activate(*knote);
      }
    }
  }
}

// Inotify has dropped events, as no kqueue does.
void Vnodes::post_all(const std::function<void(Knote&)>& activate) {
  std::set<VnodeKnote*> all;
  for (const auto& [watch, knotes] : watchers_) all.insert(knotes.begin(), knotes.end());
  for (VnodeKnote* knote : all) {
    knote->post_what_may_be();
    activate(*knote);
  }
}

std::unique_ptr<Knote> make_vnode_knote(const Sources& sources, uint64_t id,
                                        const struct kevent& change) {
  return std::make_unique<VnodeKnote>(sources, id, change);
}

}  // namespace kqueue_layer
