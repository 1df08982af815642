// SPDX-License-Identifier: MIT
//
// An entry is {value, object, key} for a place, {copy of the fields, table}
// for a table, and {false or metatable, table, table} for a metatable.

#include "vm/journal.h"

#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/depend.h"
#include "vm/patcher_state.h"
#include "vm/place.h"

// How many fields of tables below a variable are copied for a statement whose
// assignments cannot be told from its text.
enum { COPY_FIELDS = 20000, COPY_DEPTH = 2 };

enum { ENTRY_VALUE = 1, ENTRY_OBJECT, ENTRY_KEY };

// stack: …, entry → …
static void add_entry(Patcher *self, lua_State *L) {
  if (self->journal_ref == VM_NO_REF) {
    lua_newtable(L);
    self->journal_ref = vm_ref(self->vm, L);
  }
  vm_push(self->vm, L, self->journal_ref);
  lua_insert(L, -2);
  lua_rawseti(L, -2, self->journal_count + 1);
  self->journal_count++;
  lua_pop(L, 1);
}

void journal_add_place(Patcher *self, lua_State *L, int object) {
  luaL_checkstack(L, 8, "journal");
  lua_createtable(L, 3, 0);
  lua_pushvalue(L, object);
  lua_rawseti(L, -2, ENTRY_OBJECT);
  lua_pushvalue(L, object + 1);
  lua_rawseti(L, -2, ENTRY_KEY);
  if (lua_type(L, object) == LUA_TTABLE) {
    lua_pushvalue(L, object + 1);
    lua_rawget(L, object);
  } else if (lua_type(L, object) == LUA_TFUNCTION) {
    lua_getupvalue(L, object, 1);
  } else {
    lua_pushnil(L);
  }
  lua_rawseti(L, -2, ENTRY_VALUE);
  add_entry(self, L);
}

void journal_add_metatable(Patcher *self, lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 8, "journal");
  lua_createtable(L, 3, 0);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, ENTRY_OBJECT);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, ENTRY_KEY);
  if (!lua_getmetatable(L, index)) lua_pushboolean(L, 0);
  lua_rawseti(L, -2, ENTRY_VALUE);
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

// Whether the table at `index` was not copied before; it counts as copied now.
static bool is_first(Patcher *self, lua_State *L, int index) {
  if (self->journaled_ref == VM_NO_REF) {
    lua_newtable(L);
    self->journaled_ref = vm_ref(self->vm, L);
  }
  vm_push(self->vm, L, self->journaled_ref);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  bool first = lua_isnil(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, index);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return first;
}

void journal_add_table(Patcher *self, lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 8, "journal");
  if (!is_first(self, L, index)) return;
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, ENTRY_OBJECT);
  lua_newtable(L);
  copy_fields(L, index, lua_gettop(L));
  lua_rawseti(L, -2, ENTRY_VALUE);
  add_entry(self, L);
}

// ---------------------------------------------------------------------------
// Statements
// ---------------------------------------------------------------------------

// stack: …, value → …, value
static void copy_deep(Patcher *self, lua_State *L, int depth, int *left) {
  if (lua_type(L, -1) != LUA_TTABLE || *left <= 0) return;
  luaL_checkstack(L, 8, "journal");
  journal_add_table(self, L, -1);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (--*left <= 0) {
      lua_pop(L, 2);
      return;
    }
    if (depth > 0) copy_deep(self, L, depth - 1, left);
    lua_pop(L, 1);
  }
}

static bool is_module_variable(const GraftUnit *unit, int variable) {
  return variable >= 0 && unit->variables[variable].owner < 0 &&
         unit->variables[variable].top;
}

// A target such as `M.list[i].x`, of which `M.list` is known.
static void add_below(Patcher *self, Script *script, lua_State *L,
                      const Path *path) {
  int top = lua_gettop(L);
  int left = COPY_FIELDS;
  if (place_push(script, L, path)) {
    place_get(L, top + 1);
    copy_deep(self, L, COPY_DEPTH, &left);
  }
  lua_settop(L, top);
}

static void add_target(Patcher *self, PatchedFile *file, lua_State *L,
                       const Path *path) {
  Script *script = file->patch.script;
  if (path->name == NULL) return;
  if (path->variable != VARIABLE_GLOBAL &&
      !is_module_variable(file->patch.unit, path->variable)) {
    return;
  }
  if (path->computed) {
    add_below(self, script, L, path);
    return;
  }
  int top = lua_gettop(L);
  if (place_push(script, L, path)) journal_add_place(self, L, top + 1);
  lua_settop(L, top);
}

// Whether a block of the statement may assign fields by way of a local.
static bool assigns_by_local(const GraftUnit *unit,
                             const Statement *statement) {
  for (uint32_t i = 0; i < statement->assignment_count; i++) {
    const Path *target =
        &unit->assignments[statement->first_assignment + i].target;
    if (target->variable == VARIABLE_GLOBAL && target->name != NULL) continue;
    bool known =
        target->name != NULL && is_module_variable(unit, target->variable);
    if (!known && (target->key_count > 0 || target->computed)) return true;
  }
  return false;
}

void journal_add_statement(Patcher *self, PatchedFile *file, lua_State *L,
                           int statement) {
  const GraftUnit *unit = file->patch.unit;
  const Statement *now = &unit->statements[statement];
  for (uint32_t i = 0; i < now->assignment_count; i++) {
    add_target(self, file, L,
               &unit->assignments[now->first_assignment + i].target);
  }
  if (!assigns_by_local(unit, now)) return;
  for (uint32_t i = 0; i < now->read_count; i++) {
    Path read = unit->reads[now->first_read + i];
    read.computed = true;
    add_target(self, file, L, &read);
  }
}

// ---------------------------------------------------------------------------
// Undo
// ---------------------------------------------------------------------------

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

// stack: journal, entry
static void undo_entry(lua_State *L) {
  lua_rawgeti(L, 2, ENTRY_OBJECT);
  lua_rawgeti(L, 2, ENTRY_KEY);
  lua_rawgeti(L, 2, ENTRY_VALUE);
  if (lua_type(L, 3) == LUA_TFUNCTION) {
    place_set_raw(L, 3);
  } else if (lua_type(L, 3) != LUA_TTABLE) {
    return; // what an object of C did is its own
  } else if (lua_isnil(L, 4)) {
    restore_table(L, 3, 5);
  } else if (lua_rawequal(L, 3, 4)) {
    if (!lua_istable(L, 5)) lua_pushnil(L);
    lua_setmetatable(L, 3);
  } else {
    place_set_raw(L, 3);
  }
}

static void undo(Vm *vm, lua_State *L, void *context) {
  Patcher *self = context;
  luaL_checkstack(L, 16, "journal");
  depend_end(self, L);
  depend_unpin(self);
  vm_push(vm, L, self->journal_ref);
  for (; self->journal_count > 0; self->journal_count--) {
    lua_rawgeti(L, 1, self->journal_count);
    undo_entry(L);
    lua_settop(L, 1);
  }
}

void journal_undo(Patcher *self) {
  if (self->journal_count > 0 || self->depend_active > 0)
    vm_protect(self->vm, undo, self, NULL);
}
