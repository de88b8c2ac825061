// The walk to a path under rules. See resolve.h.
#include "system/resolve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "abi/abi.h"
#include "system/common.h"
#include "system/system.h"

namespace io::system {

namespace {

// As many as Linux follows in one path.
constexpr int max_links = 40;
constexpr size_t max_target_bytes = 4096;
constexpr int found = 1;
// Directories that are open at once: the first ones and the last.
constexpr size_t max_open = 32;

}  // namespace

int Place::find(int folder, const std::string& path, uint32_t rules, End end_is) {
  rules_ = rules;
  const bool absolute = path.front() == '/';
  if (absolute && (rules & abi::resolve_beneath) != 0) return -EXDEV;
  const bool from_root = absolute && (rules & abi::resolve_in_root) == 0;
  const int error = from_root ? enter(AT_FDCWD, "/") : enter(folder, ".");
  if (error != 0) return error;
  std::string rest = path;
  size_t at = 0;
  for (;;) {
    const int result = step(rest, at, end_is);
    if (result != 0) return result == found ? 0 : result;
  }
}

// One component. 0 when the way goes on, `found`, or a negative errno.
int Place::step(std::string& rest, size_t& at, End end_is) {
  at = rest.find_first_not_of('/', at);
  if (at == std::string::npos) {
    name_ = ".";
    return found;
  }
  const size_t end = std::min(rest.find('/', at), rest.size());
  const std::string component = rest.substr(at, end - at);
  const size_t next = rest.find_first_not_of('/', end);
  if (component == "." || component == "..") {
    at = end;
    return component == "." ? 0 : go_up();
  }
  // A name with a slash behind it is that of a directory, which is entered: so a link there is
  // followed, and a file is ENOTDIR.
  const bool has_slash = end != rest.size();
  const bool at_end = next == std::string::npos;
  if (at_end && (end_is == End::name || end_is == End::file)) {
    return named(component, has_slash, end_is);
  }
  const bool last = at_end && !has_slash;
  if (last && end_is == End::keep) {
    name_ = component;
    return found;
  }
  const size_t before = at;
  const int link = follow(component, rest, at);
  if (link < 0 && !(last && link == -ENOENT)) return link;
  if (link > 0) return 0;
  if (last) {
    name_ = component;
    return found;
  }
  at = before + component.size();
  return enter(folder(), component.c_str());
}

// A name to make, move or remove. With a slash behind it what is there must be a directory. The
// call itself does not see the slash: systems differ in whether they follow a link then.
int Place::named(const std::string& component, bool has_slash, End end) {
  name_ = component;
  if (!has_slash) return found;
  struct stat status;
  const bool is_there = ::fstatat(folder(), component.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (is_there && !S_ISDIR(status.st_mode)) return -ENOTDIR;
  return is_there || end == End::name ? found : -ENOENT;
}

// 1 when it is a symbolic link, and `rest` what is left of the way then; 0 when it is none.
int Place::follow(const std::string& component, std::string& rest, size_t& at) {
  char target[max_target_bytes];
  const int length =
      read_link(folder(), component.c_str(), reinterpret_cast<uint8_t*>(target), sizeof(target));
  if (length == -EINVAL) return 0;
  if (length < 0) return length;
  if ((rules_ & abi::resolve_no_symlinks) != 0 || ++links_ > max_links) return -ELOOP;
  if (length == 0) return -ENOENT;
  if (target[0] == '/') {
    const int error = go_to_root();
    if (error != 0) return error;
  }
  rest = std::string(target, static_cast<size_t>(length)) + rest.substr(at + component.size());
  at = 0;
  return 1;
}

// Beneath a directory the way out is an error; where that is the root, it has no parent.
int Place::go_up() {
  if (folders_.size() > 1) {
    const int from = folder();
    folders_.pop_back();
    const int error = reopen_last(from);
    ::close(from);
    return error;
  }
  if ((rules_ & abi::resolve_beneath) != 0) return -EXDEV;
  if ((rules_ & abi::resolve_in_root) != 0) return 0;
  const int above = folder();
  folders_.pop_back();
  const int error = enter(above, "..");
  ::close(above);
  return error;
}

// A directory that another process has moved meanwhile has another parent. The one that was
// gone through is not there then.
int Place::reopen_last(int from) {
  Folder& last = folders_.back();
  if (last.number >= 0) return 0;
  const Identity was = last.identity;
  folders_.pop_back();
  const int error = enter(from, "..");
  if (error != 0) return error;
  Identity is;
  const int unknown = identify(folder(), is);
  if (unknown != 0) return unknown;
  return is == was ? 0 : -ENOENT;
}

int Place::identify(int number, Identity& identity) {
  uint8_t raw[raw_status_bytes];
  const int error = stat_file(abi::stat_by_descriptor, number, "", raw);
  if (error != 0) return error;
  double fields[abi::stat_fields];
  read_status(raw, fields);
  identity.device = fields[abi::stat_device];
  std::memcpy(&identity.inode, fields + abi::stat_exact_inode, sizeof(identity.inode));
  std::memcpy(&identity.created_ns, fields + abi::stat_created_ns, sizeof(identity.created_ns));
  return 0;
}

int Place::go_to_root() {
  if ((rules_ & abi::resolve_beneath) != 0) return -EXDEV;
  if ((rules_ & abi::resolve_in_root) != 0) {
    leave(1);
    return 0;
  }
  leave(0);
  return enter(AT_FDCWD, "/");
}

int Place::enter(int folder, const char* name) {
  const int number = result_of(
      [&] { return ::openat(folder, name, look_flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); });
  if (number < 0) return number;
  folders_.push_back({.number = number, .identity = {}});
  return folders_.size() > max_open ? close_one_between() : 0;
}

int Place::close_one_between() {
  Folder& one = folders_[folders_.size() - max_open / 2];
  if (one.number < 0) return 0;
  const int error = identify(one.number, one.identity);
  if (error != 0) return error;
  ::close(one.number);
  one.number = -1;
  return 0;
}

void Place::leave(size_t left) {
  while (folders_.size() > left) {
    if (folder() >= 0) ::close(folder());
    folders_.pop_back();
  }
}

}  // namespace io::system
