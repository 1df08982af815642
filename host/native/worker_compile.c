// SPDX-License-Identifier: MIT
//
// One file: its text, the cache, the compiler, what the host makes of it.

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "native/worker_inner.h"

// How often a file that changes while it is being compiled is tried.
enum { TRIES = 5 };

// --- Results -----------------------------------------------------------------

// A result and what frees it.
typedef struct OwnedResult {
  WorkerResult result; // first: what is handed out
  const GraftAllocator *allocator;
  void (*free_product)(void *context, void *product);
  void *context;
} OwnedResult;

WorkerResult *worker_result_new(Worker *self, size_t count) {
  OwnedResult *owned = memory_new(self->allocator, sizeof *owned);
  if (owned == NULL) return NULL;
  owned->allocator = self->allocator;
  owned->free_product = self->desc.free_product;
  owned->context = self->desc.context;
  owned->result.files =
      memory_new(self->allocator, count * sizeof *owned->result.files);
  if (owned->result.files != NULL) return &owned->result;
  memory_free(self->allocator, owned);
  return NULL;
}

// What a result shows when there is nothing to show; never freed.
static const char empty[] = "";

static void free_text(const GraftAllocator *allocator, const char *text) {
  if (text != empty) memory_free(allocator, (void *)text);
}

static void free_texts(const GraftAllocator *allocator,
                       const char *const *texts, size_t count) {
  for (size_t i = 0; i < count; i++) memory_free(allocator, (void *)texts[i]);
  memory_free(allocator, (void *)texts);
}

static void clear_file(const OwnedResult *owner, WorkerFile *file) {
  const GraftAllocator *allocator = owner->allocator;
  if (file->product != NULL && owner->free_product != NULL) {
    owner->free_product(owner->context, file->product);
  }
  free_text(allocator, file->path);
  free_text(allocator, file->text);
  free_text(allocator, file->output);
  memory_free(allocator, (void *)file->object);
  free_texts(allocator, file->headers, file->header_count);
  free_texts(allocator, file->functions, file->function_count);
  *file = (WorkerFile){0};
}

void worker_file_clear(Worker *self, WorkerFile *file) {
  OwnedResult owner = {.allocator = self->allocator,
                       .free_product = self->desc.free_product,
                       .context = self->desc.context};
  clear_file(&owner, file);
}

void worker_result_free(WorkerResult *self) {
  if (self == NULL) return;
  OwnedResult *owned = (OwnedResult *)self;
  const GraftAllocator *allocator = owned->allocator;
  for (size_t i = 0; i < self->count; i++) clear_file(owned, &self->files[i]);
  memory_free(allocator, self->files);
  memory_free(allocator, owned);
}

// --- The text ----------------------------------------------------------------

// A file's text, and when it was that.
typedef struct Text {
  char *bytes;
  size_t size;
  struct timespec changed;
  ino_t number;
} Text;

