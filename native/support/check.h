// Asserts that stay on in release builds: a broken belief about memory or order ends the process
// with the place and the sentence, because going on would be worse.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace io {

// A function of its own, so that the functions that check stay short enough to be inlined.
[[noreturn, gnu::cold, gnu::noinline]] inline void check_failed(const char* file, int line,
                                                                const char* condition) {
  std::fprintf(stderr, "@io/core: %s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace io

#define CHECK(condition)                                  \
  do {                                                    \
    if (!(condition)) [[unlikely]]                        \
      ::io::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
