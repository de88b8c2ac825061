// The limit for sends that spare the copy: what one core sends through io_uring with nothing above
// it, as UDP datagrams to an address where nobody answers, plainly or without a copy.
//
// It is the same program as the JavaScript one: `in flight` sends, each with memory of its own,
// which are made again when the kernel has released that memory. Registered memory is what the
// kernel keeps mapped. One system call submits what is to be sent and takes what has ended.
//
// Usage: zero_copy <address> <port> <bytes> <plain|registered|unregistered> <in flight> <seconds>.
// Prints one JSON line: sends, megabytes, processor time, and what the kernel copied anyway.
#define _GNU_SOURCE
#include <stdbool.h>
#include <sys/mman.h>

#include "ring.h"

// Linux 6.2; older headers have neither.
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#endif
#ifndef IORING_NOTIF_USAGE_ZC_COPIED
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif

enum { in_flight_limit = 1024 };

static struct io_uring ring;
static int descriptor;
static size_t size_bytes;
static uint8_t* memory;
static size_t stride_bytes;
static bool spares;
static bool registered;
static uint64_t sent;
static uint64_t released;
static uint64_t copied;
// Completions that the send of a slot still has to give.
static int left[in_flight_limit];

static void queue_send(unsigned slot) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  if (!sqe) fail("the submission queue is full", ENOSPC);
  uint8_t* data = memory + slot * stride_bytes;
  if (spares) {
    io_uring_prep_rw(IORING_OP_SEND_ZC, sqe, descriptor, data, (unsigned)size_bytes, 0);
    sqe->ioprio = IORING_SEND_ZC_REPORT_USAGE;
    if (registered) sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
  } else {
    io_uring_prep_send(sqe, descriptor, data, size_bytes, 0);
  }
  io_uring_sqe_set_data64(sqe, slot);
  left[slot] = 1;
}

static void take(const struct io_uring_cqe* cqe) {
  unsigned slot = (unsigned)cqe->user_data;
  left[slot]--;
  if (cqe->flags & IORING_CQE_F_NOTIF) {
    released++;
    if ((unsigned)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED) copied++;
  } else {
    if (cqe->res != (int)size_bytes) fail("send", cqe->res < 0 ? -cqe->res : EIO);
    sent++;
    if (cqe->flags & IORING_CQE_F_MORE) left[slot]++;
  }
  if (left[slot] == 0) queue_send(slot);
}

static void turn(void) {
  int result = io_uring_submit_and_wait(&ring, 1);
  if (result < 0 && result != -EINTR) fail("io_uring_submit_and_wait", -result);
  struct io_uring_cqe* cqe;
  unsigned head;
  unsigned reaped = 0;
  io_uring_for_each_cqe(&ring, head, cqe) {
    take(cqe);
    reaped++;
  }
  io_uring_cq_advance(&ring, reaped);
}

// The clock is read once per this many turns, so that reading it does not show in the figure.
enum { turns_per_clock = 64 };

static double run_for(double duration_seconds) {
  const double start = now_seconds();
  double elapsed = 0;
  sent = released = copied = 0;
  while (elapsed < duration_seconds) {
    for (int i = 0; i < turns_per_clock; i++) turn();
    elapsed = now_seconds() - start;
  }
  return elapsed;
}

static void connect_to(const char* address, int port) {
  struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, address, &target.sin_addr) != 1) fail(address, EINVAL);
  descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) fail("socket", errno);
  int buffer_bytes = 4 * 1024 * 1024;
  setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  if (connect(descriptor, (struct sockaddr*)&target, sizeof target) != 0) fail("connect", errno);
}

static void make_memory(unsigned in_flight) {
  stride_bytes = (size_bytes + 4095) / 4096 * 4096;
  const size_t total_bytes = stride_bytes * in_flight;
  memory = mmap(NULL, total_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap", errno);
  memset(memory, 7, total_bytes);
  if (!registered) return;
  struct iovec whole = {memory, total_bytes};
  int error = io_uring_register_buffers(&ring, &whole, 1);
  if (error < 0) fail("io_uring_register_buffers", -error);
}

int main(int argc, char** argv) {
  if (argc != 7) {
    fail("usage: zero_copy <address> <port> <bytes> <way> <in flight> <seconds>", EINVAL);
  }
  size_bytes = (size_t)atol(argv[3]);
  spares = strcmp(argv[4], "plain") != 0;
  registered = strcmp(argv[4], "registered") == 0;
  const int in_flight = atoi(argv[5]);
  const double duration_seconds = atof(argv[6]);
  if (size_bytes < 1 || size_bytes > 65507) fail("bytes must be 1 to 65507", EINVAL);
  if (in_flight < 1 || in_flight > in_flight_limit) fail("in flight must be 1 to 1024", EINVAL);

  begin_ring(&ring, in_flight_limit);
  connect_to(argv[1], atoi(argv[2]));
  make_memory((unsigned)in_flight);

  for (int slot = 0; slot < in_flight; slot++) queue_send((unsigned)slot);
  run_for(duration_seconds / 5);
  const double used_before = used_seconds();
  const double elapsed_seconds = run_for(duration_seconds);
  const double used = used_seconds() - used_before;
  const double megabytes = (double)sent * (double)size_bytes / 1e6;
  printf("{\"sends/CPU second\": %.0f, \"sends/s\": %.0f, \"MB/s\": %.1f, ", (double)sent / used,
         (double)sent / elapsed_seconds, megabytes / elapsed_seconds);
  printf("\"CPU seconds/GB\": %.6f, \"share without a copy\": %.4f}\n", used / (megabytes / 1e3),
         released > 0 ? 1.0 - (double)copied / (double)released : 0.0);
  return 0;
}
