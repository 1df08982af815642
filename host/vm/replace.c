// SPDX-License-Identifier: MIT
//
// Replacing: what the sweep asks about each closure it meets, and what is done
// with the answers.

#include <string.h>

#include "base/error.h"
#include "vm/cell.h"
#include "vm/patcher_state.h"
#include "vm/proto.h"
#include "vm/settle.h"
#include "vm/sweep_inner.h"

// ---------------------------------------------------------------------------
// One closure
// ---------------------------------------------------------------------------

static int upvalue_variable(lua_State *L, int index, int n,
                            const ScriptProto *proto, bool *done) {
  const char *name = lua_getupvalue(L, index, n);
  *done = name == NULL;
  if (name == NULL) return SCRIPT_NONE;
  lua_pop(L, 1);
  return script_proto_variable(proto, name);
}

// The upvalue that is a variable of the present unit, or 0.
static int find_upvalue(lua_State *L, int index, const ScriptProto *proto,
                        int variable) {
  bool done = false;
  for (int n = 1;; n++) {
    int found = upvalue_variable(L, index, n, proto, &done);
    if (done) return 0;
    if (found == variable) return n;
  }
}

static ScriptProto *proto_at(const Vm *vm, lua_State *L, int index) {
  return script_find_proto(vm, proto_of(L, index));
}

// Where variable `variable` of the new file is in the old closure at `old`.
// Once the new unit is installed, old code is known by its variables.
static Source find_source(PatchedFile *file, lua_State *L, int old,
                          int variable) {
  const Diff *diff = file->patch.diff;
  Source source = {.kind = SOURCE_VARIABLE,
                   .index = variable,
                   .assigned = diff->new_unit->variables[variable].assigned};
  int before = file->installed ? variable : diff->variable_old[variable];
  if (before < 0) return source;
  const Vm *vm = file->patch.script->vm;
  int n = find_upvalue(L, old, proto_at(vm, L, old), before);
  if (n == 0) return source;
  source.kind = SOURCE_OLD;
  source.index = n;
  return source;
}

static Source find_environment(lua_State *L, int old) {
  for (int n = 1;; n++) {
    const char *name = lua_getupvalue(L, old, n);
    if (name == NULL) return (Source){.kind = SOURCE_ENVIRONMENT};
    lua_pop(L, 1);
    if (strcmp(name, "_ENV") == 0) {
      return (Source){.kind = SOURCE_OLD, .index = n};
    }
  }
}

static int upvalue_count(lua_State *L, int index) {
  int count = 0;
  while (lua_getupvalue(L, index, count + 1) != NULL) {
    lua_pop(L, 1);
    count++;
  }
  return count;
}

// stack: old closure, new closure
static ClosurePlan *plan_new(PatchedFile *file, lua_State *L, int old,
                             int new_definition) {
  int created = old + 1;
  int count = upvalue_count(L, created);
  ClosurePlan *plan =
      memory_new(&file->patch.script->vm->allocator,
                 sizeof *plan + (size_t)count * sizeof plan->sources[0]);
  if (plan == NULL) luaL_error(L, "out of memory");
  plan->next = file->plan_list;
  file->plan_list = plan;
  plan->count = count;
  const Definition *now = &file->patch.unit->definitions[new_definition];
  for (int n = 1; n <= count; n++) {
    const char *name = lua_getupvalue(L, created, n);
    lua_pop(L, 1);
    const Capture *capture = definition_capture(now, name);
    int variable = capture != NULL ? capture->variable : VARIABLE_GLOBAL;
    if (strcmp(name, "_ENV") == 0) variable = now->env_variable;
    plan->sources[n - 1] = variable >= 0 ? find_source(file, L, old, variable)
                           : strcmp(name, "_ENV") == 0
                               ? find_environment(L, old)
                               : (Source){.kind = SOURCE_FRESH};
  }
  return plan;
}

static ClosurePlan *find_plan(PatchedFile *file, lua_State *L, int old,
                              int new_definition) {
  const void *proto = proto_of(L, old);
  ClosurePlan *plan = pointer_map_find(&file->plans, proto);
  if (plan != NULL) return plan;
  plan = plan_new(file, L, old, new_definition);
  if (!pointer_map_set(&file->plans, proto, plan)) {
    luaL_error(L, "out of memory");
  }
  return plan;
}

static void defer(Patcher *self, lua_State *L, const Deferred *deferred) {
  Deferred *added = ARRAY_PUSH(&self->vm->allocator, &self->deferred);
  if (added == NULL) luaL_error(L, "out of memory");
  *added = *deferred;
}

