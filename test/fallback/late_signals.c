// Preloaded into a program: no signal of an eventfd is there when the engine looks at once, as on
// kernels that put the signals of a ring off. The engine's trial is all that reads them so.
#include <errno.h>
#include <sys/eventfd.h>

int eventfd_read(int number, eventfd_t* value) {
  (void)number;
  (void)value;
  errno = EAGAIN;
  return -1;
}
