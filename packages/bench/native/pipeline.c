// The limit for many small sends of one stream: what one core sends over loopback through io_uring
// with nothing above it.
//
// `in flight` messages, each with memory of its own, go down in one system call and are made again
// when all of them have gone. "linked" has a send for each: a chain, since only that keeps their
// order, of which all but the last say that more will follow, so that the kernel fills its packets.
// "gathered" has one send for all of them, of a vector. MSG_WAITALL lets none end short.
//
// Usage: pipeline <port> <bytes> <linked|gathered> <in flight> <seconds>. Prints one JSON line.
#include <stdbool.h>

#include "ring.h"

enum { in_flight_limit = 1024 };

static struct io_uring ring;
static int descriptor;
static unsigned in_flight;
static size_t size_bytes;
static struct iovec messages[in_flight_limit];
static struct msghdr gathered_message;

static void queue_linked(void) {
  for (unsigned index = 0; index < in_flight; index++) {
    const bool is_last = index + 1 == in_flight;
    struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    const int flags = MSG_WAITALL | (is_last ? 0 : MSG_MORE);
    io_uring_prep_send(sqe, descriptor, messages[index].iov_base, size_bytes, flags);
    if (!is_last) sqe->flags |= IOSQE_IO_LINK;
    io_uring_sqe_set_data64(sqe, size_bytes);
  }
}

static void queue_gathered(void) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_sendmsg(sqe, descriptor, &gathered_message, MSG_WAITALL);
  io_uring_sqe_set_data64(sqe, size_bytes * in_flight);
}

// All the messages, once. Each completion is to say what its send was to take.
static void turn(bool linked) {
  if (linked) {
    queue_linked();
  } else {
    queue_gathered();
  }
  int submitted = io_uring_submit_and_wait(&ring, linked ? in_flight : 1);
  if (submitted < 0) fail("io_uring_submit_and_wait", -submitted);
  struct io_uring_cqe* cqe;
  unsigned head;
  unsigned reaped = 0;
  io_uring_for_each_cqe(&ring, head, cqe) {
    if (cqe->res < 0 || (uint64_t)cqe->res != cqe->user_data) {
      fail("send", cqe->res < 0 ? -cqe->res : EIO);
    }
    reaped++;
  }
  io_uring_cq_advance(&ring, reaped);
}

// The clock is read once per this many turns, so that reading it does not show in the figure.
enum { turns_per_clock = 16 };

static double run_for(double duration_seconds, bool linked, uint64_t* sent) {
  const double start = now_seconds();
  double elapsed = 0;
  *sent = 0;
  while (elapsed < duration_seconds) {
    for (int i = 0; i < turns_per_clock; i++) turn(linked);
    *sent += turns_per_clock * in_flight;
    elapsed = now_seconds() - start;
  }
  return elapsed;
}

static void make_messages(void) {
  for (unsigned index = 0; index < in_flight; index++) {
    messages[index].iov_base = malloc(size_bytes);
    messages[index].iov_len = size_bytes;
    memset(messages[index].iov_base, 7, size_bytes);
  }
  gathered_message.msg_iov = messages;
  gathered_message.msg_iovlen = in_flight;
}

int main(int argc, char** argv) {
  if (argc != 6) fail("usage: pipeline <port> <bytes> <way> <in flight> <seconds>", EINVAL);
  size_bytes = (size_t)atol(argv[2]);
  const bool linked = strcmp(argv[3], "linked") == 0;
  in_flight = (unsigned)atoi(argv[4]);
  const double duration_seconds = atof(argv[5]);
  if (size_bytes < 1 || size_bytes > 1 << 20) fail("bytes must be 1 to 1 MiB", EINVAL);
  if (in_flight < 1 || in_flight > in_flight_limit) fail("in flight must be 1 to 1024", EINVAL);

  begin_ring(&ring, in_flight_limit);
  descriptor = connect_to_loopback(atoi(argv[1]));
  make_messages();

  uint64_t sent;
  run_for(duration_seconds / 5, linked, &sent);
  const double used_before = used_seconds();
  const double elapsed_seconds = run_for(duration_seconds, linked, &sent);
  const double used = used_seconds() - used_before;
  printf("{\"messages/s\": %.0f, \"CPU microseconds/message\": %.4f}\n",
         (double)sent / elapsed_seconds, used * 1e6 / (double)sent);
  return 0;
}
