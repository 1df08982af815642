// SPDX-License-Identifier: MIT

#include "vm/settle.h"

#include "vm/proto.h"
#include "vm/raw.h"
#include "vm/sweep_inner.h"

// Slots read, and steps taken, for one reference.
enum { SLOT_BUDGET = 128, DEPTH_LIMIT = 4 };

// How far ahead of the slot in hand objects are fetched into the cache: first
// the object, then what it points to.
enum { FETCH_OBJECT = 16, FETCH_INSIDE = 8 };

// Bytes of a table's nodes that are fetched at most.
enum { FETCH_NODES = 1024 };

typedef struct Settle {
  Sweep *sweep;
  int budget;
  int depth;
  // What is being looked into. What leads back to it adds nothing.
  const void *path[DEPTH_LIMIT];
} Settle;

static bool is_settled(Settle *self, RawRef ref);

static bool table_ref_is_settled(Settle *self, const void *table) {
  return table == NULL || is_settled(self, (RawRef){table, RAW_TABLE});
}

// ---------------------------------------------------------------------------
// Functions
// ---------------------------------------------------------------------------

// What is said of a prototype holds for the whole walk; closures of one often
// come in a row.
static bool is_of_concern(Sweep *sweep, const void *proto) {
  if (sweep->desc.concerns == NULL) return sweep->desc.judge != NULL;
  if (proto == sweep->unconcerned) return false;
  if (sweep->desc.concerns(sweep->desc.context, proto)) return true;
  sweep->unconcerned = proto;
  return false;
}

static bool variables_are_settled(Settle *self, RawRef function) {
  int count = raw_upvalue_count(function);
  self->budget -= count + 1;
  if (self->budget < 0) return false;
  for (int n = 0; n < count; n++) {
    if (!is_settled(self, raw_upvalue(function, n))) return false;
  }
  return table_ref_is_settled(self, raw_environment(function.object));
}

// Whether it may have a replacement, or get one.
static bool may_be_replaced(const Sweep *sweep, RawRef function) {
  return sweep->desc.filter == NULL ||
         (function.kind == RAW_LUA_FUNCTION &&
          filter_may_have(sweep->desc.filter, raw_proto(function.object)));
}

static bool other_is_settled(Settle *self, RawRef function) {
  const void **place = settled_place(self->sweep, function.object);
  if (*place == function.object) return true;
  if (!variables_are_settled(self, function)) return false;
  *place = function.object;
  return true;
}

static bool function_is_settled(Settle *self, RawRef function) {
  Sweep *sweep = self->sweep;
  if (!may_be_replaced(sweep, function))
    return other_is_settled(self, function);
  if (sweep->function_capacity > 0) {
    const SweepFunction *known = function_place(
        sweep->functions, sweep->function_capacity, function.object);
    if (known->function != NULL) {
      return known->entered && known->replacement == 0;
    }
  }
  if (function.kind == RAW_LUA_FUNCTION &&
      is_of_concern(sweep, raw_proto(function.object))) {
    return false;
  }
  return variables_are_settled(self, function);
}

// ---------------------------------------------------------------------------
// Tables
// ---------------------------------------------------------------------------

static bool nodes_are_settled(Settle *self, RawSlots nodes) {
  const char *node = nodes.first;
  for (size_t i = 0; i < nodes.count; i++, node += RAW_NODE) {
    if (raw_node_is_free(node)) continue;
    if (!is_settled(self, raw_node_value(node)) ||
        !is_settled(self, raw_node_key(node))) {
      return false;
    }
  }
  return true;
}

static bool table_is_settled(Settle *self, const void *table) {
  RawSlots array = raw_array(table);
  RawSlots nodes = raw_nodes(table);
  if (array.count + nodes.count > (size_t)self->budget) return false;
  self->budget -= (int)(array.count + nodes.count);
  const char *slot = array.first;
  for (size_t i = 0; i < array.count; i++, slot += RAW_SLOT) {
    if (!is_settled(self, raw_slot(slot))) return false;
  }
  return nodes_are_settled(self, nodes) &&
         table_ref_is_settled(self, raw_metatable(table));
}

static bool is_on_path(const Settle *self, const void *object) {
  for (int i = 0; i < self->depth; i++) {
    if (self->path[i] == object) return true;
  }
  return false;
}

static bool is_settled(Settle *self, RawRef ref) {
  if (ref.kind == RAW_PLAIN) return true;
  bool is_function = ref.kind == RAW_LUA_FUNCTION || ref.kind == RAW_C_FUNCTION;
  if (!is_function && set_has(&self->sweep->visited, ref.object)) return true;
  if (is_on_path(self, ref.object)) return true;
  if (ref.kind == RAW_OTHER || self->depth >= DEPTH_LIMIT) return false;
  self->path[self->depth++] = ref.object;
  bool settled = is_function ? function_is_settled(self, ref)
                             : table_is_settled(self, ref.object);
  self->depth--;
  return settled;
}

