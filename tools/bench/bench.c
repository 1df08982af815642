// SPDX-License-Identifier: MIT

#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "graft.h"

enum { ROUNDS_LEAST = 7, ROUNDS_DEFAULT = 11, ROUNDS_MOST = 1001 };

static const double shortest_run = 0.02;
static const long most_operations = 1L << 30;

struct Bench {
  ARRAY(BenchCase) cases;
  const char **filters; // substrings of names, any of which picks a case
  int filter_count;
  int rounds;
  bool json;
  bool list;
  bool bare; // no line above the table
};

typedef struct BenchResult {
  double ours, baseline; // median seconds an operation
  double ratio;          // 0 without a baseline
} BenchResult;

static const char usage[] =
    "usage: bench-VM [options] [NAME...]\n"
    "\n"
    "Measures named cases, ours against a baseline, taken alternately.\n"
    "NAME picks the cases whose name contains it; none picks all.\n"
    "\n"
    "  --json       one JSON object a line for each case, times in ns\n"
    "  --list       names only\n"
    "  --rounds N   runs of each side, 7 at least (default 11); slow cases\n"
    "               take 7\n"
    "  --no-header  the table without the line above it\n"
    "  -h, --help   this\n"
    "\n"
    "Columns: the VM, the case, the median of ours and of the baseline for\n"
    "one operation, their ratio, and the aim: the largest ratio, or with a\n"
    "unit the largest median of ours. \"missed\" stands behind a case beyond\n"
    "its aim. The line below a case says what the baseline is.\n";

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void bench_begin(BenchRun *run) {
  run->started = now();
}

void bench_end(BenchRun *run) {
  run->seconds += now() - run->started;
  run->has_ended = true;
}

void bench_set_bytes(BenchRun *run, double bytes) {
  run->seconds = bytes * (double)run->count;
  run->has_ended = true;
}

void bench_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("bench: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

void bench_add(Bench *self, const BenchCase *added) {
  BenchCase *place = ARRAY_PUSH(&memory_default, &self->cases);
  if (place == NULL) bench_fail("out of memory");
  *place = *added;
}

// Seconds that `count` operations take.
static double take(BenchFunction *function, void *context, long count) {
  BenchRun run = {.count = count};
  run.started = now();
  function(context, &run);
  if (!run.has_ended) bench_end(&run);
  return run.seconds;
}

// How many operations the faster side takes shortest_run for. The first run
// warms up as well.
static long calibrate(const BenchCase *self, void *context) {
  if (self->count > 0) return self->count;
  for (long count = 1; count < most_operations; count *= 2) {
    double seconds = take(self->ours, context, count);
    if (self->baseline != NULL) {
      double other = take(self->baseline, context, count);
      if (other < seconds) seconds = other;
    }
    if (seconds >= shortest_run) return count;
  }
  return most_operations;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, compare);
  if (count % 2 == 1) return values[count / 2];
  return (values[count / 2 - 1] + values[count / 2]) / 2;
}

// The sides take turns in going first, so that neither profits from it.
static BenchResult measure(const BenchCase *self, void *context, int rounds) {
  if (self->rounds > 0) rounds = self->rounds;
  double ours[ROUNDS_MOST] = {0}, baseline[ROUNDS_MOST] = {0};
  long count = calibrate(self, context);
  for (int i = 0; i < rounds; i++) {
    bool first = i % 2 == 0;
    if (first) ours[i] = take(self->ours, context, count);
    if (self->baseline != NULL) {
      baseline[i] = take(self->baseline, context, count);
    }
    if (!first) ours[i] = take(self->ours, context, count);
  }
  BenchResult result = {.ours = median(ours, rounds) / (double)count};
  if (self->baseline != NULL) {
    result.baseline = median(baseline, rounds) / (double)count;
    result.ratio = result.ours / result.baseline;
  }
  return result;
}

// "1.25 ns", in the unit that suits.
static const char *time_text(double seconds, char buffer[24]) {
  const char *unit = seconds < 1e-6   ? "ns"
                     : seconds < 1e-3 ? "us"
                     : seconds < 1    ? "ms"
                                      : "s";
  double scale = seconds < 1e-6   ? 1e9
                 : seconds < 1e-3 ? 1e6
                 : seconds < 1    ? 1e3
                                  : 1;
  snprintf(buffer, 24, "%.3g %s", seconds * scale, unit);
  return buffer;
}

static const char *amount_text(const BenchCase *self, double amount,
                               char buffer[24]) {
  if (!self->bytes) return time_text(amount, buffer);
  snprintf(buffer, 24, "%.0f KB", amount / 1024);
  return buffer;
}

static bool is_met(const BenchCase *self, const BenchResult *result) {
  return (self->aim == 0 || result->ratio <= self->aim) &&
         (self->limit == 0 || result->ours <= self->limit);
}

