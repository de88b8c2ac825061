// Files whose calls wait for a server: those of network file systems, and of FUSE.
//
// The kernel tries most operations on the thread that submits them, and asks the file system not to
// wait. FUSE waits anyway (fuse_get_req() of Linux 6.18, when its limit of requests in flight is
// reached), and NFS and FUSE both ask their server when a file is opened whose name is cached. So
// the thread would block, and no signal would end that, for as long as the server is silent.
// Operations on such a file system go to the kernel's workers at once instead.
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

  // Whether a mount may have a server. Also true where the list cannot be read.
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

// The open files that are not on a local file system.
class Files {
 public:
  // Before an open is handed over: whether it goes to a worker.
  bool opens_elsewhere() {
    mounts_.look();
    return mounts_.any_served();
  }

  void opened(int number);
  bool any() const { return !files_.empty(); }
  // Operations on it go to a worker.
  bool is_served(int number) const {
    const auto found = files_.find(number);
    return found != files_.end() && found->second.served;
  }
  // Before its close is submitted. The close keeps the record of the file.
  void closing(Operation& close);
  // It is given away.
  void forget(int number) { files_.erase(number); }
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
