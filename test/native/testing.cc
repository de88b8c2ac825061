// The helpers of every native test: see testing.h.
#include "testing.h"

#include <dirent.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace native_tests {

std::vector<Test>& all_tests() {
  static std::vector<Test> tests;
  return tests;
}

void fail(const char* file, int line, const std::string& message) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, message.c_str());
  std::fflush(nullptr);
  std::_Exit(1);
}

uint64_t seed() {
  static const uint64_t chosen = [] {
    const char* text = std::getenv("IO_SEED");
    if (text != nullptr && *text != '\0') return std::strtoull(text, nullptr, 10);
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<unsigned long long>(now.tv_nsec ^ (now.tv_sec << 10)) % 1'000'000'000;
  }();
  return chosen;
}

size_t open_descriptors() {
#if defined(__linux__)
  DIR* folder = opendir("/proc/self/fd");
#else
  DIR* folder = opendir("/dev/fd");  // on FreeBSD only with fdescfs mounted
#endif
  REQUIRE(folder != nullptr);
  size_t count = 0;
  while (const dirent* found = readdir(folder)) count += found->d_name[0] != '.';
  closedir(folder);
  return count - 1;  // the folder's own
}

}  // namespace native_tests
