// The load for an HTTP server at a fixed rate, whatever it does (an open loop): a request is
// due at its time, and its latency counts from then, so that a server which stops for a while pays
// for all that were due meanwhile. Or as many connections as wanted, which have had an answer and
// wait.
//
// Usage: rate <port> <connections> <requests/s> <warm-up seconds> <duration seconds>
//        rate <port> <connections>
// The first prints a JSON line. The second prints "idle" and waits until it is killed.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "program.h"

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
enum { request_bytes = sizeof request - 1, answer_limit = 4096, events_limit = 512 };

struct connection {
  int descriptor;
  uint64_t due_ns;  // 0 while it has no request
  unsigned received;
  char answer[answer_limit];
};

static struct connection* connections;
static unsigned connections_count;
static unsigned* idle;  // a stack: the last used is the first
static unsigned idle_count;

// The histogram: 32 buckets for each power of two, so a bucket is at most 3 % wide.
enum { sub_buckets_bits = 5, sub_buckets = 1 << sub_buckets_bits, buckets = 64 * sub_buckets };
static uint64_t histogram[buckets];

static unsigned bucket_of(uint64_t value_ns) {
  if (value_ns < sub_buckets) return (unsigned)value_ns;
  unsigned shift = 63u - (unsigned)__builtin_clzll(value_ns) - sub_buckets_bits;
  return (shift + 1) * sub_buckets + (unsigned)((value_ns >> shift) - sub_buckets);
}

static double percentile_microseconds(double share, uint64_t total) {
  uint64_t seen = 0;
  for (unsigned bucket = 0; bucket < buckets; bucket++) {
    seen += histogram[bucket];
    if (seen == 0 || (double)seen < share * (double)total) continue;
    if (bucket < sub_buckets) return bucket / 1e3;
    unsigned shift = bucket / sub_buckets - 1;
    double middle = (double)(bucket % sub_buckets) + sub_buckets + 0.5;
    return middle * (double)(1ull << shift) / 1e3;
  }
  return 0;
}

// The bytes of an answer: all that comes in front of the blank line, and the length that it names.
static unsigned answer_bytes(struct connection* connection) {
  connection->answer[connection->received] = 0;
  const char* end = strstr(connection->answer, "\r\n\r\n");
  if (end == NULL) return 0;
  if (strncmp(connection->answer, "HTTP/1.1 200", 12) != 0) fail("an answer is not 200", EPROTO);
  const char* length = strcasestr(connection->answer, "\r\ncontent-length:");
  if (length == NULL || length > end) fail("an answer has no length", EPROTO);
  return (unsigned)(end + 4 - connection->answer) + (unsigned)atoi(length + 17);
}

static void send_request(struct connection* connection, uint64_t due_ns) {
  connection->due_ns = due_ns;
  connection->received = 0;
  ssize_t sent = write(connection->descriptor, request, request_bytes);
  if (sent != request_bytes) fail("write", sent < 0 ? errno : EAGAIN);
}

// Whether the answer is complete.
static int receive_answer(struct connection* connection) {
  unsigned left = answer_limit - 1 - connection->received;
  ssize_t count = read(connection->descriptor, connection->answer + connection->received, left);
  if (count < 0 && errno == EAGAIN) return 0;
  if (count <= 0) fail("the server ended a connection", count < 0 ? errno : EPIPE);
  connection->received += (unsigned)count;
  unsigned needed = answer_bytes(connection);
  if (needed >= answer_limit) fail("an answer is too long", EMSGSIZE);
  return needed > 0 && connection->received >= needed;
}

static void open_connections(int port, int poller) {
  connections = calloc(connections_count, sizeof *connections);
  idle = calloc(connections_count, sizeof *idle);
  for (unsigned index = 0; index < connections_count; index++) {
    int descriptor = connect_to_loopback(port);
    connections[index].descriptor = descriptor;
    // Each has an answer before the next connects, so no queue of the server's runs over.
    send_request(&connections[index], 1);
    while (!receive_answer(&connections[index])) continue;
    connections[index].due_ns = 0;
    idle[idle_count++] = index;
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event)) fail("epoll_ctl", errno);
  }
}

int main(int argc, char** argv) {
  if (argc != 3 && argc != 6) fail("usage: rate <port> <connections> [rate warm-up time]", EINVAL);
  connections_count = (unsigned)atoi(argv[2]);
  int poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1", errno);
  open_connections(atoi(argv[1]), poller);
  if (argc == 3) {
    if (write(STDOUT_FILENO, "idle\n", 5) != 5) fail("write", errno);
    for (;;) pause();
  }
  double interval_ns = 1e9 / atof(argv[3]);
  uint64_t start_ns = now_ns();
  uint64_t counts_from_ns = start_ns + (uint64_t)(atof(argv[4]) * 1e9);
  uint64_t end_ns = counts_from_ns + (uint64_t)(atof(argv[5]) * 1e9);
  uint64_t made = 0;     // requests that were due so far and have a connection
  uint64_t counted = 0;  // those that were due within the counted time
  uint64_t open = 0;
  struct epoll_event events[events_limit];
  for (;;) {
    uint64_t time_ns = now_ns();
    for (; idle_count > 0; made++) {
      uint64_t due_ns = start_ns + (uint64_t)((double)made * interval_ns);
      if (due_ns > time_ns || due_ns >= end_ns) break;
      send_request(&connections[idle[--idle_count]], due_ns);
      open++;
    }
    uint64_t next_ns = start_ns + (uint64_t)((double)made * interval_ns);
    if (open == 0 && next_ns >= end_ns) break;
    // It asks all the time: a sleep would be late by more than what is measured.
    int ready = epoll_wait(poller, events, events_limit, 0);
    if (ready < 0 && errno != EINTR) fail("epoll_wait", errno);
    time_ns = now_ns();
    for (int at = 0; at < ready; at++) {
      struct connection* connection = &connections[events[at].data.u32];
      if (connection->due_ns == 0) fail("bytes that were not asked for", EPROTO);
      if (!receive_answer(connection)) continue;
      if (connection->due_ns >= counts_from_ns) {
        histogram[bucket_of(time_ns - connection->due_ns)]++;
        counted++;
      }
      connection->due_ns = 0;
      idle[idle_count++] = events[at].data.u32;
      open--;
    }
  }
  printf("{\"p99 microseconds\": %.1f, \"p50 microseconds\": %.1f, \"p99.9 microseconds\": %.1f, "
         "\"requests/s\": %.0f}\n",
         percentile_microseconds(0.99, counted), percentile_microseconds(0.5, counted),
         percentile_microseconds(0.999, counted), (double)counted / atof(argv[5]));
  return 0;
}
