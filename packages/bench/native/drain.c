// A client that takes files from a server: it connects, receives until the server ends the stream,
// and connects again. What it receives is thrown away unread (MSG_TRUNC), so that the server is
// what is measured.
//
// Usage: drain <port> <warm-up seconds> <duration seconds>
// Prints "start" and "stop" around the counted time, then one JSON line.
#include <unistd.h>

#include "program.h"

// One file. Returns its length.
static uint64_t take(int port) {
  int number = connect_to_loopback(port);
  static char unused[1 << 20];
  uint64_t total = 0;
  for (;;) {
    ssize_t count = recv(number, unused, sizeof(unused), MSG_TRUNC);
    if (count < 0) fail("recv", errno);
    if (count == 0) break;
    total += (uint64_t)count;
  }
  close(number);
  return total;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "Usage: drain <port> <warm-up seconds> <duration seconds>\n");
    return 2;
  }
  const int port = atoi(argv[1]);
  const double warm = now_seconds() + atof(argv[2]);
  do {
    take(port);
  } while (now_seconds() < warm);
  printf("start\n");
  fflush(stdout);
  const double start = now_seconds();
  uint64_t bytes = 0;
  uint64_t files = 0;
  do {
    bytes += take(port);
    files++;
  } while (now_seconds() < start + atof(argv[3]));
  const double seconds = now_seconds() - start;
  printf("stop\n");
  fflush(stdout);
  printf("{\"MB/s\": %.1f, \"files\": %llu, \"MB\": %.1f}\n", (double)bytes / 1e6 / seconds,
         (unsigned long long)files, (double)bytes / 1e6);
  return 0;
}
