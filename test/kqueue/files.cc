// Files, on inotify: EVFILT_READ of what has an end, and EVFILT_VNODE. See layer.h.
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "layer.h"

namespace kqueue_layer {

namespace {

// A descriptor of a file, by what it was when the knote was attached. That is as close as Linux
// lets one look: a second open() of the same file on the same number passes for the first.
class WatchedFile {
 public:
  int open(int number) {
    if (::fstat(number, &first_) != 0) return errno;
    last_ = first_;
    inotify_ = Owned(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    return inotify_.valid() ? 0 : errno;
  }

  // By its descriptor, which names the file even when it has no name any more.
  int watch(int number, uint32_t events) const {
    char path[32];
    std::snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
    return ::inotify_add_watch(inotify_.get(), path, events) >= 0 ? 0 : errno;
  }

  bool is_still(int number) const {
    struct stat now;
    if (::fstat(number, &now) != 0) return false;
    return now.st_dev == first_.st_dev && now.st_ino == first_.st_ino;
  }

  // Takes what inotify has to say: the events of all of it together.
  uint32_t drain() const {
    alignas(inotify_event) char buffer[4096];
    uint32_t events = 0;
    for (;;) {
      const ssize_t size = ::read(inotify_.get(), buffer, sizeof(buffer));
      if (size <= 0) return events;
      for (ssize_t place = 0; place < size;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + place);
        events |= event->mask;
        place += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      }
    }
  }

  // What the file is now, and what it was the last time that this was asked.
  std::pair<struct stat, struct stat> now_and_before(int number) {
    const struct stat before = last_;
    struct stat now;
    if (::fstat(number, &now) == 0) last_ = now;
    return {last_, before};
  }

  int inotify() const { return inotify_.get(); }

 private:
  struct stat first_ = {};
  struct stat last_ = {};
  Owned inotify_;
};

// EVFILT_READ: true while the position is not at the end; the distance may be negative.
class FileKnote : public Knote {
 public:
  using Knote::Knote;

  int attach() override {
    int error = file_.open(descriptor());
    if (error == 0) error = file_.watch(descriptor(), IN_MODIFY);
    return error == 0 ? watch_own(file_.inotify()) : error;
  }

  bool holds() override {
    file_.drain();
    struct stat status;
    const off_t position = ::lseek(descriptor(), 0, SEEK_CUR);
    if (position < 0 || ::fstat(descriptor(), &status) != 0) return false;
    told.data = status.st_size - position;
    return told.data != 0;
  }

  bool alive() override { return file_.is_still(descriptor()); }

 private:
  WatchedFile file_;
};

class VnodeKnote : public Knote {
 public:
  using Knote::Knote;

  int attach() override {
    int error = file_.open(descriptor());
    const uint32_t of_folder = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
    const uint32_t events = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | of_folder;
    if (error == 0) error = file_.watch(descriptor(), events);
    return error == 0 ? watch_own(file_.inotify()) : error;
  }

  bool holds() override {
    const uint32_t events = file_.drain();
    if (events != 0) told.fflags |= notes_of(events) & wanted;
    return told.fflags != 0;
  }

  void reset() override { told.fflags = 0; }

  bool alive() override { return file_.is_still(descriptor()); }

 private:
  // inotify does not say what has changed, so sizes and link counts are compared. Of several
  // changes between two looks only their sum is seen.
  uint32_t notes_of(uint32_t events) {
    const auto [now, before] = file_.now_and_before(descriptor());
    uint32_t notes = 0;
    if ((events & IN_MODIFY) != 0) {
      notes |= NOTE_WRITE;
      if (now.st_size > before.st_size) notes |= NOTE_EXTEND;
    }
    if ((events & (IN_CREATE | IN_DELETE)) != 0) notes |= NOTE_WRITE;
    if ((events & (IN_MOVED_FROM | IN_MOVED_TO)) != 0) notes |= NOTE_WRITE | NOTE_EXTEND;
    if ((events & IN_MOVE_SELF) != 0) notes |= NOTE_RENAME;
    if (now.st_nlink != before.st_nlink) notes |= NOTE_LINK;
    // A folder's count falls with a folder in it; that of anything else, when a name is removed.
    const bool name_gone = !S_ISDIR(now.st_mode) && now.st_nlink < before.st_nlink;
    const bool gone = (events & IN_DELETE_SELF) != 0 || now.st_nlink == 0;
    if (name_gone || gone) notes |= NOTE_DELETE;
    // Linux reports a change of the link count as one of the attributes.
    if ((events & IN_ATTRIB) != 0 && (notes & (NOTE_LINK | NOTE_DELETE)) == 0) notes |= NOTE_ATTRIB;
    return notes;
  }

  WatchedFile file_;
};

}  // namespace

std::unique_ptr<Knote> make_file_knote(const Sources& sources, uint64_t id,
                                       const struct kevent& change) {
  return std::make_unique<FileKnote>(sources, id, change);
}

std::unique_ptr<Knote> make_vnode_knote(const Sources& sources, uint64_t id,
                                        const struct kevent& change) {
  return std::make_unique<VnodeKnote>(sources, id, change);
}

}  // namespace kqueue_layer
