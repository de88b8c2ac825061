// Runs a program in a process from which calls of io_uring are taken away by a seccomp filter, as
// container runtimes do:
//   deny EPERM setup,enter,register program argument...
// The filter holds for everything that the program starts, and cannot be lifted again.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "which AUDIT_ARCH_ is this?"
#endif

// The numbers are the same on every architecture that is named above.
static const struct {
  const char* name;
  unsigned number;
} calls[] = {{"setup", 425}, {"enter", 426}, {"register", 427}};

static const struct {
  const char* name;
  unsigned number;
} errors[] = {{"EPERM", EPERM},   {"EACCES", EACCES}, {"ENOSYS", ENOSYS}, {"EINVAL", EINVAL},
              {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"EIO", EIO}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)

static _Noreturn void fail(const char* what) {
  fprintf(stderr, "deny: %s: %s\n", what, strerror(errno));
  exit(120);
}

static unsigned error_named(const char* name) {
  for (size_t index = 0; index < COUNT(errors); index++) {
    if (strcmp(errors[index].name, name) == 0) return errors[index].number;
  }
  errno = EINVAL;
  fail(name);
}

int main(int count, char** words) {
  if (count < 4) {
    fprintf(stderr, "usage: deny ERROR setup,enter,register program [argument...]\n");
    return 120;
  }
  const unsigned error = error_named(words[1]);
  struct sock_filter filter[5 + 2 * COUNT(calls)] = {
      LOAD(arch),
      // A process of another architecture has other numbers: it is let through.
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
      RETURN(SECCOMP_RET_ALLOW),
      LOAD(nr),
  };
  unsigned short length = 4;
  for (size_t index = 0; index < COUNT(calls); index++) {
    if (strstr(words[2], calls[index].name) == NULL) continue;
    const struct sock_filter refusal[] = {
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[index].number, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | error),
    };
    memcpy(filter + length, refusal, sizeof(refusal));
    length += COUNT(refusal);
  }
  const struct sock_filter otherwise = RETURN(SECCOMP_RET_ALLOW);
  filter[length++] = otherwise;
  const struct sock_fprog loaded = {.len = length, .filter = filter};
  // Without this an unprivileged process may not filter itself: seccomp(2).
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded) != 0) fail("PR_SET_SECCOMP");
  execvp(words[3], words + 3);
  fail(words[3]);
}
