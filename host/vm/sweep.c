// SPDX-License-Identifier: MIT

#include "vm/sweep.h"

#include <string.h>

#include "vm/proto.h"
#include "vm/settle.h"
#include "vm/state.h"
#include "vm/sweep_inner.h"

// How deep objects are entered at once before they are put off; bounds the C
// stack and the walker's stack.
enum { DEPTH_LIMIT = 64, SLOTS_PER_DEPTH = 8 };

// Fixed places on the walker's stack.
enum {
  PENDING = 1,      // objects that were put off
  ORIGINALS = 2,    // pair → function that is replaced
  REPLACEMENTS = 3, // pair → function that replaces it
  RENAMES = 4,      // keys to replace in the tables being walked
  FIXED_COUNT = SWEEP_FIXED,
  FUNCTION, // outside the walk: the function that walks
  STEP,     // there, too: the one that goes a step of a flat sweep
  KEPT,     // and what steps keep
};

static void visit_value(Sweep *self, int depth);

// ---------------------------------------------------------------------------
// What was visited
// ---------------------------------------------------------------------------

static void raise_memory(Sweep *self) {
  luaL_error(self->desc.walker, "out of memory");
}

static void set_grow(Sweep *self) {
  PointerSet *set = &self->visited;
  size_t capacity = set->capacity ? set->capacity * 2 : 1024;
  const void **items =
      memory_new(self->desc.allocator, capacity * sizeof *items);
  if (items == NULL) raise_memory(self);
  for (size_t i = 0; i < set->capacity; i++) {
    if (set->items[i] == NULL) continue;
    PointerSet grown = {.items = items, .capacity = capacity};
    *set_place(&grown, set->items[i]) = set->items[i];
  }
  memory_free(self->desc.allocator, set->items);
  set->items = items;
  set->capacity = capacity;
}

bool sweep_add_visited(Sweep *self, const void *object) {
  PointerSet *set = &self->visited;
  if (set->count * 2 >= set->capacity) set_grow(self);
  const void **place = set_place(set, object);
  if (*place != NULL) return false;
  *place = object;
  set->count++;
  return true;
}

static void functions_grow(Sweep *self) {
  size_t capacity = self->function_capacity ? self->function_capacity * 2 : 256;
  SweepFunction *functions =
      memory_new(self->desc.allocator, capacity * sizeof *functions);
  if (functions == NULL) raise_memory(self);
  for (size_t i = 0; i < self->function_capacity; i++) {
    SweepFunction *old = &self->functions[i];
    if (old->function == NULL) continue;
    *function_place(functions, capacity, old->function) = *old;
  }
  memory_free(self->desc.allocator, self->functions);
  self->functions = functions;
  self->function_capacity = capacity;
}

// Valid until the next call.
static SweepFunction *function_entry(Sweep *self, const void *function) {
  if (self->function_count * 2 >= self->function_capacity) functions_grow(self);
  SweepFunction *entry =
      function_place(self->functions, self->function_capacity, function);
  if (entry->function == NULL) {
    entry->function = function;
    self->function_count++;
  }
  return entry;
}

// ---------------------------------------------------------------------------
// Replacing
// ---------------------------------------------------------------------------

void sweep_add_pair(Sweep *self) {
  lua_State *W = self->desc.walker;
  // stack: old, new
  const void *replaced = lua_topointer(W, -2);
  const void *replacing = lua_topointer(W, -1);
  int pair = self->pair_count + 1;
  lua_rawseti(W, REPLACEMENTS, pair);
  lua_rawseti(W, ORIGINALS, pair);
  self->pair_count = pair;
  function_entry(self, replacing)->judged = true;
  SweepFunction *entry = function_entry(self, replaced);
  entry->judged = true;
  entry->replacement = pair;
}

// Asks whether the function on top is to be replaced, once.
static void judge(Sweep *self, const void *function) {
  lua_State *W = self->desc.walker;
  function_entry(self, function)->judged = true;
  if (self->desc.judge == NULL) return;
  const void *proto = proto_of(W, -1);
  if (proto == NULL) return;
  if (!self->desc.judge(self->desc.context, W, proto)) return;
  // stack: old, new
  lua_pushvalue(W, -2);
  lua_insert(W, -2);
  sweep_add_pair(self);
}

static void rest_collector(Sweep *self) {
  if (self->resting) return;
  self->resting = true;
  vm_rest_collector(self->desc.vm);
}

