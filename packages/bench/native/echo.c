// A TCP echo server in plain C on io_uring: the peer that the JavaScript server is held against.
//
// One thread, one system call per turn, which submits what the last turn queued and waits for the
// next completion. A connection has one operation in flight: a receive, or a send with the next
// receive linked behind it, so that both go down in the same system call and one buffer is enough.
// A send that succeeds reports nothing, which halves the completions.
//
// Tried and left out, since they were no faster on loopback: registered descriptors,
// IORING_RECVSEND_POLL_FIRST on the linked receive, and COOP_TASKRUN in place of DEFER_TASKRUN.
//
// Usage: echo. Listens on 127.0.0.1 and prints the port. Runs until it is killed.

#include "ring.h"

enum { descriptors_limit = 8192, buffer_bytes = 16384 };
enum event { event_accept, event_receive, event_send, event_close };

static struct io_uring ring;
static char* buffers[descriptors_limit];

static void tag(struct io_uring_sqe* sqe, enum event event, int descriptor) {
  io_uring_sqe_set_data64(sqe, (uint64_t)descriptor << 8 | event);
}

// A chain must not be cut in two by a submit, so the room for all of it is made first.
static void make_room(unsigned entries) {
  if (io_uring_sq_space_left(&ring) < entries) io_uring_submit(&ring);
}

static void queue_receive(int descriptor) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_recv(sqe, descriptor, buffers[descriptor], buffer_bytes, 0);
  tag(sqe, event_receive, descriptor);
}

// MSG_WAITALL: the kernel sends on until all is sent, so a send never ends short and the linked
// receive never overwrites what is not sent yet.
static void queue_send(int descriptor, size_t length) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_send(sqe, descriptor, buffers[descriptor], length, MSG_WAITALL);
  sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  tag(sqe, event_send, descriptor);
}

static void queue_close(int descriptor) {
  make_room(1);
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_close(sqe, descriptor);
  tag(sqe, event_close, descriptor);
}

static void on_accept(int descriptor) {
  if (descriptor < 0) fail("accept", -descriptor);
  if (descriptor >= descriptors_limit) fail("too many connections", EMFILE);
  if (!buffers[descriptor]) buffers[descriptor] = malloc(buffer_bytes);
  make_room(1);
  queue_receive(descriptor);
}

static void on_receive(int descriptor, int received) {
  // A failed send cancels the receive behind it, so the connection ends here in every case.
  if (received <= 0) {
    queue_close(descriptor);
    return;
  }
  make_room(2);
  queue_send(descriptor, (size_t)received);
  queue_receive(descriptor);
}

static void turn(void) {
  int submitted = io_uring_submit_and_wait(&ring, 1);
  if (submitted < 0 && submitted != -EINTR) fail("io_uring_submit_and_wait", -submitted);
  struct io_uring_cqe* cqe;
  unsigned head;
  unsigned reaped = 0;
  io_uring_for_each_cqe(&ring, head, cqe) {
    reaped++;
    int descriptor = (int)(cqe->user_data >> 8);
    switch ((enum event)(cqe->user_data & 255)) {
      case event_accept:
        on_accept(cqe->res);
        break;
      case event_receive:
        on_receive(descriptor, cqe->res);
        break;
      case event_send:
        break;
      case event_close:
        break;
    }
  }
  io_uring_cq_advance(&ring, reaped);
}

static int listen_on_loopback(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) fail("socket", errno);
  // Accepted connections inherit it.
  int on = 1;
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr*)&address, length)) fail("bind", errno);
  if (listen(listener, 1024)) fail("listen", errno);
  if (getsockname(listener, (struct sockaddr*)&address, &length)) fail("getsockname", errno);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(void) {
  begin_ring(&ring, 8192);

  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_multishot_accept(sqe, listen_on_loopback(), NULL, NULL, 0);
  tag(sqe, event_accept, 0);
  for (;;) turn();
}
