// SPDX-License-Identifier: MIT

#include "vm/loader.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "registry/slot.h"
#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/proto.h"
#include "vm/state.h"
#include "vm/stub.h"
#include "vm/stub_ffi.h"
#include "vm/sweep.h"

// ---------------------------------------------------------------------------
// Module tables
// ---------------------------------------------------------------------------

static void push_loaded(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
}

static bool has_natives(const Vm *vm, const char *module) {
  const char *path = NULL;
  return vm->hooks->native(vm->hooks->context, module, 0, &path) != NULL;
}

// stack: …, table. Gives it the natives that it has no field for.
static void fill_natives(Vm *vm, lua_State *L, const char *module) {
  const char *path = NULL;
  GraftFn *fn = NULL;
  for (size_t i = 0;
       (fn = vm->hooks->native(vm->hooks->context, module, i, &path)) != NULL;
       i++) {
    lua_pushstring(L, path);
    lua_rawget(L, -2);
    bool taken = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (taken) continue;
    lua_pushstring(L, path);
    stub_push_backing(vm, L, fn, fn->active);
    lua_rawset(L, -3);
  }
}

// stack: …, what the chunk returned → …, what `require` gives (R3)
static void complete_value(Vm *vm, lua_State *L, const char *module) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    push_loaded(L);
    lua_getfield(L, -1, module);
    lua_remove(L, -2);
  }
  bool natives = has_natives(vm, module);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    if (natives) {
      lua_newtable(L);
    } else {
      lua_pushboolean(L, 1);
    }
  }
  if (natives && lua_istable(L, -1)) fill_natives(vm, L, module);
}

// stack: …, value → …, value. The script is complete.
static void finish(Script *script, lua_State *L) {
  lua_pushvalue(L, -1);
  script_finish(script, L);
  Vm *vm = script->vm;
  lua_State *previous = vm->L;
  vm->L = L;
  GraftError error;
  GraftStatus status = vm->hooks->loaded(vm->hooks->context, script, &error);
  vm->L = previous;
  if (status < 0) luaL_error(L, "%s", error.message);
}

// ---------------------------------------------------------------------------
// require
// ---------------------------------------------------------------------------

// stack: name, file. The loader may be called long after it was made, so the
// chunk itself tells what script it is, if it still is one.
static int load_script(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  ScriptProto *entry = script_find_proto(vm_of(L), proto_of(L, 1));
  if (entry == NULL) {
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
  }
  Script *script = entry->chunk->script;
  script_run(script, L, lua_gettop(L) - 1);
  complete_value(script->vm, L, script->module);
  finish(script, L);
  return 1;
}

// stack: name, file
static int load_natives(lua_State *L) {
  Vm *vm = vm_of(L);
  const char *module = luaL_checkstring(L, 1);
  lua_newtable(L);
  fill_natives(vm, L, module);
  return 1;
}

static int push_script_loader(lua_State *L, Script *script) {
  script_push_chunk(script, L);
  lua_pushcclosure(L, load_script, 1);
  lua_pushstring(L, script->path);
  return 2;
}

static int raise_load(lua_State *L, const char *module,
                      const GraftError *error) {
  if (error->line > 0) {
    return luaL_error(L, "error loading module '%s':\n\t%s:%d: %s", module,
                      error->file, error->line, error->message);
  }
  return luaL_error(L, "error loading module '%s':\n\t%s", module,
                    error->message);
}

// stack: name
static int search(lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  Vm *vm = vm_of(L);
  Script *script = NULL;
  GraftError error;
  int found = vm->hooks->find(vm->hooks->context, module, &script, &error);
  if (found < 0) return raise_load(L, module, &error);
  if (found == MODULE_SCRIPT) return push_script_loader(L, script);
  if (found == MODULE_NATIVE) {
    lua_pushcfunction(L, load_natives);
    return 1;
  }
  lua_pushfstring(L, "%sno file or native '%s' under the watched folders",
                  VM_LUAJIT ? "\n\t" : "", module);
  return 1;
}

// Behind package.preload, before the VM's own search for files.
static void install(Vm *vm, lua_State *L, void *context) {
  (void)vm;
  (void)context;
  lua_getglobal(L, "package");
  if (!lua_istable(L, -1)) return;
  lua_getfield(L, -1, VM_LUAJIT ? "loaders" : "searchers");
  if (!lua_istable(L, -1)) return;
  for (int i = (int)lua_rawlen(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search);
  lua_rawseti(L, -2, 2);
}

// stack: …, list. Where the searcher is in it, or 0.
static int find_searcher(lua_State *L) {
  int count = (int)lua_rawlen(L, -1);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    bool found = lua_tocfunction(L, -1) == search;
    lua_pop(L, 1);
    if (found) return i;
  }
  return 0;
}

