// SPDX-License-Identifier: MIT

#include "native/guard.h"

#include <assert.h>

#include "base/error.h"
#include "native/crash.h"
#include "native/guard_inner.h"
#include "native/machine.h"
#include "native/poke.h"

enum { STACK_UNKNOWN = 256 };

// --- Opening -----------------------------------------------------------------

static GraftStatus open_watchdog(Guard *self, GraftError *error) {
  if (self->desc.watchdog_ms <= 0) return GRAFT_OK;
  GraftStatus status = poke_open(error);
  if (status < 0) return status;
  self->watchdog = watchdog_new(&self->allocator, self->desc.watchdog_ms,
                                guard_on_late, self);
  if (self->watchdog != NULL) return GRAFT_OK;
  poke_close();
  return error_memory(error);
}

static void close_watchdog(Guard *self) {
  if (self->watchdog == NULL) return;
  watchdog_free(self->watchdog);
  self->watchdog = NULL;
  poke_close();
}

static GraftStatus open_signals(Guard *self, GraftError *error) {
  if (!guard_thread_init()) return error_memory(error);
  if (guard_thread_get() == NULL) {
    guard_thread_close();
    return error_memory(error);
  }
  if (!guard_signal_open(self)) {
    guard_thread_close();
    return error_set(error, GRAFT_EIO,
                     "too many engines with natives in one process");
  }
  crash_open(guard_on_crash);
  return GRAFT_OK;
}

