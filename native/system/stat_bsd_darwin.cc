// Stat where there is no statx: macOS and the BSDs, which know the time of creation too.
#if !defined(__linux__)

#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>

#include "abi/abi.h"
#include "system/system.h"
#include "system/common.h"

#if defined(__APPLE__)
#define IO_TIME(status, which) (status).st_##which##timespec
#define IO_BIRTH(status) (status).st_birthtimespec
#elif defined(__OpenBSD__)
#define IO_TIME(status, which) (status).st_##which##tim
#define IO_BIRTH(status) (status).__st_birthtim
#elif defined(__DragonFly__)
#define IO_TIME(status, which) (status).st_##which##tim
#define IO_BIRTH(status) (timespec{})  // not kept
#else
#define IO_TIME(status, which) (status).st_##which##tim
#define IO_BIRTH(status) (status).st_birthtim
#endif

namespace io::system {

namespace {

int64_t nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

double milliseconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

}  // namespace

int stat_file(uint32_t of, int number, const char* path, uint8_t (&raw)[raw_status_bytes]) {
  static_assert(sizeof(struct stat) <= raw_status_bytes);
  struct stat status;
  const int result = result_of([&] {
    if (of == abi::stat_by_descriptor) return ::fstat(number, &status);
    const int flags = of == abi::stat_by_path_no_follow ? AT_SYMLINK_NOFOLLOW : 0;
    return ::fstatat(number, path, &status, flags);
  });
  if (result == 0) std::memcpy(raw, &status, sizeof(status));
  return result;
}

void read_status(const uint8_t (&raw)[raw_status_bytes], double* fields) {
  struct stat from;
  std::memcpy(&from, raw, sizeof(from));
  fields[abi::stat_size_bytes] = static_cast<double>(from.st_size);
  fields[abi::stat_mode] = from.st_mode;
  fields[abi::stat_inode] = static_cast<double>(from.st_ino);
  fields[abi::stat_device] = static_cast<double>(from.st_dev);
  fields[abi::stat_links] = static_cast<double>(from.st_nlink);
  fields[abi::stat_user] = from.st_uid;
  fields[abi::stat_group] = from.st_gid;
  fields[abi::stat_block_size_bytes] = static_cast<double>(from.st_blksize);
  fields[abi::stat_allocated_bytes] = static_cast<double>(from.st_blocks) * 512;
  fields[abi::stat_accessed_ms] = milliseconds(IO_TIME(from, a));
  fields[abi::stat_modified_ms] = milliseconds(IO_TIME(from, m));
  fields[abi::stat_changed_ms] = milliseconds(IO_TIME(from, c));
  // FreeBSD says -1 where the file system does not know.
  const timespec birth = IO_BIRTH(from);
  fields[abi::stat_created_ms] = birth.tv_sec < 0 ? 0 : milliseconds(birth);
  for (size_t field = abi::stat_mount; field < abi::stat_fields; field++) fields[field] = 0;
  write_exact(fields, abi::stat_exact_inode, static_cast<int64_t>(from.st_ino));
  write_exact(fields, abi::stat_exact_size, from.st_size);
  write_exact(fields, abi::stat_accessed_ns, nanoseconds(IO_TIME(from, a)));
  write_exact(fields, abi::stat_modified_ns, nanoseconds(IO_TIME(from, m)));
  write_exact(fields, abi::stat_changed_ns, nanoseconds(IO_TIME(from, c)));
  write_exact(fields, abi::stat_created_ns, birth.tv_sec < 0 ? 0 : nanoseconds(birth));
}

}  // namespace io::system

#endif