void loader_remove(void *state) {
  lua_State *L = state;
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  if (lua_istable(L, -1)) lua_getfield(L, -1, "package");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, VM_LUAJIT ? "loaders" : "searchers");
  }
  int place = lua_istable(L, -1) ? find_searcher(L) : 0;
  int count = place > 0 ? (int)lua_rawlen(L, -1) : 0;
  for (int i = place; i > 0 && i <= count; i++) {
    lua_rawgeti(L, -1, i + 1);
    lua_rawseti(L, -2, i);
  }
  lua_settop(L, top);
}

GraftStatus loader_install(Vm *vm, const LoaderHooks *hooks,
                           GraftError *error) {
  vm->hooks = hooks;
  return vm_protect(vm, install, NULL, error);
}

typedef struct Protected {
  const LoaderRun *run;
  const char *module;
  Script *script;
  GraftStatus status;
  GraftError *error;
} Protected;

static void require_module(Vm *vm, lua_State *L, void *context) {
  Protected *self = context;
  lua_getglobal(L, "require");
  lua_pushstring(L, self->module);
  self->status = vm_pcall(vm, L, 1, 0, self->error);
}

// Whether the error is that `require` found no such module.
static bool is_not_found(const GraftError *error, const char *module) {
  char text[300];
  snprintf(text, sizeof text, "module '%s' not found:", module);
  return strncmp(error->message, text, strlen(text)) == 0;
}

GraftStatus loader_require(Vm *vm, const char *module, GraftError *error) {
  GraftError local;
  if (error == NULL) error = &local;
  Protected self = {.module = module, .error = error};
  GraftStatus status = vm_protect(vm, require_module, &self, error);
  if (status == GRAFT_OK) status = self.status;
  if (status == GRAFT_ERUN && is_not_found(error, module)) {
    error->status = status = GRAFT_ENOTFOUND;
  }
  return status;
}

// ---------------------------------------------------------------------------
// The main script, and files that come later
// ---------------------------------------------------------------------------

