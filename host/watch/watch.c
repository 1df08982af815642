// SPDX-License-Identifier: MIT

#include "watch/watch.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "watch/watch_inner.h"

enum { DEBOUNCE_MS = 50, POLL_MS = 500, GRACE_MS = 1000 };

// A host that loads many files tells of one after the other; the thread does
// not wake for each.
enum { PRIMES_MS = 2 };

uint64_t watch_hash(const char *contents, size_t size) {
  return hash_bytes(HASH_EMPTY, contents, size);
}

uint64_t watch_now(void) {
  return uv_hrtime();
}

void watch_say(Watch *self, const char *format, ...) {
  if (self->desc.on_message == NULL) return;
  char text[PATH_ROOM + 256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  self->desc.on_message(self->desc.context, text);
}

// What could not be remembered or read is found by looking at everything again
// after a while.
void watch_look_again(Watch *self) {
  self->look_again = true;
  uint64_t again = uv_hrtime() + (uint64_t)GRACE_MS * 1000000u;
  if (self->deadline > again) self->deadline = again;
}

void watch_memory_short(Watch *self) {
  if (!self->look_again) watch_say(self, "out of memory while watching");
  watch_look_again(self);
}

// ---------------------------------------------------------------------------
// The thread
// ---------------------------------------------------------------------------

static void stop(Watch *self) {
  self->backend->close(self);
  uv_close((uv_handle_t *)&self->wake, NULL);
  uv_close((uv_handle_t *)&self->timer, NULL);
  uv_close((uv_handle_t *)&self->poll_timer, NULL);
  uv_close((uv_handle_t *)&self->prime_timer, NULL);
}

static void answer_calls(Watch *self) {
  for (;;) {
    uv_mutex_lock(&self->mail.lock);
    Call *call = self->mail.first;
    if (call != NULL) self->mail.first = call->next;
    uv_mutex_unlock(&self->mail.lock);
    if (call == NULL) return;
    call->run(self, call);
    uv_mutex_lock(&self->mail.lock);
    call->done = true;
    uv_cond_broadcast(&self->mail.answered);
    uv_mutex_unlock(&self->mail.lock);
  }
}

static void on_primes(uv_timer_t *handle) {
  Watch *self = handle->data;
  self->event_ns = uv_hrtime();
  prime_apply_all(self);
  settle_run(self);
}

static void on_wake(uv_async_t *handle) {
  Watch *self = handle->data;
  answer_calls(self);
  uv_mutex_lock(&self->mail.lock);
  bool closing = self->mail.close;
  bool primes = self->mail.primes.count > 0;
  uv_mutex_unlock(&self->mail.lock);
  if (closing) {
    stop(self);
    return;
  }
  self->event_ns = uv_hrtime();
  if (self->primes_due) {
    prime_apply_all(self);
  } else if (primes && !uv_is_active((uv_handle_t *)&self->prime_timer)) {
    uv_update_time(&self->loop);
    uv_timer_start(&self->prime_timer, on_primes, PRIMES_MS, 0);
  }
  settle_run(self);
}

static void run_thread(void *argument) {
  Watch *self = argument;
#ifdef __linux__
  pthread_setname_np(pthread_self(), "graft-watch"); // for debuggers and top
#endif
  uv_run(&self->loop, UV_RUN_DEFAULT);
}

// The host's signals are not for this thread; path_written relies on it.
static int start_thread(Watch *self) {
#ifndef _WIN32
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
  int code = uv_thread_create(&self->thread, run_thread, self);
#ifndef _WIN32
  pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
  return code;
}

// ---------------------------------------------------------------------------
// Opening and closing
// ---------------------------------------------------------------------------

static const Backend *choose_backend(const WatchDesc *desc) {
  if (desc->method == WATCH_POLL || desc->poll_ms > 0) return &backend_poll;
#ifdef __linux__
  if (desc->method != WATCH_EVENT) return &backend_inotify;
#endif
  return &backend_event;
}

static void free_all(Watch *self) {
  for (size_t i = 0; i < self->roots.count; i++) {
    root_free(self, self->roots.items[i]);
  }
  for (size_t i = 0; i < self->checks.count; i++) {
    memory_free(&self->allocator, self->checks.items[i].name);
  }
  for (size_t i = 0; i < self->primes.capacity; i++) {
    if (self->primes.entries[i].key == NULL) continue;
    prime_free(self, self->primes.entries[i].value);
  }
  for (size_t i = 0; i < self->mail.primes.count; i++) {
    memory_free(&self->allocator, self->mail.primes.items[i].path);
  }
  memory_free(&self->allocator, self->roots.items);
  memory_free(&self->allocator, self->checks.items);
  map_clear(&self->primes);
  memory_free(&self->allocator, self->mail.primes.items);
  memory_free(&self->allocator, self->relinks.items);
  memory_free(&self->allocator, self->pending.items);
  memory_free(&self->allocator, self->takes.items);
  memory_free(&self->allocator, self->extensions);
  GraftAllocator allocator = self->allocator;
  memory_free(&allocator, self);
}

static int open_loop(Watch *self) {
  int code = uv_loop_init(&self->loop);
  if (code != 0) return code;
  code = uv_async_init(&self->loop, &self->wake, on_wake);
  if (code != 0) {
    uv_loop_close(&self->loop);
    return code;
  }
  uv_timer_init(&self->loop, &self->timer);
  uv_timer_init(&self->loop, &self->poll_timer);
  uv_timer_init(&self->loop, &self->prime_timer);
  self->wake.data = self->timer.data = self;
  self->poll_timer.data = self->prime_timer.data = self;
  return 0;
}

static void close_loop(Watch *self) {
  uv_run(&self->loop, UV_RUN_DEFAULT);
  uv_loop_close(&self->loop);
  uv_cond_destroy(&self->mail.answered);
  uv_mutex_destroy(&self->mail.lock);
}

static Watch *new_watch(const WatchDesc *desc) {
  const GraftAllocator *allocator =
      desc->allocator != NULL ? desc->allocator : &memory_default;
  Watch *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = *allocator;
  self->desc = *desc;
  map_init(&self->primes, &self->allocator);
  const char *extensions = desc->extensions != NULL ? desc->extensions : "";
  self->extensions =
      memory_copy_string(allocator, extensions, strlen(extensions));
  if (self->extensions == NULL) {
    memory_free(allocator, self);
    return NULL;
  }
  int debounce = desc->debounce_ms > 0 ? desc->debounce_ms : DEBOUNCE_MS;
  int grace = desc->grace_ms > 0 ? desc->grace_ms : GRACE_MS;
  self->debounce_ns = (uint64_t)debounce * 1000000u;
  self->grace_ns = (uint64_t)grace * 1000000u;
  self->poll_ms = desc->poll_ms > 0 ? desc->poll_ms : POLL_MS;
  self->deadline = NEVER;
  self->inotify = -1;
  self->backend = choose_backend(desc);
  return self;
}

GraftStatus watch_open(const WatchDesc *desc, Watch **watch,
                       GraftError *error) {
  *watch = NULL;
  if (desc->on_batch == NULL) {
    return error_set(error, GRAFT_EARG, "watch_open needs on_batch");
  }
  Watch *self = new_watch(desc);
  if (self == NULL) return error_memory(error);
  int code = open_loop(self);
  if (code != 0) {
    free_all(self);
    return error_set(error, GRAFT_EIO, "cannot watch files: %s",
                     uv_strerror(code));
  }
  uv_mutex_init(&self->mail.lock);
  uv_cond_init(&self->mail.answered);
  if (self->backend->open(self) < 0) self->exhausted = true;
  code = start_thread(self);
  if (code != 0) {
    stop(self);
    close_loop(self);
    free_all(self);
    return error_set(error, GRAFT_EIO, "cannot start the watcher thread: %s",
                     uv_strerror(code));
  }
  *watch = self;
  return GRAFT_OK;
}

void watch_close(Watch *self) {
  if (self == NULL) return;
  uv_mutex_lock(&self->mail.lock);
  self->mail.close = true;
  uv_mutex_unlock(&self->mail.lock);
  uv_async_send(&self->wake);
  uv_thread_join(&self->thread);
  close_loop(self);
  free_all(self);
}

// ---------------------------------------------------------------------------
// Calls from other threads
// ---------------------------------------------------------------------------

// Has the watcher thread run `call`, and waits for it.
static void make_call(Watch *self, Call *call) {
  uv_thread_t here = uv_thread_self();
  if (uv_thread_equal(&here, &self->thread)) {
    call->run(self, call);
    uv_async_send(&self->wake);
    return;
  }
  uv_mutex_lock(&self->mail.lock);
  Call **end = &self->mail.first;
  while (*end != NULL) end = &(*end)->next;
  *end = call;
  uv_async_send(&self->wake);
  while (!call->done) uv_cond_wait(&self->mail.answered, &self->mail.lock);
  uv_mutex_unlock(&self->mail.lock);
}

static void run_add_root(Watch *self, Call *call) {
  self->event_ns = uv_hrtime();
  Root *root = root_add(self, call->path, call->error);
  call->root = root != NULL ? root->index : (int)GRAFT_ENOMEM;
}

int watch_add_root(Watch *self, const char *path, GraftError *error) {
  if (path == NULL || *path == '\0') {
    return error_set(error, GRAFT_EARG, "the path to watch is empty");
  }
  Call call = {.run = run_add_root, .path = path, .error = error};
  make_call(self, &call);
  return call.root;
}

GraftStatus watch_prime(Watch *self, const char *path, const char *contents,
                        size_t size) {
  Prime prime = {
      .path = path_absolute(&self->allocator, path),
      .hash = watch_hash(contents, size),
      .size = size,
  };
  if (prime.path == NULL) return GRAFT_ENOMEM;
  uv_mutex_lock(&self->mail.lock);
  bool first = self->mail.primes.count == 0;
  Prime *slot = ARRAY_PUSH(&self->allocator, &self->mail.primes);
  if (slot != NULL) *slot = prime;
  uv_mutex_unlock(&self->mail.lock);
  if (slot == NULL) {
    memory_free(&self->allocator, prime.path);
    return GRAFT_ENOMEM;
  }
  if (first) uv_async_send(&self->wake);
  return GRAFT_OK;
}

static int count_files(const Dir *dir) {
  int count = 0;
  for (size_t i = 0; i < dir->files.capacity; i++) {
    const File *file = dir->files.entries[i].value;
    if (dir->files.entries[i].key != NULL && !file->dropped) count++;
  }
  return count;
}

static void count_tree(const Dir *dir, WatchInfo *info) {
  if (!dir->present) return;
  info->folders++;
  info->files += count_files(dir);
  for (size_t i = 0; i < dir->dirs.capacity; i++) {
    if (dir->dirs.entries[i].key == NULL) continue;
    count_tree(dir->dirs.entries[i].value, info);
  }
}

static void run_list(Watch *self, Call *call) {
  if (call->root < 0 || (size_t)call->root >= self->roots.count) {
    call->root = -1;
    return;
  }
  const Root *root = self->roots.items[call->root];
  *call->info = (WatchInfo){
      .method = root->polled ? "polling" : self->backend->name,
      .exists = root->dir != NULL && root->dir->present,
  };
  snprintf(call->info->path, sizeof call->info->path, "%s", root->name);
  if (root->dir != NULL) count_tree(root->dir, call->info);
}

bool watch_list(Watch *self, int root, WatchInfo *info) {
  Call call = {.run = run_list, .root = root, .info = info};
  make_call(self, &call);
  return call.root >= 0;
}
