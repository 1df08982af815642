// SPDX-License-Identifier: MIT

#include "loop.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "show.h"
#include "stop.h"

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// An error in one frame does not end the program: the next save may mend it.
static void call_update(Loop *self, double dt) {
  GraftError error;
  GraftStatus status = program_call(self->program, "update", &dt, &error);
  if (status == GRAFT_OK) self->shown[0] = '\0';
  if (status == GRAFT_OK || status == GRAFT_EREVERTED) return;
  if (strcmp(self->shown, error.message) == 0) return;
  snprintf(self->shown, sizeof self->shown, "%s", error.message);
  show_error(self->program->options, &error);
}

// Sleeps until the next frame, but wakes for changes.
static void wait_until(Loop *self, double time) {
  GraftEngine *engine = self->program->engine;
  while (!stop_asked() && !repl_ended(self->repl)) {
    double left = time - now();
    if (left <= 0) return;
    // Waits in steps, since a signal does not end the wait.
    double milliseconds = left > 0.05 ? 50 : left * 1000;
    if (graft_engine_wait(engine, milliseconds)) {
      graft_engine_update(engine, NULL);
    }
    repl_run(self->repl, engine);
  }
}

static void run_frames(Loop *self) {
  const Options *options = self->program->options;
  GraftEngine *engine = self->program->engine;
  double step = 1 / options->tick;
  double next = now();
  double last = next - step;
  for (long frame = 0; !stop_asked() && !repl_ended(self->repl) &&
                       (options->frames < 0 || frame < options->frames);
       frame++) {
    graft_engine_update(engine, NULL);
    repl_run(self->repl, engine);
    double time = now();
    call_update(self, time - last);
    last = time;
    next += step;
    if (next < now() - 0.25) next = now(); // does not catch up a long pause
    wait_until(self, next);
  }
}

// A program without update() ends when its script has, unless something is
// to be typed or its folder was asked to be watched.
static bool stays(const Loop *self) {
  const Options *options = self->program->options;
  return self->repl != NULL || (options->script == NULL &&
                                options->module == NULL && !options->no_watch);
}

void loop_run(Loop *self) {
  if (self->program->options->frames == 0) return;
  if (program_find(self->program, "update") == NULL && !stays(self)) return;
  stop_set_frames(true);
  run_frames(self);
  stop_set_frames(false);
}