static void print_row(const BenchCase *self, const BenchResult *result) {
  char ours[24], baseline[24] = "-", ratio[24] = "-", aim[24] = "-";
  if (self->baseline != NULL) {
    amount_text(self, result->baseline, baseline);
    snprintf(ratio, sizeof ratio, "%.2f", result->ratio);
  }
  if (self->limit > 0) {
    amount_text(self, self->limit, aim);
  } else if (self->aim > 0) {
    snprintf(aim, sizeof aim, "%.2f", self->aim);
  }
  printf("%-7s %-51s %10s %10s %7s %8s%s\n", graft_vm_name(), self->name,
         amount_text(self, result->ours, ours), baseline, ratio, aim,
         is_met(self, result) ? "" : "  missed");
  if (self->against != NULL) printf("          / %s\n", self->against);
}

static void print_string(const char *text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') putchar('\\');
    putchar(*text);
  }
  putchar('"');
}

static void print_json(const BenchCase *self, const BenchResult *result) {
  const char *unit = self->bytes ? "bytes" : "ns";
  double scale = self->bytes ? 1 : 1e9;
  printf("{\"vm\":\"%s\",\"name\":", graft_vm_name());
  print_string(self->name);
  if (self->against != NULL) {
    fputs(",\"against\":", stdout);
    print_string(self->against);
  }
  printf(",\"ours_%s\":%.3f", unit, result->ours * scale);
  if (self->baseline != NULL) {
    printf(",\"baseline_%s\":%.3f,\"ratio\":%.4f", unit,
           result->baseline * scale, result->ratio);
  }
  if (self->aim > 0) printf(",\"aim\":%.3f", self->aim);
  if (self->limit > 0) printf(",\"limit_%s\":%.3f", unit, self->limit * scale);
  printf(",\"met\":%s}\n", is_met(self, result) ? "true" : "false");
}

static bool is_picked(const Bench *self, const BenchCase *tested) {
  for (int i = 0; i < self->filter_count; i++) {
    if (strstr(tested->name, self->filters[i]) != NULL) return true;
  }
  return self->filter_count == 0;
}

static void run_case(Bench *bench, const BenchCase *self) {
  void *context = NULL;
  if (self->setup != NULL) {
    context = self->setup(self->param);
    if (context == NULL) {
      fprintf(stderr, "bench: \"%s\" is left out: what it needs is not here\n",
              self->name);
      return;
    }
  }
  BenchResult result = measure(self, context, bench->rounds);
  if (self->teardown != NULL) self->teardown(context);
  if (bench->json) {
    print_json(self, &result);
  } else {
    print_row(self, &result);
  }
  fflush(stdout);
}

static void run_cases(Bench *self) {
  if (!self->json && !self->list && !self->bare) {
    printf("%-7s %-51s %10s %10s %7s %8s\n", "VM", "case", "ours", "baseline",
           "ratio", "aim");
  }
  for (size_t i = 0; i < self->cases.count; i++) {
    const BenchCase *picked = &self->cases.items[i];
    if (!is_picked(self, picked)) continue;
    if (self->list) {
      puts(picked->name);
    } else {
      run_case(self, picked);
    }
  }
}

// False for wrong usage.
static bool read_options(Bench *self, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0) {
      self->json = true;
    } else if (strcmp(argv[i], "--list") == 0) {
      self->list = true;
    } else if (strcmp(argv[i], "--no-header") == 0) {
      self->bare = true;
    } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
      self->rounds = (int)strtol(argv[++i], NULL, 10);
    } else if (argv[i][0] == '-') {
      return false;
    } else {
      self->filters[self->filter_count++] = argv[i];
    }
  }
  return self->rounds >= ROUNDS_LEAST && self->rounds <= ROUNDS_MOST &&
         !(self->json && self->list);
}

int main(int argc, char **argv) {
  if (argc > 1 &&
      (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
    fputs(usage, stdout);
    return 0;
  }
  Bench bench = {.rounds = ROUNDS_DEFAULT};
  bench.filters =
      memory_new(&memory_default, (size_t)(argc + 1) * sizeof(const char *));
  if (bench.filters == NULL) return 1;
  int status = 0;
  if (read_options(&bench, argc, argv)) {
    bench_add_registry(&bench);
    bench_add_call(&bench);
    bench_add_state(&bench);
    bench_add_native(&bench);
    bench_add_live(&bench);
    bench_add_unit(&bench);
    bench_add_patch(&bench);
    bench_add_sweep(&bench);
    bench_add_view(&bench);
    bench_add_watch(&bench);
    run_cases(&bench);
  } else {
    fputs(usage, stderr);
    status = 2;
  }
  memory_free(&memory_default, bench.cases.items);
  memory_free(&memory_default, (void *)bench.filters);
  return status;
}
