// SPDX-License-Identifier: MIT
//
// What the programs that try the watcher share: a folder of their own, a
// watcher on it that records what it delivers, and ways of writing files.

#ifndef GRAFT_SPEC_WATCH_SUPPORT_H
#define GRAFT_SPEC_WATCH_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "watch/watch.h"

enum { SPEC_PATH = 512, SPEC_SECONDS = 30 };

// One delivered change; `batch` counts the batches from 0.
typedef struct Seen {
  WatchKind kind;
  int root, batch;
  char path[SPEC_PATH], relative[SPEC_PATH];
  char *contents;
  size_t size;
  uint64_t notice_ns, settled_ns, read_ns, seen_ns;
} Seen;

typedef struct Spec {
  Watch *watch;
  WatchDesc desc;
  char folder[SPEC_PATH]; // temporary; the present directory while it runs
  pthread_mutex_t lock;
  pthread_cond_t news;
  Seen *seen;
  int count, room, batches;
  char messages[64][SPEC_PATH];
  int message_count;
} Spec;

static inline void spec_sleep(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) {
  }
}

static inline void spec_on_batch(void *context, const WatchBatch *batch) {
  Spec *spec = context;
  uint64_t now = watch_now();
  pthread_mutex_lock(&spec->lock);
  for (size_t i = 0; i < batch->count; i++) {
    WatchChange *change = &batch->changes[i];
    if (spec->count == spec->room) {
      spec->room = spec->room ? spec->room * 2 : 64;
      spec->seen = realloc(spec->seen, (size_t)spec->room * sizeof(Seen));
    }
    Seen *seen = &spec->seen[spec->count++];
    *seen = (Seen){
        .kind = change->kind,
        .root = change->root,
        .batch = spec->batches,
        .contents = change->contents,
        .size = change->size,
        .notice_ns = change->notice_ns,
        .settled_ns = change->settled_ns,
        .read_ns = change->read_ns,
        .seen_ns = now,
    };
    change->contents = NULL; // kept, as a host may
    snprintf(seen->path, sizeof seen->path, "%s", change->path);
    snprintf(seen->relative, sizeof seen->relative, "%s", change->relative);
  }
  spec->batches++;
  pthread_cond_broadcast(&spec->news);
  pthread_mutex_unlock(&spec->lock);
}

static inline void spec_on_message(void *context, const char *text) {
  Spec *spec = context;
  pthread_mutex_lock(&spec->lock);
  if (spec->message_count < 64) {
    snprintf(spec->messages[spec->message_count++], SPEC_PATH, "%s", text);
  }
  pthread_cond_broadcast(&spec->news);
  pthread_mutex_unlock(&spec->lock);
}

static inline void spec_fatal(const char *what) {
  printf("FAIL set-up: %s: %s\n", what, strerror(errno));
  exit(1);
}

// A new folder, and a watcher without roots.
static inline void spec_open(Spec *spec, WatchDesc desc) {
  memset(spec, 0, sizeof *spec);
  pthread_mutex_init(&spec->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&spec->news, &attributes);
  pthread_condattr_destroy(&attributes);
  const char *base = getenv("TMPDIR");
  snprintf(spec->folder, sizeof spec->folder, "%s/graft-watch-XXXXXX",
           base != NULL ? base : "/tmp");
  if (mkdtemp(spec->folder) == NULL) spec_fatal("mkdtemp");
  if (chdir(spec->folder) != 0) spec_fatal("chdir");
  if (mkdir("root", 0755) != 0) spec_fatal("mkdir");
  desc.on_batch = spec_on_batch;
  desc.on_message = spec_on_message;
  desc.context = spec;
  if (desc.extensions == NULL) desc.extensions = ".lua .c";
  spec->desc = desc;
  GraftError error;
  if (watch_open(&desc, &spec->watch, &error) < 0) spec_fatal(error.message);
}

static inline int spec_add(Spec *spec, const char *path) {
  GraftError error;
  int root = watch_add_root(spec->watch, path, &error);
  if (root < 0) spec_fatal(error.message);
  return root;
}

static inline int spec_remove_one(const char *path, const struct stat *status,
                                  int type, struct FTW *place) {
  (void)status;
  (void)type;
  (void)place;
  return remove(path);
}

