// Operations on an open file, on macOS and the BSDs. See system.h.
#if !defined(__linux__)

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#if defined(__APPLE__)
#if __has_include(<sys/xattr.h>)
#include <sys/xattr.h>
#else  // zig brings no such header: as setxattr(2) has it
#define XATTR_CREATE 2
#define XATTR_REPLACE 4
extern "C" {
ssize_t fgetxattr(int number, const char* name, void* into, size_t size_bytes, uint32_t position,
                  int options);
int fsetxattr(int number, const char* name, const void* value, size_t size_bytes, uint32_t position,
              int options);
ssize_t flistxattr(int number, char* into, size_t size_bytes, int options);
int fremovexattr(int number, const char* name, int options);
}
#endif
#endif

#include "abi/abi.h"
#include "system/system.h"
#include "system/common.h"
#include "system/open_files.h"

namespace io::system {

// flock(2): a range can be locked for the whole process only, which is of no use to a library.
int lock_range(int number, uint32_t level, int64_t offset, int64_t length) {
  if (offset != 0 || length != 0) return -ENOTSUP;
  int operation = LOCK_UN;
  if (level == abi::lock_level_shared) operation = LOCK_SH | LOCK_NB;
  if (level == abi::lock_level_exclusive) operation = LOCK_EX | LOCK_NB;
  return result_of([&] { return ::flock(number, operation); });
}

int write_flags(uint32_t) {
  return 0;
}

int32_t write_with(int number, std::span<const iovec> vectors, int64_t offset, uint32_t flags) {
  if (flags != abi::write_flag_data_sync) return -ENOTSUP;
  const int32_t count = write_vectors(number, vectors, offset);
  if (count < 0) return count;
  const int synced = sync_file(number, abi::sync_level_data);
  return synced < 0 ? synced : count;
}

uint32_t write_features() {
  return abi::feature_write_data_sync;
}

int allocate_flags(uint32_t) {
  return 0;
}

#if defined(__APPLE__)

// There is nothing to drop pages by, and no reading ahead for a range alone.
int advise(int number, int64_t offset, int64_t length, uint32_t advice) {
  switch (advice) {
    case abi::advice_will_need: {
      radvisory ahead = {};
      ahead.ra_offset = offset;
      ahead.ra_count = static_cast<int>(length == 0 ? INT_MAX : std::min<int64_t>(length, INT_MAX));
      return result_of([&] { return ::fcntl(number, F_RDADVISE, &ahead); });
    }
    case abi::advice_normal:
    case abi::advice_sequential:
      return result_of([&] { return ::fcntl(number, F_RDAHEAD, 1); });
    case abi::advice_random:
      return result_of([&] { return ::fcntl(number, F_RDAHEAD, 0); });
    default:
      return advice > abi::advice_no_reuse ? -EINVAL : 0;
  }
}

// XATTR_NOFOLLOW and the position of a resource fork are of no use here: both are 0.
int get_xattr(int number, const char* name, uint8_t* into, size_t size_bytes) {
  return result_of([&] { return ::fgetxattr(number, name, into, size_bytes, 0, 0); });
}

int set_xattr(int number, const char* name, const uint8_t* value, size_t size_bytes, uint32_t how) {
  int flags = 0;
  if (how == abi::xattr_create) flags = XATTR_CREATE;
  if (how == abi::xattr_replace) flags = XATTR_REPLACE;
  return result_of([&] { return ::fsetxattr(number, name, value, size_bytes, 0, flags); });
}

int list_xattr(int number, uint8_t* into, size_t size_bytes) {
  return result_of(
      [&] { return ::flistxattr(number, reinterpret_cast<char*>(into), size_bytes, 0); });
}

int remove_xattr(int number, const char* name) {
  return result_of([&] { return ::fremovexattr(number, name, 0); });
}

namespace {

// No call of this kind begins at a directory.
template <class Call>
int with_file(const PathOf& file, Call call) {
  const int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | (file.follows ? 0 : O_SYMLINK);
  const int number = result_of([&] { return ::openat(file.folder, file.path, flags); });
  if (number < 0) return number;
  const int result = call(number);
  ::close(number);
  return result;
}

}  // namespace

int get_xattr_at(const PathOf& file, const char* name, uint8_t* into, size_t size_bytes) {
  return with_file(file, [&](int number) { return get_xattr(number, name, into, size_bytes); });
}

int set_xattr_at(const PathOf& file, const char* name, const uint8_t* value, size_t size_bytes,
                 uint32_t how) {
  return with_file(file,
                   [&](int number) { return set_xattr(number, name, value, size_bytes, how); });
}

int list_xattr_at(const PathOf& file, uint8_t* into, size_t size_bytes) {
  return with_file(file, [&](int number) { return list_xattr(number, into, size_bytes); });
}

int remove_xattr_at(const PathOf& file, const char* name) {
  return with_file(file, [&](int number) { return remove_xattr(number, name); });
}

#else

int advise(int number, int64_t offset, int64_t length, uint32_t advice) {
#if defined(POSIX_FADV_NORMAL)
  return advise_by_posix(number, offset, length, advice);
#else
  static_cast<void>(number);
  static_cast<void>(offset);
  static_cast<void>(length);
  return advice > abi::advice_no_reuse ? -EINVAL : 0;
#endif
}

int get_xattr(int, const char*, uint8_t*, size_t) {
  return -ENOTSUP;
}

int set_xattr(int, const char*, const uint8_t*, size_t, uint32_t) {
  return -ENOTSUP;
}

int list_xattr(int, uint8_t*, size_t) {
  return -ENOTSUP;
}

int remove_xattr(int, const char*) {
  return -ENOTSUP;
}

int get_xattr_at(const PathOf&, const char*, uint8_t*, size_t) {
  return -ENOTSUP;
}

int set_xattr_at(const PathOf&, const char*, const uint8_t*, size_t, uint32_t) {
  return -ENOTSUP;
}

int list_xattr_at(const PathOf&, uint8_t*, size_t) {
  return -ENOTSUP;
}

int remove_xattr_at(const PathOf&, const char*) {
  return -ENOTSUP;
}

#endif

int sync_range(int number, int64_t, int64_t) {
  return sync_file(number, abi::sync_level_data);
}

int32_t copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length) {
  return length == 0 ? 0 : copied_by_hand(from, from_offset, to, to_offset, length);
}

// clonefile(2) of macOS makes a new file, and none of the BSDs has more.
int reflink(int, int) {
  return -ENOTSUP;
}

int stat_file_system_of(int number, double* fields) {
  struct statvfs from;
  const int result = result_of([&] { return ::fstatvfs(number, &from); });
  if (result < 0) return result;
  fields[abi::statfs_type] = 0;
  fields[abi::statfs_block_size_bytes] = static_cast<double>(from.f_frsize);
  fields[abi::statfs_blocks] = static_cast<double>(from.f_blocks);
  fields[abi::statfs_free_blocks] = static_cast<double>(from.f_bfree);
  fields[abi::statfs_available_blocks] = static_cast<double>(from.f_bavail);
  fields[abi::statfs_files] = static_cast<double>(from.f_files);
  fields[abi::statfs_free_files] = static_cast<double>(from.f_ffree);
  return 0;
}

int link_open_file(int, const char*) {
  return -ENOTSUP;
}

}  // namespace io::system

#endif