bool settle_is_settled(Sweep *self) {
  if (!self->desc.raw) return false;
  lua_State *W = self->desc.walker;
  Settle settle = {.sweep = self, .budget = SLOT_BUDGET};
  RawRef ref = {lua_topointer(W, -1), RAW_TABLE};
  if (lua_type(W, -1) == LUA_TFUNCTION) {
    ref.kind = lua_iscfunction(W, -1) ? RAW_C_FUNCTION : RAW_LUA_FUNCTION;
#if !VM_LUAJIT
    // A C function without variables is no object, only an address.
    if (ref.kind == RAW_C_FUNCTION && lua_getupvalue(W, -1, 1) == NULL) {
      return false;
    }
    if (ref.kind == RAW_C_FUNCTION) lua_pop(W, 1);
#endif
  } else if (lua_type(W, -1) != LUA_TTABLE) {
    return false;
  }
  return is_settled(&settle, ref);
}

// ---------------------------------------------------------------------------
// Large tables
// ---------------------------------------------------------------------------

static void fetch_ahead(const char *slot, size_t left) {
  if (left > FETCH_OBJECT) {
    const char *far = slot + (size_t)FETCH_OBJECT * RAW_SLOT;
    __builtin_prefetch(raw_slot_address(far));
  }
  if (left <= FETCH_INSIDE) return;
  RawRef near = raw_slot(slot + (size_t)FETCH_INSIDE * RAW_SLOT);
  if (near.kind == RAW_TABLE) {
    __builtin_prefetch(raw_nodes(near.object).first);
  } else if (near.kind == RAW_LUA_FUNCTION && raw_upvalue_count(near) > 0) {
    __builtin_prefetch(raw_cell(near.object, 0));
  }
}

static bool large_array_is_settled(Sweep *self, RawSlots array) {
  const char *slot = array.first;
  for (size_t i = 0; i < array.count; i++, slot += RAW_SLOT) {
    fetch_ahead(slot, array.count - i);
    Settle settle = {.sweep = self, .budget = SLOT_BUDGET};
    if (!is_settled(&settle, raw_slot(slot))) return false;
  }
  return true;
}

static bool large_nodes_are_settled(Sweep *self, RawSlots nodes) {
  for (size_t i = 0; i < nodes.count; i++) {
    Settle settle = {.sweep = self, .budget = SLOT_BUDGET};
    RawSlots node = {nodes.first + i * RAW_NODE, 1};
    if (!nodes_are_settled(&settle, node)) return false;
  }
  return true;
}

bool settle_has_settled(Sweep *self) {
  if (!self->desc.raw) return false;
  const void *table = lua_topointer(self->desc.walker, -1);
  return large_array_is_settled(self, raw_array(table)) &&
         large_nodes_are_settled(self, raw_nodes(table));
}

// The place of field `n` of the table that the sweep skips, or NULL.
static const char *field_place(const Sweep *self, int n) {
  if (!self->desc.raw) return NULL;
  RawSlots array = raw_array(self->desc.skip);
  if (n < RAW_FIRST || (size_t)(n - RAW_FIRST) >= array.count) return NULL;
  return array.first + (size_t)(n - RAW_FIRST) * RAW_SLOT;
}

void settle_fetch(const Sweep *self, int n) {
  const char *place = n != 0 ? field_place(self, n) : NULL;
  if (place != NULL) __builtin_prefetch(raw_slot_address(place));
}

void settle_fetch_inside(const Sweep *self, int n) {
  const char *place = n != 0 ? field_place(self, n) : NULL;
  if (place == NULL) return;
  RawRef ref = raw_slot(place);
  if (ref.kind != RAW_TABLE) return;
  RawSlots nodes = raw_nodes(ref.object);
  size_t size = nodes.count * RAW_NODE;
  for (size_t at = 0; at < size && at < FETCH_NODES; at += 64) {
    __builtin_prefetch(nodes.first + at);
  }
}

bool settle_field(Sweep *self, int n) {
  const char *place = field_place(self, n);
  if (place == NULL) return false;
  RawRef ref = raw_slot(place);
  Settle settle = {.sweep = self, .budget = SLOT_BUDGET};
  if (!is_settled(&settle, ref)) return false;
  if (ref.kind == RAW_TABLE) sweep_add_visited(self, ref.object);
  return true;
}

// ---------------------------------------------------------------------------
// Whether the layout is known
// ---------------------------------------------------------------------------

