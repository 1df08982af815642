// SPDX-License-Identifier: MIT
//
// Worker, inside: for worker*.c alone.
//
// Two locks. `lock` guards all that is here and is held for moments. Whoever
// holds `delivery` finishes tasks and calls the host, so that calls come one at
// a time and in order; it is taken before `lock`, never after.

#ifndef GRAFT_NATIVE_WORKER_INNER_H
#define GRAFT_NATIVE_WORKER_INNER_H

#include <pthread.h>

#include "base/map.h"
#include "native/cache.h"
#include "native/worker.h"

enum { WORKER_THREADS_MOST = 16 };

typedef enum TaskState {
  TASK_WAITING,
  TASK_RUNNING,
  TASK_DONE,
} TaskState;

// One file to compile. Its texts never change, so that threads may read them
// while they hold the task. The result is its thread's while it runs, its job's
// when it is done.
typedef struct Task {
  int holders; // its job, and each thread that is at it
  TaskState state;
  bool dropped; // nobody wants its result any more
  ProcessStop stop;
  char *path;
  char *root; // or NULL
  char *text; // or NULL
  size_t size;
  char *base; // or NULL
  size_t base_size;
  char *checks;      // or NULL
  char *result_path; // a copy of `path`, for its result
  WorkerFile file;   // set when done; nothing of it is borrowed from the task
} Task;

typedef enum FastState {
  FAST_NONE,    // not wanted, or not any more
  FAST_WAITING, // for the thread of the fast tier
} FastState;

typedef struct Job {
  struct Job *next;
  uint64_t number;
  ARRAY(Task *) tasks;
  size_t done;
  FastState fast;
  uint64_t submit_ns;
  WorkerResult *result; // made in advance, so that a finished job cannot fail
} Job;

// A file that has been submitted, and what it includes.
typedef struct Known {
  char *path;
  ARRAY(char *) headers; // the user's, by its last compilation that succeeded
  bool failed;           // the last one did not
} Known;

struct Worker {
  const GraftAllocator *allocator;
  WorkerDesc desc;
  Compiler *compiler;
  Cache *cache;
  pthread_t threads[WORKER_THREADS_MOST];
  pthread_t fast_thread;
  int thread_count; // started
  bool has_fast_thread;

  pthread_mutex_t delivery;

  pthread_mutex_t lock;
  pthread_cond_t work; // something is to be done, or all is over
  pthread_cond_t idle; // nothing is
  bool closing;
  Job *jobs; // unfinished, oldest first
  uint64_t last_number;
  int delivering; // jobs that have left the list and are not yet told
  Map known;      // path → Known
};

uint64_t worker_now(void);

// --- worker_job.c ------------------------------------------------------------

// With the lock held.
void task_release(Worker *self, Task *task);
void task_hold(Task *task);
Task *worker_next_task(Worker *self); // held for the caller, running; or NULL
Job *worker_find_job(Worker *self, uint64_t number); // NULL: it is over
bool worker_unlink_job(Worker *self, const Job *job);
void job_free(Worker *self, Job *job); // NULL-safe
void worker_file_clear(Worker *self, WorkerFile *file);

// A result with room for `count` files, or NULL.
WorkerResult *worker_result_new(Worker *self, size_t count);

// --- worker_compile.c --------------------------------------------------------

// Compiles; fills `file`, which is not the task's yet.
void worker_compile(Worker *self, Task *task, WorkerFile *file);

// The text of a file, terminated, the caller's to free. GRAFT_EIO,
// GRAFT_ENOMEM.
GraftStatus worker_read_text(const Worker *self, const char *path, char **text,
                             size_t *size, GraftError *error);

// --- worker_fast.c -----------------------------------------------------------

void *worker_run_fast(void *worker);

// --- worker_header.c ---------------------------------------------------------

// With the lock held. What is lost for want of memory is that a header's change
// makes the file be compiled too often.
void worker_learn(Worker *self, const char *path, const WorkerFile *file);
void worker_unlearn(Worker *self, const char *path);

// Adds the paths of the user's headers that the file included. False when out
// of memory.
bool worker_list_headers(const Worker *self, const char *path, Flags *paths);
void worker_unlearn_all(Worker *self);

#endif
