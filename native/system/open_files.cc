// The operations on an open file that are the same on every system. See system.h.
#include "system/open_files.h"

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

}  // namespace io::system
