// SPDX-License-Identifier: MIT
//
// Natives: from a saved text of 300 lines, in which one function changed, to an
// object that has been read, against the bare compiler's time for the same
// file.

#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "bench.h"
#include "native/dwarf_layout.h"
#include "native/object.h"
#include "native/tier.h"
#include "native/worker.h"

enum { FUNCTIONS = 26 }; // of eleven lines, with a struct and statics above

typedef struct Saver {
  char folder[64];
  char path[96];
  Worker *worker;
  Buffer text, base; // as saved, and as it was before
  int variant;
  WorkerTier awaited;
  pthread_mutex_t lock;
  pthread_cond_t told;
  int results; // of the awaited tier
} Saver;

// The texts of two variants differ in one number, in the middle.
static void make_text(Buffer *text, int variant) {
  text->size = 0;
  buffer_add_text(text, "#include <math.h>\n#include <stdio.h>\n"
                        "#include <stdlib.h>\n#include <string.h>\n\n"
                        "typedef struct Body {\n  double x, y, vx, vy;\n"
                        "  int hits;\n  char name[16];\n} Body;\n\n"
                        "static Body bodies[64];\nstatic int count = 3;\n");
  for (int i = 0; i < FUNCTIONS; i++) {
    buffer_format(
        text,
        "\ndouble world_step%d(Body *body, double time) {\n"
        "  static int calls;\n  double sum = 0;\n  calls++;\n"
        "  for (int i = 0; i < count; i++) {\n"
        "    const Body *other = &bodies[(i + %d) %% 64];\n"
        "    double dx = other->x - body->x, dy = other->y - body->y;\n"
        "    sum += sqrt(dx * dx + dy * dy) * time + %d;\n  }\n"
        "  if (body->hits > 9) snprintf(body->name, 16, \"b%%d\", calls);\n"
        "  body->vx += sum * time;\n  return sum;\n}\n",
        i, i, i == FUNCTIONS / 2 ? variant : 0);
  }
}

static void take_result(void *context, WorkerResult *result) {
  Saver *self = context;
  if (result->status < 0) {
    bench_fail("%s", result->files[0].error.message);
  }
  pthread_mutex_lock(&self->lock);
  self->results += result->tier == self->awaited;
  pthread_cond_signal(&self->told);
  pthread_mutex_unlock(&self->lock);
  worker_result_free(result);
}

static GraftStatus prepare(void *context, WorkerFile *file, WorkerTier tier,
                           GraftError *error) {
  (void)context;
  (void)tier;
  ObjectFile *object;
  GraftStatus status = object_read(&memory_default, file->path, file->object,
                                   file->object_size, &object, error);
  if (status == GRAFT_OK && object_has_debug(object)) {
    ObjectImage image;
    Layout layout;
    status = object_debug_image(object, &image, error);
    if (status == GRAFT_OK) {
      status = layout_read(&memory_default, image.bytes, image.size, file->path,
                           &layout, error);
      object_image_clear(object, &image);
    }
    if (status == GRAFT_OK) layout_clear(&layout);
  }
  if (status == GRAFT_OK) object_free(object);
  return status;
}

static void write_text(const Saver *self) {
  FILE *file = fopen(self->path, "w");
  if (file == NULL || fputs(buffer_text(&self->text), file) < 0 ||
      fclose(file) != 0) {
    bench_fail("cannot write %s", self->path);
  }
}

static void save(Saver *self) {
  make_text(&self->base, self->variant++);
  make_text(&self->text, self->variant);
  write_text(self);
}

static void submit(Saver *self, bool fast) {
  self->results = 0;
  self->awaited = fast ? WORKER_FAST : WORKER_OPTIMISED;
  WorkerSource source = {.path = self->path,
                         .text = self->text.text,
                         .size = self->text.size,
                         .base = fast ? self->base.text : NULL,
                         .base_size = fast ? self->base.size : 0};
  GraftError error;
  if (worker_submit(self->worker, &source, 1, NULL, &error) < 0) {
    bench_fail("%s", error.message);
  }
}

