// SPDX-License-Identifier: MIT

#include "vm/cell.h"

#include <string.h>

#include "vm/proto.h"

// How many values the search for cells looks at when a chunk returns.
enum { SEARCH_LIMIT = 20000 };

void cell_push_new(Vm *vm, lua_State *L) {
  vm_push(vm, L, vm->cell_ref);
  lua_call(L, 0, 1);
}

// stack: …, cells
static void keep_cell(Script *script, lua_State *L, int variable,
                      CellState state) {
  lua_rawseti(L, -2, variable + 1);
  script->cell_states[variable] = state;
}

void cell_push(Script *script, lua_State *L, int variable) {
  vm_push(script->vm, L, script->cells_ref);
  if (script->cell_states[variable] == CELL_NONE) {
    cell_push_new(script->vm, L);
    keep_cell(script, L, variable, CELL_TRUE);
  }
  lua_rawgeti(L, -1, variable + 1);
  lua_remove(L, -2);
}

void cell_get(Script *script, lua_State *L, int variable) {
  cell_push(script, L, variable);
  lua_getupvalue(L, -1, 1);
  lua_remove(L, -2);
}

void cell_set(Script *script, lua_State *L, int variable) {
  cell_push(script, L, variable);
  lua_insert(L, -2);
  proto_unlock_cell(L, -2, 1);
  lua_setupvalue(L, -2, 1);
  lua_pop(L, 1);
}

void cell_join(Script *script, lua_State *L, int variable, int index, int n) {
  index = lua_absindex(L, index);
  cell_push(script, L, variable);
  lua_upvaluejoin(L, index, n, -1, 1);
  lua_pop(L, 1);
}

const Capture *definition_capture(const Definition *definition,
                                  const char *name) {
  for (uint32_t i = 0; i < definition->capture_count; i++) {
    if (strcmp(definition->captures[i].name, name) == 0) {
      return &definition->captures[i];
    }
  }
  return NULL;
}

bool definition_captures(const Definition *definition, int variable) {
  for (uint32_t i = 0; i < definition->capture_count; i++) {
    if (definition->captures[i].variable == variable) return true;
  }
  return false;
}

static bool is_module_level(const GraftUnit *unit, int variable) {
  return variable >= 0 && unit->variables[variable].owner < 0 &&
         unit->variables[variable].top;
}

static void adopt_upvalue(Script *script, lua_State *L, int index, int n,
                          int variable) {
  vm_push(script->vm, L, script->cells_ref);
  cell_push_new(script->vm, L);
  lua_upvaluejoin(L, -1, 1, index, n);
  keep_cell(script, L, variable, CELL_TRUE);
  lua_pop(L, 1);
}

void cell_adopt(Script *script, lua_State *L, int index,
                const ScriptProto *proto) {
  index = lua_absindex(L, index);
  for (int n = 1;; n++) {
    const char *name = lua_getupvalue(L, index, n);
    if (name == NULL) return;
    lua_pop(L, 1);
    int variable = script_proto_variable(proto, name);
    if (is_module_level(script->unit, variable) &&
        script->cell_states[variable] != CELL_TRUE) {
      adopt_upvalue(script, L, index, n, variable);
    }
  }
}

// ---------------------------------------------------------------------------
// When the chunk returns
// ---------------------------------------------------------------------------

static void adopt_function(Script *script, lua_State *L) {
  const void *proto = proto_of(L, -1);
  ScriptProto *entry =
      proto != NULL ? script_find_proto(script->vm, proto) : NULL;
  if (entry != NULL && entry->chunk->script == script &&
      entry->definition >= 0) {
    cell_adopt(script, L, -1, entry);
  }
}

// Most cells are found in the functions that the chunk's variables lead to;
// the others wait for the next sweep, which sees all closures.
static void search_value(Script *script, lua_State *L, int depth, int *left) {
  if (lua_type(L, -1) == LUA_TFUNCTION) adopt_function(script, L);
  if (lua_type(L, -1) != LUA_TTABLE || depth == 0) return;
  luaL_checkstack(L, 8, "module");
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (--*left <= 0) {
      lua_pop(L, 2);
      return;
    }
    search_value(script, L, depth - 1, left);
    lua_pop(L, 1);
  }
}

static bool is_compiled_away(const Variable *variable) {
  return !VM_LUAJIT && variable->attribute == ATTRIBUTE_CONSTANT;
}

static void save_value(Script *script, lua_State *L, int variable) {
  if (script->cell_states[variable] != CELL_NONE) return;
  vm_push(script->vm, L, script->cells_ref);
  cell_push_new(script->vm, L);
  lua_pushvalue(L, -3);
  lua_setupvalue(L, -2, 1);
  bool captured = script->unit->variables[variable].captured;
  keep_cell(script, L, variable, captured ? CELL_SAVED : CELL_TRUE);
  lua_pop(L, 1);
}

// Locals lie on the stack in the order of their declaration. A chunk that
// returns early has fewer of them.
void cell_save_frame(Script *script, lua_State *L, lua_Debug *frame) {
  const GraftUnit *unit = script->unit;
  luaL_checkstack(L, 16, "module");
  int left = SEARCH_LIMIT;
  for (int pass = 0; pass < 2; pass++) {
    int n = 0;
    for (int i = 0; i < unit->variable_count; i++) {
      const Variable *variable = &unit->variables[i];
      if (!is_module_level(unit, i) || is_compiled_away(variable)) continue;
      const char *name = lua_getlocal(L, frame, ++n);
      if (name == NULL) break;
      bool found = strcmp(name, variable->name) == 0;
      if (found && pass == 0) search_value(script, L, 2, &left);
      if (found && pass == 1) save_value(script, L, i);
      lua_pop(L, 1);
      if (!found) break;
    }
  }
}