static void wake_collector(Sweep *self) {
  if (self->resting) vm_wake_collector(self->desc.vm);
  self->resting = false;
}

// The pair that replaces the function on top, 0 for none. Between the steps of
// a flat sweep functions may go, and their addresses become those of others:
// only what pairs hold is known.
static int find_replacement(Sweep *self) {
  const void *function = lua_topointer(self->desc.walker, -1);
  if (!self->desc.flat) {
    if (!function_entry(self, function)->judged) judge(self, function);
    return function_entry(self, function)->replacement;
  }
  if (self->function_capacity > 0) {
    const SweepFunction *known =
        function_place(self->functions, self->function_capacity, function);
    if (known->function != NULL) return known->replacement;
  }
  const void *proto = proto_of(self->desc.walker, -1);
  if (proto == NULL || !self->desc.concerns(self->desc.context, proto)) {
    return 0;
  }
  rest_collector(self);
  if (!self->desc.judge(self->desc.context, self->desc.walker, proto)) return 0;
  lua_pushvalue(self->desc.walker, -2);
  lua_insert(self->desc.walker, -2);
  sweep_add_pair(self);
  return self->pair_count;
}

// Puts the replacement in the place of the function on top. False when it has
// none.
static bool substitute(Sweep *self) {
  lua_State *W = self->desc.walker;
  if (lua_type(W, -1) != LUA_TFUNCTION) return false;
  int replacement = find_replacement(self);
  if (replacement == 0) return false;
  rest_collector(self);
  lua_pop(W, 1);
  lua_rawgeti(W, REPLACEMENTS, replacement);
  self->reference_count++;
  return true;
}

// ---------------------------------------------------------------------------
// Entering objects; each leaves the object where it was, on top.
// ---------------------------------------------------------------------------

static bool may_hold_functions(int type) {
  return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA ||
         type == LUA_TTHREAD;
}

// stack: table, key, value
static void enter_key(Sweep *self, int depth) {
  lua_State *W = self->desc.walker;
  lua_pushvalue(W, -2);
  if (substitute(self)) {
    lua_pushvalue(W, -3);
    lua_rawseti(W, RENAMES, ++self->rename_count);
  }
  visit_value(self, depth);
}

// A key cannot be replaced while its table is walked.
static void rename_keys(Sweep *self, int base) {
  lua_State *W = self->desc.walker;
  int table = lua_gettop(W);
  for (; self->rename_count > base; self->rename_count--) {
    lua_rawgeti(W, RENAMES, self->rename_count);
    lua_pushvalue(W, -1);
    substitute(self);
    lua_pushvalue(W, -2);
    lua_rawget(W, table);
    // stack: table, old key, new key, value
    lua_rawset(W, table);
    lua_pushnil(W);
    lua_rawset(W, table);
    lua_pushnil(W);
    lua_rawseti(W, RENAMES, self->rename_count);
  }
}

static void enter_table(Sweep *self, int depth) {
  lua_State *W = self->desc.walker;
  int table = lua_gettop(W);
  int base = self->rename_count;
  if (lua_getmetatable(W, table)) visit_value(self, depth);
  if (!self->desc.flat && settle_has_settled(self)) return;
  lua_pushnil(W);
  while (lua_next(W, table)) {
    // stack: table, key, value
    if (may_hold_functions(lua_type(W, -2))) enter_key(self, depth);
    if (!may_hold_functions(lua_type(W, -1))) {
      lua_pop(W, 1);
      continue;
    }
    if (substitute(self)) {
      lua_pushvalue(W, -2);
      lua_pushvalue(W, -2);
      lua_rawset(W, table);
    }
    visit_value(self, depth);
  }
  if (self->rename_count > base) rename_keys(self, base);
}

#if VM_LUAJIT
static void enter_environment(Sweep *self, int depth) {
  lua_getfenv(self->desc.walker, -1);
  visit_value(self, depth);
}

static void enter_user_values(Sweep *self, int depth) {
  enter_environment(self, depth);
}
#else
static void enter_environment(Sweep *self, int depth) {
  (void)self;
  (void)depth;
}

static void enter_user_values(Sweep *self, int depth) {
  lua_State *W = self->desc.walker;
  int userdata = lua_gettop(W);
  for (int n = 1; lua_getiuservalue(W, userdata, n) != LUA_TNONE; n++) {
    if (substitute(self)) {
      lua_pushvalue(W, -1);
      lua_setiuservalue(W, userdata, n);
    }
    visit_value(self, depth);
  }
  lua_pop(W, 1);
}
#endif

