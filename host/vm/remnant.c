// SPDX-License-Identifier: MIT

#include "vm/remnant.h"

#include "base/buffer.h"
#include "vm/proto.h"
#include "vm/script.h"
#include "vm/state.h"

// Collections that an old closure may survive although nobody holds it: the
// first may have begun before it was let go. Rounds of passes before one walk
// along references; functions that replace one another in a row.
enum { COLLECTIONS = 2, ROUNDS_MOST = 4, CHAIN_MOST = 64 };

// Variables that a blank function can be given.
enum { BLANK_MOST = 190 };

void remnant_init(Vm *vm, lua_State *L) {
  pointer_map_init(&vm->remnant.protos, &vm->allocator);
  vm_push_weak(L, "k");
  vm->remnant.table_ref = vm_ref(vm, L);
  vm_push_weak(L, "k");
  vm->remnant.copies_ref = vm_ref(vm, L);
  vm_push_weak(L, "v");
  vm->remnant.canary_ref = vm_ref(vm, L);
}

static void end_round(Vm *vm) {
  Remnant *self = &vm->remnant;
  if (!self->passing) return;
  self->passing = false;
  if (vm->L == NULL) self->sweep.desc.walker = NULL;
  sweep_clear(&self->sweep);
  vm_unref(vm, self->walker_ref);
  self->walker_ref = VM_NO_REF;
  pointer_map_clear(&self->protos);
}

void remnant_clear(Vm *vm) {
  Remnant *self = &vm->remnant;
  end_round(vm);
  self->active = false;
}

// ---------------------------------------------------------------------------
// Old closures
// ---------------------------------------------------------------------------

void remnant_add(Vm *vm, lua_State *L) {
  luaL_checkstack(L, 6, "sweep");
  vm_push(vm, L, vm->remnant.table_ref);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void remnant_remove(Vm *vm, lua_State *L) {
  vm_push(vm, L, vm->remnant.table_ref);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

// stack: …, closure → …, closure, the newest that replaces it. False, and
// nothing is pushed, when none does.
static bool push_newest(Vm *vm, lua_State *L) {
  int top = lua_gettop(L);
  vm_push(vm, L, vm->remnant.table_ref);
  lua_pushvalue(L, top);
  for (int i = 0; i < CHAIN_MOST; i++) {
    // stack: …, closure, table, newest so far
    lua_pushvalue(L, -1);
    lua_rawget(L, top + 1);
    if (!lua_isfunction(L, -1)) break;
    lua_replace(L, top + 2);
  }
  lua_settop(L, top + 2);
  lua_remove(L, top + 1);
  if (!lua_rawequal(L, -1, top)) return true;
  lua_pop(L, 1);
  return false;
}

// ---------------------------------------------------------------------------
// Copies
// ---------------------------------------------------------------------------

// Pushes a function with so many variables.
static void push_blank(Vm *vm, lua_State *L, int count) {
  Buffer text;
  buffer_init(&text, &vm->allocator);
  buffer_add_text(&text, "local a0");
  for (int i = 1; i < count; i++) buffer_format(&text, ",a%d", i);
  buffer_add_text(&text, " return function() return 0");
  for (int i = 0; i < count; i++) buffer_format(&text, ",a%d", i);
  buffer_add_text(&text, " end");
  int status = text.failed
                   ? LUA_ERRMEM
                   : luaL_loadbufferx_text(L, text.text, text.size, "=graft");
  if (text.failed) lua_pushliteral(L, "out of memory");
  buffer_clear(&text);
  if (status != LUA_OK) lua_error(L);
  lua_call(L, 0, 1);
}

static int count_variables(lua_State *L, int index) {
  int count = 0;
  while (lua_getupvalue(L, index, count + 1) != NULL) {
    lua_pop(L, 1);
    count++;
  }
  return count;
}

// stack: …, closure → …, closure, copy
static void push_copy(Vm *vm, lua_State *L) {
  int original = lua_gettop(L);
  int count = count_variables(L, original);
  push_blank(vm, L, count);
  for (int n = 1; n <= count; n++) {
    lua_upvaluejoin(L, original + 1, n, original, n);
  }
#if VM_LUAJIT
  lua_getfenv(L, original);
  lua_setfenv(L, original + 1);
#endif
  heap_set_code(lua_topointer(L, original + 1), lua_topointer(L, original));
}

bool remnant_is_copy(Vm *vm, lua_State *L) {
  vm_push(vm, L, vm->remnant.copies_ref);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  bool copy = !lua_isnil(L, -1);
  lua_pop(L, 2);
  return copy;
}

void remnant_copy(Vm *vm, lua_State *L, int ref) {
  luaL_checkstack(L, 8, "sweep");
  vm_push_private(vm, L);
  lua_rawgeti(L, -1, ref);
  if (lua_isfunction(L, -1) && count_variables(L, -1) <= BLANK_MOST) {
    push_copy(vm, L);
    vm_push(vm, L, vm->remnant.copies_ref);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua_rawseti(L, -3, ref);
  }
  lua_pop(L, 2);
}

// ---------------------------------------------------------------------------
// Watching
// ---------------------------------------------------------------------------

// Collections are told by something that nobody holds.
static void set_canary(Vm *vm, lua_State *L) {
  vm_push(vm, L, vm->remnant.canary_ref);
  lua_newtable(L);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 1);
}

static bool has_canary(Vm *vm, lua_State *L) {
  if (!lua_checkstack(L, 4)) return true;
  vm_push(vm, L, vm->remnant.canary_ref);
  lua_rawgeti(L, -1, 1);
  bool there = !lua_isnil(L, -1);
  lua_pop(L, 2);
  return there;
}

static void watch(Vm *vm, lua_State *L, void *context) {
  (void)context;
  set_canary(vm, L);
}

static void watch_on(Vm *vm) {
  Remnant *self = &vm->remnant;
  self->collections = COLLECTIONS;
  self->active = vm_protect(vm, watch, NULL, NULL) == GRAFT_OK;
}

void remnant_watch(Vm *vm) {
  vm->remnant.rounds = 0;
  vm->remnant.found = false;
  watch_on(vm);
}

// ---------------------------------------------------------------------------
// A round
// ---------------------------------------------------------------------------

static bool concerns(void *context, const void *proto) {
  const Vm *vm = context;
  return pointer_map_find(&vm->remnant.protos, proto) != NULL;
}

static bool judge(void *context, lua_State *L, const void *proto) {
  (void)proto;
  luaL_checkstack(L, 8, "sweep");
  return push_newest(context, L);
}

// Functions in the private table are Graft's own business.
static void add_private(Vm *vm, lua_State *L, PointerMap *set) {
  vm_push_private(vm, L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const void *function = lua_topointer(L, -1);
    if (lua_isfunction(L, -1) &&
        !pointer_map_set(set, function, (void *)function)) {
      luaL_error(L, "out of memory");
    }
  }
  lua_pop(L, 1);
}

typedef struct Look {
  PointerMap kept; // by Graft
  bool any;
} Look;

static void look(Vm *vm, lua_State *L, void *context) {
  Look *self = context;
  luaL_checkstack(L, 8, "sweep");
  add_private(vm, L, &self->kept);
  vm_push(vm, L, vm->remnant.table_ref);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (pointer_map_find(&self->kept, lua_topointer(L, -2)) != NULL) continue;
    const void *proto = proto_of(L, -2);
    if (!pointer_map_set(&vm->remnant.protos, proto, (void *)proto)) {
      luaL_error(L, "out of memory");
    }
    self->any = true;
  }
}

