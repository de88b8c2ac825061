// Calls for which io_uring has no operation on this kernel, made by threads of our own: a link is
// read so and a file is sent so on every kernel, and a file is cut so before Linux 6.9.
//
// The ring waits for a pipe that a thread writes to when it has made one: one entry, as long as any
// of these operations is in flight. It is no eventfd, because the kernel does not signal the ring's
// own eventfd at once from within a write to another (eventfd_signal_allowed()). Threads and pipe
// are made with the first operation.
#pragma once

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <vector>

#include "support/check.h"
#include "backend/calls.h"
#include "backend/reactor/pool.h"

namespace io::uring {

class Threads {
 public:
  Threads() = default;
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    pool_.reset();  // its threads write to the pipe to their end
    for (const int end : pipe_) {
      if (end >= 0) ::close(end);
    }
  }

  // False when there are no descriptors left for the pipe: then the call is made here and now, and
  // Operation::result is its result.
  bool start(Operation& operation) {
    if (pipe_[0] < 0 && ::pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0) {
      operation.result = perform(operation);
      return false;
    }
    if (!pool_) pool_ = std::make_unique<Pool>(perform, [this] { signal(); });
    in_flight_++;
    operation.place = Place::pooled;
    batch_.assign(1, &operation);
    pool_->submit(batch_);
    return true;
  }

  bool has(const Operation& operation) const { return operation.place == Place::pooled; }

  // Takes it back; false when a thread has begun with it, which cannot be ended.
  bool withdraw(Operation& operation) {
    if (!pool_->withdraw(operation)) return false;
    leave(operation);
    return true;
  }

  // The same for those on a descriptor, or for all: appends them.
  void withdraw_all(int number, std::vector<Operation*>& withdrawn) {
    if (in_flight_ == 0) return;
    const size_t before = withdrawn.size();
    pool_->withdraw_all(number, withdrawn);
    for (size_t index = before; index < withdrawn.size(); index++) leave(*withdrawn[index]);
  }

  bool any() const { return in_flight_ > 0; }
  bool has_finished() const { return in_flight_ > 0 && pool_->has_finished(); }

  // Appends those whose call was made.
  void take(std::vector<Operation*>& finished) {
    if (!has_finished()) return;
    const size_t before = finished.size();
    pool_->take(finished);
    for (size_t index = before; index < finished.size(); index++) leave(*finished[index]);
  }

  // The ring's entry that waits for the pipe.
  bool wants_entry() const { return in_flight_ > 0 && !armed_; }
  bool armed() const { return armed_; }
  void arm(io_uring_sqe* entry) {
    io_uring_prep_poll_add(entry, pipe_[0], POLLIN);
    armed_ = true;
  }
  // That entry has completed, or was cancelled.
  void disarm() {
    armed_ = false;
    char drained[256];
    // It may be empty, and other code may have closed it: no result depends on it.
    [[maybe_unused]] const ssize_t count = ::read(pipe_[0], drained, sizeof(drained));
  }

 private:
  void signal() const {
    // A full pipe is readable already. If other code has closed the pipe, the next poll finds the
    // results of the thread.
    [[maybe_unused]] const ssize_t count = ::write(pipe_[1], "", 1);
  }

  void leave(Operation& operation) {
    operation.place = Place::nowhere;
    in_flight_--;
  }

  int pipe_[2] = {-1, -1};
  std::unique_ptr<Pool> pool_;
  std::vector<Operation*> batch_;
  size_t in_flight_ = 0;
  bool armed_ = false;
};

}  // namespace io::uring
