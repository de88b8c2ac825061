// What all knotes have in common, and which class a filter is. See layer.h.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "layer.h"

namespace kqueue_layer {

Owned& Owned::operator=(Owned&& other) noexcept {
  if (this != &other) {
    if (valid()) ::close(number_);
    number_ = other.release();
  }
  return *this;
}

Owned::~Owned() {
  if (valid()) ::close(number_);
}

int Owned::release() {
  return std::exchange(number_, -1);
}

Knote::Knote(const Sources& sources, uint64_t id, const struct kevent& change)
    : id(id),
      ident(change.ident),
      filter(change.filter),
      behaviour(change.flags & behaviour_flags),
      wanted(change.fflags),
      parameter(change.data),
      udata(change.udata),
      sources(sources) {}

int Knote::touch(const struct kevent& change) {
  if ((change.flags & EV_ADD) == 0) return 0;
  wanted = change.fflags;
  parameter = change.data;
  return 0;
}

struct kevent Knote::event() const {
  struct kevent event = {};
  event.ident = ident;
  event.filter = filter;
  event.flags = behaviour | told.flags;
  event.fflags = told.fflags;
  event.data = told.data;
  event.udata = udata;
  return event;
}

int Knote::watch_own(int number) const {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = id;
  return ::epoll_ctl(sources.own, EPOLL_CTL_ADD, number, &event) == 0 ? 0 : errno;
}

bool takes_descriptor(int16_t filter) {
  return filter == EVFILT_READ || filter == EVFILT_WRITE || filter == EVFILT_VNODE;
}

namespace {

// EVFILT_READ means something else on what has an end that does not move by waiting.
bool is_file(uintptr_t ident) {
  struct stat status;
  if (::fstat(static_cast<int>(ident), &status) != 0) return false;
  return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode);
}

}  // namespace

std::unique_ptr<Knote> make_knote(const Sources& sources, uint64_t id,
                                  const struct kevent& change) {
  switch (change.filter) {
    case EVFILT_READ:
      if (is_file(change.ident)) return make_file_knote(sources, id, change);
      return make_readiness_knote(sources, id, change);
    case EVFILT_WRITE:
      return make_readiness_knote(sources, id, change);
    case EVFILT_VNODE:
      return make_vnode_knote(sources, id, change);
    case EVFILT_PROC:
      return make_process_knote(sources, id, change);
    case EVFILT_SIGNAL:
      return make_signal_knote(sources, id, change);
    case EVFILT_TIMER:
      return make_timer_knote(sources, id, change);
    case EVFILT_USER:
      return make_user_knote(sources, id, change);
    default:
      return nullptr;
  }
}

}  // namespace kqueue_layer
