// SPDX-License-Identifier: MIT

#include "vm/spread.h"

#include <time.h>

#include "vm/conform.h"
#include "vm/state.h"

// Slots to look at before the clock is read, and what else costs as many.
enum { SLOTS_PER_LOOK = 1000, OBJECT_SLOTS = 4, THREAD_SLOTS = 100 };

// How many slots are near; how often one table is begun in one pass.
enum { NEAR_SLOTS = 20000, BEGUN_MOST = 8 };

// On the walker's stack, inside a step.
enum { CONTEXT = SWEEP_FIXED + 1, KEPT_HOLDER, KEPT_OBJECT };

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static bool is_late(Spread *self) {
  if (self->left > 0) return false;
  self->left = SLOTS_PER_LOOK;
  self->late = now() >= self->deadline;
  return self->late;
}

static lua_State *walker(const Spread *self) {
  return self->sweep->desc.walker;
}

static bool is_old(Spread *self, RawRef ref) {
  if (ref.kind != RAW_LUA_FUNCTION) return false;
  const SweepDesc *desc = &self->sweep->desc;
  const void *proto = raw_proto(ref.object);
  if (proto == self->unconcerned) return false;
  if (desc->concerns(desc->context, proto)) return true;
  self->unconcerned = proto;
  return false;
}

static const void *address(Vm *vm, lua_State *L, int ref) {
  vm_push(vm, L, ref);
  const void *object = lua_topointer(L, -1);
  lua_pop(L, 1);
  return object;
}

void spread_init(Spread *self, Vm *vm, lua_State *L, Sweep *sweep) {
  *self = (Spread){
      .sweep = sweep,
      .heap = &vm->heap,
      .skips = {conform_skipped(vm, L), address(vm, L, vm->remnant.table_ref)},
      .own = address(vm, L, vm->own_ref)};
}

// ---------------------------------------------------------------------------
// Tables
// ---------------------------------------------------------------------------

static void push(Spread *self, const void *object) {
  heap_push(walker(self), self->holder, object);
}

static void replace_item(Spread *self, const void *table, size_t item) {
  lua_State *W = walker(self);
  int key = (int)item + RAW_FIRST;
  push(self, table);
  lua_rawgeti(W, -1, key);
  if (sweep_substitute(self->sweep)) {
    lua_rawseti(W, -2, key);
  } else {
    lua_pop(W, 1);
  }
  lua_pop(W, 1);
}

static void replace_value(Spread *self, const void *table, const char *node) {
  lua_State *W = walker(self);
  push(self, table);
  heap_push_key(W, self->holder, node);
  lua_pushvalue(W, -1);
  lua_rawget(W, -3);
  // stack: table, key, value
  if (sweep_substitute(self->sweep)) {
    lua_rawset(W, -3);
  } else {
    lua_pop(W, 2);
  }
  lua_pop(W, 1);
}

static void replace_key(Spread *self, const char *node) {
  lua_State *W = walker(self);
  heap_push_key(W, self->holder, node);
  lua_pushvalue(W, -1);
  bool found = sweep_substitute(self->sweep);
  lua_pop(W, 1);
  if (found) {
    sweep_add_rename(self->sweep);
  } else {
    lua_pop(W, 1);
  }
}

static void rename_keys(Spread *self, const void *table) {
  if (self->sweep->rename_count == 0) return;
  push(self, table);
  sweep_rename_keys(self->sweep);
  lua_pop(walker(self), 1);
}

static bool has_moved(const SpreadPlace *place, const void *table) {
  RawSlots array = raw_array(table);
  return place->array != array.first || place->item_end > array.count ||
         place->nodes != raw_nodes(table).first;
}

// A table that grows faster than the budget lets it be looked through is
// finished in spite of it.
static bool must_rest(Spread *self, const SpreadPlace *place) {
  return --self->left <= 0 && place->begun <= BEGUN_MOST && is_late(self);
}

// False when it is late; then `place` says how far it came.
static bool scan_array(Spread *self, const void *table, SpreadPlace *place) {
  RawSlots array = raw_array(table);
  for (; place->item < place->item_end; place->item++) {
    if (must_rest(self, place)) return false;
    if (!is_old(self, raw_slot(array.first + place->item * RAW_SLOT))) continue;
    replace_item(self, table, place->item);
    if (has_moved(place, table)) return true;
  }
  return true;
}

