// Calls on paths that are the same on every system. See ../system.h.
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "abi/abi.h"
#include "system/common.h"
#include "system/system.h"

namespace io::system {

namespace {

int link_flags(bool follows) {
  return follows ? 0 : AT_SYMLINK_NOFOLLOW;
}

// Opens the file without moving any of its bytes, calls use(number), and closes it.
template <class Use>
int with_number(int folder, const char* path, bool follows, Use use) {
  const int flags = look_flags | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW);
  const int number = result_of([&] { return ::openat(folder, path, flags); });
  if (number < 0) return number;
  const int result = use(number);
  ::close(number);
  return result;
}

}  // namespace

int folder_of(int number) {
  return number < 0 ? AT_FDCWD : number;
}

int link_path(int folder, const char* existing, int folder_to, const char* path) {
  return result_of([&] { return ::linkat(folder, existing, folder_to, path, 0); });
}

int symlink_path(const char* target, int folder, const char* path) {
  return result_of([&] { return ::symlinkat(target, folder, path); });
}

int read_link(int folder, const char* path, uint8_t* into, size_t size_bytes) {
  char* text = reinterpret_cast<char*>(into);
  return result_of([&] { return ::readlinkat(folder, path, text, size_bytes); });
}

// POSIX says EPERM of a folder, Linux EISDIR; a program should need to know only one.
int unlink_path(int folder, const char* path, bool is_folder) {
  const int flags = is_folder ? AT_REMOVEDIR : 0;
  const int result = result_of([&] { return ::unlinkat(folder, path, flags); });
  if (result != -EPERM || is_folder) return result;
  struct stat status;
  const bool found = ::fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
  return found && S_ISDIR(status.st_mode) ? -EISDIR : -EPERM;
}

int make_folder(int folder, const char* path, uint32_t mode) {
  return result_of([&] { return ::mkdirat(folder, path, static_cast<mode_t>(mode)); });
}

int change_mode(int folder, const char* path, uint32_t mode, bool follows) {
  const auto bits = static_cast<mode_t>(mode);
  const int result = result_of([&] { return ::fchmodat(folder, path, bits, link_flags(follows)); });
#if defined(__linux__)
  // glibc before 2.32 does not know the flag: then by the open file.
  if (result == -EOPNOTSUPP && !follows) {
    return with_number(folder, path, follows, [&](int number) {
      struct stat status;
      if (::fstat(number, &status) != 0) return -errno;
      if (S_ISLNK(status.st_mode)) return -EOPNOTSUPP;
      const std::string link = "/proc/self/fd/" + std::to_string(number);
      return static_cast<int>(result_of([&] { return ::chmod(link.c_str(), bits); }));
    });
  }
#endif
  return result;
}

int change_owner(int folder, const char* path, uint32_t user, uint32_t group, bool follows) {
  return result_of([&] { return ::fchownat(folder, path, user, group, link_flags(follows)); });
}

int change_times(int folder, const char* path, const timespec (&times)[2], bool follows) {
  return result_of([&] { return ::utimensat(folder, path, times, link_flags(follows)); });
}

// Systems that cannot leave a link alone (EINVAL) are asked plainly, if there is none.
int check_access(int folder, const char* path, uint32_t wanted, bool follows) {
  const auto how = static_cast<int>(wanted);
  const auto ask = [&](int flags) {
    return result_of([&] { return ::faccessat(folder, path, how, flags); });
  };
  const int result = ask(link_flags(follows));
  if (result != -EINVAL || follows) return result;
  struct stat status;
  if (::fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) != 0) return -errno;
  return S_ISLNK(status.st_mode) ? -ELOOP : ask(0);
}

int real_path(int folder, const char* path, bool follows, uint8_t* into, size_t size_bytes) {
  if (folder != AT_FDCWD) {
    return with_number(folder, path, follows,
                       [&](int number) { return path_of_number(number, into, size_bytes); });
  }
  char found[PATH_MAX];
  if (::realpath(path, found) == nullptr) return -errno;
  const size_t length = std::strlen(found);
  if (length > size_bytes) return -ERANGE;
  std::copy_n(found, length, into);
  return static_cast<int>(length);
}

int stat_file_system(int folder, const char* path, bool follows, double* fields) {
  return with_number(folder, path, follows,
                     [&](int number) { return stat_file_system_of(number, fields); });
}

}  // namespace io::system
