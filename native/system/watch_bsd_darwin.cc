// Watches of files on macOS and the BSDs: kqueues that have EVFILT_VNODE alone. See system.h.
#if !defined(__linux__)

#include <fcntl.h>
#include <sys/types.h>
#include <sys/event.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "abi/abi.h"
#include "system/system.h"
#include "system/common.h"
#include "system/kevent_data.h"

namespace io::system {

namespace {

// The head of a record of inotify(7). A name never follows: its length is 0.
struct Record {
  int32_t number;
  uint32_t notes;
  uint32_t cookie;
  uint32_t name_bytes;
};

int change_watch(int watch, int file, unsigned flags, unsigned notes) {
  struct kevent change;
  EV_SET(&change, static_cast<uintptr_t>(file), EVFILT_VNODE, flags, notes, 0, kevent_data_of(0));
  const int result = result_of([&] { return ::kevent(watch, &change, 1, nullptr, 0, nullptr); });
  // It is no kqueue, or the file was closed, which has taken it out. Linux has the same word.
  return result == -EBADF || result == -ENOENT ? -EINVAL : result;
}

}  // namespace

int open_watch() {
  const int number = result_of([] { return ::kqueue(); });
  // No child of fork(2) inherits a queue, so nothing can come in between.
  if (number >= 0) ::fcntl(number, F_SETFD, FD_CLOEXEC);
  return number;
}

int add_watch(int watch, int file) {
  constexpr unsigned of_names = NOTE_DELETE | NOTE_LINK | NOTE_RENAME | NOTE_REVOKE;
  constexpr unsigned of_content = NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB;
  const int result = change_watch(watch, file, EV_ADD | EV_CLEAR, of_names | of_content);
  return result < 0 ? result : file;
}

int remove_watch(int watch, uint32_t added) {
  return change_watch(watch, static_cast<int>(added), EV_DELETE, 0);
}

bool is_watch(int number) {
  return ::kevent(number, nullptr, 0, nullptr, 0, nullptr) == 0;
}

int32_t read_watch(int watch, uint8_t* into, size_t size_bytes) {
  constexpr size_t batch = 128;
  const timespec at_once = {};
  const size_t most = std::min<size_t>(size_bytes, abi::transfer_limit_bytes) / sizeof(Record);
  if (most == 0) return -EINVAL;
  size_t count = 0;
  while (count < most) {
    struct kevent events[batch];
    const int wanted = static_cast<int>(std::min(batch, most - count));
    const int found =
        result_of([&] { return ::kevent(watch, nullptr, 0, events, wanted, &at_once); });
    if (found < 0 && count == 0) return found;
    for (int index = 0; index < found; index++) {
      const Record record = {.number = static_cast<int32_t>(events[index].ident),
                             .notes = static_cast<uint32_t>(events[index].fflags),
                             .cookie = 0,
                             .name_bytes = 0};
      std::memcpy(into + count * sizeof(Record), &record, sizeof(Record));
      count++;
    }
    if (found < wanted) break;
  }
  return count == 0 ? -EAGAIN : static_cast<int32_t>(count * sizeof(Record));
}

}  // namespace io::system

#endif
