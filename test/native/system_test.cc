// The calls of system.h, against what the system says by other means.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "support.h"
#include "system/system.h"

namespace native_tests {

namespace system = io::system;
namespace abi = io::abi;

namespace {

const int here = system::folder_of(-1);

constexpr uint32_t new_file = abi::open_flag_read | abi::open_flag_write | abi::open_flag_create;

bool closes_on_exec(int number) {
  return (fcntl(number, F_GETFD) & FD_CLOEXEC) != 0;
}

bool blocks(int number) {
  return (fcntl(number, F_GETFL) & O_NONBLOCK) == 0;
}

int64_t size_of(int number) {
  struct stat status;
  REQUIRE(fstat(number, &status) == 0);
  return status.st_size;
}

// A listener on loopback, and its address.
int open_listener(sockaddr_in& address) {
  const int listener = system::open_socket(AF_INET, SOCK_STREAM);
  REQUIRE(listener >= 0);
  std::memset(&address, 0, sizeof(address));
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(listener, generic, size) == 0);
  REQUIRE(listen(listener, 8) == 0);
  REQUIRE(getsockname(listener, generic, &size) == 0);
  return listener;
}

void wait_for(int number, short what) {
  pollfd waiting = {number, what, 0};
  REQUIRE(poll(&waiting, 1, -1) == 1);
}

void connect_pair(int& client, int& server) {
  sockaddr_in address;
  const int listener = open_listener(address);
  client = system::open_socket(AF_INET, SOCK_STREAM);
  REQUIRE_EQUAL(system::accept_connection(listener), -EAGAIN);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const int result = system::connect_socket(client, generic, sizeof(address));
  REQUIRE(result == 0 || result == -EINPROGRESS);
  wait_for(client, POLLOUT);
  REQUIRE_EQUAL(system::connect_result(client), 0);
  wait_for(listener, POLLIN);
  server = system::accept_connection(listener);
  REQUIRE(server >= 0);
  REQUIRE_EQUAL(system::close_number(listener), 0);
}

}  // namespace

#if defined(__GLIBC__)  // nothing else has names to compare with

NATIVE_TEST(system_names_errors) {
  int named = 0;
  for (int error = 1; error < 134; error++) {
    const std::string name = system::error_name(error);
    const char* known = strerrorname_np(error);
    if (known == nullptr) {
      REQUIRE(name == "unknown error");
      continue;
    }
    named++;
    // glibc prefers the other name of this one.
    const std::string expected = error == EOPNOTSUPP ? "ENOTSUP" : known;
    if (name != expected) fail(__FILE__, __LINE__, name + " is " + expected);
  }
  REQUIRE(named > 130);
  REQUIRE(std::string(system::error_name(4000)) == "unknown error");
  REQUIRE(std::string(system::error_name(0)) == "unknown error");
}

#endif

NATIVE_TEST(system_numbers_are_ready) {
  int client = -1;
  int server = -1;
  connect_pair(client, server);
  int ends[2];
  REQUIRE_EQUAL(system::open_pipe(ends), 0);
  for (const int number : {client, server, ends[0], ends[1]}) {
    REQUIRE(closes_on_exec(number));
    REQUIRE(!blocks(number));
  }
  int adopted[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, adopted) == 0);
  REQUIRE_EQUAL(system::prepare_socket(adopted[0]), 0);
  REQUIRE(!blocks(adopted[0]));
  REQUIRE(blocks(adopted[1]));
  for (const int number : {client, server, ends[0], ends[1], adopted[0], adopted[1]}) {
    REQUIRE_EQUAL(system::close_number(number), 0);
    REQUIRE_EQUAL(system::close_number(number), -EBADF);
  }
}

NATIVE_TEST(system_sends_without_signals) {
  std::signal(SIGPIPE, SIG_DFL);  // would end the test
  int client = -1;
  int server = -1;
  connect_pair(client, server);
  uint8_t bytes[4] = {1, 2, 3, 4};
  REQUIRE_EQUAL(system::receive_bytes(server, bytes, 4), -EAGAIN);
  REQUIRE_EQUAL(system::send_bytes(client, bytes, 4, false), 4);
  iovec piece = {bytes, 4};
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  REQUIRE_EQUAL(system::send_message(client, message, false), 4);
  uint8_t received[16] = {};
  int total = 0;
  while (total < 8) {
    wait_for(server, POLLIN);
    total += system::receive_bytes(server, received + total, sizeof(received) - total);
  }
  REQUIRE(std::memcmp(received, bytes, 4) == 0 && std::memcmp(received + 4, bytes, 4) == 0);
  REQUIRE_EQUAL(system::shut_down_socket(client, SHUT_WR), 0);
  REQUIRE_EQUAL(system::send_bytes(client, bytes, 4, false), -EPIPE);
  REQUIRE_EQUAL(system::send_message(client, message, false), -EPIPE);
  wait_for(server, POLLIN);
  REQUIRE_EQUAL(system::receive_bytes(server, bytes, 4), 0);
  system::close_number(client);
  system::close_number(server);
}

NATIVE_TEST(system_refused_connection) {
  sockaddr_in address;
  system::close_number(open_listener(address));
  const int client = system::open_socket(AF_INET, SOCK_STREAM);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  int result = system::connect_socket(client, generic, sizeof(address));
  if (result == -EINPROGRESS) {
    wait_for(client, POLLOUT);
    result = system::connect_result(client);
  }
  REQUIRE_EQUAL(result, -ECONNREFUSED);
  system::close_number(client);
}