#if VM_LUAJIT
static void copy_environment(lua_State *L, int from, int to) {
  lua_getfenv(L, from);
  lua_setfenv(L, to);
}
#endif

static bool is_module_variable(const PatchedFile *file, int variable) {
  const Variable *bound = &file->patch.unit->variables[variable];
  return bound->owner < 0 && bound->top;
}

// Gives the closure on top a variable that the old one lacks, now or after the
// walk. False when it cannot be found.
static bool join_variable(Patcher *self, lua_State *L,
                          const Deferred *deferred) {
  if (!deferred->file->installed) {
    defer(self, L, deferred);
    return true;
  }
  if (!is_module_variable(deferred->file, deferred->variable)) return false;
  cell_join(deferred->file->patch.script, L, deferred->variable, -1,
            deferred->upvalue);
  proto_unlock_cell(L, -1, deferred->upvalue);
  return true;
}

// stack: old closure → old closure, new closure. False when that lacks a
// variable.
static bool build_closure(Patcher *self, PatchedFile *file, lua_State *L,
                          int definition) {
  bool complete = true;
  int old = lua_gettop(L);
  int created = old + 1;
  maker_push_closure(file, L, definition);
  const ClosurePlan *plan = find_plan(file, L, old, definition);
  for (int n = 1; n <= plan->count; n++) {
    const Source *source = &plan->sources[n - 1];
    if (source->kind == SOURCE_OLD) {
      lua_upvaluejoin(L, created, n, old, source->index);
      if (source->assigned) proto_unlock_cell(L, created, n);
    } else if (source->kind == SOURCE_ENVIRONMENT) {
      vm_push(self->vm, L, file->patch.script->environment_ref);
      lua_upvaluejoin(L, created, n, -1, 1);
      lua_pop(L, 1);
    } else if (source->kind == SOURCE_VARIABLE) {
      complete &= join_variable(self, L,
                                &(Deferred){.file = file,
                                            .pair = self->sweep.pair_count + 1,
                                            .upvalue = n,
                                            .variable = source->index,
                                            .definition = definition});
    }
  }
#if VM_LUAJIT
  copy_environment(L, old, created);
#endif
  file->patch.results[definition].replaced += complete;
  return complete;
}

static bool holds_wanted(const PatchedFile *file, lua_State *L,
                         const ScriptProto *proto) {
  bool done = false;
  for (int n = 1;; n++) {
    int variable = upvalue_variable(L, -1, n, proto, &done);
    if (done) return false;
    if (variable >= 0 && file->wanted[variable]) return true;
  }
}

// Remembers the closure on top, if it holds a variable which another gains.
static void note_holder(PatchedFile *file, lua_State *L,
                        const ScriptProto *proto) {
  if (!holds_wanted(file, L, proto)) return;
  Vm *vm = file->patch.script->vm;
  vm_push(vm, L, file->holders_ref);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, ++file->holder_count);
  lua_pop(L, 1);
}

// Takes from the closure on top what others may need.
static void note_variables(PatchedFile *file, lua_State *L,
                           const ScriptProto *proto) {
  if (file->any_unknown) cell_adopt(proto->chunk->script, L, -1, proto);
  if (file->any_wanted) note_holder(file, L, proto);
}

static void add_silent_note(Patcher *self, PatchedFile *file, int definition) {
  const Definition *origin =
      &file->patch.diff->old_unit->definitions[definition];
  Note note = {.kind = NOTE_SILENT,
               .file = file->patch.script->path,
               .line = origin->line};
  strncpy(note.name, origin->name, sizeof note.name - 1);
  patcher_add_note(self, &note);
}

// Whether the prototype is of a script that is patched.
static bool is_patched(void *context, const void *proto) {
  const Patcher *self = context;
  return pointer_map_find(&self->patched, proto) != NULL;
}

// What the prototype was in the old unit, or -1.
static int old_definition(const PatchedFile *file, const ScriptProto *entry) {
  if (!file->installed) return entry->definition;
  if (entry->gone >= 0) return entry->gone;
  return file->patch.diff->definition_old[entry->definition];
}

// Whether closures of the prototype are to be replaced after the new unit was
// installed.
static bool is_superseded(const PatchedFile *file, const ScriptProto *entry) {
  if (entry->gone < 0 && entry->definition < 0) return false;
  int before = old_definition(file, entry);
  if (before >= 0 && file->silent[before]) return true;
  return entry->gone < 0 && entry->old && file->rework[entry->definition];
}

