// SPDX-License-Identifier: MIT
//
// Bench: named cases, each ours against a baseline, taken alternately in one
// run, since machines differ and drift; what counts is the ratio of the
// medians. Traded away: statistics beyond the median.

#ifndef GRAFT_TOOLS_BENCH_H
#define GRAFT_TOOLS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

// One timed run of one side. The clock runs around the whole function, unless
// it calls bench_begin and bench_end around the part that counts.
typedef struct BenchRun {
  long count; // operations to do
  double seconds;
  double started;
  bool has_ended;
} BenchRun;

void bench_begin(BenchRun *run);
void bench_end(BenchRun *run);

typedef void BenchFunction(void *context, BenchRun *run);

typedef struct BenchCase {
  const char *name;
  const char *against; // what the baseline is
  // The largest ratio, or where there is no baseline the largest median in
  // seconds an operation; 0 for none.
  double aim;
  long count;              // operations a run; 0: as many as take 20 ms
  BenchFunction *ours;     // `context` is what setup gave
  BenchFunction *baseline; // or NULL
  void *(*setup)(void);    // or NULL; NULL from it skips the case, with a word
  void (*teardown)(void *context); // or NULL
} BenchCase;

typedef struct Bench Bench;

// Adds a case; its strings must outlive the bench.
void bench_add(Bench *self, const BenchCase *added);

// The files of cases: each adds its own.
void bench_add_registry(Bench *self);

#endif
