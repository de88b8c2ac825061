// A client that takes files from a server: it connects, receives until the server ends the stream,
// and connects again. What it receives is thrown away unread (MSG_TRUNC), so that the server is
// what is measured.
//
// Usage: drain <port> <warm-up seconds> <duration seconds>
// Prints "start" and "stop" around the counted time, then one JSON line.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
  fprintf(stderr, "drain: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// One file. Returns its length.
static uint64_t take(uint16_t port) {
  int number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (number < 0) fail("socket");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(number, (struct sockaddr *)&address, sizeof(address)) != 0) fail("connect");
  static char unused[1 << 20];
  uint64_t total = 0;
  for (;;) {
    ssize_t count = recv(number, unused, sizeof(unused), MSG_TRUNC);
    if (count < 0) fail("recv");
    if (count == 0) break;
    total += (uint64_t)count;
  }
  close(number);
  return total;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "Usage: drain <port> <warm-up seconds> <duration seconds>\n");
    return 2;
  }
  const uint16_t port = (uint16_t)atoi(argv[1]);
  const double warm = now() + atof(argv[2]);
  do {
    take(port);
  } while (now() < warm);
  printf("start\n");
  fflush(stdout);
  const double start = now();
  uint64_t bytes = 0;
  uint64_t files = 0;
  do {
    bytes += take(port);
    files++;
  } while (now() < start + atof(argv[3]));
  const double seconds = now() - start;
  printf("stop\n");
  fflush(stdout);
  printf("{\"MB/s\": %.1f, \"files\": %llu, \"MB\": %.1f}\n", (double)bytes / 1e6 / seconds,
         (unsigned long long)files, (double)bytes / 1e6);
  return 0;
}
