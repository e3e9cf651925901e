/* Preloaded into a host: its clocks are moved by as many seconds as a file says that the test writes: 8 bytes for the wall
 * clock, as a time server would set it, and 8 for CLOCK_BOOTTIME, as a sleep of the machine moves that clock alone. Mapped
 * before the walls stand. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int (*clock_function)(clockid_t, struct timespec*);
static volatile const int64_t* moved; /* wall clock, boot clock */

static clock_function real(void) {
  static clock_function found;
  if (!found) found = (clock_function)(uintptr_t)dlsym(RTLD_NEXT, "clock_gettime");
  return found;
}

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("TEST_CLOCKS");
  const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) abort();
  void* bytes = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (bytes == MAP_FAILED) abort();
  moved = bytes;
}

int clock_gettime(clockid_t which, struct timespec* now) {
  const int status = real()(which, now);
  if (status != 0 || !moved) return status;
  if (which == CLOCK_REALTIME) now->tv_sec += moved[0];
  if (which == CLOCK_BOOTTIME) now->tv_sec += moved[1];
  return 0;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  struct timespec precise;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* now) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (now) *now = precise.tv_sec;
  return precise.tv_sec;
}
