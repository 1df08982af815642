// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine_native.h"
#include "vm/guarded.h"

// ---------------------------------------------------------------------------
// What guards ask
// ---------------------------------------------------------------------------

// The file as the user named it.
static const char *name_file(const NativeFile *file, const char *found) {
  bool same = found != NULL && file->absolute != NULL &&
              strcmp(found, file->absolute) == 0;
  return same ? file->path : found;
}

// Of the function's head, where nothing better is known.
static int line_of(const NativeObject *object, const ObjectFunction *function) {
  const ObjectFile *file = object->product->object;
  size_t count = object_function_count(file);
  for (size_t i = 0; object->lines != NULL && i < count; i++) {
    if (object_function(file, i) == function) return object->lines[i];
  }
  return 0;
}

static bool find_in(const NativeObject *object, const void *at,
                    GuardPlace *place) {
  LinkPlace found;
  if (!link_find(object->link, at, &found)) return false;
  *place =
      (GuardPlace){.name = found.function != NULL ? found.function->name : NULL,
                   .file = name_file(object->file, found.file),
                   .line = found.line};
  if (found.file == NULL && found.function != NULL) {
    place->file = object->file->path;
    place->line = line_of(object, found.function);
  }
  return true;
}

// In handlers of signals, on any thread: objects stay while readers are
// counted.
static bool find_place(void *context, const void *address, bool is_return,
                       GuardPlace *place) {
  Natives *self = context;
  if (address == NULL) return false;
  const char *at = address;
  if (is_return) at--;
  if (!region_contains(self->region, at)) return false;
  bool found = false;
  atomic_fetch_add(&self->readers, 1);
  for (const NativeObject *object = self->objects; object != NULL && !found;
       object = object->next) {
    found = find_in(object, at, place);
  }
  atomic_fetch_sub(&self->readers, 1);
  return found;
}

typedef struct Ranges {
  GuardVisit *visit;
  void *context;
} Ranges;

static void visit_range(void *context, void *address, size_t size) {
  const Ranges *self = context;
  self->visit(self->context, address, size);
}

static void each_range(void *context, GuardVisit *visit, void *visit_context) {
  Natives *self = context;
  Ranges ranges = {visit, visit_context};
  pthread_mutex_lock(&self->state_lock);
  storage_each_range(self->storage, visit_range, &ranges);
  pthread_mutex_unlock(&self->state_lock);
}

// In whatever state the process is after a crash: flags only.
static void noticed(void *context) {
  Natives *self = context;
  atomic_store(&self->crashed, true);
  atomic_store(&self->engine->pending, true);
}

static uint64_t script_depth(void *context) {
  const Natives *self = context;
  return guarded_depth(self->engine->vm);
}

static void lua_enter(void *context, void *L,
                      uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  guarded_enter(L, words);
}

static bool lua_can_resume(void *context, void *L,
                           const uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  return guarded_can_resume(L, words);
}

static void lua_resume(void *context, void *L,
                       const uintptr_t words[GUARD_LUA_WORDS]) {
  (void)context;
  guarded_resume(L, words);
}

GraftStatus natives_open_guard(Natives *self, GraftError *error) {
  return guard_open(&(GuardDesc){.allocator = self->allocator,
                                 .host = {.context = self,
                                          .place = find_place,
                                          .each_range = each_range,
                                          .noticed = noticed,
                                          .script_depth = script_depth,
                                          .lua_enter = lua_enter,
                                          .lua_can_resume = lua_can_resume,
                                          .lua_resume = lua_resume},
                                 .watchdog_ms = self->engine->desc.watchdog_ms,
                                 .on_error = self->engine->desc.on_error},
                    &self->guard, error);
}

GraftNative natives_target(void *context, const GraftFn *fn,
                           const Backing *backing) {
  const Natives *self = context;
  const NativeSymbol *symbol = fn->native;
  if (symbol == NULL || symbol->guard == NULL) return NULL;
  if (self->switching && backing->layer == LAYER_NATIVE) {
    return guard_fn_gate(symbol->guard);
  }
  GraftNative code = guard_fn_code(symbol->guard);
  // After a crash of its only version it has no code, and its gate gives zero.
  bool out = code == NULL && backing == slot_find_layer(fn, LAYER_NATIVE);
  if (code != backing->code && !out) return NULL;
  return guard_fn_target(symbol->guard);
}

// ---------------------------------------------------------------------------
// Crashes
// ---------------------------------------------------------------------------

// The version whose code a guard has put back.
static const Backing *find_code(const GraftFn *fn, GraftNative code) {
  for (int i = slot_history_count(fn); i > 0; i--) {
    const Backing *backing = slot_history(fn, i - 1);
    if (backing->kind != BACKING_SCRIPT && backing->code == code) {
      return backing;
    }
  }
  return NULL;
}

// The slot follows what the guard has done.
static void put_back(NativeSymbol *symbol) {
  const Backing *before = find_code(symbol->fn, guard_fn_code(symbol->guard));
  if (before == NULL ||
      slot_reinstate(symbol->fn, before->version, NULL) != GRAFT_OK) {
    return;
  }
  const char *name = symbol->function->symbol;
  NativeObject *object = before->owner;
  int index = object_find_function(object->product->object, name);
  if (index < 0) return;
  symbol->object = object;
  symbol->function = object_function(object->product->object, (size_t)index);
}

