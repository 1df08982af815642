// SPDX-License-Identifier: MIT

#include "graft_module.h"
#include "vm/inspect.h"
#include "vm/stub.h"

// graft.fn(name) → function
static int fn(lua_State *L) {
  GraftFn *found = graft_engine_fn(module_engine(L), luaL_checkstring(L, 1));
  if (found == NULL) return luaL_error(L, "out of memory");
  stub_push(vm_of(L), L, found);
  return 1;
}

// stack: names, pattern → whether the name on top matches; pops it
static bool matches(lua_State *L, int pattern) {
  if (lua_isnoneornil(L, pattern)) return true;
  lua_getglobal(L, "string");
  lua_getfield(L, -1, "find");
  lua_remove(L, -2);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, pattern);
  lua_call(L, 2, 1);
  bool found = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return found;
}

// graft.names([pattern]) → sorted list of names
static int names(lua_State *L) {
  luaL_optstring(L, 1, NULL);
  lua_settop(L, 1);
  GraftEngine *engine = module_engine(L);
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "sort");
  lua_newtable(L);
  // stack: pattern, table, sort, list
  int count = 0;
  for (size_t i = 0; i < registry_count(engine->registry); i++) {
    const GraftFn *slot = registry_at(engine->registry, i);
    if (slot->active == NULL) continue;
    lua_pushstring(L, slot->name);
    if (matches(L, 1)) {
      lua_rawseti(L, 4, ++count);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 4);
  lua_call(L, 1, 0);
  return 1;
}

static GraftFn *find(lua_State *L) {
  return registry_find(module_engine(L)->registry, luaL_checkstring(L, 1));
}

static int fail_unknown(lua_State *L) {
  lua_pushnil(L);
  lua_pushfstring(L, "no function is called '%s'", lua_tostring(L, 1));
  lua_pushinteger(L, GRAFT_ENOTFOUND);
  return 3;
}

static void set_text(lua_State *L, const char *key, const char *text) {
  if (text == NULL) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, lua_Integer number) {
  lua_pushinteger(L, number);
  lua_setfield(L, -2, key);
}

static void set_pin(lua_State *L, const GraftFn *slot) {
  switch (slot->state.pin) {
  case GRAFT_PIN_NATIVE:
    set_text(L, "pin", "native");
    break;
  case GRAFT_PIN_SCRIPT:
    set_text(L, "pin", "script");
    break;
  case GRAFT_PIN_VERSION:
    set_integer(L, "pin", (lua_Integer)slot->state.pinned->version);
    break;
  case GRAFT_PIN_AUTO:
    break;
  }
}

// stack: …, info. `backings` lists what the slot has, the highest first.
static void set_backings(lua_State *L, const GraftFn *slot) {
  lua_newtable(L);
  for (size_t i = slot->state.layer_count; i > 0; i--) {
    const Backing *backing = slot->state.layers[i - 1];
    char buffer[24];
    lua_newtable(L);
    set_text(L, "kind", backing_kind_text(backing));
    set_text(L, "layer", layer_text(backing->layer, buffer));
    set_integer(L, "version", (lua_Integer)backing->version);
    set_text(L, "file", backing->file);
    if (backing->line > 0) set_integer(L, "line", backing->line);
    if (backing->signature != NULL) {
      set_text(L, "signature", backing->signature->text);
    }
    set_text(L, "why_not", backing->why_not);
    lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
  }
  lua_setfield(L, -2, "backings");
}

// graft.info(name) → table
static int info(lua_State *L) {
  GraftFn *slot = find(L);
  if (slot == NULL) return fail_unknown(L);
  GraftInfo known;
  graft_fn_info(slot, &known);
  lua_newtable(L);
  set_text(L, "name", known.name);
  set_text(L, "backing", known.kind);
  set_text(L, "layer", known.layer);
  set_text(L, "file", known.file);
  set_text(L, "signature", known.signature);
  set_text(L, "removed", known.removed);
  set_integer(L, "version", known.version);
  set_integer(L, "calls", (lua_Integer)known.calls);
  if (known.line > 0) set_integer(L, "line", known.line);
  set_pin(L, slot);
  set_backings(L, slot);
  inspect_old_code(vm_of(L), L, known.name);
  lua_setfield(L, -2, "old");
  return 1;
}

// graft.swap(name, backing)
static int swap(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *backing = luaL_checkstring(L, 2);
  GraftError error;
  lua_State *previous = module_enter(L);
  GraftStatus status =
      graft_engine_swap(module_engine(L), name, backing, &error);
  module_leave(L, previous);
  if (status < 0) return module_fail(L, &error);
  lua_pushboolean(L, 1);
  return 1;
}

// graft.rollback(name[, version])
static int rollback(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_Number version = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, version >= 0 && version <= UINT32_MAX, 2, "no version");
  GraftError error;
  lua_State *previous = module_enter(L);
  GraftStatus status =
      graft_engine_rollback(module_engine(L), name, (uint32_t)version, &error);
  module_leave(L, previous);
  if (status < 0) return module_fail(L, &error);
  lua_pushboolean(L, 1);
  return 1;
}

// graft.history(name) → list of versions, oldest first
static int history(lua_State *L) {
  GraftFn *slot = find(L);
  if (slot == NULL) return fail_unknown(L);
  lua_newtable(L);
  for (int i = 0; i < slot_history_count(slot); i++) {
    const Backing *backing = slot_history(slot, i);
    lua_newtable(L);
    set_integer(L, "version", (lua_Integer)backing->version);
    set_text(L, "kind", backing_kind_text(backing));
    set_text(L, "file", backing->file);
    if (backing->line > 0) set_integer(L, "line", backing->line);
    if (backing->source != NULL) {
      lua_pushlstring(L, backing->source, backing->source_size);
      lua_setfield(L, -2, "source");
    }
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static const luaL_Reg functions[] = {
    {"fn", fn},     {"names", names},     {"info", info},
    {"swap", swap}, {"history", history}, {"rollback", rollback},
    {NULL, NULL},
};

void slot_add_functions(lua_State *L) {
  for (const luaL_Reg *entry = functions; entry->name != NULL; entry++) {
    lua_pushcfunction(L, entry->func);
    lua_setfield(L, -2, entry->name);
  }
}
