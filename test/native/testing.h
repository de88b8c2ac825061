// The helpers of every native test: tests with names, requirements that print the values they
// compared, random numbers from a seed. main.cc runs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace native_tests {

struct Test {
  const char* name;
  void (*run)();
};
std::vector<Test>& all_tests();

struct Registration {
  Registration(const char* name, void (*run)()) { all_tests().push_back({name, run}); }
};

#define NATIVE_TEST(name)                                                        \
  static void name();                                                            \
  static const ::native_tests::Registration registration_of_##name(#name, name); \
  static void name()

[[noreturn]] void fail(const char* file, int line, const std::string& message);

#define REQUIRE(condition)                                                  \
  do {                                                                      \
    if (!(condition)) ::native_tests::fail(__FILE__, __LINE__, #condition); \
  } while (false)

#define REQUIRE_EQUAL(actual, expected)                                                 \
  do {                                                                                  \
    const long long actual_value = static_cast<long long>(actual);                      \
    const long long expected_value = static_cast<long long>(expected);                  \
    if (actual_value != expected_value) {                                               \
      ::native_tests::fail(__FILE__, __LINE__,                                          \
                           std::string(#actual " is ") + std::to_string(actual_value) + \
                               ", expected " + std::to_string(expected_value));         \
    }                                                                                   \
  } while (false)

// The seed of this run: IO_SEED, or a new one; main prints it.
uint64_t seed();

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545f4914f6cdd1du;
  }
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>((next() >> 33) % limit); }
  bool one_in(uint32_t count) { return below(count) == 0; }

 private:
  uint64_t state_;
};

// Descriptors of this process that are open now.
size_t open_descriptors();

}  // namespace native_tests
