// Preloaded into a program: uname() then tells the release in TEST_KERNEL_RELEASE and the build in
// TEST_KERNEL_BUILD, so that a test can be on a kernel that the machine does not run.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static void replace(char* field, size_t size_bytes, const char* variable) {
  const char* text = getenv(variable);
  if (text == NULL) return;
  strncpy(field, text, size_bytes - 1);
  field[size_bytes - 1] = '\0';
}

int uname(struct utsname* names) {
  const int result = (int)syscall(SYS_uname, names);
  if (result != 0) return result;
  replace(names->release, sizeof(names->release), "TEST_KERNEL_RELEASE");
  replace(names->version, sizeof(names->version), "TEST_KERNEL_BUILD");
  return 0;
}