// Closures of other scripts stay, as those of no definition do.
static bool concerns(void *context, const void *proto) {
  const Patcher *self = context;
  ScriptProto *entry = pointer_map_find(&self->patched, proto);
  if (entry == NULL) return false;
  const PatchedFile *file = entry->chunk->script->patch;
  if (entry->chunk->fresh == file) return false;
  if (file->installed ? is_superseded(file, entry) : entry->definition >= 0) {
    return true;
  }
  entry->chunk->walk = self->vm->walk;
  return false;
}

// stack: old closure, new closure. Before the commit nothing is old for good:
// the transaction may be undone, and new closures may turn out to lack a
// variable (replace_watch).
static void note_remnant(Patcher *self, lua_State *L) {
  if (self->committed) remnant_add(self->vm, L);
}

static bool judge(void *context, lua_State *L, const void *proto) {
  Patcher *self = context;
  if (!concerns(self, proto)) return false;
  ScriptProto *entry = script_find_proto(self->vm, proto);
  PatchedFile *file = entry->chunk->script->patch;
  int definition = old_definition(file, entry);
  luaL_checkstack(L, 8, "sweep");
  if (!file->installed) note_variables(file, L, entry);
  int now = file->installed ? entry->definition
                            : file->patch.diff->definition_new[definition];
  if (definition >= 0 && file->silent[definition]) {
    vm_push(self->vm, L, self->vm->silent_ref);
    lua_call(L, 0, 1);
    add_silent_note(self, file, definition);
    note_remnant(self, L);
    return true;
  }
  if (now >= 0 && file->rework[now]) {
    if (build_closure(self, file, L, now)) {
      note_remnant(self, L);
      return true;
    }
    lua_pop(L, 1);
  }
  // What is near says nothing of what is held, and the pairs are still needed.
  if (now < 0 && !self->is_spread) file->patch.orphans[definition]++;
  entry->chunk->walk = self->vm->walk;
  return false;
}

static void note_running(void *context, lua_State *L, const void *proto) {
  Patcher *self = context;
  ScriptProto *entry = script_find_proto(self->vm, proto);
  if (entry == NULL) return;
  entry->chunk->walk = self->vm->walk;
  PatchedFile *file = entry->chunk->script->patch;
  if (file == NULL || entry->definition < 0) return;
  // What runs may be held by nothing else.
  luaL_checkstack(L, 8, "sweep");
  note_variables(file, L, entry);
  int now = file->patch.diff->definition_new[entry->definition];
  if (now >= 0 && file->rework[now]) file->patch.results[now].running++;
}

static void offer(Patcher *self, Sweep *sweep, lua_State *L, int ref) {
  if (ref == VM_NO_REF || settle_field(sweep, ref)) return;
  vm_push(self->vm, L, ref);
  sweep_offer(sweep);
}

// How far ahead what scripts hold is fetched into the cache.
enum { FETCH_AHEAD = 6 };

static void fetch(Sweep *sweep, const Script *script) {
  settle_fetch(sweep, script->value_ref);
  settle_fetch(sweep, script->cells_ref);
  for (int i = 0; i < script->unit->definition_count; i++) {
    settle_fetch(sweep, script->slot_refs[i]);
  }
}

// What Graft itself holds, in the private table, which is not walked. The
// module's table goes first: all functions of the module lead to it.
void replace_offer(void *context, Sweep *sweep, lua_State *L) {
  Patcher *self = context;
  const Script *ahead = self->vm->scripts, *inside = ahead;
  for (int i = 0; ahead != NULL && i < FETCH_AHEAD; i++) ahead = ahead->next;
  for (int i = 0; inside != NULL && i < FETCH_AHEAD / 2; i++) {
    inside = inside->next;
  }
  for (Script *script = self->vm->scripts; script != NULL;
       script = script->next) {
    if (ahead != NULL) {
      fetch(sweep, ahead);
      ahead = ahead->next;
    }
    if (inside != NULL) {
      settle_fetch_inside(sweep, inside->value_ref);
      inside = inside->next;
    }
    offer(self, sweep, L, script->value_ref);
    offer(self, sweep, L, script->cells_ref);
    offer(self, sweep, L, script->environment_ref);
    for (int i = 0; i < script->unit->definition_count; i++) {
      offer(self, sweep, L, script->slot_refs[i]);
    }
  }
}

