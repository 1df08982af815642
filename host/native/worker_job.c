// SPDX-License-Identifier: MIT
//
// Jobs and tasks: submitting, taking along, dropping.

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "native/worker_inner.h"

// --- Tasks -------------------------------------------------------------------

void task_hold(Task *task) {
  task->holders++;
}

void task_release(Worker *self, Task *task) {
  if (--task->holders > 0) return;
  process_stop_close(&task->stop);
  worker_file_clear(self, &task->file);
  memory_free(self->allocator, task->path);
  memory_free(self->allocator, task->result_path);
  memory_free(self->allocator, task->root);
  memory_free(self->allocator, task->text);
  memory_free(self->allocator, task->base);
  memory_free(self->allocator, task->checks);
  memory_free(self->allocator, task);
}

static size_t length(const char *text) {
  return text != NULL ? strlen(text) : 0;
}

// False when out of memory; a NULL text is copied as NULL.
static bool copy(const Worker *self, const char *text, size_t size,
                 char **copied) {
  *copied =
      text != NULL ? memory_copy_string(self->allocator, text, size) : NULL;
  return text == NULL || *copied != NULL;
}

static Task *task_new(Worker *self, const WorkerSource *source,
                      GraftError *error) {
  Task *task = memory_new(self->allocator, sizeof *task);
  if (task == NULL) {
    error_memory(error);
    return NULL;
  }
  task->holders = 1;
  task->size = source->size;
  task->base_size = source->base_size;
  bool fine = process_stop_open(&task->stop, error) == GRAFT_OK;
  size_t size = strlen(source->path);
  if (fine &&
      !(copy(self, source->path, size, &task->path) &&
        copy(self, source->path, size, &task->result_path) &&
        copy(self, source->root, length(source->root), &task->root) &&
        copy(self, source->checks, length(source->checks), &task->checks) &&
        copy(self, source->text, source->size, &task->text) &&
        copy(self, source->base, source->base_size, &task->base))) {
    fine = false;
    error_memory(error);
  }
  if (fine) return task;
  task_release(self, task);
  return NULL;
}

// Nobody wants it any more. Who runs it will release it, too.
static void task_drop(Worker *self, Task *task) {
  task->dropped = true;
  if (task->state == TASK_RUNNING) process_stop_ask(&task->stop);
  task_release(self, task);
}

// The text that a task compiles, or did.
static bool has_text(const Task *task, const WorkerSource *source) {
  const char *text = task->state == TASK_DONE ? task->file.text : task->text;
  size_t size = task->state == TASK_DONE ? task->file.size : task->size;
  return text != NULL && source->text != NULL && size == source->size &&
         memcmp(text, source->text, size) == 0;
}

Task *worker_next_task(Worker *self) {
  for (Job *job = self->jobs; job != NULL; job = job->next) {
    for (size_t i = 0; i < job->tasks.count; i++) {
      Task *task = job->tasks.items[i];
      if (task->state != TASK_WAITING) continue;
      task->state = TASK_RUNNING;
      task_hold(task);
      return task;
    }
  }
  return NULL;
}

// --- Jobs --------------------------------------------------------------------

void job_free(Worker *self, Job *job) {
  if (job == NULL) return;
  assert(job->tasks.count == 0 || job->tasks.items != NULL);
  for (size_t i = 0; i < job->tasks.count; i++) {
    task_release(self, job->tasks.items[i]);
  }
  memory_free(self->allocator, job->tasks.items);
  worker_result_free(job->result);
  memory_free(self->allocator, job);
}

Job *worker_find_job(Worker *self, uint64_t number) {
  Job *job = self->jobs;
  while (job != NULL && job->number != number) job = job->next;
  return job;
}

bool worker_unlink_job(Worker *self, const Job *job) {
  for (Job **place = &self->jobs; *place != NULL; place = &(*place)->next) {
    if (*place != job) continue;
    *place = job->next;
    return true;
  }
  return false;
}

static Task **find_task(Job *job, const char *path) {
  for (size_t i = 0; i < job->tasks.count; i++) {
    if (strcmp(job->tasks.items[i]->path, path) == 0) {
      return &job->tasks.items[i];
    }
  }
  return NULL;
}

static bool shares_file(Job *job, const Job *other) {
  for (size_t i = 0; i < other->tasks.count; i++) {
    if (find_task(job, other->tasks.items[i]->path) != NULL) return true;
  }
  return false;
}

// How many tasks `job` would have with those of all unfinished jobs that it
// takes along.
static size_t count_with_others(const Worker *self, const Job *job) {
  size_t count = job->tasks.count;
  for (Job *other = self->jobs; other != NULL; other = other->next) {
    if (shares_file(other, job)) count += other->tasks.count;
  }
  return count;
}

