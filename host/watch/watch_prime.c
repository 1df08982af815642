// SPDX-License-Identifier: MIT
//
// What the host has loaded. Primes arrive from its threads in the mail, and
// wait in `primes` until a root has the file.

#include "watch/watch_inner.h"

#include <assert.h>
#include <string.h>

// The part of `path` below `folder`, or NULL.
static const char *below(const char *folder, const char *path) {
  assert(folder != NULL && path != NULL);
  size_t size = strlen(folder);
  if (strcmp(folder, "/") == 0) return path + 1;
  if (strncmp(folder, path, size) != 0 || path[size] != '/') return NULL;
  return path + size + 1;
}

// The file at `relative` below `dir`; made when its folder is there but it is
// not, because then it was deleted after the host had loaded it.
static File *find_file(Watch *self, Dir *dir, const char *relative) {
  for (;;) {
    const char *slash = strchr(relative, '/');
    if (slash == NULL) break;
    char name[PATH_ROOM];
    size_t size = (size_t)(slash - relative);
    if (size >= sizeof name) return NULL;
    memcpy(name, relative, size);
    name[size] = '\0';
    dir = map_find(&dir->dirs, name);
    if (dir == NULL || !dir->present) return NULL;
    relative = slash + 1;
  }
  File *file = map_find(&dir->files, relative);
  if (file != NULL && !file->dropped) return file;
  if (!file_wanted(self, dir, relative)) return NULL;
  if (file == NULL) file = file_new(self, dir, relative);
  if (file != NULL) file->dropped = false;
  return file;
}

// What is on the disk may be newer than what the host has.
static void compare(Watch *self, File *file) {
  if (file->state != FILE_IDLE) return;
  Take take = {0};
  file->probe = false;
  take_read(self, file, &take);
  bool same = take.result == TAKE_READ && take.size == file->size &&
              watch_hash(take.contents, take.size) == file->hash;
  same = same || (take.result == TAKE_EMPTY && file->size == 0);
  memory_free(&self->allocator, take.contents);
  if (same) {
    file->stamp = take.stamp;
    file->racy = take.racy;
  } else {
    file_touch(self, file,
               take.result == TAKE_MISSING ? TOUCH_GONE : TOUCH_FOUND);
  }
}

static bool apply(Watch *self, const Prime *prime) {
  bool applied = false;
  for (size_t i = 0; i < self->roots.count; i++) {
    Root *root = self->roots.items[i];
    if (root->dir == NULL || !root->dir->present) continue;
    const char *relative = below(root->folder, prime->path);
    if (relative == NULL) continue;
    File *file = find_file(self, root->dir, relative);
    if (file == NULL) continue;
    file->known = file->existed = true;
    file->hash = prime->hash;
    file->size = prime->size;
    compare(self, file);
    applied = true;
  }
  return applied;
}

void prime_free(Watch *self, Prime *prime) {
  memory_free(&self->allocator, prime->path);
  memory_free(&self->allocator, prime);
}

// The last word on a path replaces those before it.
static void keep(Watch *self, const Prime *prime) {
  Prime *old = map_remove(&self->primes, prime->path);
  if (old != NULL) prime_free(self, old);
  Prime *copy = memory_new(&self->allocator, sizeof *copy);
  if (copy != NULL) *copy = *prime;
  if (copy != NULL && map_set(&self->primes, copy->path, copy)) return;
  memory_free(&self->allocator, copy);
  memory_free(&self->allocator, prime->path);
  watch_memory_short(self);
}

static void take_mail(Watch *self) {
  uv_mutex_lock(&self->mail.lock);
  size_t count = self->mail.primes.count;
  Prime *primes = self->mail.primes.items;
  self->mail.primes.items = NULL;
  self->mail.primes.count = self->mail.primes.capacity = 0;
  uv_mutex_unlock(&self->mail.lock);
  for (size_t i = 0; i < count; i++) {
    if (apply(self, &primes[i]))
      memory_free(&self->allocator, primes[i].path);
    else
      keep(self, &primes[i]);
  }
  memory_free(&self->allocator, primes);
}

static void apply_kept(Watch *self) {
  for (size_t i = 0; i < self->primes.capacity; i++) {
    if (self->primes.entries[i].key == NULL) continue;
    Prime *prime = self->primes.entries[i].value;
    if (!apply(self, prime)) continue;
    map_remove(&self->primes, prime->path);
    prime_free(self, prime);
  }
}

void prime_apply_all(Watch *self) {
  if (self->primes_due) apply_kept(self);
  self->primes_due = false;
  take_mail(self);
}
