// SPDX-License-Identifier: MIT

#include "vm/conform.h"

#include <stdio.h>

#include "vm/patcher_state.h"
#include "vm/proto.h"

static const char followed_key = 0; // function → list, in the Lua registry
static const char told_key = 0;     // list → function, in the private table

// Pushes the table at a key of the table on top, which is replaced. It is made
// with this mode when there is none.
static void push_weak(lua_State *L, const void *key, const char *mode) {
  lua_rawgetp(L, -1, key);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    vm_push_weak(L, mode);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, key);
  }
  lua_remove(L, -2);
}

static void push_followed(lua_State *L) {
  lua_pushvalue(L, LUA_REGISTRYINDEX);
  push_weak(L, &followed_key, "k");
}

static void push_told(Vm *vm, lua_State *L) {
  vm_push_private(vm, L);
  push_weak(L, &told_key, "kv");
}

// stack: …, list, function → …
static void set_told(Vm *vm, lua_State *L) {
  push_told(vm, L);
  lua_insert(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

const void *conform_skipped(Vm *vm, lua_State *L) {
  push_told(vm, L);
  const void *told = lua_topointer(L, -1);
  lua_pop(L, 1);
  return told;
}

void conform_add(Vm *vm, lua_State *L) {
  int function = lua_gettop(L) - 1;
  luaL_checkstack(L, 12, "conform");
  push_followed(L);
  lua_pushvalue(L, function);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, function);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    lua_pushvalue(L, -1);
    lua_pushvalue(L, function);
    set_told(vm, L);
  }
  lua_pushvalue(L, function + 1);
  lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
  lua_settop(L, function - 1);
}

// ---------------------------------------------------------------------------
// After a commit
// ---------------------------------------------------------------------------

// Whether a function of a script has no definition any more.
static bool is_gone(const Vm *vm, lua_State *L, int function) {
  const void *proto = proto_of(L, function);
  if (proto == NULL) return false;
  const ScriptProto *entry = script_find_proto(vm, proto);
  return entry != NULL && entry->definition == SCRIPT_NONE;
}

static bool is_silent(const Vm *vm, lua_State *L, int function) {
  vm_push((Vm *)vm, L, vm->silent_ref);
  lua_call(L, 0, 1);
  bool silent = proto_of(L, -1) == proto_of(L, function);
  lua_pop(L, 1);
  return silent;
}

// Who tells of a callback that raised.
typedef struct Telling {
  VmCallbackFailed *failed;
  void *context;
} Telling;

static void note_failure(void *context, const GraftError *error) {
  Patcher *self = context;
  Note note = {.kind = NOTE_FAILED,
               .file = self->files.items[0]->patch.script->path,
               .line = error->line};
  snprintf(note.name, sizeof note.name, "graft.conform");
  snprintf(note.text, sizeof note.text, "callback failed: %.200s",
           error->message);
  patcher_add_note(self, &note);
}

// stack: …, list, function or nil → …, list, function or nil
static void call_list(Vm *vm, lua_State *L, const Telling *telling) {
  int function = lua_gettop(L);
  int count = (int)lua_rawlen(L, function - 1);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, function - 1, i);
    lua_pushvalue(L, function);
    GraftError error;
    if (vm_pcall(vm, L, 1, 0, &error) < 0) {
      telling->failed(telling->context, &error);
    }
    lua_settop(L, function);
  }
}

// Appends {list, function or false} for what changed, because callbacks may
// change the table.
// stack: changed, followed, told, function, list
static void collect(Vm *vm, lua_State *L) {
  enum { CHANGED = 1, TOLD = 3, FUNCTION, LIST };
  lua_pushvalue(L, LIST);
  lua_rawget(L, TOLD);
  bool same = lua_rawequal(L, -1, FUNCTION);
  lua_pop(L, 1);
  bool gone = is_gone(vm, L, FUNCTION) || is_silent(vm, L, FUNCTION);
  if (same && !gone) return;
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, LIST);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, FUNCTION);
  lua_rawseti(L, -2, 2);
  lua_pushboolean(L, gone);
  lua_rawseti(L, -2, 3);
  lua_rawseti(L, CHANGED, (int)lua_rawlen(L, CHANGED) + 1);
}

// stack: followed, entry
static void tell_entry(Vm *vm, lua_State *L, const Telling *telling) {
  int entry = lua_gettop(L);
  lua_rawgeti(L, entry, 1);
  lua_rawgeti(L, entry, 2);
  lua_rawgeti(L, entry, 3);
  bool gone = lua_toboolean(L, -1);
  lua_pop(L, 1);
  // stack: followed, entry, list, function
  if (gone) {
    lua_pushnil(L);
    lua_rawset(L, entry - 1);
    lua_pushnil(L);
  } else {
    lua_pushvalue(L, entry + 1);
    lua_pushvalue(L, entry + 2);
    set_told(vm, L);
  }
  call_list(vm, L, telling);
}

static void tell(Vm *vm, lua_State *L, void *context) {
  luaL_checkstack(L, 24, "conform");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &followed_key);
  if (lua_isnil(L, -1)) return;
  lua_newtable(L);
  lua_insert(L, 1);
  push_told(vm, L);
  // stack: changed, followed, told
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    collect(vm, L);
    lua_settop(L, 4);
  }
  lua_settop(L, 2);
  for (int i = 1; i <= (int)lua_rawlen(L, 1); i++) {
    lua_pushvalue(L, 2);
    lua_rawgeti(L, 1, i);
    tell_entry(vm, L, context);
    lua_settop(L, 2);
  }
}

void conform_tell(Patcher *self) {
  Telling telling = {note_failure, self};
  if (self->files.count > 0) vm_protect(self->vm, tell, &telling, NULL);
}

void vm_tell_followers(Vm *self, VmCallbackFailed *failed, void *context) {
  Telling telling = {failed, context};
  vm_protect(self, tell, &telling, NULL);
}
