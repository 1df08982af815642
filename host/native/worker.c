// SPDX-License-Identifier: MIT
//
// The threads, and what they tell the host.

#include "native/worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "native/tier.h"
#include "native/worker_inner.h"

enum { THREADS_DEFAULT = 2 };

uint64_t worker_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// --- Finishing ---------------------------------------------------------------

// How far a job is.
typedef struct Progress {
  uint64_t job;
  size_t done;
  size_t count;
} Progress;

// Moves the files of a job that is done into its result.
static WorkerResult *take_result(Worker *self, Job *job) {
  WorkerResult *result = job->result;
  job->result = NULL;
  result->job = job->number;
  result->tier = WORKER_OPTIMISED;
  result->status = GRAFT_OK;
  result->submit_ns = job->submit_ns;
  result->ready_ns = worker_now();
  result->count = job->tasks.count;
  for (size_t i = 0; i < job->tasks.count; i++) {
    WorkerFile *file = &job->tasks.items[i]->file;
    if (result->status == GRAFT_OK) result->status = file->status;
    result->files[i] = *file;
    *file = (WorkerFile){0};
  }
  job_free(self, job);
  return result;
}

static Job *job_of(const Worker *self, const Task *task) {
  for (Job *job = self->jobs; job != NULL; job = job->next) {
    for (size_t i = 0; i < job->tasks.count; i++) {
      if (job->tasks.items[i] == task) return job;
    }
  }
  return NULL;
}

// Gives a task its result. False when nobody wants it.
static bool finish_task(Worker *self, Task *task, WorkerFile *file,
                        Progress *progress) {
  Job *job = job_of(self, task);
  bool wanted = job != NULL && !task->dropped && !self->closing;
  if (wanted) {
    worker_learn(self, task->path, file);
    task->file = *file;
    task->state = TASK_DONE;
    job->done++;
    *progress = (Progress){job->number, job->done, job->tasks.count};
  } else {
    worker_file_clear(self, file);
  }
  task_release(self, task);
  return wanted;
}

static Job *find_ripe(const Worker *self) {
  Job *job = self->jobs;
  while (job != NULL && job->done < job->tasks.count) job = job->next;
  return job;
}

// Tells the host of all jobs that are done. With `delivery` held.
static void tell_ripe(Worker *self) {
  pthread_mutex_lock(&self->lock);
  for (Job *job; !self->closing && (job = find_ripe(self)) != NULL;) {
    worker_unlink_job(self, job);
    WorkerResult *result = take_result(self, job);
    self->delivering++;
    pthread_mutex_unlock(&self->lock);
    self->desc.on_result(self->desc.context, result);
    pthread_mutex_lock(&self->lock);
    self->delivering--;
  }
  if (self->jobs == NULL && self->delivering == 0) {
    pthread_cond_broadcast(&self->idle);
  }
  pthread_mutex_unlock(&self->lock);
}

static void finish(Worker *self, Task *task, WorkerFile *file) {
  Progress progress;
  pthread_mutex_lock(&self->delivery);
  pthread_mutex_lock(&self->lock);
  bool wanted = finish_task(self, task, file, &progress);
  pthread_mutex_unlock(&self->lock);
  if (wanted && self->desc.on_progress != NULL) {
    self->desc.on_progress(self->desc.context, progress.job, progress.done,
                           progress.count);
  }
  tell_ripe(self);
  pthread_mutex_unlock(&self->delivery);
}

// --- Threads -----------------------------------------------------------------

// Does one thing, if there is one to do. With the lock held, but not all the
// time.
static bool work(Worker *self) {
  if (find_ripe(self) != NULL) { // what kept it from being done was forgotten
    pthread_mutex_unlock(&self->lock);
    pthread_mutex_lock(&self->delivery);
    tell_ripe(self);
    pthread_mutex_unlock(&self->delivery);
    pthread_mutex_lock(&self->lock);
    return true;
  }
  Task *task = worker_next_task(self);
  if (task == NULL) return false;
  pthread_mutex_unlock(&self->lock);
  WorkerFile file = {0};
  worker_compile(self, task, &file);
  finish(self, task, &file);
  pthread_mutex_lock(&self->lock);
  return true;
}

static void *run_thread(void *argument) {
  Worker *self = argument;
#ifdef __linux__
  pthread_setname_np(pthread_self(), "graft-compile");
#endif
  if (self->desc.on_thread != NULL) self->desc.on_thread(self->desc.context);
  pthread_mutex_lock(&self->lock);
  while (!self->closing) {
    if (!work(self)) pthread_cond_wait(&self->work, &self->lock);
  }
  pthread_mutex_unlock(&self->lock);
  return NULL;
}