NATIVE_TEST(system_moves_file_bytes) {
  const int number = system::open_file(here, "a", new_file | abi::open_flag_exclusive, 0600);
  REQUIRE(number >= 0);
  REQUIRE(closes_on_exec(number));
  // The open does not wait for the other end of a FIFO; a file that can wait (/proc/kmsg) does.
  REQUIRE(blocks(number));
  uint8_t bytes[] = "0123456789";
  uint8_t read[16] = {};
  REQUIRE_EQUAL(system::write_file(number, bytes, 4, -1), 4);
  REQUIRE_EQUAL(system::write_file(number, bytes + 8, 2, 8), 2);
  // A write at a position leaves the current one where it was.
  const iovec pieces[] = {{bytes + 4, 1}, {bytes + 5, 3}};
  REQUIRE_EQUAL(system::write_vectors(number, pieces, -1), 4);
  REQUIRE_EQUAL(size_of(number), 10);
  const iovec places[] = {{read, 3}, {read + 3, 13}};
  REQUIRE_EQUAL(system::read_vectors(number, places, 0), 10);
  REQUIRE(std::memcmp(read, bytes, 10) == 0);
  REQUIRE_EQUAL(system::read_file(number, read, 16, -1), 2);
  REQUIRE(std::memcmp(read, "89", 2) == 0);
  REQUIRE_EQUAL(system::read_file(number, read, 3, 5), 3);
  REQUIRE(std::memcmp(read, "567", 3) == 0);
  REQUIRE_EQUAL(system::truncate_file(number, 3), 0);
  REQUIRE_EQUAL(size_of(number), 3);
  system::close_number(number);
  REQUIRE_EQUAL(system::open_file(here, "a", new_file | abi::open_flag_exclusive, 0600), -EEXIST);
  REQUIRE_EQUAL(system::open_file(here, "b", abi::open_flag_read, 0), -ENOENT);
  REQUIRE_EQUAL(system::open_file(here, "a", abi::open_flag_read | abi::open_flag_directory, 0),
                -ENOTDIR);
  REQUIRE(symlink("a", "link") == 0);
  REQUIRE_EQUAL(system::open_file(here, "link", abi::open_flag_read | abi::open_flag_no_follow, 0),
                -ELOOP);
}

NATIVE_TEST(system_syncs_every_level) {
  const int number = system::open_file(here, "a", new_file, 0600);
  int ends[2];
  REQUIRE_EQUAL(system::open_pipe(ends), 0);
  for (const uint32_t level :
       {abi::sync_level_data, abi::sync_level_full, abi::sync_level_barrier}) {
    REQUIRE_EQUAL(system::sync_file(number, level), 0);
    REQUIRE_EQUAL(system::sync_file(ends[0], level), -EINVAL);
  }
  for (const int open : {number, ends[0], ends[1]}) system::close_number(open);
}

NATIVE_TEST(system_allocates) {
  const int number = system::open_file(here, "a", new_file, 0600);
  const int result = system::allocate(number, 4096, 8192, true);
  if (result == -EOPNOTSUPP) {
    system::close_number(number);
    return;  // the file system has no such thing; the other cases need it too
  }
  REQUIRE_EQUAL(result, 0);
  REQUIRE_EQUAL(size_of(number), 0);
  REQUIRE_EQUAL(system::allocate(number, 4096, 8192, false), 0);
  REQUIRE_EQUAL(size_of(number), 12288);
  REQUIRE_EQUAL(system::allocate(number, 0, 4096, false), 0);
  REQUIRE_EQUAL(size_of(number), 12288);
  REQUIRE_EQUAL(system::allocate(number, 0, 0, false), -EINVAL);
  system::close_number(number);
}

NATIVE_TEST(system_changes_paths) {
  REQUIRE_EQUAL(system::make_folder(here, "folder", 0700), 0);
  REQUIRE_EQUAL(system::make_folder(here, "folder", 0700), -EEXIST);
  system::close_number(system::open_file(here, "folder/a", new_file, 0600));
  REQUIRE_EQUAL(system::unlink_path(here, "folder", false), -EISDIR);
  REQUIRE_EQUAL(system::unlink_path(here, "folder", true), -ENOTEMPTY);
  REQUIRE_EQUAL(system::unlink_path(here, "folder/a", true), -ENOTDIR);
  REQUIRE_EQUAL(system::rename_path(here, "folder/a", here, "b", 0), 0);
  REQUIRE_EQUAL(system::unlink_path(here, "folder/a", false), -ENOENT);
  REQUIRE_EQUAL(system::unlink_path(here, "b", false), 0);
  REQUIRE_EQUAL(system::unlink_path(here, "folder", true), 0);
}

namespace {

int interrupted_pipe[2];
int interruptions = 0;

// The fourth signal sends what the read waits for.
void interrupt(int) {
  if (++interruptions == 4 && write(interrupted_pipe[1], "x", 1) != 1) std::abort();
}

}  // namespace

NATIVE_TEST(system_goes_on_after_signals) {
  REQUIRE(pipe(interrupted_pipe) == 0);
  struct sigaction action = {};
  action.sa_handler = interrupt;  // without SA_RESTART
  REQUIRE(sigaction(SIGALRM, &action, nullptr) == 0);
  const itimerval often = {{0, 1000}, {0, 1000}};
  REQUIRE(setitimer(ITIMER_REAL, &often, nullptr) == 0);
  uint8_t byte = 0;
  REQUIRE_EQUAL(system::read_file(interrupted_pipe[0], &byte, 1, -1), 1);
  const itimerval never = {};
  REQUIRE(setitimer(ITIMER_REAL, &never, nullptr) == 0);
  REQUIRE(interruptions >= 4);
  for (const int number : interrupted_pipe) system::close_number(number);
}

}  // namespace native_tests
