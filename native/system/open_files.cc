// The operations on an open file that are the same on every system. See system.h.
#include "system/open_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "system/system.h"
#include "system/common.h"

namespace io::system {

int change_mode_of(int number, uint32_t mode) {
  return result_of([&] { return ::fchmod(number, static_cast<mode_t>(mode)); });
}

int change_owner_of(int number, uint32_t user, uint32_t group) {
  return result_of([&] { return ::fchown(number, user, group); });
}

int change_times_of(int number, const timespec (&times)[2]) {
  return result_of([&] { return ::futimens(number, times); });
}

// What was read and not written is read again by the next piece.
int32_t copied_by_hand(int from, int64_t from_offset, int to, int64_t to_offset, size_t length) {
  constexpr size_t piece_bytes = 256 * 1024;
  std::vector<uint8_t> memory(std::min(length, piece_bytes));
  const int32_t count = read_file(from, memory.data(), memory.size(), from_offset);
  int32_t done = 0;
  while (done < count) {
    const int32_t written =
        write_file(to, memory.data() + done, static_cast<size_t>(count - done), to_offset + done);
    if (written <= 0) return done > 0 ? done : written;
    done += written;
  }
  return count;
}

namespace {

int32_t copy_bytes(int from, int to, int64_t size) {
  // A size of 0 may be that of a file of /proc, which has bytes.
  uint8_t first = 0;
  if (size == 0 && read_file(from, &first, sizeof(first), 0) == 0) return 0;
  const int64_t end = size > 0 ? size : abi::copy_limit_bytes;
  int64_t done = 0;
  while (done < end) {
    const int32_t count = copy_range(from, done, to, done, static_cast<size_t>(end - done));
    if (count < 0) return count;
    if (count == 0) return static_cast<int32_t>(done);
    done += count;
  }
  return size > 0 ? static_cast<int32_t>(done) : -EFBIG;
}

// What `from` has, and was asked of it, into a file that is new.
int32_t fill(int from, const struct stat& own, int to, uint32_t how) {
  int32_t count = -EOPNOTSUPP;
  if ((how & (abi::copy_reflink | abi::copy_reflink_only)) != 0) {
    count = reflink(from, to);
    if (count == 0) count = static_cast<int32_t>(own.st_size);
  }
  if (count < 0 && (how & abi::copy_reflink_only) == 0) count = copy_bytes(from, to, own.st_size);
  if (count < 0) return count;
  // The mask of the process, or the rules of the directory, may have taken bits away or added some.
  struct stat made;
  if (::fstat(to, &made) != 0) return -errno;
  const mode_t mode = own.st_mode & 07777;
  if ((made.st_mode & 07777) != mode && ::fchmod(to, mode) != 0) return -errno;
  if ((how & abi::copy_times) == 0) return count;
#if defined(__APPLE__)
  const timespec times[2] = {own.st_atimespec, own.st_mtimespec};
#else
  const timespec times[2] = {own.st_atim, own.st_mtim};
#endif
  return ::futimens(to, times) == 0 ? count : -errno;
}

int32_t copy_open_file(int from, int folder_to, const char* to, uint32_t how) {
  struct stat own;
  if (::fstat(from, &own) != 0) return -errno;
  if (!S_ISREG(own.st_mode)) return -EINVAL;
  if (own.st_size > abi::copy_limit_bytes) return -EFBIG;
  if ((own.st_mode & 07000) != 0) return -ENOTSUP;  // its owner counts
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  const int target = result_of([&] { return ::openat(folder_to, to, flags, own.st_mode & 0777); });
  if (target < 0) return target;
  const int32_t count = fill(from, own, target, how);
  // It may be the close that finds no space.
  const int closed = close_number(target);
  const int32_t result = count >= 0 && closed < 0 ? closed : count;
  if (result < 0) ::unlinkat(folder_to, to, 0);
  return result;
}

}  // namespace

// O_NONBLOCK is for a FIFO that has taken the place of the file. A file that another process has a
// lease on is -EAGAIN then.
int32_t copy_file(int folder, const char* from, int folder_to, const char* to, uint32_t how) {
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const int source = result_of([&] { return ::openat(folder, from, flags); });
  if (source < 0) return source;
  const int32_t result = copy_open_file(source, folder_to, to, how);
  ::close(source);
  return result;
}

}  // namespace io::system
