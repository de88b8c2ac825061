// Files that the bind of a unix socket has made. They are removed with their sockets, as those of
// Node's servers are, unless another process has put another file in their place.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <unordered_map>
#include <utility>

namespace io {

class BoundFiles {
 public:
  // The socket `number` has been bound to this path. 0 or a negative errno.
  int add(int number, std::string path) {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0) return -errno;
    if (!S_ISSOCK(status.st_mode)) return -ENOTSOCK;
    files_.insert_or_assign(number, File{std::move(path), status.st_dev, status.st_ino});
    return 0;
  }

  // Before the socket is closed: afterwards another one may have been bound to the same path.
  void remove(int number) {
    const auto found = files_.find(number);
    if (found == files_.end()) return;
    remove(found->second);
    files_.erase(found);
  }

  // The socket is given away.
  void forget(int number) { files_.erase(number); }

  void remove_all() {
    for (const auto& [number, file] : files_) remove(file);
    files_.clear();
  }

 private:
  struct File {
    std::string path;
    dev_t device;
    ino_t inode;
  };

  // It may be gone, or may not be removed any more: then it stays, as with Node.
  static void remove(const File& file) {
    struct stat status;
    if (::lstat(file.path.c_str(), &status) != 0) return;
    if (status.st_dev != file.device || status.st_ino != file.inode) return;
    static_cast<void>(::unlink(file.path.c_str()));
  }

  std::unordered_map<int, File> files_;
};

}  // namespace io
