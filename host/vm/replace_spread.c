// SPDX-License-Identifier: MIT
//
// Replacing under a budget: what is near at once, with the transaction, and the
// rest step by step after it.

#include <string.h>

#include "base/error.h"
#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/conform.h"
#include "vm/patcher_state.h"

// Levels of tables below a module, and below the registry, which holds the
// modules; passes after which the rest is done at once.
enum { NEAR_DEPTH = 2, PASSES_MOST = 8 };

// ---------------------------------------------------------------------------
// Whether it can be
// ---------------------------------------------------------------------------

// A captured variable of which Graft has a copy alone: which closure has the
// true one, only a walk over all tells.
static bool is_unknown(const Script *script, int variable) {
  return script->unit->variables[variable].captured &&
         script->cell_states[variable] != CELL_TRUE;
}

static bool has_unknown(const Script *script) {
  for (int i = 0; i < script->unit->variable_count; i++) {
    if (is_unknown(script, i)) return true;
  }
  return false;
}

// Whether new code of the definition needs such a variable from elsewhere than
// from the closure that it replaces.
static bool gains_unknown(const PatchedFile *file, int definition) {
  const Diff *diff = file->patch.diff;
  const Definition *now = &diff->new_unit->definitions[definition];
  const Definition *before =
      &diff->old_unit->definitions[diff->definition_old[definition]];
  for (uint32_t i = 0; i < now->capture_count; i++) {
    int variable = now->captures[i].variable;
    if (variable >= 0) variable = diff->variable_old[variable];
    if (variable >= 0 && !definition_captures(before, variable) &&
        is_unknown(file->patch.script, variable)) {
      return true;
    }
  }
  return false;
}

static bool needs_unknown(const PatchedFile *file) {
  const Diff *diff = file->patch.diff;
  if (!has_unknown(file->patch.script)) return false;
  if (diff->run_count + diff->removed_count > 0) return true;
  for (int i = 0; i < diff->new_unit->definition_count; i++) {
    if (file->rework[i] && gains_unknown(file, i)) return true;
  }
  return false;
}

// A variable of an enclosing function that a closure gains is with another
// closure, anywhere.
static bool gains_enclosing(const PatchedFile *file) {
  const Diff *diff = file->patch.diff;
  const GraftUnit *unit = diff->new_unit;
  if (file->any_wanted || file->patch.script->any_stale) return true;
  for (int i = 0; i < unit->definition_count; i++) {
    if (!file->rework[i]) continue;
    const Definition *now = &unit->definitions[i];
    for (uint32_t k = 0; k < now->capture_count; k++) {
      int variable = now->captures[k].variable;
      if (variable < 0 || diff->variable_old[variable] >= 0) continue;
      const Variable *bound = &unit->variables[variable];
      if (bound->owner >= 0 || !bound->top) return true;
    }
  }
  return false;
}

// Why all has to be replaced at once, or NULL.
static const char *find_obstacle(const Patcher *self) {
  if (self->vm->heap.global == NULL) return "this VM's heap is not known";
  for (size_t i = 0; i < self->files.count; i++) {
    const PatchedFile *file = self->files.items[i];
    if (gains_enclosing(file)) {
      return "a closure gains a variable of an enclosing function";
    }
    if (needs_unknown(file)) {
      return "the variables of a file had to be found";
    }
  }
  return NULL;
}

// ---------------------------------------------------------------------------
// What is near
// ---------------------------------------------------------------------------

static void near_cells(Patcher *self, Script *script, Sweep *sweep,
                       lua_State *W) {
  vm_push(self->vm, W, script->cells_ref);
  for (int i = 0; i < script->unit->variable_count; i++) {
    if (script->cell_states[i] == CELL_NONE) continue;
    lua_rawgeti(W, -1, i + 1);
    sweep_enter(sweep);
    lua_getupvalue(W, -1, 1);
    if (lua_istable(W, -1)) {
      spread_near(&self->spread, NEAR_DEPTH);
    } else {
      lua_pop(W, 1);
    }
    lua_pop(W, 1);
  }
  lua_pop(W, 1);
}

static void near_root(Patcher *self, Script *script, lua_State *W,
                      Shown shown) {
  script_push_root(script, W, shown);
  if (lua_istable(W, -1)) {
    spread_near(&self->spread, NEAR_DEPTH);
  } else {
    lua_pop(W, 1);
  }
}

static void near_script(Patcher *self, Script *script, Sweep *sweep,
                        lua_State *W) {
  for (int i = 0; i < script->unit->definition_count; i++) {
    if (script->slot_refs[i] == VM_NO_REF) continue;
    vm_push(self->vm, W, script->slot_refs[i]);
    sweep_offer(sweep);
  }
  near_cells(self, script, sweep, W);
  near_root(self, script, W, SHOWN_EXPORT);
  near_root(self, script, W, SHOWN_GLOBAL);
}

