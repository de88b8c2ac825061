// Before the files of native/ that differ between systems, when they are compiled as macOS's over
// the layer: every header that they include, then what <sys/...> of macOS has and Linux lacks, or
// has and macOS does not, and only then the name of the system. native_calls.cc makes the calls.
// What is for the BSDs is in scripts/cross/bsd_names.h.
#pragma once

#include "../../scripts/cross/bsd_names.h"

#include <sys/mount.h>
#include <sys/param.h>
#include <sys/select.h>
#include <sys/vfs.h>

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
#define F_PREALLOCATE 42
#define F_FULLFSYNC 51
#define F_BARRIERFSYNC 85
#define F_ALLOCATEALL 4
#define F_PEOFPOSMODE 3

struct fstore_t {
  unsigned fst_flags;
  int fst_posmode;
  off_t fst_offset;
  off_t fst_length;
  off_t fst_bytesalloc;
};

extern "C" {
int kqueue_layer_fcntl(int number, int command, ...);
int kqueue_layer_fstatfs(int number, struct statfs* status);
int kqueue_layer_sendfile_macos(int file, int socket, off_t offset, off_t* count, void* headers,
                                int flags);
}

#define fcntl kqueue_layer_fcntl
#define fstatfs kqueue_layer_fstatfs
#define sendfile kqueue_layer_sendfile_macos

#define __APPLE__ 1
