// kqueue(2) for Linux, for tests only: the interface that macOS and the BSDs have in this header,
// so that a file which is written for them compiles unchanged. The names and their meanings come
// from the manual pages; the numbers are FreeBSD's where the pages leave them open. Filters that
// the backend does not use are left out.
//
// KQUEUE_LAYER_OLD leaves out features that OpenBSD and NetBSD lacked for a long time (user events,
// receipts), so that the other way of doing it is tested too.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_VNODE (-4)
#define EVFILT_PROC (-5)
#define EVFILT_TIMER (-7)
#ifndef KQUEUE_LAYER_OLD
#define EVFILT_USER (-11)
#endif

// The requests of a change.
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#ifndef KQUEUE_LAYER_OLD
#define EV_RECEIPT 0x0040
#define EV_KEEPUDATA 0x0200
#endif

// How an event behaves.
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#ifndef KQUEUE_LAYER_OLD
#define EV_DISPATCH 0x0080
#endif

// The flags of a returned event.
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

// EVFILT_READ and EVFILT_WRITE.
#define NOTE_LOWAT 0x0001

// EVFILT_VNODE. Every system has these under the same numbers.
#define NOTE_DELETE 0x0001
#define NOTE_WRITE 0x0002
#define NOTE_EXTEND 0x0004
#define NOTE_ATTRIB 0x0008
#define NOTE_LINK 0x0010
#define NOTE_RENAME 0x0020
#define NOTE_REVOKE 0x0040

// EVFILT_PROC. The status is in the data: always, but on macOS only with the second.
#define NOTE_EXIT 0x80000000U
#if defined(IO_AS_MACOS)
#define NOTE_EXITSTATUS 0x04000000U
#endif

// EVFILT_USER.
#ifndef KQUEUE_LAYER_OLD
#define NOTE_FFNOP 0x00000000U
#define NOTE_FFAND 0x40000000U
#define NOTE_FFOR 0x80000000U
#define NOTE_FFCOPY 0xc0000000U
#define NOTE_FFCTRLMASK 0xc0000000U
#define NOTE_FFLAGSMASK 0x00ffffffU
#define NOTE_TRIGGER 0x01000000U
#endif

struct kevent {
  uintptr_t ident;
  int16_t filter;
  uint16_t flags;
  uint32_t fflags;
  int64_t data;
  void* udata;
};

#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_) \
  do {                                                                 \
    struct kevent* set_event = (event);                                \
    set_event->ident = (uintptr_t)(ident_);                            \
    set_event->filter = (int16_t)(filter_);                            \
    set_event->flags = (uint16_t)(flags_);                             \
    set_event->fflags = (uint32_t)(fflags_);                           \
    set_event->data = (int64_t)(data_);                                \
    set_event->udata = (udata_);                                       \
  } while (0)

#ifdef __cplusplus
extern "C" {
#endif

int kqueue(void);
int kevent(int queue, const struct kevent* changes, int change_count, struct kevent* events,
           int event_count, const struct timespec* timeout);

#ifdef __cplusplus
}
#endif
