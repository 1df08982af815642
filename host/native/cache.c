// SPDX-License-Identifier: MIT

#include "native/cache.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/map.h"
#include "native/cache_store.h"

// File systems count time in ticks: what was written this shortly before a
// moment may as well have been written after it.
enum { TICK_NS = 20000000 };

// A header as it was when it was last read.
typedef struct Seen {
  char *path;
  struct stat state;
  bool settled; // long enough after it was written: the state tells it apart
  bool dated;
  uint64_t hash;
} Seen;

struct Cache {
  const GraftAllocator *allocator;
  pthread_mutex_t lock; // of all
  CacheStore *store;
  Map seen; // path → Seen
};

CacheMoment cache_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

static uint64_t nanoseconds(struct timespec time) {
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

bool cache_is_dated(const char *text) {
  return strstr(text, "__DATE__") != NULL || strstr(text, "__TIME__") != NULL ||
         strstr(text, "__TIMESTAMP__") != NULL;
}

GraftStatus cache_new(const GraftAllocator *allocator, const char *folder,
                      Cache **cache, GraftError *error) {
  *cache = NULL;
  Cache *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = allocator;
  map_init(&self->seen, allocator);
  pthread_mutex_init(&self->lock, NULL);
  self->store = cache_store_new(allocator, folder);
  if (self->store == NULL) {
    cache_free(self);
    return error_memory(error);
  }
  *cache = self;
  return GRAFT_OK;
}

static void seen_free(const Cache *self, Seen *seen) {
  memory_free(self->allocator, seen->path);
  memory_free(self->allocator, seen);
}

void cache_free(Cache *self) {
  if (self == NULL) return;
  for (size_t i = 0; i < self->seen.capacity; i++) {
    if (self->seen.entries[i].key == NULL) continue;
    seen_free(self, self->seen.entries[i].value);
  }
  map_clear(&self->seen);
  cache_store_free(self->store);
  pthread_mutex_destroy(&self->lock);
  memory_free(self->allocator, self);
}

// --- Headers -----------------------------------------------------------------

static struct timespec written(const struct stat *state) {
  return nanoseconds(state->st_ctim) > nanoseconds(state->st_mtim)
             ? state->st_ctim
             : state->st_mtim;
}

static bool same_state(const struct stat *a, const struct stat *b) {
  return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
         a->st_size == b->st_size &&
         nanoseconds(a->st_mtim) == nanoseconds(b->st_mtim) &&
         nanoseconds(a->st_ctim) == nanoseconds(b->st_ctim);
}

static char *read_contents(const Cache *self, int descriptor, size_t size) {
  char *bytes = memory_new(self->allocator, size + 1);
  size_t done = 0;
  while (bytes != NULL && done < size) {
    ssize_t got = read(descriptor, bytes + done, size - done);
    if (got <= 0) break;
    done += (size_t)got;
  }
  if (bytes != NULL && done < size) {
    memory_free(self->allocator, bytes);
    return NULL;
  }
  return bytes;
}

// Reads the header into `seen`. False when that cannot be done.
static bool look(const Cache *self, Seen *seen) {
  int descriptor = open(seen->path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  char *bytes = NULL;
  if (fstat(descriptor, &seen->state) == 0 && S_ISREG(seen->state.st_mode)) {
    bytes = read_contents(self, descriptor, (size_t)seen->state.st_size);
  }
  close(descriptor);
  if (bytes == NULL) return false;
  seen->settled =
      nanoseconds(written(&seen->state)) + TICK_NS < nanoseconds(cache_now());
  seen->dated = cache_is_dated(bytes);
  seen->hash = hash_bytes(HASH_EMPTY, bytes, (size_t)seen->state.st_size);
  memory_free(self->allocator, bytes);
  return true;
}

static Seen *find_or_add(Cache *self, const char *path) {
  Seen *seen = map_find(&self->seen, path);
  if (seen != NULL) return seen;
  seen = memory_new(self->allocator, sizeof *seen);
  if (seen == NULL) return NULL;
  seen->path = memory_copy_string(self->allocator, path, strlen(path));
  if (seen->path != NULL && map_set(&self->seen, seen->path, seen)) {
    return seen;
  }
  seen_free(self, seen);
  return NULL;
}

// What the header holds now, or NULL when it cannot be read.
static const Seen *see(Cache *self, const char *path) {
  struct stat state;
  Seen *seen = find_or_add(self, path);
  if (seen == NULL || stat(path, &state) != 0) return NULL;
  if (seen->settled && same_state(&seen->state, &state)) return seen;
  seen->settled = false;
  return look(self, seen) ? seen : NULL;
}

// --- Entries -----------------------------------------------------------------
//
// A key leads to a block with the headers' paths, each with its zero. The key
// mixed with their contents leads to the result: the size of the text, the
// text, the object.

// Mixes the contents of the headers in `paths` into `*key`. False when one
// cannot be read.
static bool mix_headers(Cache *self, const char *paths, size_t size,
                        uint64_t *key) {
  *key = hash_mix(*key, size);
  for (size_t i = 0; i < size; i += strlen(paths + i) + 1) {
    const Seen *seen = see(self, paths + i);
    if (seen == NULL) return false;
    *key = hash_bytes(hash_mix(*key, seen->hash), paths + i, strlen(paths + i));
  }
  return true;
}

static bool set_headers(const char *paths, size_t size,
                        CompilerOutput *output) {
  for (size_t i = 0; i < size; i += strlen(paths + i) + 1) {
    char *copy =
        memory_copy_string(output->allocator, paths + i, strlen(paths + i));
    char **place =
        copy != NULL ? ARRAY_PUSH(output->allocator, &output->headers) : NULL;
    if (place == NULL) {
      memory_free(output->allocator, copy);
      return false;
    }
    *place = copy;
  }
  return true;
}

static bool set_result(const char *bytes, size_t size, CompilerOutput *output) {
  uint64_t text_size;
  if (size < sizeof text_size) return false;
  memcpy(&text_size, bytes, sizeof text_size);
  bytes += sizeof text_size;
  size -= sizeof text_size;
  if (text_size > size) return false;
  output->object_size = size - text_size;
  output->object = memory_copy_string(output->allocator, bytes + text_size,
                                      output->object_size);
  if (text_size > 0) {
    output->text = memory_copy_string(output->allocator, bytes, text_size);
  }
  return output->object != NULL && (text_size == 0 || output->text != NULL);
}

static bool find(Cache *self, uint64_t key, CompilerOutput *output) {
  size_t paths_size = 0, size = 0;
  char *paths = cache_store_get(self->store, key, &paths_size);
  if (paths == NULL) return false;
  char *bytes = NULL;
  if (mix_headers(self, paths, paths_size, &key)) {
    bytes = cache_store_get(self->store, key, &size);
  }
  bool found = bytes != NULL && set_result(bytes, size, output) &&
               set_headers(paths, paths_size, output);
  memory_free(self->allocator, paths);
  memory_free(self->allocator, bytes);
  return found;
}

bool cache_find(Cache *self, uint64_t key, CompilerOutput *output) {
  *output = (CompilerOutput){.allocator = self->allocator};
  pthread_mutex_lock(&self->lock);
  bool found = find(self, key, output);
  pthread_mutex_unlock(&self->lock);
  if (!found) compiler_output_clear(output);
  return found;
}

// Whether the object is sure to be made of what the header holds now, and will
// be the same the next time.
static bool is_lasting(Cache *self, const char *path, CacheMoment started) {
  const Seen *seen = see(self, path);
  return seen != NULL && !seen->dated &&
         nanoseconds(written(&seen->state)) + TICK_NS < nanoseconds(started);
}

static void add(Cache *self, uint64_t key, const CompilerOutput *output) {
  Buffer paths, result;
  buffer_init(&paths, self->allocator);
  buffer_init(&result, self->allocator);
  for (size_t i = 0; i < output->headers.count; i++) {
    const char *path = output->headers.items[i];
    buffer_add(&paths, path, strlen(path) + 1);
  }
  uint64_t text_size = output->text != NULL ? strlen(output->text) : 0;
  buffer_add(&result, (const char *)&text_size, sizeof text_size);
  buffer_add(&result, output->text, text_size);
  buffer_add(&result, output->object, output->object_size);
  uint64_t full = key;
  if (!paths.failed && !result.failed &&
      mix_headers(self, buffer_text(&paths), paths.size, &full)) {
    cache_store_put(self->store, full, result.text, result.size);
    cache_store_put(self->store, key, buffer_text(&paths), paths.size);
  }
  buffer_clear(&paths);
  buffer_clear(&result);
}

void cache_add(Cache *self, uint64_t key, CacheMoment started,
               const CompilerOutput *output) {
  pthread_mutex_lock(&self->lock);
  bool lasting = true;
  for (size_t i = 0; i < output->headers.count && lasting; i++) {
    lasting = is_lasting(self, output->headers.items[i], started);
  }
  if (lasting) add(self, key, output);
  pthread_mutex_unlock(&self->lock);
}
