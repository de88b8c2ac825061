// The common part of all knotes, and the class of each filter. See layer.h.
#include <utility>

#include "layer.h"
#include "real.h"

namespace kqueue_layer {

Owned& Owned::operator=(Owned&& other) noexcept {
  if (this != &other) {
    if (valid()) __real_close(number_);
    number_ = other.release();
  }
  return *this;
}

Owned::~Owned() {
  if (valid()) __real_close(number_);
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
  event.flags = behaviour | reported.flags;
  event.fflags = reported.fflags;
  event.data = reported.data;
  event.udata = udata;
  return event;
}

bool takes_descriptor(int16_t filter) {
  return filter == EVFILT_READ || filter == EVFILT_WRITE || filter == EVFILT_VNODE;
}

std::unique_ptr<Knote> make_knote(const Sources& sources, uint64_t id,
                                  const struct kevent& change) {
  switch (change.filter) {
    case EVFILT_READ:
    case EVFILT_WRITE:
      return make_readiness_knote(sources, id, change);
    case EVFILT_VNODE:
      return make_vnode_knote(sources, id, change);
    case EVFILT_PROC:
      return make_process_knote(sources, id, change);
    case EVFILT_TIMER:
      return make_timer_knote(sources, id, change);
    case EVFILT_USER:
      return make_user_knote(sources, id, change);
    default:
      return nullptr;
  }
}

}  // namespace kqueue_layer
