// SPDX-License-Identifier: MIT
//
// Stopping at an error (T4): asks the host, and looks after what is saved
// meanwhile, which waits until the script goes on.

#include <string.h>

#include "base/error.h"
#include "engine.h"

bool engine_on_break(void *context, GraftBreak *at, GraftRestart *restart) {
  GraftEngine *self = context;
  if (engine_is_busy(self) || self->desc.on_break == NULL) return false;
  const GraftError *error = graft_break_error(at);
  char message[1400];
  engine_place_message(error, message, sizeof message);
  self->stopped = true;
  engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_BREAK,
                                  .name = graft_break_name(at),
                                  .file = error->file,
                                  .line = error->line,
                                  .message = message});
  *restart = self->desc.on_break(self->desc.context, at);
  self->stopped = false;
  // A script that never returns was told of saves while it stood.
  if (atomic_load(&self->pending)) interrupt_send(self->vm);
  return true;
}

// A plan waits with others; only the newest of a file counts.
static bool is_newest(const Plan *newest, const Plan *plan) {
  while (newest != plan) {
    if (strcmp(newest->path, plan->path) == 0) return false;
    newest = newest->next;
  }
  return true;
}

// Whether it will change something that is loaded.
static bool is_change(GraftEngine *self, const Plan *plan) {
  const EngineFile *file = engine_find_file(self, plan->path);
  return file != NULL && file->script != NULL && plan->base != NULL;
}

// The watcher puts plans in front of those that are there, and only this thread
// takes them away: no lock is held while listeners are told.
int graft_break_poll(GraftBreak *at, int *broken) {
  GraftEngine *self = break_context(at);
  pthread_mutex_lock(&self->mutex);
  const Plan *newest = self->plans;
  pthread_mutex_unlock(&self->mutex);
  int waiting = 0;
  int refused = 0;
  for (const Plan *plan = newest; plan != NULL; plan = plan->next) {
    if (!is_newest(newest, plan) || !is_change(self, plan)) continue;
    waiting++;
    if (plan->status >= 0) continue;
    refused++;
    engine_reject(self, engine_find_file(self, plan->path), &plan->error,
                  plan->source_line);
  }
  if (broken != NULL) *broken = refused;
  return waiting;
}
