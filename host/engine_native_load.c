// SPDX-License-Identifier: MIT

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"
#include "engine_native.h"

// ---------------------------------------------------------------------------
// Finding sources
// ---------------------------------------------------------------------------

typedef struct Sources {
  const GraftAllocator *allocator;
  ARRAY(char *) paths;
  int depth;
  bool failed;
} Sources;

enum { DEPTH_MOST = 32 }; // of folders; links may lead in circles

static bool is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void add_source(Sources *self, const char *path) {
  char **place = ARRAY_PUSH(self->allocator, &self->paths);
  char *copy = memory_copy_string(self->allocator, path, strlen(path));
  if (place != NULL) *place = copy;
  if (place != NULL && copy != NULL) return;
  if (place != NULL) self->paths.count--;
  memory_free(self->allocator, copy);
  self->failed = true;
}

static void add_below(Sources *self, const char *folder) {
  DIR *entries = opendir(folder);
  if (entries == NULL || self->depth == DEPTH_MOST) {
    if (entries != NULL) closedir(entries);
    return;
  }
  self->depth++;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    Buffer path;
    buffer_init(&path, self->allocator);
    if (strcmp(folder, ".") != 0) buffer_format(&path, "%s/", folder);
    buffer_add_text(&path, entry->d_name);
    self->failed |= path.failed;
    const char *text = buffer_text(&path);
    if (is_folder(text)) {
      add_below(self, text);
    } else if (native_is_source(text)) {
      add_source(self, text);
    }
    buffer_clear(&path);
  }
  self->depth--;
  closedir(entries);
}

static int compare(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

static void clear_sources(Sources *self) {
  for (size_t i = 0; i < self->paths.count; i++) {
    memory_free(self->allocator, self->paths.items[i]);
  }
  memory_free(self->allocator, self->paths.items);
}

// Those that are loaded already stay as they are.
static void drop_known(Sources *self, Natives *natives) {
  size_t kept = 0;
  for (size_t i = 0; i < self->paths.count; i++) {
    char *path = self->paths.items[i];
    if (natives_find_file(natives, path) == NULL) {
      self->paths.items[kept++] = path;
    } else {
      memory_free(self->allocator, path);
    }
  }
  self->paths.count = kept;
}

static void find_sources(Sources *self, const char *path) {
  if (is_folder(path)) {
    add_below(self, path);
  } else if (native_is_source(path)) {
    add_source(self, path);
  }
  if (self->paths.count == 0) return;
  qsort(self->paths.items, self->paths.count, sizeof *self->paths.items,
        compare);
}

bool natives_has_sources(const char *path) {
  Sources sources = {.allocator = &memory_default};
  find_sources(&sources, path);
  bool found = sources.paths.count > 0;
  clear_sources(&sources);
  return found;
}

// ---------------------------------------------------------------------------
// Loading
// ---------------------------------------------------------------------------

// The folder that was named, or that of the file.
static char *root_of(const GraftAllocator *allocator, const char *path) {
  const char *slash = strrchr(path, '/');
  if (is_folder(path)) return memory_copy_string(allocator, path, strlen(path));
  if (slash == NULL) return memory_copy_string(allocator, ".", 1);
  return memory_copy_string(allocator, path, (size_t)(slash - path));
}

static GraftStatus submit(Natives *self, const Sources *sources,
                          const char *root, GraftError *error) {
  GraftEngine *engine = self->engine;
  size_t count = sources->paths.count;
  NativeText *texts = memory_new(self->allocator, count * sizeof *texts);
  if (texts == NULL) return error_memory(error);
  GraftStatus status = GRAFT_OK;
  size_t filled = 0;
  for (; filled < count && status == GRAFT_OK; filled++) {
    NativeText *text = &texts[filled];
    text->path = sources->paths.items[filled];
    text->root = (char *)root;
    text->text = engine_read_file(engine, text->path, &text->size, error);
    if (text->text == NULL) {
      status = error->status;
    } else if (natives_add_file(self, text->path, root) == NULL) {
      status = error_memory(error);
    } else {
      engine_prime(engine, text->path, text->text, text->size);
    }
  }
  if (status == GRAFT_OK) status = natives_submit(self, texts, count, error);
  for (size_t i = 0; i < filled; i++) {
    memory_free(self->allocator, texts[i].text);
  }
  memory_free(self->allocator, texts);
  return status;
}

enum { PROGRESS_MS = 1000, INTERRUPT_MS = 20 };

static void tell_progress(Natives *self, size_t done, size_t count) {
  char text[100];
  snprintf(text, sizeof text, "compiling natives: %zu of %zu", done, count);
  engine_notice(self->engine, text);
}

void natives_interrupt(Natives *self) {
  if (self != NULL && atomic_load(&self->waiting)) {
    atomic_store(&self->interrupted, true);
  }
}

// False: there is nothing at work any more. A signal handler cannot wake
// anybody up, so the host looks now and then whether it was interrupted.
static bool wait_a_moment(Natives *self) {
  GraftEngine *engine = self->engine;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += INTERRUPT_MS * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&engine->mutex);
  if (self->hold.job != 0) {
    pthread_cond_timedwait(&engine->changed, &engine->mutex, &until);
  }
  bool at_work = self->hold.job != 0;
  pthread_mutex_unlock(&engine->mutex);
  return at_work;
}

