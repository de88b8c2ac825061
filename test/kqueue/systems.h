// The system that the layer plays, beside the kqueue that all of them have: IO_KQUEUE_SYSTEM is
// "macos", "freebsd", "netbsd" or "openbsd". Without it nothing but kqueue differs from Linux.
//
// calls.cc and fifos.cc stand between the engine and the system calls that these kernels answer in
// another way (the linker's --wrap), and the filters ask here too. The behaviour of each is from
// its source or manual page; the field names the place.
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>

namespace kqueue_layer {

struct System {
  const char* name = "linux";

  // ---- kqueue
  // EVFILT_WRITE of a pipe whose other end is gone. NetBSD's pipe_kqfilter: EBADF.
  int gone_pipe_error = EPIPE;
  // XNU's vnode_readable_data_count: a FIFO is its bytes, and fifo_close() posts to no knote.
  // poll() is made of the same filter, and only select() asks the socket behind the FIFO.
  bool fifo_is_its_bytes = false;
  // fifo_read() of XNU and NetBSD: "clear EOF indication after first such return".
  bool fifo_end_is_reported_once = false;
  // XNU's filt_specattach: a device must be asked for one byte (NOTE_LOWAT), but a terminal. Of
  // /dev/tty it is refused in any case.
  bool device_counts_nothing = false;
  // EVFILT_PROC of a process that has ended and was not waited for: proc_find() of XNU and NetBSD
  // does not know it, and OpenBSD's filt_procattach asks. FreeBSD reports its end.
  bool ended_process_is_unknown = false;
  // EVFILT_VNODE. NetBSD's vop_remove_post: a file that has other names gets NOTE_LINK, where the
  // others post NOTE_DELETE for every unlink().
  bool unlink_of_one_is_link = false;
  // OpenBSD's ufs_rename posts to the directory of the old name before that is gone, and not after:
  // who looks at that very moment finds it there. Of a directory that is moved it is always so
  // here.
  bool rename_is_posted_early = false;

  // ---- sockets
  bool is_bsd = false;  // what all four have in common, see calls.cc
  // XNU: no MSG_NOSIGNAL but an option of the socket, which sosetoptlock refuses (EINVAL) when both
  // directions are over, and which sonewconn hands on; EPROTOTYPE of a send while the peer resets;
  // sends that look at O_NONBLOCK and not at MSG_DONTWAIT.
  bool is_darwin = false;
  // Datagrams: the first size of a send buffer, and the behaviour of a full receiver of unix
  // datagrams.
  size_t udp_send_bytes = 0;
  size_t unix_send_bytes = 0;
  size_t unix_receive_bytes = 0;
  // "::" and IPv4. FreeBSD and NetBSD leave it out until IPV6_V6ONLY is taken back; OpenBSD's
  // ip6_v6only is a constant.
  bool v6_only = false;
  bool v6_only_is_fixed = false;
};

const System& system_here();

// fifos.cc: whether a read has returned the end of this FIFO, so that the system reports it no
// more; of kernels that report it once.
bool is_fifo(int number);
bool fifo_end_was_reported(int number);

}  // namespace kqueue_layer
