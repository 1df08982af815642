// SPDX-License-Identifier: MIT
//
// Objects that are damaged, foreign or compiled with the wrong flags are
// refused with a message that says what to do, and leave nothing behind; so
// does every refused request for memory. Reloads leave memory flat. FIXTURES
// has the objects: link/ as in native_link.c, bad/ of fixture_bad.c.

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "native_support.h"

typedef struct Bytes {
  char *bytes;
  size_t size;
} Bytes;

// Ends the program when it cannot.
static Bytes read_fixture(const char *name) {
  char path[600];
  snprintf(path, sizeof path, "%s/%s", FIXTURES, name);
  Bytes file = {0};
  file.bytes = read_whole_file(path, &file.size);
  if (file.bytes == NULL) {
    check_report(path, false, "cannot read it");
    exit(check_status());
  }
  return file;
}

// --- What is refused ---------------------------------------------------------

// The message of loading `bytes` as "test.o", and that nothing is left.
static GraftError try_bytes(const char *name, const void *bytes, size_t size) {
  CheckMemory memory;
  check_memory_init(&memory, 0);
  World world;
  Loaded loaded;
  GraftError error = {0};
  if (!world_open(&world, &memory.allocator)) return error;
  size_t used = region_used(world.region);
  error.status = world_read(&world, "test.o", bytes, size, &loaded, &error);
  if (error.status == GRAFT_OK) {
    loaded_clear(&loaded);
  } else {
    char check[300];
    snprintf(check, sizeof check, "%s: nothing is left", name);
    // The pool of literals and the entries may have grown.
    size_t left = region_used(world.region) - used;
    check_report(check,
                 loaded.object == NULL && loaded.link == NULL &&
                     left <= ((size_t)1 << 17) + 64 * 4096,
                 "memory of the region");
  }
  world_close(&world);
  check_report(name, memory.alive == 0, "memory leaked");
  return error;
}

static void check_refused(const char *name, const void *bytes, size_t size,
                          const char *wanted) {
  GraftError error = try_bytes(name, bytes, size);
  char why[1400];
  snprintf(why, sizeof why, "%d \"%s\", expected \"%s\"", error.status,
           error.message, wanted);
  check_report(name, error.status < 0 && strstr(error.message, wanted) != NULL,
               why);
}

static void check_file(const char *name, const char *wanted) {
  Bytes file = read_fixture(name);
  check_refused(name, file.bytes, file.size, wanted);
  free(file.bytes);
}

static void check_kinds(void) {
  check_refused("nothing", "", 0, "test.o: it is no ELF object");
  check_refused("a text", "int main;\n", 10, "it is no ELF object");
  check_refused("bitcode", "BC\xc0\xde....", 8, "compile without -flto");
  Bytes file = read_fixture("link/gcc-O2/first.o");
  file.bytes[18] = 8; // e_machine
  check_refused("MIPS", file.bytes, file.size, "for another processor");
  file.bytes[4] = 1; // EI_CLASS
  check_refused("32 bits", file.bytes, file.size, "not for a 64-bit");
  free(file.bytes);
  check_file("gcc-5-O2.so", "compile with -c");
}

static void check_flags(void) {
  check_file("bad/common.o", "tentative is a COMMON symbol: compile with "
                             "-fno-common");
  check_file("bad/nested.o", "the address of a nested function");
  check_file("bad/lto.o", "compile without -flto");
  check_file("bad/compressed.o", "compile with -gz=none");
#if defined(__x86_64__)
  check_file("bad/absolute.o", "compile with -fPIC, in fixture_at");
  check_file("bad/initial.o", "compile without -ftls-model");
  check_file("bad/large.o", "without -mcmodel=large");
#endif
}

static void check_undefined(void) {
  Bytes file = read_fixture("bad/undefined.o");
  GraftError error = try_bytes("an undefined symbol", file.bytes, file.size);
  check_text("an undefined symbol's message", error.message,
             "test.o: nobody defines fixture_nobody, in fixture_user");
  CHECK("an undefined symbol's file and line",
        error.status == GRAFT_ENOTFOUND && error.line == 13 &&
            strstr(error.file, "fixture_bad.c") != NULL);
  free(file.bytes);
}

// Each length up to the tables of sections, then in steps.
static void check_cut(const char *name) {
  Bytes file = read_fixture(name);
  bool refused = true;
  for (size_t size = 0; size < file.size; size += size < 200 ? 1 : 97) {
    // A copy of that size, for the sanitizer to see its end.
    char *copy = malloc(size + 1);
    memcpy(copy, file.bytes, size);
    ObjectFile *object = NULL;
    GraftError error = {0};
    GraftStatus status =
        object_read(&memory_default, "cut.o", copy, size, &object, &error);
    if (status != GRAFT_EIO || strncmp(error.message, "cut.o: ", 7) != 0) {
      refused = false;
    }
    object_free(object);
    free(copy);
  }
  free(file.bytes);
  char check[300];
  snprintf(check, sizeof check, "%s, cut short anywhere", name);
  check_report(check, refused, "it was taken");
}

// --- Without memory ----------------------------------------------------------

