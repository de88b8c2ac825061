// Takes what is sent to it on loopback, datagrams or streams, and throws it away: so that a sender
// can be measured. It reads the bytes, as every receiver does.
//
// Usage: receive <udp|tcp>. Prints its port, and receives until it is killed. It serves one stream
// at a time.
#include <stdbool.h>
#include <unistd.h>

#include "program.h"

static void take_all(int number) {
  static char buffer[1 << 18];
  for (;;) {
    ssize_t count = recv(number, buffer, sizeof(buffer), 0);
    if (count < 0 && errno != ECONNRESET) fail("recv", errno);
    if (count <= 0) return;
  }
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "Usage: receive <udp|tcp>\n");
    return 2;
  }
  const bool stream = strcmp(argv[1], "tcp") == 0;
  int number = socket(AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
  if (number < 0) fail("socket", errno);
  int buffer_bytes = 4 * 1024 * 1024;
  setsockopt(number, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(number, (struct sockaddr*)&address, size) != 0) fail("bind", errno);
  if (stream && listen(number, 8) != 0) fail("listen", errno);
  if (getsockname(number, (struct sockaddr*)&address, &size) != 0) fail("getsockname", errno);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  if (!stream) take_all(number);
  while (stream) {
    int accepted = accept(number, NULL, NULL);
    if (accepted < 0) fail("accept", errno);
    take_all(accepted);
    close(accepted);
  }
  return 0;
}
