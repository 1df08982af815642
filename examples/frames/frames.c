// SPDX-License-Identifier: MIT
//
// A host with a frame loop and threads of its own. The workers call a native,
// natives/heat.c, through a typed handle, all the time, also while it is being
// replaced; the frame loop takes changes and calls a script. Start it here,
// then edit natives/heat.c and scripts/main.lua. Ctrl-C ends it.

#include <graft.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { WORKERS = 3, FRAMES_PER_SECOND = 60 };

static volatile sig_atomic_t stopped; // by Ctrl-C
static atomic_bool finished;          // told to the workers

// --- The workers -----------------------------------------------------------

typedef double HeatStep(double temperature, double dt);

// `step` is what graft_fn_typed gave, good for the engine's life. The code in
// it changes at a safe point, so that it is loaded anew for each call.
typedef struct Worker {
  pthread_t thread;
  GraftNative const *step;
  _Atomic double temperature;
} Worker;

static void *work(void *context) {
  Worker *self = context;
  double temperature = 90;
  while (!atomic_load(&finished)) {
    HeatStep *step = (HeatStep *)GRAFT_LOAD(self->step);
    temperature = step(temperature, 0.01);
    atomic_store(&self->temperature, temperature);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return NULL;
}

static double mean_temperature(Worker *workers) {
  double sum = 0;
  for (int i = 0; i < WORKERS; i++) sum += atomic_load(&workers[i].temperature);
  return sum / WORKERS;
}

// --- The frame loop --------------------------------------------------------

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// A call with values, for what has no C type of its own. New code that raises
// is put back, which on_event has told already; any other error is shown.
static void call_frame(GraftFn *frame, double temperature) {
  GraftError error;
  GraftValue arg = {.type = GRAFT_NUMBER, .as.number = temperature};
  GraftValue result = {.type = GRAFT_NIL};
  GraftCall call = {
      .args = &arg, .arg_count = 1, .results = &result, .result_capacity = 1};
  GraftStatus status = graft_fn_call(frame, &call, &error);
  if (status < 0 && status != GRAFT_EREVERTED) {
    fprintf(stderr, "%s\n", error.message);
  } else if (result.type == GRAFT_STRING) {
    puts(result.as.string.text); // valid until the next call
    fflush(stdout);
  }
}

static void run_frames(GraftEngine *engine, Worker *workers) {
  GraftFn *frame = graft_engine_fn(engine, "main.frame");
  double next = now();
  while (!stopped) {
    graft_engine_update(engine, NULL); // saved files take effect here
    call_frame(frame, mean_temperature(workers));
    next += 1.0 / FRAMES_PER_SECOND;
    double left = next - now();
    // Sleeps, but a change that comes in meanwhile begins the next frame.
    if (left > 0) graft_engine_wait(engine, left * 1000);
  }
}

// --- Around it -------------------------------------------------------------

static void on_event(void *context, const GraftEvent *event) {
  (void)context;
  if (event->kind == GRAFT_EVENT_MOVE || event->kind == GRAFT_EVENT_WATCH) {
    return;
  }
  char text[4096];
  graft_event_text(event, text, sizeof text);
  fprintf(stderr, "%s\n", text);
}

static void on_signal(int number) {
  (void)number;
  stopped = 1;
}

// The C files in a watched folder are compiled, and are natives.
static GraftStatus start(GraftEngine *engine, GraftError *error) {
  GraftStatus status = graft_engine_watch(engine, "natives", error);
  if (status == GRAFT_OK) status = graft_engine_watch(engine, "scripts", error);
  return status == GRAFT_OK ? graft_engine_require(engine, "main", error)
                            : status;
}

static void run(GraftEngine *engine, GraftNative const *step) {
  Worker workers[WORKERS];
  for (int i = 0; i < WORKERS; i++) {
    workers[i].step = step;
    atomic_init(&workers[i].temperature, 90);
    pthread_create(&workers[i].thread, NULL, work, &workers[i]);
  }
  run_frames(engine, workers);
  atomic_store(&finished, true);
  for (int i = 0; i < WORKERS; i++) pthread_join(workers[i].thread, NULL);
}

int main(void) {
  GraftEngine *engine = NULL;
  GraftError error;
  GraftNative const *step = NULL;
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  if (graft_engine_open(&(GraftEngineDesc){.on_event = on_event}, &engine,
                        &error) == GRAFT_OK &&
      start(engine, &error) == GRAFT_OK) {
    step = graft_fn_typed(graft_engine_fn(engine, "heat.step"),
                          "double(double, double)", &error);
  }
  if (step != NULL) {
    run(engine, step);
  } else {
    fprintf(stderr, "%s:%d: %s\n", error.file, error.line, error.message);
  }
  // Natives are unloaded here: no thread may be in one any more.
  graft_engine_close(engine);
  return step != NULL ? 0 : 1;
}
