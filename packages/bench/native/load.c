// The load for an echo server: N connections from one thread, each with one message in flight.
//
// A connection sends a message, waits for the whole of it to come back, compares every byte, and
// sends the next. The generator should cost less than any server it measures, so it runs on
// io_uring with one system call per batch: a message is a send, which reports only failure, linked
// to a receive that completes when all bytes are there. After a warm-up the messages of
// `duration` are counted, and the time of each goes into a histogram.
//
// With "websocket" the messages are frames of WebSocket, whose payload has that many bytes, masked
// as a client must. The server is to send the same payload back.
//
// Usage: load <port> <connections> <bytes> <warm-up seconds> <duration seconds> [websocket]
// Prints "start" and "stop" around the counted time, then one JSON line.
#include <unistd.h>

#include "ring.h"

struct connection {
  uint64_t sequence;
  uint64_t sent_ns;
  char* outgoing;
  char* incoming;
};

static struct io_uring ring;
static struct connection* connections;
static unsigned connections_count;
static size_t message_bytes;

// What stands before the payload of a frame: two bytes or, with a longer one, four; and a client's
// mask, of four equal bytes here. A plain message has neither.
enum { mask_bytes = 4, mask_byte = 0x5a };
static size_t header_bytes;
static char frame_header[4];
static size_t outgoing_header_bytes;
static char mask;

// The histogram: 32 buckets for each power of two, so a bucket is at most 3 % wide.
enum { sub_buckets_bits = 5, sub_buckets = 1 << sub_buckets_bits, buckets = 64 * sub_buckets };
static uint64_t histogram[buckets];

static unsigned bucket_of(uint64_t value_ns) {
  if (value_ns < sub_buckets) return (unsigned)value_ns;
  unsigned shift = 63u - (unsigned)__builtin_clzll(value_ns) - sub_buckets_bits;
  return (shift + 1) * sub_buckets + (unsigned)((value_ns >> shift) - sub_buckets);
}

static double bucket_value_ns(unsigned bucket) {
  if (bucket < sub_buckets) return bucket;
  unsigned shift = bucket / sub_buckets - 1;
  return ((double)(bucket % sub_buckets) + sub_buckets + 0.5) * (double)(1ull << shift);
}

static double percentile_microseconds(double share, uint64_t total) {
  uint64_t seen = 0;
  for (unsigned bucket = 0; bucket < buckets; bucket++) {
    seen += histogram[bucket];
    if (seen > 0 && (double)seen >= share * (double)total) return bucket_value_ns(bucket) / 1e3;
  }
  return 0;
}

// Every message differs from the one before it and from those of other connections.
static void queue_message(unsigned index, uint64_t time_ns) {
  struct connection* connection = &connections[index];
  connection->sequence++;
  uint64_t stamp = connection->sequence * 0x9e3779b97f4a7c15u + index;
  char* payload = connection->outgoing + outgoing_header_bytes;
  memcpy(payload, &stamp, sizeof stamp);
  memcpy(payload + message_bytes - sizeof stamp, &stamp, sizeof stamp);
  connection->sent_ns = time_ns;

  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_send(sqe, (int)index, connection->outgoing, outgoing_header_bytes + message_bytes,
                     MSG_WAITALL);
  sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(sqe, UINT64_MAX);
  sqe = io_uring_get_sqe(&ring);
  io_uring_prep_recv(sqe, (int)index, connection->incoming, header_bytes + message_bytes,
                     MSG_WAITALL);
  sqe->flags |= IOSQE_FIXED_FILE;
  sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  io_uring_sqe_set_data64(sqe, index);
}

static void check_message(const struct connection* connection, int result) {
  if (result < 0) fail("the exchange failed", -result);
  if ((size_t)result != header_bytes + message_bytes) fail("the server ended early", EPIPE);
  char* payload = connection->incoming + header_bytes;
  for (size_t at = 0; mask != 0 && at < message_bytes; at++) payload[at] ^= mask;
  if (memcmp(connection->incoming, frame_header, header_bytes) ||
      memcmp(connection->outgoing + outgoing_header_bytes, payload, message_bytes)) {
    fail("the server sent other bytes than it received", EPROTO);
  }
}

