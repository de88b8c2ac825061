// File systems by their server: see io_uring/served_files.h.
#include "backend/io_uring/served_files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

#if !defined(STATX_BASIC_STATS)  // musl before 1.2.5
#include <linux/stat.h>
#endif

namespace io::uring {

namespace {

// File systems that a disk, or the kernel itself, serves. One that is not listed counts as served
// by a server, which costs some time and no more.
constexpr std::string_view local_types[] = {
    "autofs",   "bcachefs", "binder",  "binfmt_misc", "bpf",        "btrfs",      "cgroup",
    "cgroup2",  "configfs", "cpuset",  "cramfs",      "debugfs",    "devpts",     "devtmpfs",
    "efivarfs", "erofs",    "exfat",   "ext2",        "ext3",       "ext4",       "f2fs",
    "fusectl",  "hfs",      "hfsplus", "hugetlbfs",   "iso9660",    "jfs",        "minix",
    "mqueue",   "msdos",    "nilfs2",  "nsfs",        "ntfs3",      "proc",       "pstore",
    "ramfs",    "resctrl",  "rootfs",  "romfs",       "rpc_pipefs", "securityfs", "selinuxfs",
    "smackfs",  "squashfs", "sysfs",   "tmpfs",       "tracefs",    "ubifs",      "udf",
    "vfat",     "xfs",      "zfs",
};
// File systems that lie over others and are as quick as these. Their close can be deferred, too.
constexpr std::string_view layered_types[] = {"ecryptfs", "overlay"};

template <size_t count>
bool has(const std::string_view (&types)[count], std::string_view type) {
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

Mounts::Kind kind_of_type(std::string_view type) {
  if (has(local_types, type)) return Mounts::Kind::local;
  return has(layered_types, type) ? Mounts::Kind::layered : Mounts::Kind::served;
}

// AT_STATX_DONT_SYNC: from what the kernel knows, whatever has become of it on the server.
bool identify(int number, FileIdentity& identity) {
  constexpr int from_memory = 0x4000;
  struct statx status;
  std::memset(&status, 0, sizeof(status));
  const int flags = AT_EMPTY_PATH | from_memory;
  if (::syscall(SYS_statx, number, "", flags, STATX_INO, &status) != 0) return false;
  identity = {status.stx_dev_major, status.stx_dev_minor, status.stx_ino};
  return true;
}

// All of a file of /proc, which has no size.
std::string read_whole(int number) {
  std::string text;
  if (::lseek(number, 0, SEEK_SET) != 0) return text;
  char piece[4096];
  for (;;) {
    const ssize_t count = ::read(number, piece, sizeof(piece));
    if (count <= 0) return text;
    text.append(piece, static_cast<size_t>(count));
  }
}

}  // namespace

Mounts::~Mounts() {
  if (number_ >= 0) ::close(number_);
}

// proc(5): the list is ready for POLLPRI when it has changed since it was read.
void Mounts::look() {
  if (number_ == -1) {
    number_ = ::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (number_ < 0) number_ = -2;  // there is no /proc: not asked again
    return read();
  }
  pollfd asked = {.fd = number_, .events = POLLPRI, .revents = 0};
  if (number_ >= 0 && ::poll(&asked, 1, 0) > 0) read();
}

// proc(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
void Mounts::read() {
  others_.clear();
  any_served_ = true;
  readable_ = false;
  if (number_ < 0) return;
  const std::string text = read_whole(number_);
  if (text.empty()) return;
  readable_ = true;
  any_served_ = false;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    const size_t separator = line.find(" - ");
    unsigned major = 0;
    unsigned minor = 0;
    if (separator == std::string::npos) continue;
    if (std::sscanf(line.c_str(), "%*d %*d %u:%u", &major, &minor) != 2) continue;
    const size_t type = separator + 3;
    const Kind kind =
        kind_of_type(std::string_view(line).substr(type, line.find(' ', type) - type));
    if (kind == Kind::local) continue;
    any_served_ = any_served_ || kind == Kind::served;
    others_.push_back({major, minor, kind});
  }
}

Mounts::Kind Mounts::kind_of(uint32_t major, uint32_t minor) const {
  if (!readable_) return Kind::served;
  const auto is_it = [&](const Mount& mount) {
    return mount.major == major && mount.minor == minor;
  };
  const auto found = std::find_if(others_.begin(), others_.end(), is_it);
  return found == others_.end() ? Kind::local : found->kind;
}

void Files::opened(int number) {
  if (!files_.empty()) files_.erase(number);
  if (mounts_.all_local()) return;
  FileIdentity identity;
  if (!identify(number, identity)) return;
  const Mounts::Kind kind = mounts_.kind_of(identity.major, identity.minor);
  if (kind != Mounts::Kind::local) files_[number] = {kind == Mounts::Kind::served, identity};
}

void Files::closing(Operation& close) {
  const auto found = files_.find(close.number);
  if (found == files_.end()) {
    // No close of such a file is put off, so none is cancelled.
    if (close.extra != nullptr) close.extra->identity = {};
    return;
  }
  close.need_extra().identity = found->second.identity;
  files_.erase(found);
}

bool Files::is_still_open(const Operation& close) {
  if (close.extra == nullptr || close.extra->identity.inode == 0) return false;
  FileIdentity now;
  return identify(close.number, now) && now == close.extra->identity;
}

}  // namespace io::uring
