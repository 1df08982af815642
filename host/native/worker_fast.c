// SPDX-License-Identifier: MIT
//
// The thread of the fast tier. It works on a job beside the compilers, and
// tells only if every file of the job can be had fast, and if the compilers are
// not done before.

#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "native/source.h"
#include "native/tier.h"
#include "native/worker_inner.h"

// A job that is being worked on; the job itself may be gone at any time.
typedef struct FastRun {
  uint64_t number;
  uint64_t submit_ns;
  Task **tasks; // held
  size_t count;
  WorkerResult *result;
} FastRun;

// --- Starting and ending -----------------------------------------------------

static void clear(Worker *self, FastRun *run) {
  pthread_mutex_lock(&self->lock);
  for (size_t i = 0; i < run->count; i++) task_release(self, run->tasks[i]);
  pthread_mutex_unlock(&self->lock);
  memory_free(self->allocator, run->tasks);
  worker_result_free(run->result);
}

// Takes the job over, with the lock held. False when out of memory.
static bool start(Worker *self, Job *job, FastRun *run) {
  size_t count = job->tasks.count;
  job->fast = FAST_NONE;
  *run = (FastRun){.number = job->number, .submit_ns = job->submit_ns};
  run->tasks = memory_new(self->allocator, count * sizeof(Task *));
  run->result = worker_result_new(self, count);
  if (run->tasks == NULL || run->result == NULL) return false;
  for (size_t i = 0; i < count; i++) {
    run->tasks[i] = job->tasks.items[i];
    task_hold(run->tasks[i]);
  }
  run->count = count;
  return true;
}

static Job *find_waiting(const Worker *self) {
  Job *job = self->jobs;
  while (job != NULL && job->fast != FAST_WAITING) job = job->next;
  return job;
}

// --- One file ----------------------------------------------------------------

static GraftStatus trust_headers(Worker *self, const Task *task,
                                 GraftError *error) {
  Flags headers;
  flags_init(&headers, self->allocator);
  pthread_mutex_lock(&self->lock);
  bool listed = worker_list_headers(self, task->path, &headers);
  pthread_mutex_unlock(&self->lock);
  GraftStatus status = listed ? GRAFT_OK : error_memory(error);
  for (size_t i = 0; i < headers.words.count && status == GRAFT_OK; i++) {
    char *text;
    size_t size;
    status =
        worker_read_text(self, headers.words.items[i], &text, &size, error);
    if (status < 0) break;
    status = tier_trust_text(text, size, error);
    memory_free(self->allocator, text);
  }
  flags_clear(&headers);
  return status;
}

// Moves the names of the functions to replace into the file.
static bool set_functions(Worker *self, const SourceDifference *difference,
                          WorkerFile *file) {
  size_t count = difference->functions.count;
  const char **names =
      memory_new(self->allocator, (count + 1) * sizeof(char *));
  if (names == NULL) return false;
  file->functions = names;
  file->changed_count = difference->changed;
  for (size_t i = 0; i < count; i++) {
    const char *name = difference->functions.items[i];
    names[i] = memory_copy_string(self->allocator, name, strlen(name));
    if (names[i] == NULL) return false;
    file->function_count++;
  }
  return true;
}

static GraftStatus compare(Worker *self, const Task *task, WorkerFile *file,
                           GraftError *error) {
  SourceDifference difference;
  GraftStatus status =
      source_compare(self->allocator, (SourceText){task->base, task->base_size},
                     (SourceText){task->text, task->size}, &difference);
  if (status < 0) return error_memory(error);
  if (!difference.bodies_only) {
    status = error_set(error, GRAFT_ENOTFOUND, "more than bodies changed");
  } else if (!set_functions(self, &difference, file)) {
    status = error_memory(error);
  }
  source_difference_clear(&difference);
  return status;
}