// Answers every completion that is there with the next message. Returns how many there were.
static unsigned turn(int counting) {
  int submitted = io_uring_submit_and_wait(&ring, 1);
  if (submitted < 0 && submitted != -EINTR) fail("io_uring_submit_and_wait", -submitted);
  uint64_t time_ns = now_ns();
  struct io_uring_cqe* cqe;
  unsigned head;
  unsigned reaped = 0;
  io_uring_for_each_cqe(&ring, head, cqe) {
    if (cqe->user_data == UINT64_MAX) fail("send", cqe->res < 0 ? -cqe->res : EPIPE);
    unsigned index = (unsigned)cqe->user_data;
    check_message(&connections[index], cqe->res);
    if (counting) histogram[bucket_of(time_ns - connections[index].sent_ns)]++;
    queue_message(index, time_ns);
    reaped++;
  }
  io_uring_cq_advance(&ring, reaped);
  return reaped;
}

static void make_headers(void) {
  frame_header[0] = (char)0x82;  // one frame of bytes, and the last of its message
  header_bytes = message_bytes < 126 ? 2 : 4;
  frame_header[1] = (char)(message_bytes < 126 ? message_bytes : 126);
  frame_header[2] = (char)(message_bytes >> 8);
  frame_header[3] = (char)message_bytes;
  outgoing_header_bytes = header_bytes + mask_bytes;
  mask = mask_byte;
}

static void upgrade(int descriptor) {
  const char request[] =
      "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
  if (send(descriptor, request, sizeof request - 1, 0) < 0) fail("send", errno);
  char answer[1024] = {0};
  for (size_t length = 0; !strstr(answer, "\r\n\r\n");) {
    ssize_t count = recv(descriptor, answer + length, sizeof answer - 1 - length, 0);
    if (count <= 0) fail("the server did not upgrade", count < 0 ? errno : EPIPE);
    length += (size_t)count;
  }
  if (strncmp(answer, "HTTP/1.1 101", 12)) fail("the server did not upgrade", EPROTO);
}

static void open_connections(int port) {
  int* descriptors = calloc(connections_count, sizeof *descriptors);
  connections = calloc(connections_count, sizeof *connections);
  for (unsigned index = 0; index < connections_count; index++) {
    descriptors[index] = connect_to_loopback(port);
    if (mask != 0) upgrade(descriptors[index]);
    char* outgoing = malloc(outgoing_header_bytes + message_bytes);
    connections[index].outgoing = outgoing;
    connections[index].incoming = malloc(header_bytes + message_bytes);
    memcpy(outgoing, frame_header, header_bytes);
    if (mask != 0) {
      outgoing[1] |= (char)0x80;
      memset(outgoing + header_bytes, mask, mask_bytes);
    }
    for (size_t at = 0; at < message_bytes; at++) {
      outgoing[outgoing_header_bytes + at] = (char)(at * 31 + index * 7);
    }
  }
  int error = io_uring_register_files(&ring, descriptors, connections_count);
  if (error < 0) fail("io_uring_register_files", -error);
  free(descriptors);
}

static uint64_t run_for(double duration_seconds, int counting) {
  uint64_t messages = 0;
  uint64_t end_ns = now_ns() + (uint64_t)(duration_seconds * 1e9);
  while (now_ns() < end_ns) messages += turn(counting);
  return messages;
}

int main(int argc, char** argv) {
  const int websocket = argc == 7 && !strcmp(argv[6], "websocket");
  if (argc != 6 + websocket) {
    fail("usage: load <port> <connections> <bytes> <warm-up> <duration> [websocket]", EINVAL);
  }
  connections_count = (unsigned)atoi(argv[2]);
  message_bytes = (size_t)atoi(argv[3]);
  if (connections_count < 1 || connections_count > 4096) fail("1 to 4096 connections", EINVAL);
  if (message_bytes < 16 || message_bytes > 1 << 20) fail("16 bytes to 1 MiB", EINVAL);

  if (websocket && message_bytes > 65535) fail("16 to 65,535 bytes in a frame", EINVAL);
  if (websocket) make_headers();

  begin_ring(&ring, 8192);
  open_connections(atoi(argv[1]));
  for (unsigned index = 0; index < connections_count; index++) queue_message(index, now_ns());

  run_for(atof(argv[4]), 0);
  if (write(STDOUT_FILENO, "start\n", 6) != 6) fail("write", errno);
  uint64_t start_ns = now_ns();
  uint64_t messages = run_for(atof(argv[5]), 1);
  double elapsed_seconds = (double)(now_ns() - start_ns) / 1e9;
  if (write(STDOUT_FILENO, "stop\n", 5) != 5) fail("write", errno);
  printf("{\"messages/s\": %.1f, \"p50 microseconds\": %.2f, \"p99 microseconds\": %.2f}\n",
         (double)messages / elapsed_seconds, percentile_microseconds(0.50, messages),
         percentile_microseconds(0.99, messages));
  return 0;
}
