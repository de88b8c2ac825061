// For the syntax check of the BSDs' branches on Linux (scripts/cross/bsd.mjs): every header of the
// system that they include, then what their manual pages document and Linux lacks, or has and they
// do not, and only then the name of the system. Nothing that is compiled with this can run.
#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cmath>
#include <concepts>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <functional>
#include <limits>
#include <limits.h>
#include <memory>
#include <mutex>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <pthread.h>
#include <span>
#include <string>
#include <stddef.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <vector>

// getpeereid(3), by what Linux has.
inline int getpeereid(int number, uid_t* user, gid_t* group) {
  ucred found = {};
  socklen_t size = sizeof(found);
  if (getsockopt(number, SOL_SOCKET, SO_PEERCRED, &found, &size) != 0) return -1;
  errno = EINVAL;
  if (found.pid == 0) return -1;
  *user = found.uid;
  *group = found.gid;
  return 0;
}

#undef __linux__

// getdents(2)
#if defined(IO_AS_OPENBSD)
extern "C" int getdents(int number, void* into, size_t size_bytes);
#elif !defined(IO_AS_MACOS)
extern "C" int getdents(int number, char* into, size_t size_bytes);
#endif

#if defined(IO_AS_FREEBSD)
#define __FreeBSD__ 14
#define st_birthtim st_ctim      // stat(2)
#define SO_REUSEPORT_LB 0x10000  // setsockopt(2)
struct sf_hdtr;
extern "C" int sendfile(int file, int socket, off_t offset, size_t size_bytes, sf_hdtr* more,
                        off_t* sent, int flags);

#elif defined(IO_AS_NETBSD)
#define __NetBSD__ 1
#define st_birthtim st_ctim
#define FDATASYNC 0x0010  // fsync_range(2)
#define FFILESYNC 0x0020
#define FDISKSYNC 0x0040
#define EFTYPE 79  // open(2)
extern "C" int fsync_range(int number, int how, off_t start, off_t length);

#elif defined(IO_AS_OPENBSD)
#define __OpenBSD__ 1
#define __st_birthtim st_ctim
#undef O_DIRECT
#define posix_fallocate not_on_this_system

#elif defined(IO_AS_DRAGONFLY)
#define __DragonFly__ 1
struct sf_hdtr;
extern "C" int sendfile(int file, int socket, off_t offset, size_t size_bytes, sf_hdtr* more,
                        off_t* sent, int flags);
#define posix_fallocate not_on_this_system
#endif

// Of Linux alone.
#undef ETIME
#undef MSG_MORE
#undef ENODATA
#undef EREMOTEIO
#undef RWF_NOWAIT
#define statx not_on_this_system
#define preadv2 not_on_this_system
#define fallocate not_on_this_system