static void enter_function(Sweep *self, int depth) {
  lua_State *W = self->desc.walker;
  int function = lua_gettop(W);
  enter_environment(self, depth);
  for (int n = 1; lua_getupvalue(W, function, n) != NULL; n++) {
    if (substitute(self)) {
      lua_pushvalue(W, -1);
      lua_setupvalue(W, function, n);
    }
    visit_value(self, depth);
  }
}

static void enter_userdata(Sweep *self, int depth) {
  lua_State *W = self->desc.walker;
  if (lua_getmetatable(W, -1)) visit_value(self, depth);
  enter_user_values(self, depth);
}

// Moves the value on top of `thread` to the walker, and a replacement back.
static bool take_value(Sweep *self, lua_State *thread) {
  lua_State *W = self->desc.walker;
  lua_xmove(thread, W, 1);
  if (!substitute(self)) return false;
  lua_pushvalue(W, -1);
  lua_xmove(W, thread, 1);
  return true;
}

// The locals and temporaries of a frame (`step` 1), or its varargs (-1).
static void enter_locals(Sweep *self, lua_State *thread, lua_Debug *frame,
                         int step, int depth) {
  for (int n = step; lua_getlocal(thread, frame, n) != NULL; n += step) {
    if (take_value(self, thread)) lua_setlocal(thread, frame, n);
    visit_value(self, depth);
  }
}

// The function of a running frame stays: the call ends on the old code.
static void enter_frame(Sweep *self, lua_State *thread, lua_Debug *frame,
                        int depth) {
  lua_State *W = self->desc.walker;
  lua_getinfo(thread, "f", frame);
  lua_xmove(thread, W, 1);
  const void *proto = proto_of(W, -1);
  if (proto != NULL && self->desc.running != NULL) {
    self->desc.running(self->desc.context, W, proto);
  }
  visit_value(self, depth);
  enter_locals(self, thread, frame, 1, depth);
  enter_locals(self, thread, frame, -1, depth);
}

// What lies on the stack of a thread that has no frame: a coroutine that was
// not started yet, or what the host has pushed.
static void enter_base(Sweep *self, lua_State *thread, int depth) {
  int count = lua_gettop(thread);
  for (int n = 1; n <= count; n++) {
    lua_pushvalue(thread, n);
    if (take_value(self, thread)) lua_replace(thread, n);
    visit_value(self, depth);
  }
}

static void enter_thread(Sweep *self, int depth) {
  lua_State *W = self->desc.walker;
  lua_State *thread = lua_tothread(W, -1);
  enter_environment(self, depth);
  if (thread == W) return;
  if (!lua_checkstack(thread, 4)) raise_memory(self);
  lua_Debug frame;
  if (!lua_getstack(thread, 0, &frame)) enter_base(self, thread, depth);
  for (int level = 0; lua_getstack(thread, level, &frame); level++) {
    enter_frame(self, thread, &frame, depth);
  }
}

static void enter(Sweep *self, int depth) {
  switch (lua_type(self->desc.walker, -1)) {
  case LUA_TTABLE:
    enter_table(self, depth);
    break;
  case LUA_TFUNCTION:
    enter_function(self, depth);
    break;
  case LUA_TUSERDATA:
    enter_userdata(self, depth);
    break;
  case LUA_TTHREAD:
    enter_thread(self, depth);
    break;
  default:
    break;
  }
}

static bool first_visit(Sweep *self, int type, const void *object) {
  if (type != LUA_TFUNCTION) return sweep_add_visited(self, object);
  SweepFunction *entry = function_entry(self, object);
  if (entry->entered) return false;
  entry->entered = true;
  return true;
}

// Pops the value on top, and enters it, now or later, if it was not yet.
static void visit_value(Sweep *self, int depth) {
  lua_State *W = self->desc.walker;
  int type = lua_type(W, -1);
  if (self->desc.flat || !may_hold_functions(type) || settle_is_settled(self) ||
      !first_visit(self, type, lua_topointer(W, -1))) {
    lua_pop(W, 1);
  } else if (depth >= DEPTH_LIMIT) {
    lua_rawseti(W, PENDING, ++self->pending_count);
  } else {
    enter(self, depth + 1);
    lua_pop(W, 1);
  }
}

