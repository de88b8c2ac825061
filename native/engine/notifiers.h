// Small values from any thread of the process for the thread of one engine. The descriptor of a
// notifier becomes readable with the first value, so that an operation that polls it ends the wait
// of that thread.
//
// Who owns what: a notifier is shared by its engine and by the registry of the process, which finds
// it by its id. Ids are never used again. So a thread that notifies one that is closed is refused,
// and does not write to a number that the system has handed out again. The engine owns the end that
// is read, as any other descriptor. The notifier owns the end that is written, and closes it when
// the last thread that writes to it has finished.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>

namespace io {

// Values that have not been taken, of one notifier.
inline constexpr size_t max_notifications = 65536;

class Notifier;

// The notifiers of one engine. All but notify() is called on its thread.
class Notifiers {
 public:
  Notifiers() = default;
  ~Notifiers() { close_all(); }
  Notifiers(const Notifiers&) = delete;
  Notifiers& operator=(const Notifiers&) = delete;

  // 0, with the id and the number that is read, which is the caller's. A negative errno.
  int open(int64_t& id, int& number);
  // Takes the oldest values, which came in this order; returns how many. When none is left, its
  // descriptor, which is `number`, is not readable any more. -EBADF when there is no such notifier.
  int take(int64_t id, int number, std::span<int32_t> values);
  void close(int64_t id);
  void close_all();

  // From any thread. -EBADF when there is no such notifier (any more), -ENOBUFS when too many
  // values wait.
  static int notify(int64_t id, int32_t value);

 private:
  std::unordered_map<int64_t, std::shared_ptr<Notifier>> own_;
};

}  // namespace io