static GraftStatus compile(Worker *self, const Task *task, WorkerFile *file,
                           GraftError *error) {
  Flags flags;
  flags_init(&flags, self->allocator);
  GraftStatus status =
      compiler_flags(self->compiler, task->path, task->root, &flags, error);
  if (status == GRAFT_OK) status = trust_headers(self, task, error);
  if (status == GRAFT_OK) {
    TierDesc desc = {.allocator = self->allocator,
                     .path = task->path,
                     .text = task->text,
                     .checks = task->checks,
                     .flags = &flags,
                     .directory = compiler_directory(self->compiler)};
    char *object = NULL;
    uint64_t started = worker_now();
    status = tier_compile(&desc, &object, &file->object_size, error);
    file->compile_ns = worker_now() - started;
    file->object = object;
  }
  flags_clear(&flags);
  return status;
}

static GraftStatus set_texts(Worker *self, const Task *task, WorkerFile *file,
                             GraftError *error) {
  file->path =
      memory_copy_string(self->allocator, task->path, strlen(task->path));
  file->text = memory_copy_string(self->allocator, task->text, task->size);
  file->output = memory_copy_string(self->allocator, "", 0);
  file->size = task->size;
  file->hash = hash_bytes(HASH_EMPTY, task->text, task->size);
  bool set = file->path != NULL && file->text != NULL && file->output != NULL;
  return set ? GRAFT_OK : error_memory(error);
}

// A file in which no body changed needs no object.
static GraftStatus make(Worker *self, const Task *task, WorkerFile *file) {
  GraftError *error = &file->error;
  GraftStatus status = compare(self, task, file, error);
  if (status == GRAFT_OK) status = set_texts(self, task, file, error);
  if (status < 0 || file->function_count == 0) return status;
  status = compile(self, task, file, error);
  if (status < 0 || self->desc.prepare == NULL) return status;
  uint64_t started = worker_now();
  status = self->desc.prepare(self->desc.context, file, WORKER_FAST, error);
  file->prepare_ns = worker_now() - started;
  return status;
}

// --- One job -----------------------------------------------------------------

// Whether all files could be had, and one of them is worth telling.
static bool make_all(Worker *self, FastRun *run) {
  WorkerResult *result = run->result;
  bool worth = false;
  for (size_t i = 0; i < run->count; i++) {
    WorkerFile *file = &result->files[result->count++];
    file->status = make(self, run->tasks[i], file);
    if (file->status < 0) return false;
    worth = worth || file->function_count > 0;
  }
  result->job = run->number;
  result->tier = WORKER_FAST;
  result->submit_ns = run->submit_ns;
  result->ready_ns = worker_now();
  return worth;
}

static void tell(Worker *self, FastRun *run) {
  pthread_mutex_lock(&self->delivery);
  pthread_mutex_lock(&self->lock);
  bool wanted = !self->closing && worker_find_job(self, run->number) != NULL;
  pthread_mutex_unlock(&self->lock);
  if (wanted) {
    WorkerResult *result = run->result;
    run->result = NULL;
    self->desc.on_result(self->desc.context, result);
  }
  pthread_mutex_unlock(&self->delivery);
}

void *worker_run_fast(void *worker) {
  Worker *self = worker;
#ifdef __linux__
  pthread_setname_np(pthread_self(), "graft-fast");
#endif
  if (self->desc.on_thread != NULL) self->desc.on_thread(self->desc.context);
  pthread_mutex_lock(&self->lock);
  while (!self->closing) {
    Job *job = find_waiting(self);
    if (job == NULL) {
      pthread_cond_wait(&self->work, &self->lock);
      continue;
    }
    FastRun run;
    bool started = start(self, job, &run);
    pthread_mutex_unlock(&self->lock);
    if (started && make_all(self, &run)) tell(self, &run);
    clear(self, &run);
    pthread_mutex_lock(&self->lock);
  }
  pthread_mutex_unlock(&self->lock);
  return NULL;
}
