// Lists the native tests, or runs the one that is named: each in a process of its own, so that a
// test that crashes hides no other. Status 77 is a skip, whose reason was printed.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "testing.h"

namespace {

using native_tests::open_descriptors;

// Wild entries may name files and lengths: they meet an empty folder and a small limit.
std::filesystem::path enclose() {
  std::string folder = std::filesystem::temp_directory_path() / "io-native-test-XXXXXX";
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  REQUIRE(chdir(folder.c_str()) == 0);
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  const rlimit file_size = {1 << 20, 1 << 20};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &file_size) == 0);
  return folder;
}

int run_one(const char* name) {
  for (const native_tests::Test& test : native_tests::all_tests()) {
    if (std::strcmp(test.name, name) != 0) continue;
    std::printf("seed %llu\n", static_cast<unsigned long long>(native_tests::seed()));
    std::fflush(nullptr);
    const std::filesystem::path folder = enclose();
    const size_t before = open_descriptors();
    test.run();
    REQUIRE_EQUAL(open_descriptors(), before);
    std::filesystem::remove_all(folder);
    return 0;
  }
  std::fprintf(stderr, "there is no test named %s\n", name);
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2) return run_one(arguments[1]);
  for (const native_tests::Test& test : native_tests::all_tests()) std::printf("%s\n", test.name);
  return 0;
}
