// The names of errors. glibc has strerrorname_np(), the others have nothing.
#include <cerrno>

#include "../system.h"

namespace io::system {

namespace {

struct Named {
  int error;
  const char* name;
};

#define NAMED(error) \
  { error, #error }

// Every error of a call that the engine makes. Where two names are one number (EAGAIN and
// EWOULDBLOCK, ENOTSUP and EOPNOTSUPP on Linux) the first one counts, which is Node's too.
constexpr Named names[] = {
    NAMED(E2BIG),
    NAMED(EACCES),
    NAMED(EADDRINUSE),
    NAMED(EADDRNOTAVAIL),
    NAMED(EAFNOSUPPORT),
    NAMED(EAGAIN),
    NAMED(EALREADY),
    NAMED(EBADF),
    NAMED(EBUSY),
    NAMED(ECANCELED),
    NAMED(ECHILD),
    NAMED(ECONNABORTED),
    NAMED(ECONNREFUSED),
    NAMED(ECONNRESET),
    NAMED(EDEADLK),
    NAMED(EDESTADDRREQ),
    NAMED(EDOM),
    NAMED(EDQUOT),
    NAMED(EEXIST),
    NAMED(EFAULT),
    NAMED(EFBIG),
    NAMED(EHOSTDOWN),
    NAMED(EHOSTUNREACH),
    NAMED(EILSEQ),
    NAMED(EINPROGRESS),
    NAMED(EINTR),
    NAMED(EINVAL),
    NAMED(EIO),
    NAMED(EISCONN),
    NAMED(EISDIR),
    NAMED(ELOOP),
    NAMED(EMFILE),
    NAMED(EMLINK),
    NAMED(EMSGSIZE),
    NAMED(ENAMETOOLONG),
    NAMED(ENETDOWN),
    NAMED(ENETRESET),
    NAMED(ENETUNREACH),
    NAMED(ENFILE),
    NAMED(ENOBUFS),
    NAMED(ENODEV),
    NAMED(ENOENT),
    NAMED(ENOEXEC),
    NAMED(ENOLCK),
    NAMED(ENOMEM),
    NAMED(ENOPROTOOPT),
    NAMED(ENOSPC),
    NAMED(ENOSYS),
    NAMED(ENOTBLK),
    NAMED(ENOTCONN),
    NAMED(ENOTDIR),
    NAMED(ENOTEMPTY),
    NAMED(ENOTSOCK),
    NAMED(ENOTSUP),
    NAMED(ENOTTY),
    NAMED(ENXIO),
    NAMED(EOPNOTSUPP),
    NAMED(EOVERFLOW),
    NAMED(EPERM),
    NAMED(EPIPE),
    NAMED(EPROTO),
    NAMED(EPROTONOSUPPORT),
    NAMED(EPROTOTYPE),
    NAMED(ERANGE),
    NAMED(EROFS),
    NAMED(ESHUTDOWN),
    NAMED(ESOCKTNOSUPPORT),
    NAMED(ESPIPE),
    NAMED(ESRCH),
    NAMED(ESTALE),
    NAMED(ETIMEDOUT),
    NAMED(ETXTBSY),
    NAMED(EUSERS),
    NAMED(EXDEV),
#if defined(ENODATA)
    NAMED(ENODATA),
#endif
#if defined(ETIME)
    NAMED(ETIME),
#endif
#if defined(EREMOTEIO)
    NAMED(EREMOTEIO),
#endif
#if defined(ENOTRECOVERABLE)
    NAMED(ENOTRECOVERABLE),
    NAMED(EOWNERDEAD),
#endif
#if defined(ENOATTR)
    NAMED(ENOATTR),
#endif
};

#undef NAMED

}  // namespace

const char* error_name(int error) {
  for (const Named& named : names) {
    if (named.error == error) return named.name;
  }
  return "unknown error";
}

}  // namespace io::system