static GraftStatus read_bytes(const GraftAllocator *allocator, int descriptor,
                              const char *path, Text *text, GraftError *error) {
  Buffer buffer;
  buffer_init(&buffer, allocator);
  char bytes[4096];
  ssize_t got;
  while ((got = read(descriptor, bytes, sizeof bytes)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    buffer_add(&buffer, bytes, (size_t)got);
  }
  buffer_add(&buffer, "", 0);
  if (got == 0 && !buffer.failed) {
    text->bytes = buffer.text;
    text->size = buffer.size;
    return GRAFT_OK;
  }
  GraftStatus status = got < 0
                           ? error_set(error, GRAFT_EIO, "cannot read %s: %s",
                                       path, strerror(errno))
                           : error_memory(error);
  buffer_clear(&buffer);
  return status;
}

// Relative to the folder that the compiler runs in.
static int open_text(const Worker *self, const char *path) {
  if (*path == '/') return open(path, O_RDONLY | O_CLOEXEC);
  int folder = open(compiler_directory(self->compiler),
                    O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  int descriptor = openat(folder, path, O_RDONLY | O_CLOEXEC);
  close(folder);
  return descriptor;
}

static GraftStatus text_read(const Worker *self, const char *path, Text *text,
                             GraftError *error) {
  *text = (Text){0};
  int descriptor = open_text(self, path);
  struct stat state;
  GraftStatus status = GRAFT_OK;
  if (descriptor < 0 || fstat(descriptor, &state) != 0) {
    status = error_set(error, GRAFT_EIO, "cannot open %s: %s", path,
                       strerror(errno));
  } else {
    text->changed = state.st_ctim;
    text->number = state.st_ino;
    status = read_bytes(self->allocator, descriptor, path, text, error);
  }
  if (descriptor >= 0) close(descriptor);
  return status;
}

GraftStatus worker_read_text(const Worker *self, const char *path, char **text,
                             size_t *size, GraftError *error) {
  Text read;
  GraftStatus status = text_read(self, path, &read, error);
  *text = read.bytes;
  *size = read.size;
  return status;
}

static void text_clear(const Worker *self, Text *text) {
  memory_free(self->allocator, text->bytes);
  *text = (Text){0};
}

static bool text_equal(const Text *a, const Text *b) {
  assert(a->bytes != NULL && b->bytes != NULL); // both were read
  return a->number == b->number && a->changed.tv_sec == b->changed.tv_sec &&
         a->changed.tv_nsec == b->changed.tv_nsec && a->size == b->size &&
         memcmp(a->bytes, b->bytes, a->size) == 0;
}

// --- Compiling ---------------------------------------------------------------

// Moves the user's headers from `output` into `file`.
static void take_headers(Worker *self, CompilerOutput *output,
                         WorkerFile *file) {
  size_t kept = 0;
  for (size_t i = 0; i < output->headers.count; i++) {
    char *path = output->headers.items[i];
    if (compiler_is_system_header(self->compiler, path)) {
      memory_free(self->allocator, path);
    } else {
      output->headers.items[kept++] = path;
    }
  }
  file->headers = (const char *const *)output->headers.items;
  file->header_count = kept;
  output->headers.items = NULL;
  output->headers.count = 0;
}

static void take_output(Worker *self, CompilerOutput *output,
                        WorkerFile *file) {
  file->object = output->object;
  file->object_size = output->object_size;
  file->output = output->text;
  file->compile_ns = output->nanoseconds;
  output->object = NULL;
  output->text = NULL;
  take_headers(self, output, file);
}

static void set_text(WorkerFile *file, Text *text) {
  file->text = text->bytes;
  file->size = text->size;
  file->hash = hash_bytes(HASH_EMPTY, text->bytes, text->size);
  text->bytes = NULL;
}

// Compiles what the file holds while the compiler runs. GRAFT_EIO after too
// many changes.
static GraftStatus compile_text(Worker *self, const CompilerRun *run,
                                Text *text, CompilerOutput *output,
                                GraftError *error) {
  for (int i = 0; i < TRIES; i++) {
    GraftStatus status = text_read(self, run->path, text, error);
    if (status < 0) return status;
    uint64_t key = compiler_key(self->compiler, run, text->bytes, text->size);
    if (cache_find(self->cache, key, output)) return GRAFT_OK;
    CacheMoment moment = cache_now();
    status = compiler_run(self->compiler, run, output, error);
    Text after;
    bool readable = text_read(self, run->path, &after, NULL) == GRAFT_OK;
    bool same = readable && text_equal(text, &after);
    text_clear(self, &after);
    if (same && status == GRAFT_OK && !cache_is_dated(text->bytes)) {
      cache_add(self->cache, key, moment, output);
    }
    if (same || status == GRAFT_ERUN) return status;
    compiler_output_clear(output);
    text_clear(self, text);
  }
  return error_set(error, GRAFT_EIO,
                   "%s changes faster than it can be compiled", run->path);
}

static GraftStatus compile_with(Worker *self, const CompilerRun *run,
                                WorkerFile *file, GraftError *error) {
  CompilerOutput output = {.allocator = self->allocator};
  Text text = {0};
  GraftStatus status = compile_text(self, run, &text, &output, error);
  if (text.bytes != NULL) set_text(file, &text);
  take_output(self, &output, file);
  file->cached = status == GRAFT_OK && file->compile_ns == 0;
  compiler_output_clear(&output);
  return status;
}

static GraftStatus compile(Worker *self, const Task *task, WorkerFile *file,
                           GraftError *error) {
  GraftStatus status = compiler_probe(self->compiler, &task->stop, error);
  if (status < 0) return status;
  Flags flags;
  flags_init(&flags, self->allocator);
  status =
      compiler_flags(self->compiler, task->path, task->root, &flags, error);
  if (status == GRAFT_OK) {
    CompilerRun run = {task->path, &flags, &task->stop};
    status = compile_with(self, &run, file, error);
  }
  flags_clear(&flags);
  return status;
}

void worker_compile(Worker *self, Task *task, WorkerFile *file) {
  file->path = task->result_path;
  task->result_path = NULL;
  GraftStatus status = compile(self, task, file, &file->error);
  if (file->text == NULL) file->text = empty;
  if (file->output == NULL) file->output = empty;
  if (status == GRAFT_OK && self->desc.prepare != NULL) {
    uint64_t started = worker_now();
    status = self->desc.prepare(self->desc.context, file, WORKER_OPTIMISED,
                                &file->error);
    file->prepare_ns = worker_now() - started;
  }
  file->status = status;
}
