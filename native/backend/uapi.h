// Constants of io_uring that are newer than the kernel headers of the systems we build on (Debian
// 12: liburing 2.3, kernel 6.1), each with the kernel that brought it. They are numbers of the
// kernel's binary interface (include/uapi/linux/io_uring.h) and never change.
#pragma once

#include <liburing.h>

namespace io::uapi {

inline constexpr int op_ftruncate = 55;  // 6.9

}  // namespace io::uapi
