// Calls that Linux has not, or has in another form, for the engine that is compiled as another
// system's: as_macos.h, scripts/cross/bsd_names.h.
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>

namespace {

constexpr long pipefs_magic = 0x50495045;
// As as_macos.h has them.
constexpr int f_preallocate = 42;
constexpr int f_nocache = 48;
constexpr int f_fullfsync = 51;
constexpr int f_barrierfsync = 85;

struct Store {
  unsigned flags;
  int mode;
  off_t offset;
  off_t length;
  off_t allocated;
};

// F_PEOFPOSMODE: behind the space that the file has, without making it longer.
int preallocate(int number, Store& store) {
  struct stat status;
  if (::fstat(number, &status) != 0) return -1;
  const off_t end = std::max<off_t>(status.st_size, status.st_blocks * 512);
  constexpr int keep_size = 1;  // FALLOC_FL_KEEP_SIZE
  if (::fallocate(number, keep_size, end, store.length) != 0) return -1;
  store.allocated = store.length;
  return 0;
}

// As much as the socket takes; -1 when it takes no more, and the count is told with it.
int send_all(int file, int socket, off_t offset, size_t wanted, off_t& sent) {
  sent = 0;
  off_t position = offset;
  while (static_cast<size_t>(sent) < wanted) {
    const ssize_t result = ::sendfile(socket, file, &position, wanted - static_cast<size_t>(sent));
    if (result < 0) return -1;
    if (result == 0) return 0;
    sent += result;
  }
  return 0;
}

}  // namespace

extern "C" int kqueue_layer_fcntl(int number, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  switch (command) {
    case f_nocache:
      return 0;
    case f_fullfsync:
      return ::fsync(number);
    case f_barrierfsync:
      return ::fdatasync(number);
    case f_preallocate:
      return preallocate(number, *static_cast<Store*>(argument));
    default:
      return ::fcntl(number, command, argument);
  }
}

// What pipe() has made is on no file system.
extern "C" int kqueue_layer_fstatfs(int number, struct statfs* status) {
  if (::fstatfs(number, status) != 0) return -1;
  if (status->f_type != pipefs_magic) return 0;
  errno = EBADF;
  return -1;
}

extern "C" int kqueue_layer_sendfile_macos(int file, int socket, off_t offset, off_t* count, void*,
                                           int) {
  off_t sent = 0;
  const int result = send_all(file, socket, offset, static_cast<size_t>(*count), sent);
  const int error = errno;
  // After an error that is no matter of waiting the count stays what was asked for.
  if (result == 0 || error == EAGAIN || error == EINTR) *count = sent;
  errno = error;
  return result;
}

extern "C" int kqueue_layer_sendfile_freebsd(int file, int socket, off_t offset, size_t wanted,
                                             void*, off_t* count, int) {
  return send_all(file, socket, offset, wanted, *count);
}

// NetBSD's.
extern "C" int fsync_range(int number, int, off_t, off_t) {
  return ::fsync(number);
}
