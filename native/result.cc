// Stat results: see result.h.
#include "result.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstring>

#include "abi.h"

namespace io {

namespace {

double milliseconds(const struct statx_timestamp& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

}  // namespace

void write_stat_result(const Extra& extra, uint8_t* out) {
  struct statx from;
  static_assert(sizeof(from) <= sizeof(extra.stat_result));
  std::memcpy(&from, extra.stat_result, sizeof(from));
  double fields[abi::stat_fields] = {};
  fields[abi::stat_size_bytes] = static_cast<double>(from.stx_size);
  fields[abi::stat_mode] = from.stx_mode;
  fields[abi::stat_inode] = static_cast<double>(from.stx_ino);
  fields[abi::stat_device] = static_cast<double>(makedev(from.stx_dev_major, from.stx_dev_minor));
  fields[abi::stat_links] = from.stx_nlink;
  fields[abi::stat_user] = from.stx_uid;
  fields[abi::stat_group] = from.stx_gid;
  fields[abi::stat_block_size_bytes] = from.stx_blksize;
  fields[abi::stat_allocated_bytes] = static_cast<double>(from.stx_blocks) * 512;
  fields[abi::stat_accessed_ms] = milliseconds(from.stx_atime);
  fields[abi::stat_modified_ms] = milliseconds(from.stx_mtime);
  fields[abi::stat_changed_ms] = milliseconds(from.stx_ctime);
  fields[abi::stat_created_ms] = milliseconds(from.stx_btime);
  std::memcpy(out, fields, sizeof(fields));
}

}  // namespace io
