// SPDX-License-Identifier: MIT
//
// Worker: compiles native sources off the host's thread. Files that settled
// together are one job, and come back as one result when all of them are done,
// good or bad. The newest text wins: a file that is submitted again while it is
// still at work takes its whole job along into the new one, and compilers that
// run for nothing are stopped. A job may give two results: at once that of the
// fast tier (tier.h), then that of the user's compiler.
//
// A result of an unchanged text comes from the cache (cache.h), without a
// compiler. The worker knows no objects and no types: what is to be made of
// the compiled bytes off the host's thread is `prepare`'s.
//
// Traded away: priorities, and more than a few processes at once.
//
//   WorkerDesc desc = {.on_result = take, .prepare = read_object, …};
//   if (worker_open(&desc, &worker, &error) < 0) …
//   worker_submit(worker, sources, count, &job, &error);
//   … on_result(context, result) on a worker's thread; worker_result_free.

#ifndef GRAFT_NATIVE_WORKER_H
#define GRAFT_NATIVE_WORKER_H

#include "native/compiler.h"

typedef struct Worker Worker;

typedef enum WorkerTier {
  WORKER_OPTIMISED, // by the user's compiler
  WORKER_FAST,      // by libtcc: only what `functions` names is to be taken
} WorkerTier;

// ---------------------------------------------------------------------------
// Results
// ---------------------------------------------------------------------------

// One file of a result; all that it points to lives as long as the result.
typedef struct WorkerFile {
  const char *path; // as it was submitted
  const char *text; // what was compiled; "" if it could not be read
  size_t size;
  uint64_t hash; // of the text

  // GRAFT_OK, or as of compiler_run, and of `prepare`. `error.message` is one
  // sentence for the user, or the first error of the compiler; `output` is all
  // that the compiler wrote (N7), warnings of a success too, "" for nothing.
  GraftStatus status;
  GraftError error;
  const char *output;

  const char *object; // bytes of an ELF file; NULL unless GRAFT_OK
  size_t object_size;
  void *product; // what `prepare` made of it; the receiver may take it, and
                 // sets it to NULL then
  bool cached;   // no compiler ran

  const char *const *headers; // the user's, absolute, not the system's
  size_t header_count;

  // WORKER_FAST: the functions to take from the object. The first
  // `changed_count` have bodies that differ from `base`; the others call a
  // static one of these, which the code that they have now may contain. None:
  // nothing is to be taken, and there is no object.
  const char *const *functions;
  size_t function_count;
  size_t changed_count;

  uint64_t compile_ns; // that the compiler took, 0 if cached
  uint64_t prepare_ns; // that `prepare` took
} WorkerFile;

typedef struct WorkerResult {
  uint64_t job;
  WorkerTier tier;
  GraftStatus status; // GRAFT_OK, or of the first file that failed
  WorkerFile *files;  // in the order of submission; then those of older jobs
  size_t count;       // that it took along
  uint64_t submit_ns; // of CLOCK_MONOTONIC: when the newest part was submitted
  uint64_t ready_ns;  // when the last file was done
} WorkerResult;

// Any thread. NULL-safe.
void worker_result_free(WorkerResult *self);

// ---------------------------------------------------------------------------
// Opening and closing
// ---------------------------------------------------------------------------

// Zero is the default everywhere; only on_result is required.
typedef struct WorkerDesc {
  const GraftAllocator *allocator;

  // A job is done, or its fast tier is. The receiver owns `result`. Called on
  // the worker's threads, one at a time; may submit, not close. The fast result
  // of a job comes before the other, or not at all.
  void (*on_result)(void *context, WorkerResult *result);

  // One more file of a job is done; may be NULL. As on_result.
  void (*on_progress)(void *context, uint64_t job, size_t done, size_t count);

  // Makes something of a compiled file, on a worker's thread, several at a
  // time; sets file->product. A failure is the file's status; in the fast tier
  // (a function is not in the object, say) it means that there is no fast
  // result. May be NULL.
  GraftStatus (*prepare)(void *context, WorkerFile *file, WorkerTier tier,
                         GraftError *error);
  void (*free_product)(void *context, void *product);
  // One of the worker's threads has started, and this is it; may be NULL.
  void (*on_thread)(void *context);
  void *context; // of the five

  CompilerDesc compiler;
  const char *cache_folder; // NULL: $XDG_CACHE_HOME/graft or ~/.cache/graft;
                            // "": in memory only
  bool no_tcc;              // no fast tier
  int threads;              // compilers at a time; 0: 2
} WorkerDesc;

// Starts the threads, runs no compiler yet. GRAFT_EARG without on_result,
// GRAFT_ENOMEM, GRAFT_EIO. Any thread.
GraftStatus worker_open(const WorkerDesc *desc, Worker **worker,
                        GraftError *error);

// Stops the compilers, waits for a running callback, frees all. What was not
// done is not delivered; no process and no file is left. NULL-safe. Not from a
// callback.
void worker_close(Worker *self);

// ---------------------------------------------------------------------------
// Jobs
// ---------------------------------------------------------------------------

// Texts are copied.
typedef struct WorkerSource {
  const char *path;
  const char *root; // of the natives, for compile_flags.txt; may be NULL
  const char *text; // what the watcher read; NULL: what is there now
  size_t size;

  // The text that the functions now active were compiled from, if the fast
  // tier may be used; NULL: it may not (a header or a type has changed too).
  const char *base;
  size_t base_size;
  const char *checks; // for the fast tier, see tier.h; may be NULL
} WorkerSource;

// Submits what settled together, each path once. `job` (may be NULL) is the
// number that the result will have unless a newer job takes it along.
// GRAFT_ENOMEM, GRAFT_EARG (nothing to compile). Any thread.
GraftStatus worker_submit(Worker *self, const WorkerSource *sources,
                          size_t count, uint64_t *job, GraftError *error);

// Stops and drops what is at work for this file, because it is gone; the rest
// of its job goes on, and an empty job gives no result. Any thread.
void worker_forget(Worker *self, const char *path);

// Waits until nothing is at work or `milliseconds` have gone (negative: for
// ever); true when nothing is. Not from a callback.
bool worker_wait(Worker *self, int milliseconds);

// ---------------------------------------------------------------------------
// Headers
// ---------------------------------------------------------------------------

// Calls `visit` for each submitted file (its path as submitted) that includes
// the header at `path`, by its last compilation; one that failed may depend on
// any header, and so may one that includes another of the same file name. Any
// thread; `visit` may not call the worker.
void worker_each_dependent(Worker *self, const char *path,
                           void (*visit)(void *context, const char *source),
                           void *context);

#endif
