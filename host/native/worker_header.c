// SPDX-License-Identifier: MIT
//
// Which files depend on a header.

#include <string.h>

#include "native/worker_inner.h"

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

static void forget_headers(Worker *self, Known *known) {
  for (size_t i = 0; i < known->headers.count; i++) {
    memory_free(self->allocator, known->headers.items[i]);
  }
  known->headers.count = 0;
}

static void known_free(Worker *self, Known *known) {
  forget_headers(self, known);
  memory_free(self->allocator, known->headers.items);
  memory_free(self->allocator, known->path);
  memory_free(self->allocator, known);
}

static Known *find_or_add(Worker *self, const char *path) {
  Known *known = map_find(&self->known, path);
  if (known != NULL) return known;
  known = memory_new(self->allocator, sizeof *known);
  if (known == NULL) return NULL;
  known->path = memory_copy_string(self->allocator, path, strlen(path));
  if (known->path != NULL && map_set(&self->known, known->path, known)) {
    return known;
  }
  known_free(self, known);
  return NULL;
}

static bool add_header(Worker *self, Known *known, const char *path) {
  char *copy = memory_copy_string(self->allocator, path, strlen(path));
  char **place =
      copy != NULL ? ARRAY_PUSH(self->allocator, &known->headers) : NULL;
  if (place == NULL) {
    memory_free(self->allocator, copy);
    return false;
  }
  *place = copy;
  return true;
}

void worker_learn(Worker *self, const char *path, const WorkerFile *file) {
  Known *known = find_or_add(self, path);
  if (known == NULL) return;
  known->failed = file->object == NULL;
  if (known->failed) return;
  forget_headers(self, known);
  for (size_t i = 0; i < file->header_count; i++) {
    if (!add_header(self, known, file->headers[i])) known->failed = true;
  }
}

void worker_unlearn(Worker *self, const char *path) {
  Known *known = map_remove(&self->known, path);
  if (known != NULL) known_free(self, known);
}

void worker_unlearn_all(Worker *self) {
  for (size_t i = 0; i < self->known.capacity; i++) {
    if (self->known.entries[i].key == NULL) continue;
    known_free(self, self->known.entries[i].value);
  }
  map_clear(&self->known);
}

bool worker_list_headers(const Worker *self, const char *path, Flags *paths) {
  const Known *known = map_find(&self->known, path);
  for (size_t i = 0; known != NULL && i < known->headers.count; i++) {
    if (!flags_add(paths, known->headers.items[i])) return false;
  }
  return true;
}

// Only the file's name counts, so that links and ways of writing a path do not.
static bool depends_on(const Known *known, const char *name) {
  if (known->failed) return true;
  for (size_t i = 0; i < known->headers.count; i++) {
    if (strcmp(base_name(known->headers.items[i]), name) == 0) return true;
  }
  return false;
}

void worker_each_dependent(Worker *self, const char *path,
                           void (*visit)(void *context, const char *source),
                           void *context) {
  const char *name = base_name(path);
  pthread_mutex_lock(&self->lock);
  for (size_t i = 0; i < self->known.capacity; i++) {
    if (self->known.entries[i].key == NULL) continue;
    const Known *known = self->known.entries[i].value;
    if (depends_on(known, name)) visit(context, known->path);
  }
  pthread_mutex_unlock(&self->lock);
}
