// The way to a path under rules, directory by directory. Linux can only keep to them in an open
// (openat2, 5.6), and other systems not at all.
//
// No name is looked at twice in a way that matters: each directory is opened by its name in the one
// before it, without following a link, and stays open. So a directory that is renamed or replaced
// by a link meanwhile leads nowhere else, and ".." is the directory that was gone through.
//
// Of a long way the directories in the middle are closed again. What they are is kept, so that ".."
// into one of them is known to lead there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace io::system {

// How a symbolic link at the end of a path counts: it is followed; it is kept, unless a slash is
// behind it; or the path is a name to make, move or remove, and it is kept in any case. `file` is
// the name of what cannot become a directory.
enum class End : uint8_t { follow, keep, name, file };

// Where a path leads: a directory that is open, and a name in it without slashes.
class Place {
 public:
  Place() = default;
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { leave(0); }

  // `rules` is abi::resolve_*, not 0. After End::follow the name is no symbolic link, unless
  // another process makes it one now. 0 or a negative errno.
  int find(int folder, const std::string& path, uint32_t rules, End end);

  int folder() const { return folders_.back().number; }
  // "." when the path leads to the directory itself.
  const char* name() const { return name_.c_str(); }

 private:
  // What a folder is. Another one may have its inode when it is removed, but was made later.
  struct Identity {
    double device;
    int64_t inode;
    int64_t created_ns;  // 0 where the file system does not say
    bool operator==(const Identity&) const = default;
  };
  static int identify(int number, Identity& identity);

  // One that was gone through. Its number is -1 when it is closed, and then it is known by the
  // other.
  struct Folder {
    int number;
    Identity identity;
  };

  int enter(int folder, const char* name);
  int close_one_between();
  void leave(size_t left);
  int go_up();
  int reopen_last(int from);
  int go_to_root();
  int step(std::string& rest, size_t& at, End end);
  int named(const std::string& component, bool has_slash, End end);
  int follow(const std::string& component, std::string& rest, size_t& at);

  std::vector<Folder> folders_;  // from the first one down
  std::string name_;
  uint32_t rules_ = 0;
  int links_ = 0;
};

}  // namespace io::system