void sweep_offer(Sweep *self) {
  substitute(self);
  visit_value(self, 0);
}

int sweep_find_pair(const Sweep *self, const void *function) {
  if (self->function_capacity == 0) return 0;
  return function_place(self->functions, self->function_capacity, function)
      ->replacement;
}

// ---------------------------------------------------------------------------
// The walk
// ---------------------------------------------------------------------------

static void visit_type_metatables(Sweep *self) {
  lua_State *W = self->desc.walker;
  lua_pushnil(W);
  lua_pushboolean(W, 0);
  lua_pushinteger(W, 0);
  lua_pushliteral(W, "");
  lua_pushlightuserdata(W, self);
  lua_pushcfunction(W, luaopen_base);
  lua_pushthread(W);
  for (int i = 0; i < 7; i++) {
    if (lua_getmetatable(W, -1)) visit_value(self, 0);
    lua_pop(W, 1);
  }
}

static void visit_thread(Sweep *self, lua_State *thread) {
  if (!lua_checkstack(thread, 4)) raise_memory(self);
  lua_pushthread(thread);
  lua_xmove(thread, self->desc.walker, 1);
  visit_value(self, 0);
}

static void visit_roots(Sweep *self) {
  lua_State *W = self->desc.walker;
  visit_thread(self, self->desc.main);
  visit_thread(self, self->desc.L);
  lua_pushvalue(W, LUA_REGISTRYINDEX);
  visit_value(self, 0);
  lua_pushglobaltable(W);
  visit_value(self, 0);
  visit_type_metatables(self);
}

static void visit_pending(Sweep *self) {
  lua_State *W = self->desc.walker;
  while (self->pending_count > 0) {
    lua_rawgeti(W, PENDING, self->pending_count);
    lua_pushnil(W);
    lua_rawseti(W, PENDING, self->pending_count--);
    enter(self, 1);
    lua_pop(W, 1);
  }
}

// stack: the fixed places, sweep
static int walk(lua_State *W) {
  Sweep *self = lua_touserdata(W, -1);
  lua_settop(W, FIXED_COUNT);
  luaL_checkstack(W, (DEPTH_LIMIT + 4) * SLOTS_PER_DEPTH, "sweep");
  for (int i = 1; i <= FIXED_COUNT; i++)
    sweep_add_visited(self, lua_topointer(W, i));
  if (self->desc.skip != NULL) sweep_add_visited(self, self->desc.skip);
  if (self->desc.begin != NULL) {
    self->desc.begin(self->desc.context, self, W);
  }
  if (self->desc.flat) return 0;
  visit_roots(self);
  visit_pending(self);
  return 0;
}

SweepDesc sweep_describe(const Vm *vm, lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->private_ref);
  const void *skip = lua_topointer(L, -1);
  lua_pop(L, 1);
  return (SweepDesc){.vm = (Vm *)vm,
                     .allocator = &vm->allocator,
                     .L = L,
                     .main = vm->main,
                     .walker = vm->walker,
                     .skip = skip,
                     .raw = vm->raw};
}

void sweep_init(Sweep *self, const SweepDesc *desc) {
  *self = (Sweep){.desc = *desc};
  if (desc->filter != NULL) {
    self->settled =
        memory_new(desc->allocator, SETTLED_COUNT * sizeof *self->settled);
    if (self->settled == NULL) luaL_error(desc->L, "out of memory");
  }
  lua_State *W = desc->walker;
  lua_settop(W, 0);
  if (!lua_checkstack(W, 2 * (FIXED_COUNT + SWEEP_KEPT) + 4)) {
    luaL_error(desc->L, "out of memory");
  }
  for (int i = 0; i < FIXED_COUNT; i++) {
    lua_newtable(desc->L);
    vm_push(desc->vm, desc->L, desc->vm->own_ref);
    lua_setmetatable(desc->L, -2);
    lua_xmove(desc->L, W, 1);
  }
  // Pushing a C function asks LuaJIT for memory.
  lua_pushcfunction(desc->L, walk);
  lua_pushcfunction(desc->L, desc->step != NULL ? desc->step : walk);
  lua_xmove(desc->L, W, 2);
}

void sweep_clear(Sweep *self) {
  memory_free(self->desc.allocator, self->visited.items);
  memory_free(self->desc.allocator, self->settled);
  memory_free(self->desc.allocator, self->functions);
  if (self->desc.walker != NULL) lua_settop(self->desc.walker, 0);
  *self = (Sweep){.desc = self->desc};
}

