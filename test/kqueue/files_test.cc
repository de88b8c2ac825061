// EVFILT_READ of regular files, and EVFILT_VNODE.
#include <fcntl.h>
#include <sys/stat.h>

#include "support.h"

namespace kqueue_tests {

namespace {

uintptr_t ident_of(int number) {
  return static_cast<uintptr_t>(number);
}

int open_file(const char* name) {
  const int number = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(number >= 0);
  return number;
}

constexpr unsigned every_note =
    NOTE_DELETE | NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME;

unsigned notes(const Kqueue& queue) {
  unsigned fflags = 0;
  for (const struct kevent& event : queue.pending()) fflags |= event.fflags;
  return fflags;
}

}  // namespace

// "Vnodes: returns when the file pointer is not at the end of file. data contains the offset from
// current position to end of file, and may be negative."
NATIVE_TEST(files_are_read_to_their_end) {
  const Kqueue queue;
  const int file = open_file("file");
  queue.add(ident_of(file), EVFILT_READ);
  REQUIRE(queue.quiet());
  const int writer = open("file", O_WRONLY | O_CLOEXEC);
  write_text(writer, "0123456789");
  REQUIRE_EQUAL(queue.one().data, 10);
  REQUIRE(lseek(file, 4, SEEK_SET) == 4);
  REQUIRE_EQUAL(queue.one().data, 6);
  REQUIRE(lseek(file, 15, SEEK_SET) == 15);
  REQUIRE_EQUAL(queue.one().data, -5);
  REQUIRE(lseek(file, 10, SEEK_SET) == 10);
  REQUIRE(queue.quiet());
  close(writer);
  close(file);
}

// "Note that this filter [EVFILT_WRITE] is not supported for vnodes."
NATIVE_TEST(files_cannot_be_waited_for_to_be_written) {
  const Kqueue queue;
  const int file = open_file("file");
  REQUIRE_EQUAL(queue.change(ident_of(file), EVFILT_WRITE, EV_ADD), EINVAL);
  close(file);
}

// "NOTE_WRITE: a write occurred. NOTE_EXTEND: the file was extended."
NATIVE_TEST(vnodes_tell_of_writes) {
  const Kqueue queue;
  const int file = open_file("file");
  queue.add(ident_of(file), EVFILT_VNODE, EV_CLEAR, every_note);
  REQUIRE(queue.quiet());
  write_text(file, "longer");
  REQUIRE_EQUAL(notes(queue), NOTE_WRITE | NOTE_EXTEND);
  REQUIRE_EQUAL(pwrite(file, "x", 1, 0), 1);
  REQUIRE_EQUAL(notes(queue), NOTE_WRITE);
  REQUIRE(queue.quiet());
  close(file);
}

// "NOTE_DELETE: unlink() was called on the file referenced by the descriptor." "NOTE_LINK: the link
// count on the file changed."
NATIVE_TEST(vnodes_tell_of_names) {
  const Kqueue queue;
  const int file = open_file("file");
  queue.add(ident_of(file), EVFILT_VNODE, EV_CLEAR, every_note);
  REQUIRE(link("file", "second") == 0);
  REQUIRE_EQUAL(notes(queue), NOTE_LINK);
  REQUIRE(unlink("second") == 0);
  REQUIRE_EQUAL(notes(queue), NOTE_LINK | NOTE_DELETE);
  REQUIRE(rename("file", "renamed") == 0);
  REQUIRE_EQUAL(notes(queue), NOTE_RENAME);
  REQUIRE(unlink("renamed") == 0);
  REQUIRE((notes(queue) & NOTE_DELETE) != 0);
  close(file);
}

// "NOTE_ATTRIB: the file had its attributes changed."
NATIVE_TEST(vnodes_tell_of_attributes) {
  const Kqueue queue;
  const int file = open_file("file");
  queue.add(ident_of(file), EVFILT_VNODE, EV_CLEAR, every_note);
  REQUIRE(fchmod(file, 0640) == 0);
  REQUIRE_EQUAL(notes(queue), NOTE_ATTRIB);
  close(file);
}

// "Takes the events to watch for in fflags. On return, fflags contains the events which triggered
// the filter": no others, and not those that were told before.
NATIVE_TEST(vnodes_tell_only_what_was_asked_for) {
  const Kqueue queue;
  const int file = open_file("file");
  queue.add(ident_of(file), EVFILT_VNODE, EV_CLEAR, NOTE_ATTRIB);
  write_text(file, "x");
  REQUIRE(queue.quiet());
  REQUIRE(fchmod(file, 0640) == 0);
  REQUIRE_EQUAL(notes(queue), NOTE_ATTRIB);
  close(file);
}

// Of a folder: a write is an entry that comes or goes, and "NOTE_LINK is reported if a subdirectory
// was created or deleted", "NOTE_EXTEND as the result of a rename".
NATIVE_TEST(vnodes_folders) {
  const Kqueue queue;
  REQUIRE(mkdir("folder", 0700) == 0);
  const int folder = open("folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  queue.add(ident_of(folder), EVFILT_VNODE, EV_CLEAR, every_note);
  close(open_file("folder/file"));
  REQUIRE((notes(queue) & NOTE_WRITE) != 0);
  REQUIRE(rename("folder/file", "moved") == 0);
  REQUIRE((notes(queue) & (NOTE_WRITE | NOTE_EXTEND)) == (NOTE_WRITE | NOTE_EXTEND));
  REQUIRE(mkdir("folder/inner", 0700) == 0);
  struct stat status;
  REQUIRE(stat("folder", &status) == 0);
  // Some file systems do not count folders in folders.
  if (status.st_nlink > 2) REQUIRE((notes(queue) & NOTE_LINK) != 0);
  close(folder);
}

// A waiting thread is woken, too.
NATIVE_TEST(vnodes_end_a_wait) {
  const Kqueue queue;
  const int file = open_file("file");
  queue.add(ident_of(file), EVFILT_VNODE, EV_CLEAR, NOTE_WRITE);
  const int writer = open("file", O_WRONLY | O_CLOEXEC);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    usleep(10'000);
    _exit(write(writer, "x", 1) == 1 ? 0 : 1);
  }
  REQUIRE_EQUAL(queue.one().fflags, NOTE_WRITE);
  close(writer);
  close(file);
}

}  // namespace kqueue_tests
