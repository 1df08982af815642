// SPDX-License-Identifier: MIT
//
// Values, cleanups and conforming for hosts: what graft.reset, graft.defer and
// graft.conform are to scripts.

#include "base/error.h"
#include "engine.h"

GraftStatus graft_engine_reset(GraftEngine *engine, const char *name,
                               GraftError *error) {
  return vm_reset(engine->vm, name, error);
}

GraftStatus graft_engine_defer(GraftEngine *engine,
                               void (*callback)(void *context), void *context,
                               GraftError *error) {
  return vm_defer(engine->vm, callback, context, error);
}

GraftStatus graft_engine_old_code(GraftEngine *engine, const char *name,
                                  GraftOldCode *old, GraftError *error) {
  *old = (GraftOldCode){0};
  return vm_count_old(engine->vm, name, old, error);
}

// ---------------------------------------------------------------------------
// Conforming
// ---------------------------------------------------------------------------

static uint32_t active_version(const GraftFn *fn) {
  return fn->active != NULL ? fn->active->version : 0;
}

static void end_conforming(GraftEngine *self, const GraftFn *fn,
                           const void *context) {
  for (size_t i = 0; i < self->conformed.count; i++) {
    EngineConformed *one = &self->conformed.items[i];
    if (one->fn == fn && one->context == context) one->callback = NULL;
  }
}

GraftStatus graft_fn_conform(GraftFn *fn,
                             void (*callback)(void *context, GraftFn *fn),
                             void *context, GraftError *error) {
  GraftEngine *self = fn->registry->desc.context;
  if (callback == NULL) {
    end_conforming(self, fn, context);
    return GRAFT_OK;
  }
  EngineConformed *one = ARRAY_PUSH(&self->allocator, &self->conformed);
  if (one == NULL) return error_memory(error);
  *one = (EngineConformed){.fn = fn,
                           .callback = callback,
                           .context = context,
                           .told = active_version(fn)};
  return GRAFT_OK;
}

static void drop_ended(GraftEngine *self) {
  size_t kept = 0;
  for (size_t i = 0; i < self->conformed.count; i++) {
    EngineConformed one = self->conformed.items[i];
    if (one.callback != NULL) self->conformed.items[kept++] = one;
  }
  self->conformed.count = kept;
}

// Callbacks may add to the list, and end what is on it.
void engine_tell_conformed(GraftEngine *self) {
  if (self->conformed.count == 0 || self->telling_conformed) return;
  bool updating = self->updating;
  self->updating = self->telling_conformed = true;
  for (size_t i = 0; i < self->conformed.count; i++) {
    EngineConformed one = self->conformed.items[i];
    uint32_t version = active_version(one.fn);
    if (one.callback == NULL || one.told == version) continue;
    self->conformed.items[i].told = version;
    one.callback(one.context, one.fn);
  }
  drop_ended(self);
  self->updating = updating;
  self->telling_conformed = false;
}