// stack: …, function, arguments. Hooks rest; LuaJIT has one for all threads.
static int call_walker(Sweep *self, int arg_count, int result_count) {
  lua_State *W = self->desc.walker;
  lua_Hook hook = lua_gethook(W);
  int mask = lua_gethookmask(W), count = lua_gethookcount(W);
  if (hook != NULL) lua_sethook(W, NULL, 0, 0);
  int status = lua_pcall(W, arg_count, result_count, 0);
  if (hook != NULL) lua_sethook(W, hook, mask, count);
  if (status != LUA_OK) lua_xmove(W, self->desc.L, 1);
  wake_collector(self);
  return status;
}

int sweep_run(Sweep *self) {
  lua_State *W = self->desc.walker;
  rest_collector(self);
  lua_settop(W, STEP);
  lua_pushvalue(W, FUNCTION);
  for (int i = 1; i <= FIXED_COUNT; i++) lua_pushvalue(W, i);
  lua_pushlightuserdata(W, self);
  return call_walker(self, FIXED_COUNT + 1, 0);
}

int sweep_step(Sweep *self, void *context) {
  lua_State *W = self->desc.walker;
  lua_settop(W, KEPT + SWEEP_KEPT - 1);
  lua_pushvalue(W, STEP);
  for (int i = 1; i <= FIXED_COUNT; i++) lua_pushvalue(W, i);
  lua_pushlightuserdata(W, context);
  for (int i = 0; i < SWEEP_KEPT; i++) lua_pushvalue(W, KEPT + i);
  int status = call_walker(self, FIXED_COUNT + 1 + SWEEP_KEPT, SWEEP_KEPT);
  if (status != LUA_OK) {
    lua_settop(W, STEP);
    return status;
  }
  for (int i = SWEEP_KEPT - 1; i >= 0; i--) lua_replace(W, KEPT + i);
  return status;
}

bool sweep_substitute(Sweep *self) {
  return substitute(self);
}

void sweep_enter(Sweep *self) {
  enter(self, 0);
}

void sweep_add_rename(Sweep *self) {
  lua_rawseti(self->desc.walker, RENAMES, ++self->rename_count);
}

void sweep_rename_keys(Sweep *self) {
  rename_keys(self, 0);
}

void sweep_follow(Sweep *self,
                  void (*begin)(void *context, Sweep *sweep, lua_State *L)) {
  self->desc.flat = false;
  self->desc.begin = begin;
  self->rename_count = 0;
  if (self->settled != NULL) {
    memset(self->settled, 0, SETTLED_COUNT * sizeof *self->settled);
  }
}

static void forget_visited(Sweep *self) {
  self->pending_count = 0;
  self->rename_count = 0;
  self->visited.count = 0;
  self->function_count = 0;
  if (self->visited.items != NULL) {
    memset(self->visited.items, 0,
           self->visited.capacity * sizeof *self->visited.items);
  }
  if (self->functions != NULL) {
    memset(self->functions, 0,
           self->function_capacity * sizeof *self->functions);
  }
}

// The table of functions has held as many entries before, so it does not grow.
void sweep_reverse(Sweep *self, const bool *marks, bool which) {
  lua_State *W = self->desc.walker;
  lua_settop(W, FUNCTION);
  lua_pushvalue(W, ORIGINALS);
  lua_pushvalue(W, REPLACEMENTS);
  lua_replace(W, ORIGINALS);
  lua_replace(W, REPLACEMENTS);
  self->desc.judge = NULL;
  self->desc.running = NULL;
  self->desc.concerns = NULL;
  self->desc.filter = NULL; // what replaces has other prototypes
  forget_visited(self);
  for (int pair = 1; pair <= self->pair_count; pair++) {
    if ((marks != NULL && marks[pair]) != which) continue;
    lua_rawgeti(W, ORIGINALS, pair);
    SweepFunction *entry = function_entry(self, lua_topointer(W, -1));
    entry->judged = true;
    entry->replacement = pair;
    lua_pop(W, 1);
  }
}

void sweep_push_pair(Sweep *self, lua_State *L, int pair) {
  lua_State *W = self->desc.walker;
  lua_rawgeti(W, ORIGINALS, pair);
  lua_rawgeti(W, REPLACEMENTS, pair);
  lua_xmove(W, L, 2);
}
