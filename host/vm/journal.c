// SPDX-License-Identifier: MIT
//
// Journal: what variables and tables held before statements ran. An entry is
// {cell, value} or {table, copy of its fields}; undo goes backwards.

#include "vm/cell.h"
#include "vm/patcher_state.h"

// stack: …, entry → …
static void add_entry(Patcher *self, lua_State *L) {
  if (self->journal_ref == VM_NO_REF) {
    lua_newtable(L);
    self->journal_ref = vm_ref(self->vm, L);
  }
  vm_push(self->vm, L, self->journal_ref);
  lua_insert(L, -2);
  lua_rawseti(L, -2, ++self->journal_count);
  lua_pop(L, 1);
}

void journal_add_variable(Patcher *self, lua_State *L, Script *script,
                          int variable) {
  lua_createtable(L, 2, 0);
  cell_push(script, L, variable);
  lua_getupvalue(L, -1, 1);
  lua_rawseti(L, -3, 2);
  lua_rawseti(L, -2, 1);
  add_entry(self, L);
}

static void copy_fields(lua_State *L, int from, int to) {
  lua_pushnil(L);
  while (lua_next(L, from)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}

void journal_add_table(Patcher *self, lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 8, "journal");
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, 1);
  lua_newtable(L);
  copy_fields(L, index, lua_gettop(L));
  lua_rawseti(L, -2, 2);
  add_entry(self, L);
}

// stack: table, copy
static void restore_table(lua_State *L, int table, int copy) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, copy);
    bool gone = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!gone) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, table);
  }
  copy_fields(L, copy, table);
}

static void undo(Vm *vm, lua_State *L, void *context) {
  Patcher *self = context;
  luaL_checkstack(L, 16, "journal");
  vm_push(vm, L, self->journal_ref);
  for (; self->journal_count > 0; self->journal_count--) {
    lua_rawgeti(L, 1, self->journal_count);
    lua_rawgeti(L, 2, 1);
    lua_rawgeti(L, 2, 2);
    // stack: journal, entry, cell or table, value or copy
    if (lua_type(L, 3) == LUA_TTABLE) {
      restore_table(L, 3, 4);
    } else {
      lua_setupvalue(L, 3, 1);
    }
    lua_settop(L, 1);
  }
}

void journal_undo(Patcher *self) {
  if (self->journal_count > 0) vm_protect(self->vm, undo, self, NULL);
}