static void prepare(Vm *vm, lua_State *L, void *context) {
  (void)context;
  Remnant *self = &vm->remnant;
  SweepDesc desc = sweep_describe(vm, L);
  desc.walker = lua_newthread(L);
  self->walker_ref = vm_ref(vm, L);
  desc.flat = true;
  desc.step = spread_step;
  desc.concerns = concerns;
  desc.judge = judge;
  desc.context = vm;
  sweep_init(&self->sweep, &desc);
  self->passing = true;
  spread_init(&self->spread, vm, L, &self->sweep);
}

static void offer_all(void *context, Sweep *sweep, lua_State *L) {
  Vm *vm = context;
  for (Script *script = vm->scripts; script != NULL; script = script->next) {
    vm_push(vm, L, script->cells_ref);
    sweep_offer(sweep);
    vm_push(vm, L, script->value_ref);
    sweep_offer(sweep);
  }
}

// Whether somebody holds an old closure; then a round begins.
static bool begin_round(Vm *vm) {
  Look found = {.any = false};
  pointer_map_init(&found.kept, &vm->allocator);
  GraftStatus status = vm_protect(vm, look, &found, NULL);
  pointer_map_clear(&found.kept);
  if (status < 0 || !found.any || vm_protect(vm, prepare, NULL, NULL) < 0) {
    remnant_clear(vm);
    return false;
  }
  vm->remnant.rounds++;
  return true;
}

static void finish_round(Vm *vm, RemnantResult *result) {
  Remnant *self = &vm->remnant;
  result->count = self->sweep.reference_count;
  result->done = true;
  end_round(vm);
  if (self->rounds >= ROUNDS_MOST) {
    remnant_clear(vm);
  } else {
    watch_on(vm);
  }
}

static bool is_due(Vm *vm) {
  Remnant *self = &vm->remnant;
  if (self->passing) return true;
  if (!self->active || has_canary(vm, vm->L)) return false;
  if (--self->collections == 0) return begin_round(vm);
  if (vm_protect(vm, watch, NULL, NULL) < 0) remnant_clear(vm);
  return false;
}

bool vm_has_remnants(Vm *vm) {
  return vm->L != NULL && is_due(vm);
}

RemnantResult vm_sweep_remnants(Vm *vm, uint64_t budget_ns) {
  Remnant *self = &vm->remnant;
  RemnantResult result = {0};
  size_t before = self->sweep.reference_count;
  self->sweep.desc.L = vm->L;
  int status = spread_run(&self->spread, budget_ns);
  if (self->sweep.reference_count != before) self->found = true;
  // In generational mode old closures live on for long although nobody holds
  // them; then no round has found anything.
  bool held = self->found || !heap_is_generational(&vm->heap);
  bool last = self->rounds >= ROUNDS_MOST && held;
  if (status != LUA_OK) {
    lua_pop(vm->L, 1);
  } else if (self->spread.done && last) {
    // They go on moving.
    sweep_follow(&self->sweep, offer_all);
    status = sweep_run(&self->sweep);
    if (status != LUA_OK) lua_pop(vm->L, 1);
    result.at_once = true;
  }
  if (self->sweep.reference_count != before) compat_flush_traces(vm->main);
  if (status != LUA_OK || self->spread.done) finish_round(vm, &result);
  return result;
}
