// SPDX-License-Identifier: MIT
//
// Bench: named cases, each ours against a baseline, taken alternately in one
// run, since machines differ and drift; what counts is the ratio of the
// medians. Traded away: statistics beyond the median. There is one program for
// each VM; tools/bench/run builds both and shows their results together.

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
  const char *against;     // what the baseline is
  double aim;              // the largest ratio to the baseline; 0 for none
  double limit;            // the largest median of ours, in seconds; 0 for none
  long count;              // operations a run; 0: as many as take 20 ms
  int rounds;              // 0: as many as the user asks for
  bool bytes;              // what is measured are bytes: see bench_set_bytes
  BenchFunction *ours;     // `context` is what setup gave
  BenchFunction *baseline; // or NULL
  void *(*setup)(const void *param); // NULL from it skips the case, and says so
  void (*teardown)(void *context);   // or NULL
  const void *param;                 // for setup
} BenchCase;

typedef struct Bench Bench;

// For cases that measure memory, in place of the clock.
void bench_set_bytes(BenchRun *run, double bytes);

// Ends the program with a message: a case that does not do what it should is
// not to be measured.
_Noreturn void bench_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

// Adds a case; its strings must outlive the bench.
void bench_add(Bench *self, const BenchCase *added);

// The files of cases: each adds its own.
void bench_add_live(Bench *self);
void bench_add_native(Bench *self);
void bench_add_registry(Bench *self);
void bench_add_call(Bench *self);
void bench_add_state(Bench *self);
void bench_add_unit(Bench *self);
void bench_add_patch(Bench *self);
void bench_add_sweep(Bench *self);
void bench_add_view(Bench *self);
void bench_add_watch(Bench *self);

#endif