static GraftEventKind kind_of(GuardOutcome outcome) {
  return outcome == GUARD_WENT_BACK ? GRAFT_EVENT_REVERT : GRAFT_EVENT_CRASH;
}

static void emit_crash(Natives *self, const NativeSymbol *symbol,
                       const GuardCrash *crash) {
  char text[2048];
  size_t size = guard_crash_text(crash, text, sizeof text);
  if (crash->outcome == GUARD_GAVE_ZERO && size < sizeof text) {
    snprintf(text + size, sizeof text - size,
             "\n  it returned zero, and is out until its file is saved again");
  }
  const GuardPlace *place =
      crash->frame_count > 0 ? &crash->frames[0].place : NULL;
  engine_emit(
      self->engine,
      &(GraftEvent){
          .kind = kind_of(crash->outcome),
          .name = native_symbol_name(symbol),
          .file = place != NULL && place->file != NULL ? place->file
                                                       : symbol->file->path,
          .line = place != NULL && place->name != NULL ? place->line : 0,
          .message = text});
}

static void take_crashes(Natives *self) {
  GuardCrash crash;
  atomic_store(&self->crashed, false);
  while (guard_take_crash(self->guard, &crash)) {
    NativeSymbol *symbol = guard_fn_owner(crash.fn);
    emit_crash(self, symbol, &crash);
    if (crash.outcome == GUARD_NAMED) continue;
    symbol->kept_out = symbol->file->hash;
    if (crash.outcome == GUARD_WENT_BACK) put_back(symbol);
    slot_update_cell(symbol->fn);
  }
}

// ---------------------------------------------------------------------------
// Waiting for threads
// ---------------------------------------------------------------------------

GraftStatus native_tell_busy(NativeChange *self, const StacksAnswer *answer,
                             GraftError *error) {
  Natives *natives = self->natives;
  GuardPlace place = {0};
  if (answer->address != NULL) {
    find_place(natives, answer->address, true, &place);
  }
  if (answer->inside) {
    error_set(error, GRAFT_ERUN,
              "a layout has changed, and thread %d (%s) is in %s; the change "
              "waits until it is out",
              (int)answer->thread, answer->thread_name,
              place.name != NULL ? place.name : "a native");
  } else {
    error_set(error, GRAFT_ERUN,
              "a layout has changed, and a first call of new code has not "
              "returned; the change waits until it has");
  }
  if (!natives->told_busy) engine_notice(natives->engine, error->message);
  natives->told_busy = true;
  self->busy = true;
  atomic_store(&natives->engine->pending, true);
  return GRAFT_ERUN;
}

// ---------------------------------------------------------------------------
// Unloading
// ---------------------------------------------------------------------------

GraftStatus natives_ask(Natives *self, const StacksRange *ranges, size_t count,
                        StacksAnswer *answer, GraftError *error) {
  pid_t exempt[NATIVE_THREADS];
  pthread_mutex_lock(&self->engine->mutex);
  size_t exempt_count = self->thread_count;
  memcpy(exempt, self->threads, sizeof exempt);
  pthread_mutex_unlock(&self->engine->mutex);
  return stacks_ask(&(StacksDesc){.ranges = ranges,
                                  .count = count,
                                  .exempt = exempt,
                                  .exempt_count = exempt_count},
                    answer, error);
}

static bool is_garbage(const NativeObject *object) {
  return object->count == 0;
}

static bool is_empty_of_threads(Natives *self, const NativeObject *object) {
  LinkRange code = link_code(object->link);
  StacksRange range = {code.start, code.end};
  StacksAnswer answer = {0};
  return natives_ask(self, &range, 1, &answer, NULL) == GRAFT_OK &&
         !answer.inside;
}

// Asking all threads costs them something, so not at each safe point.
enum { COLLECT_MS = 200 };

static void collect(Natives *self) {
  uint64_t now = watch_now();
  if (now - self->collected_ns < (uint64_t)COLLECT_MS * 1000000) return;
  bool any = false;
  for (NativeObject *object = self->objects; object != NULL && !any;
       object = object->next) {
    any = is_garbage(object);
  }
  self->collected_ns = now;
  if (!any || !guard_is_idle(self->guard)) return;
  pthread_mutex_lock(&self->state_lock);
  NativeObject *next = NULL;
  for (NativeObject *object = self->objects; object != NULL; object = next) {
    next = object->next;
    if (is_garbage(object) && is_empty_of_threads(self, object)) {
      native_object_unload(self, object);
    }
  }
  pthread_mutex_unlock(&self->state_lock);
}

void natives_step(Natives *self) {
  if (self == NULL) return;
  if (atomic_load_explicit(&self->crashed, memory_order_relaxed)) {
    take_crashes(self);
  }
  // Calls that have raised or yielded are over; nobody is in them.
  guard_take_left(self->guard);
  natives_retry(self);
  collect(self);
}
