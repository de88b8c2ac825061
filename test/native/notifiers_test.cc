// Values from any thread: notifiers.h.
#include "engine/notifiers.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "support.h"

namespace native_tests {

using io::Notifiers;

namespace {

bool is_readable(int number) {
  pollfd polled = {.fd = number, .events = POLLIN, .revents = 0};
  return ::poll(&polled, 1, 0) == 1 && (polled.revents & POLLIN) != 0;
}

struct Opened {
  Notifiers notifiers;
  int64_t id = 0;
  int number = -1;
  Opened() { REQUIRE_EQUAL(notifiers.open(id, number), 0); }
  ~Opened() { ::close(number); }
  int take(int32_t& value) { return notifiers.take(id, number, {&value, 1}); }
};

}  // namespace

NATIVE_TEST(notifier_is_readable_as_long_as_it_has_values) {
  Opened opened;
  int32_t value = 0;
  REQUIRE(!is_readable(opened.number));
  REQUIRE_EQUAL(opened.take(value), 0);
  REQUIRE_EQUAL(Notifiers::notify(opened.id, 7), 0);
  REQUIRE_EQUAL(Notifiers::notify(opened.id, 8), 0);
  REQUIRE(is_readable(opened.number));
  REQUIRE_EQUAL(opened.take(value), 1);
  REQUIRE_EQUAL(value, 7);
  REQUIRE(is_readable(opened.number));
  REQUIRE_EQUAL(opened.take(value), 1);
  REQUIRE_EQUAL(value, 8);
  REQUIRE(!is_readable(opened.number));
  REQUIRE_EQUAL(Notifiers::notify(opened.id, 9), 0);
  REQUIRE(is_readable(opened.number));
}

NATIVE_TEST(notifier_takes_so_many_values) {
  Opened opened;
  for (size_t count = 0; count < io::max_notifications; count++) {
    REQUIRE_EQUAL(Notifiers::notify(opened.id, static_cast<int32_t>(count)), 0);
  }
  REQUIRE_EQUAL(Notifiers::notify(opened.id, 1), -ENOBUFS);
  int32_t value = -1;
  REQUIRE_EQUAL(opened.take(value), 1);
  REQUIRE_EQUAL(value, 0);
  REQUIRE_EQUAL(Notifiers::notify(opened.id, 1), 0);
}

NATIVE_TEST(notifier_that_is_closed_is_refused) {
  Opened opened;
  int32_t value = 0;
  REQUIRE_EQUAL(Notifiers::notify(opened.id + 1, 1), -EBADF);
  REQUIRE_EQUAL(Notifiers::notify(opened.id, 1), 0);
  opened.notifiers.close(opened.id);
  REQUIRE_EQUAL(Notifiers::notify(opened.id, 1), -EBADF);
  REQUIRE_EQUAL(opened.take(value), -EBADF);
  opened.notifiers.close(opened.id);
}

NATIVE_TEST(notifier_is_closed_while_threads_notify) {
  constexpr int threads = 4;
  for (int round = 0; round < 20; round++) {
    Opened opened;
    std::vector<std::thread> running;
    std::vector<int> last(threads, 0);
    for (int index = 0; index < threads; index++) {
      running.emplace_back([&, index] {
        int result = 0;
        while (result == 0 || result == -ENOBUFS) result = Notifiers::notify(opened.id, index);
        last[static_cast<size_t>(index)] = result;
      });
    }
    int32_t value = 0;
    for (int taken = 0; taken < 1000;) taken += opened.take(value);
    opened.notifiers.close(opened.id);
    for (std::thread& thread : running) thread.join();
    for (const int result : last) REQUIRE_EQUAL(result, -EBADF);
  }
}

}  // namespace native_tests