static void await(Saver *self) {
  pthread_mutex_lock(&self->lock);
  while (self->results == 0) pthread_cond_wait(&self->told, &self->lock);
  pthread_mutex_unlock(&self->lock);
}

static void *set_up(const void *param) {
  (void)param;
  Saver *self = memory_new(&memory_default, sizeof *self);
  if (self == NULL) return NULL;
  strcpy(self->folder, "/tmp/graft-bench-XXXXXX");
  if (mkdtemp(self->folder) == NULL) bench_fail("no folder");
  snprintf(self->path, sizeof self->path, "%s/world.c", self->folder);
  buffer_init(&self->text, &memory_default);
  buffer_init(&self->base, &memory_default);
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->told, NULL);
  WorkerDesc desc = {.on_result = take_result,
                     .prepare = prepare,
                     .context = self,
                     .cache_folder = "",
                     .compiler = {.cc = "cc", .cflags = "-O2"}};
  GraftError error;
  if (worker_open(&desc, &self->worker, &error) < 0) {
    bench_fail("%s", error.message);
  }
  save(self); // so that the compiler is known
  submit(self, false);
  await(self);
  return self;
}

static void *set_up_fast(const void *param) {
  return tier_available() ? set_up(param) : NULL;
}

static void tear_down(void *context) {
  Saver *self = context;
  worker_close(self->worker);
  unlink(self->path);
  rmdir(self->folder);
  buffer_clear(&self->text);
  buffer_clear(&self->base);
  memory_free(&memory_default, self);
}

static void take_optimised(void *context, BenchRun *run) {
  for (long i = 0; i < run->count; i++) {
    save(context);
    submit(context, false);
    await(context);
  }
}

// Each save is taken when the compiler has come to rest, as between saves of a
// user's.
static void take_fast(void *context, BenchRun *run) {
  Saver *self = context;
  double seconds = 0;
  for (long i = 0; i < run->count; i++) {
    BenchRun one = {.count = 1};
    bench_begin(&one);
    save(self);
    submit(self, true);
    await(self);
    bench_end(&one);
    seconds += one.seconds;
    worker_wait(self->worker, -1);
  }
  run->seconds = seconds;
  run->has_ended = true;
}

static void take_cached(void *context, BenchRun *run) {
  Saver *self = context;
  for (long i = 0; i < run->count; i++) {
    submit(self, false);
    await(self);
  }
}

static void compile_bare(void *context, BenchRun *run) {
  Saver *self = context;
  char *arguments[] = {"cc", "-O2", "-g",       "-fPIC", "-c",
                       "-o", NULL,  self->path, NULL};
  char object[sizeof self->path + 4];
  snprintf(object, sizeof object, "%s.o", self->path);
  arguments[6] = object;
  for (long i = 0; i < run->count; i++) {
    save(self);
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, "cc", NULL, NULL, arguments, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
      bench_fail("cc does not work");
    }
    unlink(object);
  }
}

void bench_add_native(Bench *self) {
  bench_add(self, &(BenchCase){
                      .name = "native: a save to its object, optimised",
                      .against = "the bare compiler, same file and flags",
                      .aim = 1.25,
                      .count = 1,
                      .ours = take_optimised,
                      .baseline = compile_bare,
                      .setup = set_up,
                      .teardown = tear_down,
                  });
  bench_add(self, &(BenchCase){
                      .name = "native: a save to its object, fast tier",
                      .limit = 0.005,
                      .count = 1,
                      .ours = take_fast,
                      .setup = set_up_fast,
                      .teardown = tear_down,
                  });
  bench_add(self, &(BenchCase){
                      .name = "native: an object from the cache",
                      .limit = 0.002,
                      .count = 1,
                      .ours = take_cached,
                      .setup = set_up,
                      .teardown = tear_down,
                  });
}
