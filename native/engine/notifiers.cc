// Notifiers: see notifiers.h.
#include "engine/notifiers.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <mutex>
#include <utility>

#include "support/clock.h"
#include "system/system.h"

namespace io {

namespace {

constexpr int64_t no_position = -1;

// A pipe, also where there are eventfds: a write to an eventfd wakes a ring that polls it while the
// kernel is in that eventfd, so it defers the signal of the ring's own eventfd, and from the second
// one on it drops them (seen on Linux 6.18, IO_EVENTFD_OP_SIGNAL_BIT). One byte is in it at most.
int signal_reader(int write_end) {
  const uint8_t signal = 1;
  return system::write_file(write_end, &signal, sizeof(signal), no_position);
}

void clear_signal(int read_end) {
  uint8_t signal = 0;
  static_cast<void>(system::read_file(read_end, &signal, sizeof(signal), no_position));
}

}  // namespace

class Notifier {
 public:
  explicit Notifier(int write_end) : write_end_(write_end) {}
  ~Notifier() { ::close(write_end_); }
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  int notify(int32_t value) {
    const std::scoped_lock lock(mutex_);
    if (closed_) return -EBADF;
    if (values_.size() >= max_notifications) return -ENOBUFS;
    if (!signalled_) {
      const int result = signal_reader(write_end_);
      if (result == -EPIPE) return -EBADF;  // the program has closed its descriptor by the ring
      if (result < 0) return result;
      signalled_ = true;
    }
    values_.push_back(value);
    return 0;
  }

  int take(int number, std::span<int32_t> values) {
    const std::scoped_lock lock(mutex_);
    const size_t count = std::min(values.size(), values_.size());
    const auto end = values_.begin() + static_cast<ptrdiff_t>(count);
    std::copy(values_.begin(), end, values.begin());
    values_.erase(values_.begin(), end);
    if (values_.empty() && signalled_) {
      clear_signal(number);
      signalled_ = false;
    }
    return static_cast<int>(count);
  }

  void close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    values_.clear();
  }

 private:
  std::mutex mutex_;
  const int write_end_;
  std::deque<int32_t> values_;
  bool signalled_ = false;  // the descriptor is readable
  bool closed_ = false;
};

namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<int64_t, std::shared_ptr<Notifier>> notifiers;
  int64_t next_id = first_id();

  // Of this process alone, so that a token of another one names nothing here. A number of the
  // process has 22 bits at most, so an id is exact as a number of JavaScript (53 bits).
  static int64_t first_id() {
    constexpr int64_t after_process = int64_t{1} << 30;
    return ::getpid() * after_process + now_ns() % after_process;
  }
};

// Never destroyed: threads may notify while the process ends.
Registry& registry() {
  static Registry& one = *std::make_unique<Registry>().release();
  return one;
}

}  // namespace

int Notifiers::open(int64_t& id, int& number) {
  int ends[2];
  const int result = system::open_pipe(ends);
  if (result < 0) return result;
  auto notifier = std::make_shared<Notifier>(ends[1]);
  number = ends[0];
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  id = all.next_id++;
  all.notifiers.emplace(id, notifier);
  own_.emplace(id, std::move(notifier));
  return 0;
}

int Notifiers::take(int64_t id, int number, std::span<int32_t> values) {
  const auto found = own_.find(id);
  return found == own_.end() ? -EBADF : found->second->take(number, values);
}

void Notifiers::close(int64_t id) {
  const auto found = own_.find(id);
  if (found == own_.end()) return;
  Registry& all = registry();
  {
    const std::scoped_lock lock(all.mutex);
    all.notifiers.erase(id);
  }
  found->second->close();
  own_.erase(found);
}

void Notifiers::close_all() {
  while (!own_.empty()) close(own_.begin()->first);
}

int Notifiers::notify(int64_t id, int32_t value) {
  std::shared_ptr<Notifier> notifier;
  {
    Registry& all = registry();
    const std::scoped_lock lock(all.mutex);
    const auto found = all.notifiers.find(id);
    if (found == all.notifiers.end()) return -EBADF;
    notifier = found->second;
  }
  return notifier->notify(value);
}

}  // namespace io