// ---------------------------------------------------------------------------
// Variables that new closures gain
// ---------------------------------------------------------------------------

// Which holder has the variable in the activation that a cell belongs to.
typedef struct Holders {
  PatchedFile *file;
  int variable;       // old
  PointerMap by_cell; // identity of a cell → place in the list, from 1
} Holders;

// Whether closures that share a cell of `shared` see the same cell of the
// wanted variable: when one block entered gives both, or `shared` is deeper.
static bool tells_activation(const Holders *self, int shared) {
  const GraftUnit *unit = self->file->patch.diff->old_unit;
  const Variable *wanted = &unit->variables[self->variable];
  const Variable *variable = &unit->variables[shared];
  return variable->block >= wanted->block &&
         variable->block <= wanted->block_last;
}

// Calls for each cell of the closure at `index` that tells an activation:
// notes it for `holder`, or with 0 looks for one that has it.
static int match_cells(Holders *self, lua_State *L, int index, int holder) {
  const ScriptProto *proto = proto_at(self->file->patch.script->vm, L, index);
  bool done = false;
  for (int n = 1;; n++) {
    int variable = upvalue_variable(L, index, n, proto, &done);
    if (done) return 0;
    if (variable < 0 || !tells_activation(self, variable)) continue;
    const void *cell = lua_upvalueid(L, index, n);
    if (holder == 0) {
      int found = (int)(intptr_t)pointer_map_find(&self->by_cell, cell);
      if (found != 0) return found;
    } else if (!pointer_map_set(&self->by_cell, cell,
                                (void *)(intptr_t)holder)) {
      luaL_error(L, "out of memory");
    }
  }
}

// stack: …, holders
static void index_holders(Holders *self, lua_State *L, int variable) {
  pointer_map_clear(&self->by_cell);
  self->variable = variable;
  for (int i = 1; i <= self->file->holder_count; i++) {
    lua_rawgeti(L, -1, i);
    int holder = lua_gettop(L);
    const ScriptProto *proto =
        proto_at(self->file->patch.script->vm, L, holder);
    if (find_upvalue(L, holder, proto, variable) != 0) {
      match_cells(self, L, holder, i);
    }
    lua_pop(L, 1);
  }
}

// stack: …, old closure, new closure. False when no live closure has it.
static bool join_from_holder(Holders *holders, lua_State *L,
                             const Deferred *deferred) {
  PatchedFile *file = deferred->file;
  const Vm *vm = file->patch.script->vm;
  int before = file->patch.diff->variable_old[deferred->variable];
  if (before < 0) return false;
  int created = lua_gettop(L);
  vm_push(file->patch.script->vm, L, file->holders_ref);
  if (holders->file != file || holders->variable != before) {
    holders->file = file;
    index_holders(holders, L, before);
  }
  int found = match_cells(holders, L, created - 1, 0);
  if (found != 0) {
    lua_rawgeti(L, -1, found);
    int holder = lua_gettop(L);
    int n = find_upvalue(L, holder, proto_at(vm, L, holder), before);
    lua_upvaluejoin(L, created, deferred->upvalue, holder, n);
    proto_unlock_cell(L, created, deferred->upvalue);
  }
  lua_settop(L, created);
  return found != 0;
}

// Variables of enclosing functions are found by the old unit's names.
static void resolve_enclosing(Patcher *self, Holders *holders, lua_State *L,
                              const Deferred *deferred) {
  PatchedFile *file = deferred->file;
  if (is_module_variable(file, deferred->variable) ||
      self->stale[deferred->pair]) {
    return;
  }
  sweep_push_pair(&self->sweep, L, deferred->pair);
  if (!join_from_holder(holders, L, deferred)) {
    self->stale[deferred->pair] = true;
    file->patch.script->any_stale = true;
    ScriptProto *proto = proto_at(self->vm, L, -2);
    proto->stale = true;
    proto->chunk->walk = self->vm->walk;
    bool news =
        file->patch.diff->changes[deferred->definition] == CHANGE_UPDATED;
    file->patch.results[deferred->definition].stale += news;
  }
  lua_pop(L, 2);
}

// Those of the module are the script's, once the new unit is installed.
static void resolve_module(Patcher *self, lua_State *L,
                           const Deferred *deferred) {
  if (!is_module_variable(deferred->file, deferred->variable)) return;
  sweep_push_pair(&self->sweep, L, deferred->pair);
  cell_join(deferred->file->patch.script, L, deferred->variable, -1,
            deferred->upvalue);
  proto_unlock_cell(L, -1, deferred->upvalue);
  lua_pop(L, 2);
}

