// The limit for sends on many unix sockets, with nothing above io_uring, and what receives them.
//
//   sends sink <path>                            reads all that comes, prints a line when it
//   listens,
//                                                and ends with the last connection
//   sends send <path> <connections> <seconds>    prints one JSON line
//
// On each connection 8 messages of 64 B, each with memory of its own, go down as one send of a
// vector, and again when all of them have gone.
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "ring.h"

enum { in_flight = 8, message_bytes = 64, events_most = 256 };

struct connection {
  int descriptor;
  struct iovec messages[in_flight];
  struct msghdr message;
};

static struct io_uring ring;

static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit", errno);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit", errno);
}

static struct sockaddr_un address_of(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) fail("path", ENAMETOOLONG);
  strcpy(address.sun_path, path);
  return address;
}

static int unix_socket(void) {
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) fail("socket", errno);
  return descriptor;
}

static void watch(int epoll, int descriptor) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl", errno);
}

static void take_all(const char* path) {
  static char bytes[1 << 16];
  struct sockaddr_un address = address_of(path);
  int listener = unix_socket();
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0) fail("bind", errno);
  if (listen(listener, 4096) != 0) fail("listen", errno);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) fail("epoll_create1", errno);
  watch(epoll, listener);
  puts("listening");
  fflush(stdout);
  int open = 0;
  do {
    struct epoll_event events[events_most];
    int count = epoll_wait(epoll, events, events_most, -1);
    for (int index = 0; index < count; index++) {
      int ready = events[index].data.fd;
      if (ready == listener) {
        int accepted = accept(listener, NULL, NULL);
        if (accepted < 0) fail("accept", errno);
        watch(epoll, accepted);
        open++;
      } else if (read(ready, bytes, sizeof bytes) <= 0) {
        close(ready);
        open--;
      }
    }
  } while (open > 0);
}

static void open_connection(struct connection* connection, const char* path) {
  struct sockaddr_un address = address_of(path);
  connection->descriptor = unix_socket();
  if (connect(connection->descriptor, (struct sockaddr*)&address, sizeof address) != 0) {
    fail("connect", errno);
  }
  for (int index = 0; index < in_flight; index++) {
    connection->messages[index].iov_base = calloc(1, message_bytes);
    connection->messages[index].iov_len = message_bytes;
  }
  connection->message.msg_iov = connection->messages;
  connection->message.msg_iovlen = in_flight;
}

static void start(struct connection* connection) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  while (sqe == NULL) {
    io_uring_submit(&ring);
    sqe = io_uring_get_sqe(&ring);
  }
  const int flags = MSG_WAITALL | MSG_NOSIGNAL;
  io_uring_prep_sendmsg(sqe, connection->descriptor, &connection->message, flags);
  io_uring_sqe_set_data(sqe, connection);
}

// Takes what has completed, and makes it again. Returns how many sends that were.
static uint64_t turn(struct connection** ended) {
  int submitted = io_uring_submit_and_wait(&ring, 1);
  if (submitted < 0) fail("io_uring_submit_and_wait", -submitted);
  struct io_uring_cqe* cqe;
  unsigned head;
  unsigned count = 0;
  io_uring_for_each_cqe(&ring, head, cqe) {
    if (cqe->res != in_flight * message_bytes) fail("send", cqe->res < 0 ? -cqe->res : EIO);
    ended[count++] = io_uring_cqe_get_data(cqe);
  }
  io_uring_cq_advance(&ring, count);
  for (unsigned index = 0; index < count; index++) start(ended[index]);
  return (uint64_t)count * in_flight;
}

static double run_for(double seconds, struct connection** ended, uint64_t* sent) {
  const double end = now_seconds() + seconds;
  const double used_before = used_seconds();
  *sent = 0;
  while (now_seconds() < end) *sent += turn(ended);
  return used_seconds() - used_before;
}

static void send_all(const char* path, unsigned count, double seconds) {
  begin_ring(&ring, 4096);
  struct connection* connections = calloc(count, sizeof *connections);
  struct connection** ended = calloc(2 * 4096, sizeof *ended);
  for (unsigned index = 0; index < count; index++) open_connection(&connections[index], path);
  for (unsigned index = 0; index < count; index++) start(&connections[index]);
  uint64_t sent;
  run_for(seconds / 4, ended, &sent);
  const double used = run_for(seconds, ended, &sent);
  printf("{\"CPU us/send\": %.4f}\n", used * 1e6 / (double)sent);
}

int main(int argc, char** argv) {
  raise_descriptor_limit();
  if (argc == 3 && strcmp(argv[1], "sink") == 0) {
    take_all(argv[2]);
  } else if (argc == 5 && strcmp(argv[1], "send") == 0) {
    send_all(argv[2], (unsigned)atoi(argv[3]), atof(argv[4]));
  } else {
    fail("usage: sends sink <path>, or sends send <path> <connections> <seconds>", EINVAL);
  }
  return 0;
}
