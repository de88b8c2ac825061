// EVFILT_USER: events that the program itself triggers. See layer.h.
#include "layer.h"

namespace kqueue_layer {

namespace {

class UserKnote : public Knote {
 public:
  using Knote::Knote;

  int attach() override {
    flags_ = wanted & NOTE_FFLAGSMASK;
    triggered_ = (wanted & NOTE_TRIGGER) != 0;
    return 0;
  }

  // Any change may bring flags or trigger it, not only one that adds it again.
  int touch(const struct kevent& change) override {
    const uint32_t given = change.fflags & NOTE_FFLAGSMASK;
    switch (change.fflags & NOTE_FFCTRLMASK) {
      case NOTE_FFAND:
        flags_ &= given;
        break;
      case NOTE_FFOR:
        flags_ |= given;
        break;
      case NOTE_FFCOPY:
        flags_ = given;
        break;
      default:
        break;  // NOTE_FFNOP
    }
    parameter = change.data;
    if ((change.fflags & NOTE_TRIGGER) != 0) triggered_ = true;
    return 0;
  }

  bool holds() override {
    reported.fflags = flags_;
    reported.data = parameter;
    return triggered_;
  }

  void reset() override {
    triggered_ = false;
    flags_ = 0;
    parameter = 0;
  }

 private:
  uint32_t flags_ = 0;
  bool triggered_ = false;
};

}  // namespace

std::unique_ptr<Knote> make_user_knote(const Sources& sources, uint64_t id,
                                       const struct kevent& change) {
  return std::make_unique<UserKnote>(sources, id, change);
}

}  // namespace kqueue_layer
