// The load for a program that only receives: it connects N times, and each connection is sent
// messages as fast as they are taken, from one thread.
//
// It should cost less than any program it measures, so it copies nothing: sendfile(2) hands the
// kernel pages that are in memory already, and on loopback the receiver is the one that copies
// them. A message counts when the kernel has taken all of it; in the long run that is as much as
// the program receives. After a warm-up the messages of `duration` are counted.
//
// Usage: pour <connections> <bytes> <warm-up seconds> <duration seconds>
// Prints its port, "start" and "stop" around the counted time, then one JSON line.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "program.h"

static struct pollfd* sockets;
static size_t* sent;  // of the message that is under way
static unsigned connections_count;
static size_t message_bytes;
static int message;

// Prints the port, then takes as many connections as there are to be.
static void accept_all(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) fail("socket", errno);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr*)&address, length)) fail("bind", errno);
  if (listen(listener, 1024)) fail("listen", errno);
  if (getsockname(listener, (struct sockaddr*)&address, &length)) fail("getsockname", errno);
  printf("%u\n", ntohs(address.sin_port));
  fflush(stdout);
  for (unsigned index = 0; index < connections_count; index++) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (descriptor < 0) fail("accept", errno);
    sockets[index].fd = descriptor;
    sockets[index].events = POLLOUT;
  }
  close(listener);
}

static void make_message(void) {
  message = memfd_create("message", 0);
  if (message < 0) fail("memfd_create", errno);
  char* bytes = malloc(message_bytes);
  memset(bytes, 'x', message_bytes);
  if (write(message, bytes, message_bytes) != (ssize_t)message_bytes) fail("write", errno);
  free(bytes);
}

// Sends on one connection until it takes no more. Returns how many messages were completed.
static unsigned pour_into(unsigned index) {
  unsigned messages = 0;
  for (int turn = 0; turn < 16; turn++) {
    off_t offset = (off_t)sent[index];
    ssize_t count = sendfile(sockets[index].fd, message, &offset, message_bytes - sent[index]);
    if (count < 0 && errno == EAGAIN) break;
    if (count <= 0) fail("sendfile", count < 0 ? errno : EPIPE);
    sent[index] += (size_t)count;
    if (sent[index] < message_bytes) continue;
    sent[index] = 0;
    messages++;
  }
  return messages;
}

static uint64_t run_for(double duration_seconds) {
  uint64_t messages = 0;
  uint64_t end_ns = now_ns() + (uint64_t)(duration_seconds * 1e9);
  while (now_ns() < end_ns) {
    if (poll(sockets, connections_count, 100) < 0 && errno != EINTR) fail("poll", errno);
    for (unsigned index = 0; index < connections_count; index++) {
      if (sockets[index].revents != 0) messages += pour_into(index);
    }
  }
  return messages;
}

int main(int argc, char** argv) {
  if (argc != 5) fail("usage: pour <connections> <bytes> <warm-up> <duration>", EINVAL);
  connections_count = (unsigned)atoi(argv[1]);
  message_bytes = (size_t)atoi(argv[2]);
  if (connections_count < 1 || connections_count > 1024) fail("1 to 1024 connections", EINVAL);
  if (message_bytes < 1 || message_bytes > 1 << 24) fail("1 byte to 16 MiB", EINVAL);

  make_message();
  sockets = calloc(connections_count, sizeof *sockets);
  sent = calloc(connections_count, sizeof *sent);
  accept_all();

  run_for(atof(argv[3]));
  if (write(STDOUT_FILENO, "start\n", 6) != 6) fail("write", errno);
  uint64_t start_ns = now_ns();
  uint64_t messages = run_for(atof(argv[4]));
  double elapsed_seconds = (double)(now_ns() - start_ns) / 1e9;
  if (write(STDOUT_FILENO, "stop\n", 5) != 5) fail("write", errno);
  printf("{\"messages/s\": %.1f, \"MB/s\": %.1f}\n", (double)messages / elapsed_seconds,
         (double)messages * (double)message_bytes / elapsed_seconds / 1e6);
  return 0;
}
