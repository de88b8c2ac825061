// Files whose calls wait for somebody: those of a file system that a server answers, another
// machine or a process (FUSE).
//
// The kernel tries most operations on the thread that hands them over, and asks the file system not
// to wait. FUSE waits anyway (fuse_get_req() of Linux 6.18, when as many requests as it
// allows are on their way), and NFS and FUSE both ask their server when a file is opened whose name
// is known. So the thread would stand still, not to be ended by any signal, for as long as the
// server is silent. What is on such a file system goes to the kernel's workers at once instead.
//
// No call here asks a file system anything.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/operation.h"

namespace io::uring {

// The file systems that the process sees now.
class Mounts {
 public:
  Mounts() = default;
  Mounts(const Mounts&) = delete;
  Mounts& operator=(const Mounts&) = delete;
  ~Mounts();

  // Reads the list again when it has changed, which costs a call to know.
  void look();

  // Whether the server of any has to be expected. True as well where the list cannot be read.
  bool any_served() const { return any_served_; }

  enum class Kind : uint8_t { local, layered, served };
  Kind kind_of(uint32_t major, uint32_t minor) const;
  // Whether all of them are local, so that no file has to be asked where it is.
  bool all_local() const { return readable_ && others_.empty(); }

 private:
  void read();

  struct Mount {
    uint32_t major;
    uint32_t minor;
    Kind kind;
  };
  int number_ = -1;
  bool readable_ = false;
  bool any_served_ = true;
  std::vector<Mount> others_;  // that are not local
};

// What is known of the open files that are not on a local file system.
class Files {
 public:
  // Before an open is handed over: whether it goes to a worker.
  bool opens_elsewhere() {
    mounts_.look();
    return mounts_.any_served();
  }

  void opened(int number);
  bool any() const { return !files_.empty(); }
  // What is done on it goes to a worker.
  bool is_served(int number) const {
    const auto found = files_.find(number);
    return found != files_.end() && found->second.served;
  }
  // Before its close is handed over. What is known is kept with it.
  void closing(Operation& close);
  // Whether a close that the kernel says it has cancelled has closed nothing. Its number may have
  // been handed out again, and the word may be the file system's own.
  static bool is_still_open(const Operation& close);

 private:
  struct Known {
    bool served;
    FileIdentity identity;
  };
  Mounts mounts_;
  std::unordered_map<int, Known> files_;
};

}  // namespace io::uring
