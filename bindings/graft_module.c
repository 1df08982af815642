// SPDX-License-Identifier: MIT

#include "graft_module.h"

#include "base/error.h"

Vm *module_vm(lua_State *L) {
  Vm *vm = vm_of(L);
  if (vm == NULL || vm->engine == NULL) luaL_error(L, "the engine is closed");
  return vm;
}

GraftEngine *module_engine(lua_State *L) {
  return module_vm(L)->engine;
}

lua_State *module_enter(lua_State *L) {
  Vm *vm = module_vm(L);
  lua_State *previous = vm->L;
  vm->L = L;
  return previous;
}

void module_leave(lua_State *L, lua_State *previous) {
  vm_of(L)->L = previous;
}

static void push_error(lua_State *L, const GraftError *error) {
  if (error->line > 0) {
    lua_pushfstring(L, "%s:%d: %s", error->file, error->line, error->message);
  } else {
    lua_pushstring(L, error->message);
  }
}

int module_fail(lua_State *L, const GraftError *error) {
  lua_pushnil(L);
  push_error(L, error);
  lua_pushinteger(L, error->status);
  return 3;
}

// graft.watch(path)
static int watch(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  GraftError error;
  lua_State *previous = module_enter(L);
  GraftStatus status = graft_engine_watch(module_engine(L), path, &error);
  module_leave(L, previous);
  if (status < 0) return module_fail(L, &error);
  lua_pushboolean(L, 1);
  return 1;
}

// graft.update() → report, or nil when nothing has changed
static int update(lua_State *L) {
  const GraftReport *report = NULL;
  lua_State *previous = module_enter(L);
  graft_engine_update(module_engine(L), &report);
  module_leave(L, previous);
  events_push_report(L, report);
  return 1;
}

static void push_first_failure(lua_State *L, const GraftReport *report) {
  for (size_t i = 0; i < graft_report_count(report); i++) {
    const GraftEvent *event = graft_report_event(report, i);
    if (event->kind != GRAFT_EVENT_REJECT && event->kind != GRAFT_EVENT_ERROR) {
      continue;
    }
    if (event->line > 0) {
      lua_pushfstring(L, "%s:%d: %s", event->file, event->line, event->message);
    } else {
      lua_pushstring(L, event->message);
    }
    return;
  }
  lua_pushliteral(L, "a file that was saved before is still broken");
}

// graft.reload([path]) → report, or nil, message
static int reload(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  GraftEngine *engine = module_engine(L);
  if (path != NULL && engine_find_file(engine, path) == NULL &&
      !engine_has_native_file(engine, path)) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s is not a file that was loaded", path);
    return 2;
  }
  const GraftReport *report = NULL;
  lua_State *previous = module_enter(L);
  graft_engine_reload(engine, path, &report);
  module_leave(L, previous);
  if (report != NULL && !graft_report_ok(report)) {
    lua_pushnil(L);
    push_first_failure(L, report);
    return 2;
  }
  if (report != NULL) {
    events_push_report(L, report);
  } else {
    events_push_report(L, &(GraftReport){0});
  }
  return 1;
}

// stack: function, arguments → true, results
// or false, message[, "reverted"]
static int call(lua_State *L) {
  luaL_checkany(L, 1);
  GraftError error;
  GraftStatus status =
      vm_pcall(module_vm(L), L, lua_gettop(L) - 1, LUA_MULTRET, &error);
  if (status == GRAFT_OK) {
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return lua_gettop(L);
  }
  lua_pushboolean(L, 0);
  push_error(L, &error);
  if (status != GRAFT_EREVERTED) return 2;
  lua_pushliteral(L, "reverted");
  return 3;
}

static const luaL_Reg functions[] = {
    {"call", call},     {"watch", watch}, {"update", update},
    {"reload", reload}, {NULL, NULL},
};

static void set_functions(lua_State *L, const luaL_Reg *list) {
  for (; list->name != NULL; list++) {
    lua_pushcfunction(L, list->func);
    lua_setfield(L, -2, list->name);
  }
}

static void open_module(Vm *vm, lua_State *L, void *context) {
  (void)context;
  lua_newtable(L);
  set_functions(L, functions);
  events_add_functions(L);
  slot_add_functions(L);
  values_add_functions(L);
  unit_add_functions(L);
  views_add_functions(L);
  lua_pushstring(L, graft_vm_name());
  lua_setfield(L, -2, "vm");
  lua_pushstring(L, graft_version());
  lua_setfield(L, -2, "version");
  lua_pushvalue(L, -1);
  vm->module_ref = vm_ref(vm, L);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "graft");
}

GraftStatus bindings_open(GraftEngine *engine, GraftError *error) {
  engine->on_lua_event = events_on_event;
  return vm_protect(engine->vm, open_module, NULL, error);
}