static bool scan_nodes(Spread *self, const void *table, SpreadPlace *place) {
  RawSlots nodes = raw_nodes(table);
  for (; place->node < nodes.count; place->node++) {
    if (must_rest(self, place)) return false;
    const char *node = nodes.first + place->node * RAW_NODE;
    if (raw_node_is_free(node)) continue;
    if (is_old(self, raw_node_value(node))) {
      replace_value(self, table, node);
      if (has_moved(place, table)) return true;
    }
    if (is_old(self, raw_node_key(node))) replace_key(self, node);
  }
  return true;
}

static void begin_table(const void *table, SpreadPlace *place) {
  RawSlots array = raw_array(table);
  place->array = array.first;
  place->nodes = raw_nodes(table).first;
  place->item_end = array.count;
  place->node = 0;
  place->begun++;
}

// Keys are renamed when the nodes are not being read, since that may move them.
// Where something was added to the table meanwhile, which is when the table is
// one of Graft's own, it is begun again.
static bool scan_table(Spread *self, const void *table, SpreadPlace *place) {
  bool complete = true;
  do {
    if (has_moved(place, table)) begin_table(table, place);
    complete = scan_array(self, table, place) && scan_nodes(self, table, place);
  } while (complete && has_moved(place, table));
  rename_keys(self, table);
  return complete;
}

// ---------------------------------------------------------------------------
// Objects
// ---------------------------------------------------------------------------

static void enter(Spread *self, const void *object) {
  push(self, object);
  sweep_enter(self->sweep);
  lua_pop(walker(self), 1);
}

// An old closure is given its new one although no reference was met: one that
// the passes miss is known then (remnant.h).
static void pair_function(Spread *self, const void *function) {
  push(self, function);
  if (!remnant_is_copy(self->sweep->desc.vm, walker(self))) {
    self->sweep->reference_count -= sweep_substitute(self->sweep);
  }
  lua_pop(walker(self), 1);
}

// False for a Lua function that was never made to its end.
static bool scan_function(Spread *self, RawRef function) {
  int count = raw_upvalue_count(function);
  bool any = false;
  self->left -= count;
  for (int n = 0; n < count; n++) {
    bool is_lua = function.kind == RAW_LUA_FUNCTION;
    if (is_lua && raw_cell(function.object, n) == NULL) return false;
    any = any || is_old(self, raw_upvalue(function, n));
  }
  if (any) enter(self, function.object);
  return true;
}

static void visit_lua_function(Spread *self, const void *function) {
  const void *proto = raw_proto(function);
  if (proto == NULL ||
      !scan_function(self, (RawRef){function, RAW_LUA_FUNCTION})) {
    return;
  }
  if (self->met != NULL && self->met(self->sweep->desc.context, proto)) {
    pair_function(self, function);
  }
}

static bool is_skipped(const Spread *self, const void *table) {
  return table == self->skips[0] || table == self->skips[1] ||
         table == self->sweep->desc.skip || raw_metatable(table) == self->own;
}

// False when it is late, and the object was looked through in part only.
static bool visit(Spread *self, const void *object) {
  self->left -= OBJECT_SLOTS;
  switch (heap_kind(object)) {
  case HEAP_TABLE:
    return is_skipped(self, object) || scan_table(self, object, &self->place);
  case HEAP_LUA_FUNCTION:
    visit_lua_function(self, object);
    break;
  case HEAP_C_FUNCTION:
    scan_function(self, (RawRef){object, RAW_C_FUNCTION});
    break;
  case HEAP_USERDATA:
    if (heap_has_user_values(object)) enter(self, object);
    break;
  case HEAP_THREAD:
    self->left -= THREAD_SLOTS;
    if (heap_is_whole_thread(object)) enter(self, object);
    break;
  case HEAP_PLAIN:
  case HEAP_INNER:
    break;
  }
  return true;
}

// ---------------------------------------------------------------------------
// The pass
// ---------------------------------------------------------------------------

static void begin_pass(Spread *self) {
  self->begun = true;
  self->list = 0;
  self->object = heap_first(self->heap, 0);
  self->place = (SpreadPlace){0};
  self->found_before = self->sweep->reference_count;
  spread_near_threads(self);
}