// The host's signals are not for these threads.
static int start_threads(Worker *self) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int code = 0;
  while (self->thread_count < self->desc.threads && code == 0) {
    code = pthread_create(&self->threads[self->thread_count], NULL, run_thread,
                          self);
    if (code == 0) self->thread_count++;
  }
  if (code == 0 && !self->desc.no_tcc) {
    code = pthread_create(&self->fast_thread, NULL, worker_run_fast, self);
    self->has_fast_thread = code == 0;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return code;
}

static GraftStatus set_up(Worker *self, GraftError *error) {
  GraftStatus status =
      compiler_new(&self->desc.compiler, &self->compiler, error);
  if (status == GRAFT_OK) {
    status = cache_new(self->allocator, self->desc.cache_folder, &self->cache,
                       error);
  }
  if (status < 0) return status;
  int code = start_threads(self);
  if (code == 0) return GRAFT_OK;
  return error_set(error, GRAFT_EIO, "no thread for compilers: %s",
                   strerror(code));
}

GraftStatus worker_open(const WorkerDesc *desc, Worker **worker,
                        GraftError *error) {
  *worker = NULL;
  if (desc->on_result == NULL) {
    return error_set(error, GRAFT_EARG, "a worker needs on_result");
  }
  const GraftAllocator *allocator =
      desc->allocator != NULL ? desc->allocator : &memory_default;
  Worker *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = allocator;
  self->desc = *desc;
  self->desc.compiler.allocator = allocator;
  self->desc.no_tcc = desc->no_tcc || !tier_available();
  if (desc->threads <= 0) self->desc.threads = THREADS_DEFAULT;
  if (desc->threads > WORKER_THREADS_MOST) {
    self->desc.threads = WORKER_THREADS_MOST;
  }
  map_init(&self->known, allocator);
  pthread_mutex_init(&self->delivery, NULL);
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->work, NULL);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&self->idle, &monotonic);
  pthread_condattr_destroy(&monotonic);
  GraftStatus status = set_up(self, error);
  if (status < 0) {
    worker_close(self);
  } else {
    *worker = self;
  }
  return status;
}

static void stop_threads(Worker *self) {
  pthread_mutex_lock(&self->lock);
  self->closing = true;
  for (Job *job = self->jobs; job != NULL; job = job->next) {
    for (size_t i = 0; i < job->tasks.count; i++) {
      process_stop_ask(&job->tasks.items[i]->stop);
    }
  }
  pthread_cond_broadcast(&self->work);
  pthread_mutex_unlock(&self->lock);
  for (int i = 0; i < self->thread_count; i++) {
    pthread_join(self->threads[i], NULL);
  }
  if (self->has_fast_thread) pthread_join(self->fast_thread, NULL);
}

void worker_close(Worker *self) {
  if (self == NULL) return;
  stop_threads(self);
  while (self->jobs != NULL) {
    Job *job = self->jobs;
    self->jobs = job->next;
    job_free(self, job);
  }
  worker_unlearn_all(self);
  compiler_free(self->compiler);
  cache_free(self->cache);
  pthread_mutex_destroy(&self->delivery);
  pthread_mutex_destroy(&self->lock);
  pthread_cond_destroy(&self->work);
  pthread_cond_destroy(&self->idle);
  memory_free(self->allocator, self);
}

// --- Waiting -----------------------------------------------------------------

static struct timespec deadline(int milliseconds) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  time.tv_sec += milliseconds / 1000;
  time.tv_nsec += (long)(milliseconds % 1000) * 1000000;
  if (time.tv_nsec >= 1000000000) {
    time.tv_sec++;
    time.tv_nsec -= 1000000000;
  }
  return time;
}

bool worker_wait(Worker *self, int milliseconds) {
  struct timespec until = deadline(milliseconds < 0 ? 0 : milliseconds);
  int code = 0;
  pthread_mutex_lock(&self->lock);
  while ((self->jobs != NULL || self->delivering > 0) && code != ETIMEDOUT) {
    code = milliseconds < 0
               ? pthread_cond_wait(&self->idle, &self->lock)
               : pthread_cond_timedwait(&self->idle, &self->lock, &until);
  }
  bool idle = self->jobs == NULL && self->delivering == 0;
  pthread_mutex_unlock(&self->lock);
  return idle;
}
