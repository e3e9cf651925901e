/* Preloaded into a program: allocations fail, as three numbers of 8 bytes say in a file that the test writes: one of so many
 * (0: none), and from the first-th on so many in a row. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static volatile const int64_t* numbers; /* one of, first, in a row */
static atomic_uint_fast64_t count;

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("TEST_MALLOC");
  const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) abort();
  void* bytes = mmap(NULL, 24, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (bytes == MAP_FAILED) abort();
  numbers = bytes;
}

static int fails(void) {
  if (!numbers) return 0;
  const int64_t call = (int64_t)atomic_fetch_add(&count, 1);
  const int64_t one_of = numbers[0], first = numbers[1], many = numbers[2];
  if (!(one_of > 0 && call % one_of == one_of - 1) && !(call >= first && call < first + many)) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void* calloc(size_t number, size_t size) { return fails() ? NULL : __libc_calloc(number, size); }
void* realloc(void* old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }
void* aligned_alloc(size_t to, size_t size) { return fails() ? NULL : __libc_memalign(to, size); }
void* memalign(size_t to, size_t size) { return fails() ? NULL : __libc_memalign(to, size); }
int posix_memalign(void** into, size_t to, size_t size) {
  void* const got = fails() ? NULL : __libc_memalign(to, size);
  if (!got) return ENOMEM;
  *into = got;
  return 0;
}