static void replace_near(void *context, Sweep *sweep, lua_State *W) {
  Patcher *self = context;
  spread_begin_near(&self->spread);
  for (size_t i = 0; i < self->files.count; i++) {
    near_script(self, self->files.items[i]->patch.script, sweep, W);
  }
  lua_pushvalue(W, LUA_REGISTRYINDEX);
  spread_near(&self->spread, NEAR_DEPTH);
  spread_near_threads(&self->spread);
}

void replace_spread_begin(Patcher *self, lua_State *L, SweepDesc *desc) {
  if (!self->spread_wanted) return;
  self->at_once = find_obstacle(self);
  if (self->at_once != NULL) return;
  // Other sweeps use the VM's walker meanwhile.
  desc->walker = lua_newthread(L);
  self->walker_ref = vm_ref(self->vm, L);
  desc->flat = true;
  desc->step = spread_step;
  desc->begin = replace_near;
  self->is_spread = true;
  spread_init(&self->spread, self->vm, L, &self->sweep);
}

void replace_spread_end(Patcher *self) {
  if (!self->is_spread) return;
  sweep_follow(&self->sweep, replace_offer);
}

typedef struct Copies {
  Patcher *patcher;
  PatchedFile *file;
} Copies;

static void copy_all(Vm *vm, lua_State *L, void *context) {
  Copies *self = context;
  const PatchedFile *file = self->file;
  const Diff *diff = file->patch.diff;
  for (int i = 0; i < diff->old_unit->definition_count; i++) {
    int ref = file->old_slot_refs[i], now = diff->definition_new[i];
    bool present = now >= 0 && file->patch.script->slot_refs[now] == ref;
    if (ref == VM_NO_REF || present) continue;
    vm_push(vm, L, ref);
    int pair = sweep_find_pair(&self->patcher->sweep, lua_topointer(L, -1));
    lua_pop(L, 1);
    if (pair != 0) remnant_copy(vm, L, ref);
  }
}

// Without memory for a copy the original stays, and counts as Graft's.
void replace_spread_copy(Patcher *self, PatchedFile *file) {
  Copies copies = {self, file};
  vm_protect(self->vm, copy_all, &copies, NULL);
}

// ---------------------------------------------------------------------------
// The rest
// ---------------------------------------------------------------------------

static void mark_seen(const Patcher *self, const void *proto) {
  const ScriptProto *entry = pointer_map_find(&self->patched, proto);
  if (entry == NULL) return;
  entry->chunk->walk = self->vm->walk;
}

// A closure in the heap. Graft itself holds those of main chunks and makers.
static bool note_met(void *context, const void *proto) {
  const Patcher *self = context;
  ScriptProto *entry = pointer_map_find(&self->patched, proto);
  if (entry == NULL || (entry->definition < 0 && entry->gone < 0)) return false;
  entry->chunk->walk = self->vm->walk;
  return entry->recent;
}

static void note_running(void *context, lua_State *L, const void *proto) {
  (void)L;
  mark_seen(context, proto);
}

void patcher_end_sweep(Patcher *self) {
  self->is_spread = false;
  for (size_t i = 0; i < self->files.count; i++) {
    script_prune_chunks(self->files.items[i]->patch.script);
  }
  script_free_unseen(self->vm);
  remnant_watch(self->vm);
  conform_tell(self);
}

static void prepare(Patcher *self) {
  self->sweep.desc.L = self->vm->L;
  self->sweep.desc.running = note_running;
  self->spread.met = note_met;
}

GraftStatus patcher_sweep(Patcher *self, uint64_t budget_ns, bool *done,
                          GraftError *error) {
  prepare(self);
  size_t before = self->sweep.reference_count;
  int status = spread_run(&self->spread, budget_ns);
  if (self->sweep.reference_count != before) {
    compat_flush_traces(self->vm->main);
  }
  self->reference_count = self->sweep.reference_count;
  if (status != LUA_OK) return vm_take_error(self->vm->L, status, error);
  if (self->spread.passes >= PASSES_MOST && !self->spread.done) {
    *done = true;
    self->at_once = "references moved all the time";
    return patcher_sweep_rest(self, error);
  }
  *done = self->spread.done;
  return GRAFT_OK;
}

GraftStatus patcher_sweep_rest(Patcher *self, GraftError *error) {
  prepare(self);
  sweep_follow(&self->sweep, replace_offer);
  int status = sweep_run(&self->sweep);
  compat_flush_traces(self->vm->main);
  self->reference_count = self->sweep.reference_count;
  return status == LUA_OK ? GRAFT_OK
                          : vm_take_error(self->vm->L, status, error);
}

void patcher_spread(Patcher *self) {
  self->spread_wanted = true;
}

bool patcher_is_spread(const Patcher *self) {
  return self->is_spread;
}

const char *patcher_at_once(const Patcher *self) {
  return self->at_once;
}