static void set_arg(lua_State *L, const LoaderRun *run) {
  lua_createtable(L, run->arg_count, 1);
  lua_pushstring(L, run->script->path);
  lua_rawseti(L, -2, 0);
  for (int i = 0; i < run->arg_count; i++) {
    lua_pushstring(L, run->args[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setglobal(L, "arg");
}

// stack: chunk, arguments → value
static int run_main(lua_State *L) {
  Script *script = lua_touserdata(L, lua_upvalueindex(1));
  script_run(script, L, lua_gettop(L) - 1);
  complete_value(script->vm, L, script->module);
  finish(script, L);
  push_loaded(L);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, script->module);
  return 0;
}

static void push_main(Vm *vm, lua_State *L, void *context) {
  Protected *self = context;
  const LoaderRun *run = self->run;
  set_arg(L, run);
  run->script->is_main = true;
  lua_pushlightuserdata(L, run->script);
  lua_pushcclosure(L, run_main, 1);
  script_push_chunk(run->script, L);
  luaL_checkstack(L, run->arg_count + 4, "too many arguments");
  for (int i = 0; i < run->arg_count; i++) lua_pushstring(L, run->args[i]);
  self->status = vm_pcall(vm, L, run->arg_count + 1, 0, self->error);
}

GraftStatus loader_run(Vm *vm, const LoaderRun *run, GraftError *error) {
  Protected self = {.run = run, .error = error};
  GraftStatus status = vm_protect(vm, push_main, &self, error);
  return status < 0 ? status : self.status;
}

// stack: value, table. Gives the table the value's fields, and puts it into
// the variable that the file returns.
static void adopt_table(Script *script, lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    // stack: value, table, key, field
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  if (lua_getmetatable(L, -2)) lua_setmetatable(L, -2);
  const GraftUnit *unit = script->unit;
  if (unit->return_statement < 0) return;
  int value = unit->statements[unit->return_statement].value;
  if (value < 0 || unit->values[value].kind != VALUE_NAME ||
      unit->values[value].path.key_count > 0 ||
      unit->values[value].path.variable < 0) {
    return;
  }
  lua_pushvalue(L, -1);
  cell_set(script, L, unit->values[value].path.variable);
}

// stack: chunk, name, file. When nobody has required the module yet, it is as
// if somebody did.
static int run_added(lua_State *L) {
  Script *script = lua_touserdata(L, lua_upvalueindex(1));
  script_run(script, L, lua_gettop(L) - 1);
  push_loaded(L);
  lua_insert(L, -2);
  lua_getfield(L, -2, script->module);
  // stack: loaded, value, table
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    complete_value(script->vm, L, script->module);
    finish(script, L);
    lua_setfield(L, -2, script->module);
    return 0;
  }
  if (lua_istable(L, -1) && lua_istable(L, -2)) adopt_table(script, L);
  finish(script, L);
  return 0;
}

static void push_added(Vm *vm, lua_State *L, void *context) {
  Protected *self = context;
  lua_pushlightuserdata(L, self->script);
  lua_pushcclosure(L, run_added, 1);
  script_push_chunk(self->script, L);
  lua_pushstring(L, self->script->module);
  lua_pushstring(L, self->script->path);
  self->status = vm_pcall(vm, L, 3, 0, self->error);
}

GraftStatus loader_add_script(Vm *vm, Script *script, GraftError *error) {
  Protected self = {.script = script, .error = error};
  GraftStatus status = vm_protect(vm, push_added, &self, error);
  return status < 0 ? status : self.status;
}

// ---------------------------------------------------------------------------
// Exchanging natives and scripts
// ---------------------------------------------------------------------------

typedef struct Exchange {
  Vm *vm;
  GraftFn *fn;
  const Backing *from;
  const Backing *to;
  int walker_ref; // that of the VM may keep a transaction's pairs
  Sweep sweep;
  bool swept;
} Exchange;

static void add_exchange(void *context, Sweep *sweep, lua_State *L) {
  Exchange *self = context;
  stub_push_backing(self->vm, L, self->fn, self->from);
  stub_push_backing(self->vm, L, self->fn, self->to);
  sweep_add_pair(sweep);
  for (Script *script = self->vm->scripts; script != NULL;
       script = script->next) {
    vm_push(self->vm, L, script->cells_ref);
    sweep_offer(sweep);
    vm_push(self->vm, L, script->value_ref);
    sweep_offer(sweep);
  }
}

// The field of the module's table that has the slot's name.
static void set_module_field(Exchange *self, lua_State *L) {
  const char *name = self->fn->name;
  const char *dot = strrchr(name, '.');
  if (dot == NULL) return;
  push_loaded(L);
  lua_pushlstring(L, name, (size_t)(dot - name));
  lua_rawget(L, -2);
  if (!lua_istable(L, -1)) return;
  lua_pushstring(L, dot + 1);
  lua_rawget(L, -2);
  stub_push_backing(self->vm, L, self->fn, self->from);
  bool ours = lua_isnil(L, -2) || lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (!ours) return;
  lua_pushstring(L, dot + 1);
  stub_push_backing(self->vm, L, self->fn, self->to);
  lua_rawset(L, -3);
}

static void prepare_exchange(Vm *vm, lua_State *L, void *context) {
  Exchange *self = context;
  set_module_field(self, L);
  if (self->from == NULL || self->to == NULL) {
    stub_ffi_follow(vm, L, self->fn, self->to);
    return;
  }
  lua_State *walker = lua_newthread(L);
  self->walker_ref = vm_ref(vm, L);
  self->swept = true;
  SweepDesc desc = sweep_describe(vm, L);
  desc.walker = walker;
  desc.begin = add_exchange;
  desc.context = self;
  sweep_init(&self->sweep, &desc);
}

GraftStatus loader_exchange(Vm *vm, GraftFn *fn, const Backing *from,
                            const Backing *to, GraftError *error) {
  Exchange self = {.vm = vm, .fn = fn, .from = from, .to = to};
  GraftStatus status = vm_protect(vm, prepare_exchange, &self, error);
  if (status == GRAFT_OK && self.swept) {
    self.sweep.desc.L = vm->L;
    int lua_status = sweep_run(&self.sweep);
    if (lua_status != LUA_OK) status = vm_take_error(vm->L, lua_status, error);
  }
  if (self.swept) sweep_clear(&self.sweep);
  vm_unref(vm, self.walker_ref);
#if VM_LUAJIT
  luaJIT_setmode(vm->main, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
#endif
  return status;
}