// Waits for the compiler, and says so when it takes long. GRAFT_ERUN: it was
// interrupted.
static GraftStatus wait_for_job(Natives *self, GraftError *error) {
  GraftEngine *engine = self->engine;
  uint64_t told_ns = watch_now();
  self->progress_done = self->progress_count = 0;
  atomic_store(&self->interrupted, false);
  atomic_store(&self->waiting, true);
  while (!atomic_load(&self->interrupted) && wait_a_moment(self)) {
    natives_retry(self);
    if (watch_now() - told_ns < (uint64_t)PROGRESS_MS * 1000000) continue;
    told_ns = watch_now();
    pthread_mutex_lock(&engine->mutex);
    size_t done = self->progress_done;
    size_t count = self->progress_count;
    pthread_mutex_unlock(&engine->mutex);
    if (count > 0) tell_progress(self, done, count);
  }
  atomic_store(&self->waiting, false);
  if (!atomic_exchange(&self->interrupted, false)) return GRAFT_OK;
  return error_set(error, GRAFT_ERUN, "interrupted");
}

// One file as it is on disk; one that is gone counts as that.
static GraftStatus reload_file(Natives *self, const NativeFile *file,
                               GraftError *error) {
  GraftEngine *engine = self->engine;
  NativeText text = {.path = file->path, .root = file->root};
  text.text = engine_read_file(engine, file->path, &text.size, error);
  if (text.text == NULL) return error->status;
  engine_prime(engine, file->path, text.text, text.size);
  GraftStatus status = natives_submit(self, &text, 1, error);
  memory_free(self->allocator, text.text);
  return status;
}

void natives_reload(Natives *self, const char *path) {
  for (size_t i = 0; self != NULL && i < self->files.count; i++) {
    const NativeFile *file = self->files.items[i];
    if (path != NULL && strcmp(file->path, path) != 0) continue;
    GraftError error;
    GraftStatus status = reload_file(self, file, &error);
    if (status < 0 && status != GRAFT_ENOTFOUND) {
      engine_emit_error(self->engine, &error);
    }
  }
  GraftError error;
  if (self != NULL && wait_for_job(self, &error) < 0) {
    engine_emit_error(self->engine, &error);
  }
}

GraftStatus natives_load(Natives *self, const char *path, GraftError *error) {
  Sources sources = {.allocator = self->allocator};
  find_sources(&sources, path);
  drop_known(&sources, self);
  char *root = root_of(self->allocator, path);
  GraftStatus status =
      sources.failed || root == NULL ? error_memory(error) : GRAFT_OK;
  if (status == GRAFT_OK && sources.paths.count > 0) {
    status = submit(self, &sources, root, error);
    if (status == GRAFT_OK) status = wait_for_job(self, error);
    if (status == GRAFT_OK) {
      self->loading = true;
      engine_take_waiting(self->engine);
      self->loading = false;
    }
  }
  memory_free(self->allocator, root);
  clear_sources(&sources);
  return status;
}
