// The names of errors. glibc has strerrorname_np(), the others have nothing.
#include <cerrno>
#include <system_error>

#include "system/system.h"

namespace io::system {

namespace {

struct Named {
  int error;
  const char* name;
};

#define NAMED(error) \
  { error, #error }

// Every error of a system, not only those of the calls that the engine makes: a file system or a
// driver may return any of them. Where two names are one number (EAGAIN and EWOULDBLOCK, ENOTSUP
// and EOPNOTSUPP on Linux) the first one counts, as in Node.
constexpr Named names[] = {
    NAMED(E2BIG),
    NAMED(EACCES),
    NAMED(EADDRINUSE),
    NAMED(EADDRNOTAVAIL),
    NAMED(EAFNOSUPPORT),
    NAMED(EAGAIN),
    NAMED(EALREADY),
    NAMED(EBADF),
    NAMED(EBADMSG),
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
    NAMED(EIDRM),
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
    NAMED(ENOMSG),
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
    NAMED(EPFNOSUPPORT),
    NAMED(EPIPE),
    NAMED(EPROTO),
    NAMED(EPROTONOSUPPORT),
    NAMED(EPROTOTYPE),
    NAMED(ERANGE),
    NAMED(EREMOTE),
    NAMED(EROFS),
    NAMED(ESHUTDOWN),
    NAMED(ESOCKTNOSUPPORT),
    NAMED(ESPIPE),
    NAMED(ESRCH),
    NAMED(ESTALE),
    NAMED(ETIMEDOUT),
    NAMED(ETOOMANYREFS),
    NAMED(ETXTBSY),
    NAMED(EUSERS),
    NAMED(EXDEV),
#if defined(__linux__)
    NAMED(EADV),
    NAMED(EBADE),
    NAMED(EBADFD),
    NAMED(EBADR),
    NAMED(EBADRQC),
    NAMED(EBADSLT),
    NAMED(EBFONT),
    NAMED(ECHRNG),
    NAMED(ECOMM),
    NAMED(EDOTDOT),
    NAMED(EHWPOISON),
    NAMED(EISNAM),
    NAMED(EKEYEXPIRED),
    NAMED(EKEYREJECTED),
    NAMED(EKEYREVOKED),
    NAMED(EL2HLT),
    NAMED(EL2NSYNC),
    NAMED(EL3HLT),
    NAMED(EL3RST),
    NAMED(ELIBACC),
    NAMED(ELIBBAD),
    NAMED(ELIBEXEC),
    NAMED(ELIBMAX),
    NAMED(ELIBSCN),
    NAMED(ELNRNG),
    NAMED(EMEDIUMTYPE),
    NAMED(EMULTIHOP),
    NAMED(ENAVAIL),
    NAMED(ENOANO),
    NAMED(ENOCSI),
    NAMED(ENODATA),
    NAMED(ENOKEY),
    NAMED(ENOLINK),
    NAMED(ENOMEDIUM),
    NAMED(ENONET),
    NAMED(ENOPKG),
    NAMED(ENOSR),
    NAMED(ENOSTR),
    NAMED(ENOTNAM),
    NAMED(ENOTRECOVERABLE),
    NAMED(ENOTUNIQ),
    NAMED(EOWNERDEAD),
    NAMED(EREMCHG),
    NAMED(EREMOTEIO),
    NAMED(ERESTART),
    NAMED(ERFKILL),
    NAMED(ESRMNT),
    NAMED(ESTRPIPE),
    NAMED(ETIME),
    NAMED(EUCLEAN),
    NAMED(EUNATCH),
    NAMED(EXFULL),
    // The kernel's own, of include/linux/errno.h, which no program should see: some drivers and
    // file systems let them through.
    {512, "ERESTARTSYS"},
    {513, "ERESTARTNOINTR"},
    {514, "ERESTARTNOHAND"},
    {515, "ENOIOCTLCMD"},
    {516, "ERESTART_RESTARTBLOCK"},
    {517, "EPROBE_DEFER"},
    {518, "EOPENSTALE"},
    {519, "ENOPARAM"},
    {521, "EBADHANDLE"},
    {522, "ENOTSYNC"},
    {523, "EBADCOOKIE"},
    {524, "ENOTSUPP"},
    {525, "ETOOSMALL"},
    {526, "ESERVERFAULT"},
    {527, "EBADTYPE"},
    {528, "EJUKEBOX"},
    {529, "EIOCBQUEUED"},
    {530, "ERECALLCONFLICT"},
    {531, "ENOGRACE"},
#else
#if defined(EAUTH)
    NAMED(EAUTH),
#endif
#if defined(EBADARCH)
    NAMED(EBADARCH),
#endif
#if defined(EBADEXEC)
    NAMED(EBADEXEC),
#endif
#if defined(EBADMACHO)
    NAMED(EBADMACHO),
#endif
#if defined(EBADRPC)
    NAMED(EBADRPC),
#endif
#if defined(ECAPMODE)
    NAMED(ECAPMODE),
#endif
#if defined(EDEVERR)
    NAMED(EDEVERR),
#endif
#if defined(EDOOFUS)
    NAMED(EDOOFUS),
#endif
#if defined(EFTYPE)
    NAMED(EFTYPE),
#endif
#if defined(EINTEGRITY)
    NAMED(EINTEGRITY),
#endif
#if defined(EIPSEC)
    NAMED(EIPSEC),
#endif
#if defined(EMEDIUMTYPE)
    NAMED(EMEDIUMTYPE),
#endif
#if defined(EMULTIHOP)
    NAMED(EMULTIHOP),
#endif
#if defined(ENEEDAUTH)
    NAMED(ENEEDAUTH),
#endif
#if defined(ENOATTR)
    NAMED(ENOATTR),
#endif
#if defined(ENODATA)
    NAMED(ENODATA),
#endif
#if defined(ENOLINK)
    NAMED(ENOLINK),
#endif
#if defined(ENOMEDIUM)
    NAMED(ENOMEDIUM),
#endif
#if defined(ENOPOLICY)
    NAMED(ENOPOLICY),
#endif
#if defined(ENOSR)
    NAMED(ENOSR),
#endif
#if defined(ENOSTR)
    NAMED(ENOSTR),
#endif
#if defined(ENOTCAPABLE)
    NAMED(ENOTCAPABLE),
#endif
#if defined(ENOTRECOVERABLE)
    NAMED(ENOTRECOVERABLE),
#endif
#if defined(EOWNERDEAD)
    NAMED(EOWNERDEAD),
#endif
#if defined(EPROCLIM)
    NAMED(EPROCLIM),
#endif
#if defined(EPROCUNAVAIL)
    NAMED(EPROCUNAVAIL),
#endif
#if defined(EPROGMISMATCH)
    NAMED(EPROGMISMATCH),
#endif
#if defined(EPROGUNAVAIL)
    NAMED(EPROGUNAVAIL),
#endif
#if defined(EPWROFF)
    NAMED(EPWROFF),
#endif
#if defined(EQFULL)
    NAMED(EQFULL),
#endif
#if defined(ERPCMISMATCH)
    NAMED(ERPCMISMATCH),
#endif
#if defined(ESHLIBVERS)
    NAMED(ESHLIBVERS),
#endif
#if defined(ETIME)
    NAMED(ETIME),
#endif
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

std::string error_text(int error) {
  return std::generic_category().message(error);
}

}  // namespace io::system