// ---------------------------------------------------------------------------
// The whole
// ---------------------------------------------------------------------------

static void add_patched(Patcher *self, const Script *script, lua_State *L) {
  for (ScriptChunk *chunk = script->chunks; chunk != NULL;
       chunk = chunk->next) {
    for (size_t i = 0; i < chunk->count; i++) {
      ScriptProto *entry = &chunk->protos[i];
      if (!pointer_map_set(&self->patched, entry->proto, entry)) {
        luaL_error(L, "out of memory");
      }
      filter_add(&self->filter, entry->proto);
    }
  }
}

static void prepare(Vm *vm, lua_State *L, void *context) {
  Patcher *self = context;
  for (size_t i = 0; i < self->files.count; i++) {
    lua_newtable(L);
    self->files.items[i]->holders_ref = vm_ref(vm, L);
    add_patched(self, self->files.items[i]->patch.script, L);
  }
  vm->walk++;
  self->swept = true;
  SweepDesc desc = sweep_describe(vm, L);
  desc.begin = replace_offer;
  desc.judge = judge;
  desc.concerns = concerns;
  desc.filter = &self->filter;
  desc.running = note_running;
  desc.context = self;
  replace_spread_begin(self, L, &desc);
  sweep_init(&self->sweep, &desc);
}

static void find_slot_ref(Patcher *self, PatchedFile *file, lua_State *L,
                          int definition) {
  int ref = file->patch.script->slot_refs[definition];
  if (ref == VM_NO_REF) return;
  vm_push(self->vm, L, ref);
  int pair = sweep_find_pair(&self->sweep, lua_topointer(L, -1));
  lua_pop(L, 1);
  if (pair == 0 || self->stale[pair]) return;
  sweep_push_pair(&self->sweep, L, pair);
  file->patch.results[definition].slot_ref = vm_ref(self->vm, L);
  lua_pop(L, 1);
}

// stack: patcher, holders
static int run_resolve(lua_State *L) {
  Patcher *self = lua_touserdata(L, 1);
  Holders *holders = lua_touserdata(L, 2);
  for (size_t i = 0; i < self->deferred.count; i++) {
    resolve_enclosing(self, holders, L, &self->deferred.items[i]);
  }
  return 0;
}

static void resolve_all_enclosing(Patcher *self, lua_State *L) {
  if (self->deferred.count == 0) return;
  Holders holders = {.variable = -1};
  pointer_map_init(&holders.by_cell, &self->vm->allocator);
  lua_pushcfunction(L, run_resolve);
  lua_pushlightuserdata(L, self);
  lua_pushlightuserdata(L, &holders);
  int status = lua_pcall(L, 2, 0, 0);
  pointer_map_clear(&holders.by_cell);
  if (status != LUA_OK) lua_error(L);
}

static void finish(Vm *vm, lua_State *L, void *context) {
  (void)vm;
  Patcher *self = context;
  resolve_all_enclosing(self, L);
  for (size_t i = 0; i < self->files.count; i++) {
    install_unit(self->files.items[i], L);
  }
  for (size_t i = 0; i < self->deferred.count; i++) {
    resolve_module(self, L, &self->deferred.items[i]);
  }
  for (size_t i = 0; i < self->files.count; i++) {
    PatchedFile *file = self->files.items[i];
    for (int k = 0; k < file->patch.unit->definition_count; k++) {
      if (file->rework[k]) find_slot_ref(self, file, L, k);
    }
  }
}

// Puts back the closures that could not be given all their variables.
static GraftStatus put_back_stale(Patcher *self, GraftError *error) {
  size_t size = (size_t)self->sweep.pair_count + 1;
  bool any = false;
  for (size_t i = 0; i < size; i++) any |= self->stale[i];
  if (!any) return GRAFT_OK;
  replace_spread_end(self);
  sweep_reverse(&self->sweep, self->stale, true);
  int status = sweep_run(&self->sweep);
  sweep_reverse(&self->sweep, self->stale, false);
  return status == LUA_OK ? GRAFT_OK
                          : vm_take_error(self->vm->L, status, error);
}

