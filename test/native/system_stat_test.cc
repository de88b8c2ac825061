// The result of a stat, against the system's own call.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "abi/abi.h"
#include "system/system.h"
#include "testing.h"

#if defined(__linux__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#if !defined(STATX_BASIC_STATS)  // musl before 1.2.5
#include <linux/stat.h>
#endif
#endif

#if defined(__APPLE__)
#define TIME_OF(status, which) (status).st_##which##timespec
#else
#define TIME_OF(status, which) (status).st_##which##tim
#endif

namespace native_tests {

namespace system = io::system;
namespace abi = io::abi;

namespace {

const int here = system::folder_of(-1);

struct Fields {
  double values[abi::stat_fields];
};

Fields fields_of(uint32_t of, int number, const char* path) {
  uint8_t raw[system::raw_status_bytes];
  REQUIRE_EQUAL(system::stat_file(of, number, path, raw), 0);
  Fields fields;
  system::read_status(raw, fields.values);
  return fields;
}

double milliseconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

void check_fields(const Fields& fields, const struct stat& expected) {
  const double* values = fields.values;
  REQUIRE(values[abi::stat_size_bytes] == static_cast<double>(expected.st_size));
  REQUIRE(values[abi::stat_mode] == expected.st_mode);
  REQUIRE(values[abi::stat_inode] == static_cast<double>(expected.st_ino));
  REQUIRE(values[abi::stat_device] == static_cast<double>(expected.st_dev));
  REQUIRE(values[abi::stat_links] == static_cast<double>(expected.st_nlink));
  REQUIRE(values[abi::stat_user] == expected.st_uid);
  REQUIRE(values[abi::stat_group] == expected.st_gid);
  REQUIRE(values[abi::stat_block_size_bytes] == static_cast<double>(expected.st_blksize));
  REQUIRE(values[abi::stat_allocated_bytes] == static_cast<double>(expected.st_blocks) * 512);
  REQUIRE(values[abi::stat_accessed_ms] == milliseconds(TIME_OF(expected, a)));
  REQUIRE(values[abi::stat_modified_ms] == milliseconds(TIME_OF(expected, m)));
  REQUIRE(values[abi::stat_changed_ms] == milliseconds(TIME_OF(expected, c)));
}

// By path, by link and by number, and a file that is missing.
void check_stat() {
  const int number =
      system::open_file(here, "a", abi::open_flag_write | abi::open_flag_create, 0640);
  uint8_t bytes[5000] = {};
  REQUIRE_EQUAL(system::write_file(number, bytes, sizeof(bytes), -1), 5000);
  if (access("link", F_OK) != 0) REQUIRE(symlink("a", "link") == 0);
  struct stat file;
  REQUIRE(fstat(number, &file) == 0);
  check_fields(fields_of(abi::stat_by_path, here, "a"), file);
  check_fields(fields_of(abi::stat_by_path, here, "link"), file);
  check_fields(fields_of(abi::stat_by_descriptor, number, ""), file);
  struct stat link;  // only now, because following it was an access
  REQUIRE(lstat("link", &link) == 0);
  check_fields(fields_of(abi::stat_by_path_no_follow, here, "link"), link);
  uint8_t raw[system::raw_status_bytes];
  REQUIRE_EQUAL(system::stat_file(abi::stat_by_path, here, "missing", raw), -ENOENT);
  system::close_number(number);
  REQUIRE_EQUAL(system::stat_file(abi::stat_by_descriptor, number, "", raw), -EBADF);
}

}  // namespace

NATIVE_TEST(system_stat) {
  check_stat();
}

#if defined(__linux__)

// An old sandbox that knows no statx refuses it in one of two ways; the calls that it allows must
// do.
NATIVE_TEST(system_stat_without_statx) {
  for (const uint32_t error : {ENOSYS, EPERM}) {
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_statx, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {std::size(rules), rules};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    struct statx unused;
    REQUIRE(syscall(SYS_statx, AT_FDCWD, ".", 0, STATX_SIZE, &unused) != 0 || error == ENOSYS);
    check_stat();
  }
}

#endif

}  // namespace native_tests