static bool load_limited(long fail_at) {
  static Bytes other, first;
  if (other.bytes == NULL) {
    other = read_fixture("link/gcc-O2/other.o");
    first = read_fixture("link/gcc-O2/first.o");
  }
  CheckMemory memory;
  check_memory_init(&memory, 0);
  World world;
  Loaded a = {0}, b = {0};
  GraftError error = {0};
  if (!world_open(&world, &memory.allocator)) return true;
  if (world_read(&world, "other.o", other.bytes, other.size, &a, &error) == 0) {
    world_switch(&world, &a, true);
  }
  memory.calls = 0;
  memory.fail_at = fail_at;
  GraftStatus status =
      world_read(&world, "first.o", first.bytes, first.size, &b, &error);
  memory.fail_at = 0;
  if (status != GRAFT_OK && status != GRAFT_ENOMEM) {
    check_report("each request refused", false, error.message);
  }
  if (status != GRAFT_OK && (b.object != NULL || b.link != NULL)) {
    check_report("each request refused", false, "something is left");
  }
  loaded_clear(&b);
  loaded_clear(&a);
  world_close(&world);
  if (memory.alive != 0) {
    check_report("each request refused", false, "memory leaked");
  }
  if (fail_at > 4000) return true;
  return status == GRAFT_OK && memory.calls < fail_at;
}

// --- Reloads -----------------------------------------------------------------

static void check_reloads(void) {
  World world;
  Loaded other = {0}, present = {0}, next;
  GraftError error = {0};
  char path[2][600];
  snprintf(path[0], sizeof path[0], "%s/link/gcc-O2/first.o", FIXTURES);
  snprintf(path[1], sizeof path[1], "%s/link/gcc-O2/second.o", FIXTURES);
  char other_path[600];
  snprintf(other_path, sizeof other_path, "%s/link/gcc-O2/other.o", FIXTURES);
  CheckMemory memory;
  check_memory_init(&memory, 0);
  bool loaded = world_open(&world, &memory.allocator) &&
                world_load(&world, other_path, &other, &error) == 0;
  if (loaded) world_switch(&world, &other, true);
  size_t used = 0;
  long alive = 0;
  for (int i = 0; i < 200 && loaded; i++) {
    loaded = world_load(&world, path[i % 2], &next, &error) == 0;
    if (!loaded) break;
    world_switch(&world, &next, i == 0);
    loaded_clear(&present);
    present = next;
    // The fixture's entries and storage are the world's, in its arena.
    if (i == 9) used = region_used(world.region), alive = memory.alive;
  }
  check_report("200 reloads", loaded, error.message);
  CHECK("200 reloads leave the region as it was",
        region_used(world.region) == used);
  CHECK("200 reloads leave memory flat", memory.alive <= alive + 8);
  loaded_clear(&present);
  loaded_clear(&other);
  world_close(&world);
}

// --- The parts alone ---------------------------------------------------------

static void check_region(void) {
  NativeRegion *region;
  GraftError error = {0};
  CHECK("a region", region_open(&memory_default, 0, &region, &error) == 0);
  size_t page = region_page_size(region);
  char *a = region_take(region, 1), *b = region_take(region, 3 * page),
       *c = region_take(region, page);
  CHECK("blocks are pages, side by side",
        b == a + page && c == b + 3 * page && region_used(region) == 5 * page);
  b[0] = 1;
  region_give(region, b, 3 * page);
  char *d = region_take(region, 2 * page);
  CHECK("a place is taken again, zero", d == b && d[0] == 0);
  region_give(region, a, page);
  region_give(region, d, 2 * page);
  region_give(region, c, page);
  CHECK("all is given back", region_used(region) == 0);
  CHECK("it is one piece again", region_take(region, 10 * page) == a);
  region_retire(region, a, page);
  CHECK("a retired page is still taken", region_used(region) == 10 * page);
  CHECK("too much", region_take(region, SIZE_MAX / 2) == NULL);
  region_close(region);
}

typedef int (*IntFunction)(int value);

typedef struct Waiting {
  IntFunction function;
  _Atomic int calls;
  _Atomic bool stop;
} Waiting;

static int returns_seven(int value) {
  return value + 7;
}

static void *call_often(void *argument) {
  Waiting *self = argument;
  while (!self->stop) {
    if (self->function(0) != 7) self->calls = -1000000;
    self->calls++;
  }
  return NULL;
}

// An entry whose cell holds the entry itself makes callers wait.
static void check_wait(void) {
  ThunkTable thunks;
  Thunk thunk;
  thunk_table_init(&thunks, &memory_default, NULL);
  GraftNative code = (GraftNative)(uintptr_t)returns_seven;
  CHECK("an entry", thunk_table_add(&thunks, code, &thunk));
  Waiting waiting = {.function = (IntFunction)(uintptr_t)thunk.entry};
  pthread_t thread;
  pthread_create(&thread, NULL, call_often, &waiting);
  while (waiting.calls < 100) sched_yield();
  atomic_store(thunk.cell, thunk.entry);
  // It may still be in one call; then none is done until the cell has code.
  int calls = waiting.calls;
  for (int i = 0; i < 1000; i++) sched_yield();
  int later = waiting.calls;
  CHECK("callers wait", later >= calls && later <= calls + 1);
  atomic_store(thunk.cell, code);
  while (waiting.calls < later + 100 && waiting.calls >= 0) sched_yield();
  waiting.stop = true;
  pthread_join(thread, NULL);
  CHECK("and go on", waiting.calls >= later + 100);
  thunk_table_clear(&thunks);
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  check_region();
  check_wait();
  check_kinds();
  check_flags();
  check_undefined();
  check_cut("link/gcc-O2/first.o");
  check_cut("link/clang-O2/first.o");
  check_cut("link/tcc-O0/first.o");
  int failures = check_failures;
  for (long i = 1; !load_limited(i); i++) continue;
  if (failures == check_failures) printf("ok each request refused\n");
  check_reloads();
  return check_status();
}