// Lines may have moved, and comments changed, but no code did, nor is a closure
// behind.
static bool replaces_nothing(const Patcher *self) {
  for (size_t i = 0; i < self->files.count; i++) {
    const PatchedFile *file = self->files.items[i];
    if (!diff_is_empty(file->patch.diff)) return false;
    for (int k = 0; k < file->patch.unit->definition_count; k++) {
      if (file->rework[k]) return false;
    }
  }
  return true;
}

static GraftStatus sweep(Patcher *self, GraftError *error) {
  Vm *vm = self->vm;
  GraftStatus status = vm_protect(vm, prepare, self, error);
  if (status < 0) return status;
  self->sweep.desc.L = vm->L;
  int lua_status = sweep_run(&self->sweep);
  if (lua_status != LUA_OK) return vm_take_error(vm->L, lua_status, error);
  self->reference_count = self->sweep.reference_count;
  return GRAFT_OK;
}

GraftStatus replace_closures(Patcher *self, GraftError *error) {
  Vm *vm = self->vm;
  GraftStatus status = replaces_nothing(self) ? GRAFT_OK : sweep(self, error);
  if (status < 0) return status;
  self->stale = memory_new(&vm->allocator, (size_t)self->sweep.pair_count + 1);
  if (self->stale == NULL) return error_memory(error);
  status = vm_protect(vm, finish, self, error);
  return status < 0 ? status : put_back_stale(self, error);
}

// ---------------------------------------------------------------------------
// Deleted functions
// ---------------------------------------------------------------------------

static bool count_orphan(void *context, lua_State *L, const void *proto) {
  (void)L;
  Patcher *self = context;
  const ScriptProto *entry = script_find_proto(self->vm, proto);
  if (entry == NULL || entry->gone < 0) return false;
  PatchedFile *file = entry->chunk->script->patch;
  if (file != NULL) file->patch.orphans[entry->gone]++;
  return false;
}

static bool has_orphans(const PatchedFile *file) {
  for (int i = 0; i < file->patch.diff->old_unit->definition_count; i++) {
    if (file->patch.orphans[i] > 0) return true;
  }
  return false;
}

static void start_count(Vm *vm, lua_State *L, void *context) {
  Patcher *self = context;
  sweep_clear(&self->sweep);
  SweepDesc desc = sweep_describe(vm, L);
  desc.judge = count_orphan;
  desc.concerns = is_patched;
  desc.context = self;
  sweep_init(&self->sweep, &desc);
}

void patcher_count_orphans(Patcher *self) {
  bool any = false;
  for (size_t i = 0; i < self->files.count; i++) {
    PatchedFile *file = self->files.items[i];
    if (!has_orphans(file)) continue;
    any = true;
    memset(file->patch.orphans, 0,
           sizeof(int) * (size_t)file->patch.diff->old_unit->definition_count);
  }
  if (!any || vm_protect(self->vm, start_count, self, NULL) < 0) return;
  self->sweep.desc.L = self->vm->L;
  if (sweep_run(&self->sweep) != LUA_OK) lua_pop(self->vm->L, 1);
}

static void watch_pairs(Vm *vm, lua_State *L, void *context) {
  Patcher *self = context;
  while (self->watched < self->sweep.pair_count) {
    int pair = self->watched + 1;
    sweep_push_pair(&self->sweep, L, pair);
    if (!self->stale[pair]) remnant_add(vm, L);
    lua_pop(L, 2);
    self->watched = pair;
  }
}

GraftStatus replace_watch(Patcher *self, GraftError *error) {
  bool wanted = self->is_spread || self->vm->remnant.active;
  if (!wanted || !self->swept) return GRAFT_OK;
  return vm_protect(self->vm, watch_pairs, self, error);
}

// No closure that was replaced is old any more.
static void unwatch(Patcher *self) {
  lua_State *L = self->vm->L;
  if (!lua_checkstack(L, 8)) return;
  for (; self->watched > 0; self->watched--) {
    if (self->stale[self->watched]) continue;
    sweep_push_pair(&self->sweep, L, self->watched);
    lua_pop(L, 1);
    remnant_remove(self->vm, L);
  }
}

void replace_undo(Patcher *self) {
  for (size_t i = 0; i < self->files.count; i++)
    uninstall_unit(self->files.items[i]);
  if (!self->swept || self->sweep.pair_count == 0) return;
  unwatch(self);
  replace_spread_end(self);
  sweep_reverse(&self->sweep, self->stale, false);
  self->sweep.desc.L = self->vm->L;
  if (sweep_run(&self->sweep) != LUA_OK) lua_pop(self->vm->L, 1);
}