static inline void spec_remove_tree(const char *path) {
  nftw(path, spec_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void spec_close(Spec *spec) {
  watch_close(spec->watch);
  if (chdir("/") != 0) spec_fatal("chdir");
  spec_remove_tree(spec->folder);
  for (int i = 0; i < spec->count; i++) free(spec->seen[i].contents);
  free(spec->seen);
  pthread_cond_destroy(&spec->news);
  pthread_mutex_destroy(&spec->lock);
}

static inline int spec_mark(Spec *spec) {
  pthread_mutex_lock(&spec->lock);
  int count = spec->count;
  pthread_mutex_unlock(&spec->lock);
  return count;
}

static inline int spec_find_locked(const Spec *spec, int from, const char *path,
                                   int kind, const char *contents) {
  for (int i = from; i < spec->count; i++) {
    const Seen *seen = &spec->seen[i];
    if (strcmp(seen->path, path) != 0) continue;
    if (kind >= 0 && (int)seen->kind != kind) continue;
    if (contents != NULL &&
        (seen->contents == NULL || strcmp(seen->contents, contents) != 0)) {
      continue;
    }
    return i;
  }
  return -1;
}

static inline struct timespec spec_deadline(void) {
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += SPEC_SECONDS;
  return end;
}

// Waits for a change of this path, kind and contents (-1, NULL: any) after
// `from`; its index, or -1 after the time limit.
static inline int spec_wait(Spec *spec, int from, const char *path, int kind,
                            const char *contents) {
  struct timespec end = spec_deadline();
  pthread_mutex_lock(&spec->lock);
  int found;
  while ((found = spec_find_locked(spec, from, path, kind, contents)) < 0) {
    if (pthread_cond_timedwait(&spec->news, &spec->lock, &end) != 0) break;
  }
  pthread_mutex_unlock(&spec->lock);
  return found;
}

// How many changes of a path (NULL: any) came after `from`.
static inline int spec_changes(Spec *spec, int from, const char *path) {
  int count = 0;
  pthread_mutex_lock(&spec->lock);
  for (int i = from; i < spec->count; i++) {
    count += path == NULL || strcmp(spec->seen[i].path, path) == 0;
  }
  pthread_mutex_unlock(&spec->lock);
  return count;
}

static inline bool spec_wait_changes(Spec *spec, int from, int wanted) {
  struct timespec end = spec_deadline();
  pthread_mutex_lock(&spec->lock);
  while (spec->count - from < wanted) {
    if (pthread_cond_timedwait(&spec->news, &spec->lock, &end) != 0) break;
  }
  bool enough = spec->count - from >= wanted;
  pthread_mutex_unlock(&spec->lock);
  return enough;
}

// How many messages hold `part`; waits for `wanted` of them.
static inline int spec_messages(Spec *spec, const char *part, int wanted) {
  struct timespec end = spec_deadline();
  pthread_mutex_lock(&spec->lock);
  int count;
  for (;;) {
    count = 0;
    for (int i = 0; i < spec->message_count; i++) {
      count += strstr(spec->messages[i], part) != NULL;
    }
    if (count >= wanted) break;
    if (pthread_cond_timedwait(&spec->news, &spec->lock, &end) != 0) break;
  }
  pthread_mutex_unlock(&spec->lock);
  return count;
}

// ---------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------

static inline void spec_write_fd(int fd, const char *text) {
  if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
    spec_fatal("write");
  }
}

static inline int spec_open_file(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0) spec_fatal(path);
  return fd;
}

// Truncate, write, close.
static inline void spec_save(const char *path, const char *text) {
  int fd = spec_open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  spec_write_fd(fd, text);
  close(fd);
}

static inline void spec_save_format(const char *path, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void spec_save_format(const char *path, const char *format, ...) {
  char text[SPEC_PATH];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  spec_save(path, text);
}

static inline void spec_run(const char *command) {
  if (system(command) != 0) spec_fatal(command);
}

static inline void spec_rename(const char *from, const char *to) {
  if (rename(from, to) != 0) spec_fatal(from);
}

static inline void spec_mkdir(const char *path) {
  if (mkdir(path, 0755) != 0) spec_fatal(path);
}

// Writes a file and waits for it: whatever was noticed before has been
// delivered by then, unless it is held for a time.
static inline void spec_sentinel(Spec *spec) {
  static int count;
  char text[32];
  snprintf(text, sizeof text, "return %d", ++count);
  spec_save("root/sentinel.lua", text);
  if (spec_wait(spec, 0, "root/sentinel.lua", -1, text) < 0) {
    spec_fatal("the sentinel was not delivered");
  }
}

// Runs the cases once for each method, each in a process of its own and all at
// the same time, or only for the method that the command line names.
static inline int spec_each_method(int count, char **arguments,
                                   int (*run)(const char *method)) {
  static const char *const methods[] = {"", "events", "poll"};
  pid_t children[3];
  if (count > 1) return run(arguments[1]);
  for (int i = 0; i < 3; i++) {
    children[i] = fork();
    if (children[i] == 0) exit(run(methods[i]));
  }
  for (int i = 0; i < 3; i++) {
    char name[64];
    int status = 0;
    waitpid(children[i], &status, 0);
    snprintf(name, sizeof name, "all of it with %s",
             *methods[i] != '\0' ? methods[i] : "the system's best");
    CHECK(name, status == 0);
  }
  return check_status();
}

#endif
