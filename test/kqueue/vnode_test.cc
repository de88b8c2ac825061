// EVFILT_VNODE: what has happened to an open file or directory.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "support.h"

namespace kqueue_tests {

namespace {

constexpr unsigned all =
    NOTE_DELETE | NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME | NOTE_REVOKE;

class Folder {
 public:
  Folder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
  ~Folder() { REQUIRE_EQUAL(std::system(("rm -r " + path_).c_str()), 0); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string at(const char* name) const { return path_ + "/" + name; }

  // An open file that the test owns.
  int open(const char* name) const {
    const int number = ::open(at(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(number >= 0);
    return number;
  }
  int open_folder(const char* name) const {
    const int number = ::open(at(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(number >= 0);
    return number;
  }
  void make(const char* name) const { REQUIRE_EQUAL(::mkdir(at(name).c_str(), 0700), 0); }
  void rename(const char* from, const char* to) const {
    REQUIRE_EQUAL(::rename(at(from).c_str(), at(to).c_str()), 0);
  }

 private:
  std::string path_ = "/tmp/kqueue-vnode-XXXXXX";
};

void add_vnode(const Kqueue& queue, int number) {
  queue.add(static_cast<uintptr_t>(number), EVFILT_VNODE, EV_CLEAR, all);
}

}  // namespace

// "NOTE_WRITE: a write occurred on the file", "NOTE_EXTEND: the file was extended".
NATIVE_TEST(vnode_events_of_a_file) {
  const Folder folder;
  const int file = folder.open("file");
  const Kqueue queue;
  add_vnode(queue, file);
  REQUIRE(queue.quiet());
  write_text(file, "text");
  REQUIRE_EQUAL(queue.one().fflags, NOTE_WRITE | NOTE_EXTEND);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(::pwrite(file, "T", 1, 0), 1);
  REQUIRE_EQUAL(queue.one().fflags, NOTE_WRITE);
  // "NOTE_ATTRIB: the file had its attributes changed", also by a truncation.
  REQUIRE_EQUAL(::fchmod(file, 0644), 0);
  REQUIRE_EQUAL(queue.one().fflags, NOTE_ATTRIB);
  REQUIRE_EQUAL(::ftruncate(file, 0), 0);
  REQUIRE_EQUAL(queue.one().fflags, NOTE_ATTRIB);
  // They merge until they are taken.
  write_text(file, "more");
  folder.rename("file", "other");
  REQUIRE_EQUAL(queue.one().fflags, NOTE_WRITE | NOTE_EXTEND | NOTE_RENAME);
  // "NOTE_DELETE: the unlink() system call was called", while the file is open.
  REQUIRE_EQUAL(::unlink(folder.at("other").c_str()), 0);
  REQUIRE_EQUAL(queue.one().fflags, NOTE_DELETE);
  close(file);
  REQUIRE(queue.quiet());
}

// A directory: its names come and go, and it is removed itself, open as it is.
NATIVE_TEST(vnode_events_of_a_folder) {
  const Folder folder;
  folder.make("one");
  folder.make("two");
  const int one = folder.open_folder("one");
  const int two = folder.open_folder("two");
  const Kqueue queue;
  add_vnode(queue, one);
  close(folder.open("one/file"));
  REQUIRE_EQUAL(queue.one().fflags, NOTE_WRITE);
  folder.make("one/below");
  REQUIRE_EQUAL(queue.one().fflags, NOTE_WRITE | NOTE_LINK);
  // The bytes of what is in it are no matter of its own.
  const int file = folder.open("one/file");
  write_text(file, "text");
  close(file);
  REQUIRE(queue.quiet());
  add_vnode(queue, two);
  folder.rename("one/file", "two/file");
  REQUIRE_EQUAL(queue.pending().size(), 2);
  folder.rename("two", "three");
  REQUIRE_EQUAL(queue.one().fflags, NOTE_RENAME);
  REQUIRE_EQUAL(::rmdir(folder.at("one/below").c_str()), 0);
  REQUIRE_EQUAL(queue.one().fflags, NOTE_WRITE | NOTE_LINK);
  REQUIRE_EQUAL(::rmdir(folder.at("one").c_str()), 0);
  REQUIRE_EQUAL(queue.one().fflags, NOTE_DELETE);
  close(one);
  close(two);
}

// "Calling close() on a file descriptor will remove any kevents that reference the descriptor",
// also when the number is used again at once.
NATIVE_TEST(vnode_events_end_with_a_close) {
  const Folder folder;
  const int file = folder.open("file");
  const Kqueue queue;
  add_vnode(queue, file);
  write_text(file, "text");
  close(file);
  REQUIRE_EQUAL(folder.open("file"), file);
  REQUIRE(queue.quiet());
  REQUIRE_EQUAL(queue.change(static_cast<uintptr_t>(file), EVFILT_VNODE, EV_DELETE), ENOENT);
  close(file);
}

// A queue with news is readable for another one, and is never writable.
NATIVE_TEST(vnode_queues_can_be_watched) {
  const Folder folder;
  const int file = folder.open("file");
  const Kqueue inner;
  add_vnode(inner, file);
  const Kqueue outer;
  outer.add(static_cast<uintptr_t>(inner.number), EVFILT_READ, EV_CLEAR);
  REQUIRE_EQUAL(outer.change(static_cast<uintptr_t>(inner.number), EVFILT_WRITE, EV_ADD), EINVAL);
  REQUIRE(outer.quiet());
  for (int round = 0; round < 3; round++) {
    write_text(file, "text");
    REQUIRE_EQUAL(outer.one().ident, static_cast<uintptr_t>(inner.number));
    REQUIRE_EQUAL(inner.pending().size(), 1);
    REQUIRE(outer.quiet());
  }
  close(file);
}

}  // namespace kqueue_tests