GraftStatus guard_open(const GuardDesc *desc, Guard **guard,
                       GraftError *error) {
  *guard = NULL;
  Guard *self = memory_new(desc->allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = *desc->allocator;
  self->desc = *desc;
  self->host = pthread_self();
  gate_table_init(&self->gates, &self->allocator);
  GraftStatus status = open_watchdog(self, error);
  if (status == GRAFT_OK) status = open_signals(self, error);
  if (status < 0) {
    close_watchdog(self);
    memory_free(&self->allocator, self);
    return status;
  }
  pthread_mutex_init(&self->mutex, NULL);
  pthread_cond_init(&self->switched, NULL);
  *guard = self;
  return GRAFT_OK;
}

void guard_close(Guard *self) {
  if (self == NULL) return;
  assert(!self->switching);
  GraftAllocator allocator = self->allocator;
  crash_close();
  guard_thread_forget(self);
  guard_signal_close(self);
  close_watchdog(self);
  guard_thread_close();
  for (size_t i = 0; i < self->fns.count; i++) {
    memory_free(&allocator, self->fns.items[i]);
  }
  memory_free(&allocator, self->fns.items);
  gate_table_clear(&self->gates);
  pthread_cond_destroy(&self->switched);
  pthread_mutex_destroy(&self->mutex);
  memory_free(&allocator, self);
}

bool guard_is_supported(void) {
  return machine_is_known();
}

// --- Natives -----------------------------------------------------------------

GuardFn *guard_fn_new(Guard *self, const GuardFnDesc *desc) {
  GuardFn *fn = memory_new(&self->allocator, sizeof *fn);
  if (fn == NULL) return NULL;
  bool gated = !guard_is_supported() || gate_table_add(&self->gates, &fn->gate);
  GuardFn **place = gated ? ARRAY_PUSH(&self->allocator, &self->fns) : NULL;
  if (place == NULL) {
    memory_free(&self->allocator, fn); // the gate stays unused
    return NULL;
  }
  *place = fn;
  fn->vectors = guard_is_supported() ? machine_vectors() : 0;
  fn->guard = self;
  fn->owner = desc->owner;
  fn->cell = desc->cell;
  fn->lua = desc->lua;
  if (fn->gate.cell != NULL) {
    fn->gate.cell->owner = fn;
    atomic_store(&fn->gate.cell->code, guard_entry);
  }
  return fn;
}

void *guard_fn_owner(const GuardFn *self) {
  return self->owner;
}

GraftNative guard_fn_gate(const GuardFn *self) {
  return self->gate.entry;
}

GraftNative guard_fn_code(const GuardFn *self) {
  return atomic_load_explicit(&self->code, memory_order_acquire);
}

bool guard_fn_on_probation(const GuardFn *self) {
  return atomic_load_explicit(&self->probation, memory_order_acquire);
}

// Without code, the gate gives zero. Mutex held.
static bool needs_gate(const GuardFn *self) {
  return self->gate.cell != NULL &&
         (self->change != NULL || atomic_load(&self->probation) ||
          atomic_load(&self->code) == NULL);
}

GraftNative guard_fn_target(const GuardFn *self) {
  pthread_mutex_lock(&self->guard->mutex);
  GraftNative code = atomic_load(&self->code);
  bool gated = needs_gate(self);
  pthread_mutex_unlock(&self->guard->mutex);
  return gated ? self->gate.entry : code;
}

void guard_fn_set_gate(GuardFn *self) {
  if (self->gate.cell == NULL) return;
  atomic_store_explicit(&self->gate.cell->code,
                        needs_gate(self) ? guard_entry
                                         : atomic_load(&self->code),
                        memory_order_release);
}

// --- Switching ---------------------------------------------------------------

static void store_cell(GuardFn *fn, GraftNative code) {
  atomic_store_explicit(fn->cell, code, memory_order_release);
}

static void hold(GuardFn *fn, const GuardChange *change, GuardUndo *undo) {
  fn->change = change;
  guard_fn_set_gate(fn);
  undo->cell = atomic_load(fn->cell);
  if (!change->keep_cell && fn->gate.entry != NULL) {
    store_cell(fn, fn->gate.entry);
  }
}

GraftStatus guard_switch_begin(Guard *self, const GuardChange *changes,
                               size_t count, GraftError *error) {
  assert(!self->switching);
  GuardUndo *undo = memory_new(&self->allocator, count * sizeof *undo);
  if (undo == NULL) return error_memory(error);
  crash_refresh();
  pthread_mutex_lock(&self->mutex);
  self->changes = changes;
  self->change_count = count;
  self->undo = undo;
  self->switching = true;
  self->switcher = pthread_self();
  for (size_t i = 0; i < count; i++) {
    hold(changes[i].fn, &changes[i], &undo[i]);
  }
  pthread_mutex_unlock(&self->mutex);
  return GRAFT_OK;
}

static size_t stack_size_of(const GuardChange *change) {
  size_t size = change->stack_size != 0 ? change->stack_size : STACK_UNKNOWN;
  if (size > GUARD_STACK_MOST) size = GUARD_STACK_MOST;
  return (size + 15) / 16 * 16;
}

static void take(GuardFn *fn, const GuardChange *change) {
  atomic_store(&fn->code, change->code);
  fn->previous = change->previous;
  atomic_store(&fn->probation, change->probation && change->code != NULL &&
                                   fn->gate.cell != NULL);
  fn->stack_size = stack_size_of(change);
  fn->result_size = change->result_size;
  fn->fell_back = false;
  fn->crash_code = NULL;
}

// Mutex held. Lets go of those who wait.
static void end_switch(Guard *self) {
  self->switching = false;
  memory_free(&self->allocator, self->undo);
  self->undo = NULL;
  self->changes = NULL;
  self->change_count = 0;
  pthread_cond_broadcast(&self->switched);
}

// Whoever comes to a gate now waits for the mutex, so that a cell which is
// stored early never leads to new code before another function's old.
void guard_switch_commit(Guard *self) {
  pthread_mutex_lock(&self->mutex);
  assert(self->switching);
  for (size_t i = 0; i < self->change_count; i++) {
    take(self->changes[i].fn, &self->changes[i]);
    self->changes[i].fn->change = NULL;
  }
  for (size_t i = 0; i < self->change_count; i++) {
    GuardFn *fn = self->changes[i].fn;
    guard_fn_set_gate(fn);
    if (self->changes[i].keep_cell) continue;
    store_cell(fn, needs_gate(fn) ? fn->gate.entry : atomic_load(&fn->code));
  }
  end_switch(self);
  pthread_mutex_unlock(&self->mutex);
}

void guard_switch_cancel(Guard *self) {
  pthread_mutex_lock(&self->mutex);
  assert(self->switching);
  for (size_t i = 0; i < self->change_count; i++) {
    GuardFn *fn = self->changes[i].fn;
    fn->change = NULL;
    guard_fn_set_gate(fn);
    if (!self->changes[i].keep_cell) store_cell(fn, self->undo[i].cell);
  }
  end_switch(self);
  pthread_mutex_unlock(&self->mutex);
}

void guard_fn_set(GuardFn *self, GraftNative code, bool keep_cell) {
  Guard *guard = self->guard;
  pthread_mutex_lock(&guard->mutex);
  assert(self->change == NULL);
  take(self, &(GuardChange){.fn = self,
                            .code = code,
                            .stack_size = self->stack_size,
                            .result_size = self->result_size});
  guard_fn_set_gate(self);
  if (!keep_cell) store_cell(self, needs_gate(self) ? self->gate.entry : code);
  pthread_mutex_unlock(&guard->mutex);
}

// --- Crashes -----------------------------------------------------------------

void guard_add_crash(Guard *self, const GuardCrash *crash) {
  if (self->crash_count == GUARD_CRASHES) {
    self->crash_first = (self->crash_first + 1) % GUARD_CRASHES;
    self->crash_count--;
  }
  size_t at = (self->crash_first + self->crash_count++) % GUARD_CRASHES;
  self->crashes[at] = *crash;
}

bool guard_take_crash(Guard *self, GuardCrash *crash) {
  pthread_mutex_lock(&self->mutex);
  bool found = self->crash_count > 0;
  if (found) {
    *crash = self->crashes[self->crash_first];
    self->crash_first = (self->crash_first + 1) % GUARD_CRASHES;
    self->crash_count--;
  }
  pthread_mutex_unlock(&self->mutex);
  return found;
}

// --- Calls -------------------------------------------------------------------

bool guard_is_idle(Guard *self) {
  return atomic_load(&self->active) == 0;
}

GuardFn *guard_take_left(Guard *self) {
  GuardThread *thread = guard_thread_find();
  if (thread == NULL) return NULL;
  guard_thread_prune(thread, __builtin_frame_address(0));
  GuardFn *left = thread->left;
  if (left == NULL || left->guard != self) return NULL;
  thread->left = NULL;
  return left;
}