// Arrays with holes, one of them larger than its length says; nodes that were
// freed; keys that are objects; variables of all kinds of functions.
static const char check_text[] =
    "local t, f, u = {}, function() end, ...\n"
    "local c = coroutine.create(f)\n"
    "local a = {t, f, c, u, 5, 'x', t, f, nil, t}\n"
    "for i = 1, 20 do a[i * 3] = t end\n"
    "a[t], a[f], a[c], a.x, a.y, a[0.5] = f, u, t, t, f, c\n"
    "a.y, a[6] = nil, nil\n"
    "local b = {}\n"
    "for i = 1, 13 do b[i] = f end\n"
    "for i = 13, 6, -1 do b[i] = nil end\n"
    "local n = #b\n"
    "local function g() n = n + 1 return t, f, u, c, a end\n"
    "return setmetatable(a, t), b, {}, g, coroutine.wrap(f), t\n";

// Objects that were found, in any order.
typedef struct Sum {
  uintptr_t objects;
  int count;
} Sum;

static void sum_raw(Sum *self, RawRef ref) {
  if (ref.kind == RAW_PLAIN) return;
  self->objects += (uintptr_t)ref.object * (uintptr_t)(ref.kind + 1);
  self->count++;
}

// The same for the value at `index`, as the public interface shows it.
static void sum_shown(Sum *self, lua_State *L, int index) {
  RawKind kind = RAW_OTHER;
  switch (lua_type(L, index)) {
  case LUA_TTABLE:
    kind = RAW_TABLE;
    break;
  case LUA_TFUNCTION:
    kind = lua_iscfunction(L, index) ? RAW_C_FUNCTION : RAW_LUA_FUNCTION;
    break;
  case LUA_TUSERDATA:
  case LUA_TTHREAD:
    break;
  default:
    return;
  }
  sum_raw(self, (RawRef){lua_topointer(L, index), kind});
}

static bool check_table(lua_State *L, int index) {
  const void *table = lua_topointer(L, index);
  Sum raw = {0}, shown = {0};
  RawSlots array = raw_array(table), nodes = raw_nodes(table);
  for (size_t i = 0; i < array.count; i++) {
    sum_raw(&raw, raw_slot(array.first + i * RAW_SLOT));
  }
  for (size_t i = 0; i < nodes.count; i++) {
    const char *node = nodes.first + i * RAW_NODE;
    if (raw_node_is_free(node)) continue;
    sum_raw(&raw, raw_node_value(node));
    sum_raw(&raw, raw_node_key(node));
  }
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    sum_shown(&shown, L, -2);
    sum_shown(&shown, L, -1);
  }
  const void *metatable = NULL;
  if (lua_getmetatable(L, index)) {
    metatable = lua_topointer(L, -1);
    lua_pop(L, 1);
  }
  return raw.count == shown.count && raw.objects == shown.objects &&
         raw_metatable(table) == metatable;
}

static bool check_function(lua_State *L, int index, RawKind kind) {
  RawRef function = {lua_topointer(L, index), kind};
  Sum raw = {0}, shown = {0};
  int count = 0;
  for (; lua_getupvalue(L, index, count + 1) != NULL; lua_pop(L, 1)) {
    sum_shown(&shown, L, -1);
    count++;
  }
  if (count != raw_upvalue_count(function)) return false;
  for (int n = 0; n < count; n++) sum_raw(&raw, raw_upvalue(function, n));
  return raw.count == shown.count && raw.objects == shown.objects &&
         (kind == RAW_C_FUNCTION ||
          raw_proto(function.object) == proto_of(L, index));
}

#if VM_LUAJIT
static bool check_environment(lua_State *L, int index) {
  lua_getfenv(L, index);
  const void *environment = lua_topointer(L, -1);
  lua_pop(L, 1);
  return raw_environment(lua_topointer(L, index)) == environment;
}
#else
static bool check_environment(lua_State *L, int index) {
  (void)L, (void)index;
  return true;
}
#endif

bool settle_check(lua_State *L) {
  int top = lua_gettop(L);
  bool fits = false;
  int status = luaL_loadbuffer(L, check_text, sizeof check_text - 1, "=graft");
  if (status == LUA_OK) {
    lua_newuserdata(L, 1);
    status = lua_pcall(L, 1, 6, 0);
  }
  if (status == LUA_OK) {
    fits = check_table(L, top + 1) && check_table(L, top + 2) &&
           check_table(L, top + 3) &&
           check_function(L, top + 4, RAW_LUA_FUNCTION) &&
           check_function(L, top + 5, RAW_C_FUNCTION) &&
           check_environment(L, top + 4) && check_environment(L, top + 5);
  }
  lua_settop(L, top);
  return fits;
}
