// SPDX-License-Identifier: MIT

#include "loop.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "repl.h"
#include "show.h"
#include "stop.h"

// An error in one frame does not end the program: the next save may mend it.
static void call_update(Loop *self, double dt) {
  GraftError error;
  GraftStatus status = program_call(self->program, "update", &dt, &error);
  if (status == GRAFT_OK) self->shown[0] = '\0';
  if (status == GRAFT_OK || status == GRAFT_EREVERTED) return;
  if (strcmp(self->shown, error.message) == 0) return;
  snprintf(self->shown, sizeof self->shown, "%s", error.message);
  show_error(self->program, &error);
}

// Whether the user has ended the program, by a signal or at its prompt.
static bool is_over(const Loop *self) {
  return stop_asked() || (self->repl && lines_ended(self->program->lines));
}

static void run_typed(const Loop *self) {
  if (self->repl) repl_run(self->program);
}

// Sleeps until the next frame, but wakes for changes.
static void wait_until(Loop *self, double time) {
  GraftEngine *engine = self->program->engine;
  while (!is_over(self)) {
    double left = time - clock_now();
    if (left <= 0) return;
    // Waits in steps, since a signal does not end the wait.
    double milliseconds = left > 0.05 ? 50 : left * 1000;
    if (graft_engine_wait(engine, milliseconds)) {
      graft_engine_update(engine, NULL);
    }
    run_typed(self);
  }
}

// The time that the program stood at an error is none to the script.
static double take_pause(Program *program) {
  double paused = program->paused;
  program->paused = 0;
  return paused;
}

static void run_frames(Loop *self) {
  const Options *options = self->program->options;
  double step = 1 / options->tick;
  double next = clock_now();
  double last = next - step;
  for (long frame = 0;
       !is_over(self) && (options->frames < 0 || frame < options->frames);
       frame++) {
    graft_engine_update(self->program->engine, NULL);
    run_typed(self);
    last += take_pause(self->program);
    double time = clock_now();
    call_update(self, time - last);
    last = time;
    next += step;
    if (next < clock_now() - 0.25) next = clock_now(); // no catching up
    wait_until(self, next);
  }
}

// A program without update() ends when its script has, unless something is
// to be typed or its folder was asked to be watched.
static bool stays(const Loop *self) {
  const Options *options = self->program->options;
  return self->repl || (options->script == NULL && options->module == NULL &&
                        !options->no_watch);
}

void loop_run(Loop *self) {
  if (self->program->options->frames == 0) return;
  if (program_find(self->program, "update") == NULL && !stays(self)) return;
  if (self->repl) repl_begin(self->program);
  StopMode mode = stop_set_mode(STOP_FRAMES);
  run_frames(self);
  stop_set_mode(mode);
}