static void end_pass(Spread *self) {
  self->begun = false;
  self->passes++;
  self->done = self->sweep->reference_count == self->found_before;
}

// Goes on to the next object, in this list or in those behind it. The main
// thread is the end of LuaJIT's.
static void advance(Spread *self) {
  self->place = (SpreadPlace){0};
  self->object = heap_next(self->object);
  if (VM_LUAJIT && self->object == self->sweep->desc.main) self->object = NULL;
  while (self->object == NULL && ++self->list < HEAP_LISTS) {
    self->object = heap_first(self->heap, self->list);
  }
}

// The object where the walk rested may have got a finalizer, and with it a
// place in the other list.
static void resume(Spread *self) {
  if (self->list > 0 || !heap_has_finalizer(self->object)) return;
  self->object = heap_first(self->heap, 0);
  self->place = (SpreadPlace){0};
}

static void walk(Spread *self) {
  if (self->begun) {
    resume(self);
  } else {
    begin_pass(self);
  }
  for (; self->object != NULL; advance(self)) {
    if (heap_is_dead(self->object, self->white)) continue;
    __builtin_prefetch(heap_next(self->object));
    bool can_rest = heap_kind(self->object) != HEAP_INNER;
    if (can_rest && (self->late || is_late(self))) return;
    if (!visit(self, self->object)) return;
  }
  end_pass(self);
}

// stack: as for sweep_step
int spread_step(lua_State *W) {
  Spread *self = lua_touserdata(W, CONTEXT);
  luaL_checkstack(W, 40, "sweep");
  if (lua_isnil(W, KEPT_HOLDER)) {
    heap_push_holder(W);
    lua_replace(W, KEPT_HOLDER);
  }
  self->holder = KEPT_HOLDER;
  self->white = heap_white(W);
  self->unconcerned = NULL;
  walk(self);
  lua_settop(W, KEPT_HOLDER);
  if (self->begun) {
    push(self, self->object);
  } else {
    lua_pushnil(W);
  }
  return SWEEP_KEPT;
}

int spread_run(Spread *self, uint64_t budget_ns) {
  self->deadline = now() + budget_ns;
  self->left = SLOTS_PER_LOOK;
  self->late = false;
  while (!self->done && !self->late) {
    int status = sweep_step(self->sweep, self);
    if (status == LUA_OK) continue;
    self->begun = false;
    return status;
  }
  return LUA_OK;
}

// ---------------------------------------------------------------------------
// What is near
// ---------------------------------------------------------------------------

void spread_begin_near(Spread *self) {
  lua_State *W = walker(self);
  luaL_checkstack(W, 40, "sweep");
  heap_push_holder(W);
  self->holder = lua_gettop(W);
  self->unconcerned = NULL;
  self->deadline = UINT64_MAX;
  self->near_left = NEAR_SLOTS;
}

void spread_near_threads(Spread *self) {
  const SweepDesc *desc = &self->sweep->desc;
  enter(self, desc->main);
  if (desc->L != desc->main) enter(self, desc->L);
}

static void near_slot(Spread *self, RawRef ref, int depth) {
  if (ref.kind != RAW_TABLE) return;
  push(self, ref.object);
  spread_near(self, depth);
}

void spread_near(Spread *self, int depth) {
  lua_State *W = walker(self);
  const void *table = lua_topointer(W, -1);
  RawSlots array = raw_array(table), nodes = raw_nodes(table);
  long size = (long)(array.count + nodes.count);
  SpreadPlace place = {0};
  if (!is_skipped(self, table) && size <= self->near_left) {
    self->near_left -= size;
    scan_table(self, table, &place);
    array = raw_array(table);
    nodes = raw_nodes(table);
    for (size_t i = 0; depth > 0 && i < array.count; i++) {
      near_slot(self, raw_slot(array.first + i * RAW_SLOT), depth - 1);
    }
    for (size_t i = 0; depth > 0 && i < nodes.count; i++) {
      const char *node = nodes.first + i * RAW_NODE;
      if (raw_node_is_free(node)) continue;
      near_slot(self, raw_node_value(node), depth - 1);
    }
  }
  lua_pop(W, 1);
}
