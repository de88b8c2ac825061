// Included before the files of native/ that differ between systems, when they are compiled as
// macOS's over the layer: every header that they include, then the differences of <sys/...> between
// macOS and Linux, and only then the name of the system. native_calls.cc makes the calls. The same
// for the BSDs is in scripts/cross/bsd_names.h.
#pragma once

#include "../../scripts/cross/bsd_names.h"

#include <linux/vm_sockets.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <sys/select.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

// The link itself is opened, as macOS does; Linux has that for looking at it alone.
inline constexpr int kqueue_layer_o_symlink = O_PATH | O_NOFOLLOW;
#define O_SYMLINK kqueue_layer_o_symlink

#undef POLLRDHUP
#undef O_DIRECT
#undef O_PATH
#undef MSG_NOSIGNAL

#define SO_NOSIGPIPE 0x1022

#define st_atimespec st_atim
#define st_mtimespec st_mtim
#define st_ctimespec st_ctim
#define st_birthtimespec st_ctim

#define F_NOCACHE 48
#define F_RDADVISE 44
#define F_RDAHEAD 45
#define F_PUNCHHOLE 99
#define F_PREALLOCATE 42
#define F_FULLFSYNC 51
#define F_BARRIERFSYNC 85
#define F_ALLOCATEALL 4
#define F_PEOFPOSMODE 3
#define F_GETPATH 50

#define RENAME_SWAP 2
#define RENAME_EXCL 4

struct fstore_t {
  unsigned fst_flags;
  int fst_posmode;
  off_t fst_offset;
  off_t fst_length;
  off_t fst_bytesalloc;
};

struct fpunchhole_t {
  unsigned fp_flags;
  unsigned reserved;
  off_t fp_offset;
  off_t fp_length;
};

struct radvisory {
  off_t ra_offset;
  int ra_count;
};

extern "C" {
ssize_t kqueue_layer_fgetxattr(int number, const char* name, void* into, size_t size_bytes,
                               uint32_t position, int options);
int kqueue_layer_fsetxattr(int number, const char* name, const void* value, size_t size_bytes,
                           uint32_t position, int options);
ssize_t kqueue_layer_flistxattr(int number, char* into, size_t size_bytes, int options);
int kqueue_layer_fremovexattr(int number, const char* name, int options);
int kqueue_layer_fcntl(int number, int command, ...);
int kqueue_layer_fstatfs(int number, struct statfs* status);
int kqueue_layer_getattrlistbulk(int number, const void* wanted, void* into, size_t size_bytes,
                                 uint64_t options);
int kqueue_layer_renameatx_np(int folder, const char* from, int folder_to, const char* to,
                              unsigned flags);
int kqueue_layer_sendfile_macos(int file, int socket, off_t offset, off_t* count, void* headers,
                                int flags);
}

#define fcntl kqueue_layer_fcntl
#define fstatfs kqueue_layer_fstatfs
#define fgetxattr kqueue_layer_fgetxattr
#define fsetxattr kqueue_layer_fsetxattr
#define flistxattr kqueue_layer_flistxattr
#define fremovexattr kqueue_layer_fremovexattr
#define getattrlistbulk kqueue_layer_getattrlistbulk
#define renameatx_np kqueue_layer_renameatx_np
#define sendfile kqueue_layer_sendfile_macos

#define __APPLE__ 1
