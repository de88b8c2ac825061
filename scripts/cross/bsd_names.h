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
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <functional>
#include <limits>
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
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <vector>

#undef __linux__

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
#undef ENODATA
#undef EREMOTEIO
#undef RWF_NOWAIT
#define statx not_on_this_system
#define preadv2 not_on_this_system
#define fallocate not_on_this_system
