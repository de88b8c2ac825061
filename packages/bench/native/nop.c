// The limit for no-ops: how many of them one core completes through io_uring with nothing above it.
//
// It is the same program as the JavaScript one: `batch` operations in flight, each with a callback
// that queues the operation again. Every turn of the loop is one system call that submits the
// batch, then a walk over the completion queue that calls back. The ring has the settings that are
// fastest for one thread. There is no wait in the system call, since a no-op has completed by the
// time it returns: asking to wait as well costs more.
//
// Usage: nop <batch> <seconds>. Prints one JSON line with the rate.

#include "ring.h"

struct completion {
  void (*callback)(struct completion* completion, int result);
  uint64_t count;
};

static struct io_uring ring;

static void queue_nop(struct completion* completion) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  if (!sqe) fail("the submission queue is full", ENOSPC);
  io_uring_prep_nop(sqe);
  io_uring_sqe_set_data(sqe, completion);
}

static void on_nop(struct completion* completion, int result) {
  if (result < 0) fail("nop", -result);
  completion->count++;
  queue_nop(completion);
}

static uint64_t turn(void) {
  int submitted = io_uring_submit(&ring);
  if (submitted < 0) fail("io_uring_submit", -submitted);
  struct io_uring_cqe* cqe;
  unsigned head;
  unsigned reaped = 0;
  io_uring_for_each_cqe(&ring, head, cqe) {
    struct completion* completion = io_uring_cqe_get_data(cqe);
    completion->callback(completion, cqe->res);
    reaped++;
  }
  io_uring_cq_advance(&ring, reaped);
  return reaped;
}

// The clock is read once per this many turns, so that reading it does not show in the figure.
enum { turns_per_clock = 256 };

static double measure_seconds(double duration_seconds, uint64_t* operations) {
  double start = now_seconds();
  double elapsed = 0;
  *operations = 0;
  while (elapsed < duration_seconds) {
    for (int i = 0; i < turns_per_clock; i++) *operations += turn();
    elapsed = now_seconds() - start;
  }
  return elapsed;
}

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: nop <batch> <seconds>", EINVAL);
  int batch = atoi(argv[1]);
  double duration_seconds = atof(argv[2]);
  if (batch < 1 || batch > 4096) fail("batch must be 1 to 4096", EINVAL);

  begin_ring(&ring, 4096);

  struct completion* completions = calloc((size_t)batch, sizeof *completions);
  for (int i = 0; i < batch; i++) {
    completions[i].callback = on_nop;
    queue_nop(&completions[i]);
  }
  uint64_t operations;
  measure_seconds(duration_seconds / 5, &operations);
  double elapsed_seconds = measure_seconds(duration_seconds, &operations);
  printf("{\"operations/s\": %.0f}\n", (double)operations / elapsed_seconds);
  return 0;
}
