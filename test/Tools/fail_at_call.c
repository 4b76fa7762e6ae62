/* Preloaded into a program: from the FAIL_AT-th call that changes files on, the calls fail for want of space (FAIL_HOW=full), or that call ends the
   process as a kill would (FAIL_HOW=kill). Without FAIL_AT it counts the calls into the file named by FAIL_COUNT. Only names that hold FAIL_IN, or
   descriptors that were opened by such a name, count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int calls;
static char known[1024];

static int concerns(const char *name) {
  const char *in = getenv("FAIL_IN");
  return in && name && strstr(name, in) != 0;
}

/* Whether this call is to fail. */
static int fails(void) {
  const char *at = getenv("FAIL_AT"), *how = getenv("FAIL_HOW"), *count = getenv("FAIL_COUNT");
  ++calls;
  if (count) {
    FILE *file = fopen(count, "w");
    if (file) {
      fprintf(file, "%d", calls);
      fclose(file);
    }
  }
  if (!at || calls < atoi(at))
    return 0;
  if (how && strcmp(how, "kill") == 0)
    kill(getpid(), SIGKILL);
  errno = ENOSPC;
  return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open(const char *name, int flags, ...) {
  va_list list;
  mode_t mode;
  int file;
  va_start(list, flags);
  mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
  va_end(list);
  if ((flags & O_CREAT) && concerns(name) && fails())
    return -1;
  file = NEXT(open)(name, flags, mode);
  if (file >= 0 && file < (int)sizeof(known))
    known[file] = (flags & O_CREAT) && concerns(name);
  return file;
}

int mkdir(const char *name, mode_t mode) {
  return concerns(name) && fails() ? -1 : NEXT(mkdir)(name, mode);
}

static int isKnown(int file) { return file >= 0 && file < (int)sizeof(known) && known[file]; }

ssize_t write(int file, const void *data, size_t size) {
  if (isKnown(file) && fails())
    return -1;
  /* Half of it first: what is cut short is to be seen as well. */
  if (isKnown(file) && known[file] == 1 && size > 1) {
    known[file] = 2;
    size /= 2;
  }
  return NEXT(write)(file, data, size);
}

int fsync(int file) { return isKnown(file) && fails() ? -1 : NEXT(fsync)(file); }

int close(int file) {
  int counts = isKnown(file) && fails();
  if (file >= 0 && file < (int)sizeof(known))
    known[file] = 0;
  if (!counts)
    return NEXT(close)(file);
  NEXT(close)(file);
  errno = ENOSPC;
  return -1;
}

int rename(const char *from, const char *to) {
  return concerns(from) && fails() ? -1 : NEXT(rename)(from, to);
}

int renameat2(int fromFolder, const char *from, int toFolder, const char *to, unsigned flags) {
  return concerns(from) && fails() ? -1 : NEXT(renameat2)(fromFolder, from, toFolder, to, flags);
}

/* Not a call that lacks space, but one at which a kill may come. */
int unlinkat(int folder, const char *name, int flags) {
  const char *how = getenv("FAIL_HOW");
  if (!how || strcmp(how, "kill") == 0)
    fails();
  return NEXT(unlinkat)(folder, name, flags);
}
