// Calls that Linux has not, or has in another form, for the engine that is compiled as another
// system's: as_macos.h, scripts/cross/bsd_names.h.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/attr.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr long pipefs_magic = 0x50495045;
// As as_macos.h has them.
constexpr int f_preallocate = 42;
constexpr int f_rdadvise = 44;
constexpr int f_rdahead = 45;
constexpr int f_nocache = 48;
constexpr int f_getpath = 50;
constexpr int f_fullfsync = 51;
constexpr int f_barrierfsync = 85;
constexpr int f_punchhole = 99;

struct Store {
  unsigned flags;
  int mode;
  off_t offset;
  off_t length;
  off_t allocated;
};

struct Hole {
  unsigned flags;
  unsigned reserved;
  off_t offset;
  off_t length;
};

int punch_hole(int number, const Hole& hole) {
  constexpr int keep_size_and_punch = 3;  // FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
  return ::fallocate(number, keep_size_and_punch, hole.offset, hole.length);
}

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

// F_GETPATH, into PATH_MAX bytes.
int path_of(int number, char* into) {
  const std::string link = "/proc/self/fd/" + std::to_string(number);
  const ssize_t length = ::readlink(link.c_str(), into, PATH_MAX - 1);
  if (length < 0) return -1;
  into[length] = '\0';
  return 0;
}

uint32_t vnode_type(unsigned char type) {
  switch (type) {
    case DT_REG:
      return 1;
    case DT_DIR:
      return 2;
    case DT_BLK:
      return 3;
    case DT_CHR:
      return 4;
    case DT_LNK:
      return 5;
    case DT_SOCK:
      return 6;
    case DT_FIFO:
      return 7;
    default:
      return 0;
  }
}

// One record of getattrlistbulk(2): its length, the returned attributes, the name's place, the
// type, and the name. Returns its end.
uint8_t* write_attributes(uint8_t* into, const dirent& entry) {
  const uint32_t name_bytes = static_cast<uint32_t>(std::strlen(entry.d_name)) + 1;
  const attribute_set_t set = {ATTR_CMN_NAME | ATTR_CMN_OBJTYPE, 0, 0, 0, 0};
  const uint32_t type = vnode_type(entry.d_type);
  const uint32_t after_name = sizeof(attrreference_t) + sizeof(type);
  const attrreference_t name = {static_cast<int32_t>(after_name), name_bytes};
  const uint32_t head = sizeof(uint32_t) + sizeof(set) + after_name;
  const uint32_t length = (head + name_bytes + 3) & ~3U;
  std::memcpy(into, &length, sizeof(length));
  std::memcpy(into + sizeof(length), &set, sizeof(set));
  std::memcpy(into + sizeof(length) + sizeof(set), &name, sizeof(name));
  std::memcpy(into + head - sizeof(type), &type, sizeof(type));
  std::memcpy(into + head, entry.d_name, name_bytes);
  return into + length;
}

// As much as the socket takes; -1 when it takes no more, and then the count is set too.
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
    case f_rdadvise:
    case f_rdahead:
      return 0;
    case f_punchhole:
      return punch_hole(number, *static_cast<const Hole*>(argument));
    case f_fullfsync:
      return ::fsync(number);
    case f_barrierfsync:
      return ::fdatasync(number);
    case f_getpath:
      return path_of(number, static_cast<char*>(argument));
    case f_preallocate:
      return preallocate(number, *static_cast<Store*>(argument));
    default:
      return ::fcntl(number, command, argument);
  }
}

// Also of a number that Linux has opened for looking alone (O_PATH).
static std::string link_of(int number) {
  return "/proc/self/fd/" + std::to_string(number);
}

// macOS has a position and options in each of them.
extern "C" ssize_t kqueue_layer_fgetxattr(int number, const char* name, void* into,
                                          size_t size_bytes, uint32_t, int) {
  return ::getxattr(link_of(number).c_str(), name, into, size_bytes);
}

extern "C" int kqueue_layer_fsetxattr(int number, const char* name, const void* value,
                                      size_t size_bytes, uint32_t, int options) {
  return ::setxattr(link_of(number).c_str(), name, value, size_bytes, options);
}

extern "C" ssize_t kqueue_layer_flistxattr(int number, char* into, size_t size_bytes, int) {
  return ::listxattr(link_of(number).c_str(), into, size_bytes);
}

extern "C" int kqueue_layer_fremovexattr(int number, const char* name, int) {
  return ::removexattr(link_of(number).c_str(), name);
}

// A pipe of pipe() is on no file system.
extern "C" int kqueue_layer_fstatfs(int number, struct statfs* status) {
  if (::fstatfs(number, status) != 0) return -1;
  if (status->f_type != pipefs_magic) return 0;
  errno = EBADF;
  return -1;
}

// A record of macOS is less than twice as long as the same one of Linux.
extern "C" int kqueue_layer_getattrlistbulk(int number, const void*, void* into, size_t size_bytes,
                                            uint64_t) {
  std::vector<char> records(size_bytes / 2);
  int count = 0;
  while (count == 0) {
    const long read_bytes = ::syscall(SYS_getdents64, number, records.data(), records.size());
    if (read_bytes <= 0) return static_cast<int>(read_bytes);
    auto* end = static_cast<uint8_t*>(into);
    for (long at = 0; at < read_bytes;) {
      const auto* entry = reinterpret_cast<const dirent*>(records.data() + at);
      at += entry->d_reclen;
      const char* name = entry->d_name;
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
      end = write_attributes(end, *entry);
      count++;
    }
  }
  return count;
}

extern "C" int kqueue_layer_renameatx_np(int folder, const char* from, int folder_to,
                                         const char* to, unsigned flags) {
  constexpr unsigned rename_swap = 2;  // as as_macos.h has it
  constexpr unsigned no_replace = 1;   // RENAME_NOREPLACE
  constexpr unsigned exchange = 2;     // RENAME_EXCHANGE
  const unsigned how = flags == rename_swap ? exchange : no_replace;
  return static_cast<int>(::syscall(SYS_renameat2, folder, from, folder_to, to, how));
}

// The BSDs'.
extern "C" int getdents(int number, void* into, size_t size_bytes) {
  return static_cast<int>(::syscall(SYS_getdents64, number, into, size_bytes));
}

extern "C" int kqueue_layer_sendfile_macos(int file, int socket, off_t offset, off_t* count, void*,
                                           int) {
  off_t sent = 0;
  const int result = send_all(file, socket, offset, static_cast<size_t>(*count), sent);
  const int error = errno;
  // After an error other than EAGAIN the count stays the requested length.
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