// Puts an old task in its newer place if it compiles the same text, else
// drops it.
static void take_over(Worker *self, Job *job, Task **newer, Task *old) {
  Task *task = *newer;
  WorkerSource source = {.text = task->text, .size = task->size};
  if (!has_text(old, &source)) {
    task_drop(self, old);
    return;
  }
  *newer = old;
  job->done += old->state == TASK_DONE;
  task_release(self, task);
}

// Takes the files of an older job along, behind the others for now; there is
// room.
static void take_along(Worker *self, Job *job, Job *old) {
  for (size_t i = 0; i < old->tasks.count; i++) {
    Task *task = old->tasks.items[i];
    Task **newer = find_task(job, task->path);
    if (newer != NULL) {
      take_over(self, job, newer, task);
    } else {
      job->tasks.items[job->tasks.count++] = task;
      job->done += task->state == TASK_DONE;
    }
  }
  old->tasks.count = 0;
  worker_unlink_job(self, old);
  job_free(self, old);
}

// Adds the job to the list, together with older ones that share a file with
// it. False when out of memory, and then nothing has changed.
static bool enter(Worker *self, Job *job) {
  size_t count = count_with_others(self, job);
  if (!array_reserve(self->allocator, (void **)&job->tasks.items,
                     &job->tasks.capacity, count, sizeof(Task *))) {
    return false;
  }
  job->result = worker_result_new(self, count);
  if (job->result == NULL) return false;
  for (Job *old = self->jobs, *next; old != NULL; old = next) {
    next = old->next;
    if (shares_file(old, job)) take_along(self, job, old);
  }
  Job **end = &self->jobs;
  while (*end != NULL) end = &(*end)->next;
  *end = job;
  return true;
}

// The fast tier is worth it when all files of the job may use it.
static FastState fast_state(const Worker *self, const Job *job) {
  if (self->desc.no_tcc) return FAST_NONE;
  for (size_t i = 0; i < job->tasks.count; i++) {
    const Task *task = job->tasks.items[i];
    if (task->base == NULL || task->text == NULL) return FAST_NONE;
  }
  return FAST_WAITING;
}

static Job *job_new(Worker *self, const WorkerSource *sources, size_t count,
                    GraftError *error) {
  Job *job = memory_new(self->allocator, sizeof *job);
  if (job == NULL) {
    error_memory(error);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    Task *task = task_new(self, &sources[i], error);
    Task **place =
        task != NULL ? ARRAY_PUSH(self->allocator, &job->tasks) : NULL;
    if (place == NULL) {
      if (task != NULL) {
        task_release(self, task);
        error_memory(error);
      }
      job_free(self, job);
      return NULL;
    }
    *place = task;
  }
  job->submit_ns = worker_now();
  return job;
}

GraftStatus worker_submit(Worker *self, const WorkerSource *sources,
                          size_t count, uint64_t *number, GraftError *error) {
  if (count == 0) return error_set(error, GRAFT_EARG, "nothing to compile");
  GraftError reason;
  Job *job = job_new(self, sources, count, &reason);
  if (job == NULL) {
    if (error != NULL) *error = reason;
    return reason.status;
  }
  pthread_mutex_lock(&self->lock);
  bool entered = enter(self, job);
  if (entered) {
    job->number = ++self->last_number;
    job->fast = fast_state(self, job);
    if (number != NULL) *number = job->number;
    pthread_cond_broadcast(&self->work);
  } else {
    job_free(self, job);
  }
  pthread_mutex_unlock(&self->lock);
  return entered ? GRAFT_OK : error_memory(error);
}

// --- Forgetting --------------------------------------------------------------

static void remove_task(Worker *self, Job *job, size_t index) {
  Task *task = job->tasks.items[index];
  job->done -= task->state == TASK_DONE;
  job->tasks.count--;
  for (size_t i = index; i < job->tasks.count; i++) {
    job->tasks.items[i] = job->tasks.items[i + 1];
  }
  task_drop(self, task);
}

void worker_forget(Worker *self, const char *path) {
  pthread_mutex_lock(&self->lock);
  for (Job *job = self->jobs, *next; job != NULL; job = next) {
    next = job->next;
    Task **task = find_task(job, path);
    if (task == NULL) continue;
    remove_task(self, job, (size_t)(task - job->tasks.items));
    if (job->tasks.count > 0) continue;
    worker_unlink_job(self, job);
    job_free(self, job);
  }
  worker_unlearn(self, path);
  if (self->jobs == NULL && self->delivering == 0) {
    pthread_cond_broadcast(&self->idle);
  }
  pthread_cond_broadcast(&self->work); // what is left of a job may be done
  pthread_mutex_unlock(&self->lock);
}
