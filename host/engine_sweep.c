// SPDX-License-Identifier: MIT
//
// The sweep under a budget, from safe point to safe point.

#include "engine.h"

bool engine_spreads(const GraftEngine *self) {
  // A script that never returns has no frames to keep short, and perhaps no
  // other safe points.
  return self->desc.sweep_budget_us > 0 && !self->in_hook;
}

void engine_begin_safe_point(GraftEngine *self) {
  self->safe_point_ns = watch_now();
  if (self->desc.sweep_budget_us > 0) vm_rest_collector(self->vm);
}

void engine_end_safe_point(GraftEngine *self) {
  if (self->desc.sweep_budget_us > 0) vm_wake_collector(self->vm);
}

void engine_begin_sweep(GraftEngine *self, Patcher *patcher,
                        uint64_t spent_ns) {
  self->sweeping = patcher;
  self->sweep_notes = patcher_note_count(patcher);
  self->sweep_safe_points = 0;
  self->sweep_ns = spent_ns;
}

void engine_forget_sweep(GraftEngine *self) {
  patcher_free(self->sweeping);
  self->sweeping = NULL;
}

// Nobody finds the patcher here any more when others are told.
static void end(GraftEngine *self, const char *message) {
  Patcher *patcher = self->sweeping;
  self->sweeping = NULL;
  patcher_end_sweep(patcher);
  for (size_t i = self->sweep_notes; i < patcher_note_count(patcher); i++) {
    engine_emit_note(self, patcher_note(patcher, i));
  }
  engine_emit(self,
              &(GraftEvent){.kind = GRAFT_EVENT_SWEEP,
                            .count = (int)patcher_reference_count(patcher),
                            .safe_points = self->sweep_safe_points,
                            .sweep_ms = (double)self->sweep_ns / 1e6,
                            .message = message});
  patcher_free(patcher);
  self->sweep_safe_points = 0;
  self->sweep_ns = 0;
}

static uint64_t end_of_budget(const GraftEngine *self) {
  return self->safe_point_ns + (uint64_t)self->desc.sweep_budget_us * 1000;
}

// What a sweep has missed is told only if there is something.
static void sweep_remnants(GraftEngine *self) {
  uint64_t start = watch_now(), until = end_of_budget(self);
  if (start >= until) return;
  RemnantResult result = vm_sweep_remnants(self->vm, until - start);
  self->sweep_safe_points++;
  self->sweep_ns += watch_now() - start;
  if (!result.done) return;
  if (result.count > 0) {
    engine_emit(self,
                &(GraftEvent){.kind = GRAFT_EVENT_SWEEP,
                              .count = (int)result.count,
                              .safe_points = self->sweep_safe_points,
                              .sweep_ms = (double)self->sweep_ns / 1e6,
                              .message = result.at_once
                                             ? "references moved all the time"
                                             : NULL});
  }
  self->sweep_safe_points = 0;
  self->sweep_ns = 0;
}

bool engine_has_sweep(const GraftEngine *self) {
  return self->sweeping != NULL || vm_has_remnants(self->vm);
}

void engine_sweep(GraftEngine *self) {
  if (self->sweeping == NULL) {
    if (vm_has_remnants(self->vm)) sweep_remnants(self);
    return;
  }
  self->sweep_safe_points++;
  uint64_t start = watch_now();
  uint64_t until = end_of_budget(self);
  if (start >= until) return;
  bool done = false;
  GraftError error;
  GraftStatus status =
      patcher_sweep(self->sweeping, until - start, &done, &error);
  self->sweep_ns += watch_now() - start;
  if (status < 0) {
    // It is tried once more, and then let be.
    self->sweep_safe_points--;
    engine_end_sweep(self, error.message);
  } else if (done) {
    end(self, patcher_at_once(self->sweeping));
  }
}

void engine_end_sweep(GraftEngine *self, const char *why) {
  if (self->sweeping == NULL) return;
  self->sweep_safe_points++;
  uint64_t start = watch_now();
  GraftError error;
  GraftStatus status = patcher_sweep_rest(self->sweeping, &error);
  self->sweep_ns += watch_now() - start;
  if (status < 0) engine_emit_error(self, &error);
  end(self, why);
}
