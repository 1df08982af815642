// SPDX-License-Identifier: MIT

#include "vm/evaluate.h"

#include <string.h>

#include "base/buffer.h"
#include "vm/cell.h"
#include "vm/place.h"
#include "vm/proto.h"

static const char unknown = 0; // its address is the unknown value

void evaluate_push_unknown(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&unknown);
}

bool evaluate_is_unknown(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TLIGHTUSERDATA &&
         lua_touserdata(L, index) == (const void *)&unknown;
}

// Definitions are in the order of their text.
static bool has_function(const GraftUnit *unit, Range range) {
  int low = 0;
  int high = unit->definition_count;
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (unit->definitions[middle].whole.start < range.start) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < unit->definition_count &&
         unit->definitions[low].whole.start < range.end;
}

bool evaluate_is_pure(const GraftUnit *unit, int value) {
  if (value < 0) return true;
  const Value *origin = &unit->values[value];
  return !origin->has_call && !origin->open &&
         !has_function(unit, origin->range);
}

int evaluate_constructor(const GraftUnit *unit, int value) {
  if (value < 0) return -1;
  if (unit->values[value].kind == VALUE_TABLE) return value;
  int inner = unit->values[value].inner;
  return inner >= 0 && unit->values[inner].kind == VALUE_TABLE ? inner : -1;
}

// ---------------------------------------------------------------------------
// The text
// ---------------------------------------------------------------------------

static void add_range(Buffer *text, const GraftUnit *unit, Range range) {
  buffer_add(text, unit_text(unit, range), range_size(range));
}

static void add_key(Buffer *text, const GraftUnit *unit, const Field *field) {
  if (field->kind == FIELD_ITEM) {
    buffer_format(text, "[%d]=", field->number);
    return;
  }
  char first = unit->source[field->key.start];
  bool bare = field->kind == FIELD_NAME && first != '"' && first != '\'' &&
              first != '[';
  buffer_add_text(text, bare ? "['" : "[ ");
  add_range(text, unit, field->key);
  buffer_add_text(text, bare ? "']=" : "\n]=");
}

static void add_value(Buffer *text, const GraftUnit *unit, int value) {
  int table = evaluate_constructor(unit, value);
  if (value < 0) {
    buffer_add_text(text, "nil");
  } else if (evaluate_is_pure(unit, value)) {
    buffer_add_text(text, "(");
    add_range(text, unit, unit->values[value].range);
    buffer_add_text(text, "\n)");
  } else if (table >= 0) {
    buffer_add_text(text, "{");
    for (int i = unit->values[table].first_field; i >= 0;
         i = unit->fields[i].next) {
      if (unit->fields[i].kind == FIELD_COMPUTED) continue;
      add_key(text, unit, &unit->fields[i]);
      add_value(text, unit, unit->fields[i].value);
      buffer_add_text(text, ",");
    }
    buffer_add_text(text, "}");
  } else {
    buffer_add_text(text, "(...)");
  }
}

static bool is_module_variable(const GraftUnit *unit, int variable) {
  return variable >= 0 && unit->variables[variable].owner < 0 &&
         unit->variables[variable].top;
}

static void add_name(Buffer *text, const Variable *bound) {
  if (bound->attribute == ATTRIBUTE_CONSTANT) {
    buffer_format(text, "local %s<const> =%s;", bound->name, bound->constant);
  } else {
    buffer_format(text, "local %s;", bound->name);
  }
}

// Each name once, because the number of locals is limited.
static void add_names(Buffer *text, const GraftUnit *unit, int value) {
  const Value *origin = &unit->values[value];
  bool *added = memory_new(text->allocator, (size_t)unit->variable_count + 1);
  if (added == NULL) {
    text->failed = true;
    return;
  }
  for (uint32_t i = 0; i < origin->read_count; i++) {
    int variable = unit->reads[origin->first_read + i].variable;
    if (!is_module_variable(unit, variable) || added[variable]) continue;
    added[variable] = true;
    add_name(text, &unit->variables[variable]);
  }
  memory_free(text->allocator, added);
}

// ---------------------------------------------------------------------------
// The function
// ---------------------------------------------------------------------------

static int find_read(const GraftUnit *unit, int value, const char *name) {
  const Value *origin = &unit->values[value];
  for (uint32_t i = 0; i < origin->read_count; i++) {
    const Path *read = &unit->reads[origin->first_read + i];
    if (is_module_variable(unit, read->variable) &&
        strcmp(unit->variables[read->variable].name, name) == 0) {
      return read->variable;
    }
  }
  return VARIABLE_GLOBAL;
}

static void join_variable(const Evaluation *self, lua_State *L, int function,
                          int n, int variable) {
  int now = self->variables != NULL ? self->variables[variable] : variable;
  if (now >= 0) {
    cell_join(self->script, L, now, function, n);
    return;
  }
  vm_push(self->script->vm, L, self->gone_ref);
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, variable + 1);
    if (!lua_isnil(L, -1)) lua_upvaluejoin(L, function, n, -1, 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

// stack: …, function → …, function
static void join_variables(const Evaluation *self, lua_State *L, int value) {
  int function = lua_gettop(L);
  for (int n = 1;; n++) {
    const char *name = lua_getupvalue(L, function, n);
    if (name == NULL) return;
    lua_pop(L, 1);
    int variable = find_read(self->unit, value, name);
    if (variable >= 0) {
      join_variable(self, L, function, n, variable);
    } else if (strcmp(name, "_ENV") == 0) {
      vm_push(self->script->vm, L, self->script->environment_ref);
      lua_upvaluejoin(L, function, n, -1, 1);
      lua_pop(L, 1);
    }
  }
}

// stack: …, text → …, function; false when the VM does not take it. What is
// not known for lack of memory is no answer, so that raises.
static bool compile(const Evaluation *self, lua_State *L, Buffer *text,
                    int value) {
  int status = LUA_ERRMEM;
  bool failed = text->failed;
  if (!failed) {
    status = luaL_loadbufferx_text(L, text->text, text->size,
                                   self->script->chunk_name);
  }
  buffer_clear(text);
  if (failed) luaL_error(L, "out of memory");
  if (status == LUA_ERRMEM) lua_error(L);
  if (status != LUA_OK) {
    lua_pop(L, 1);
    return false;
  }
#if VM_LUAJIT
  vm_push(self->script->vm, L, self->script->environment_ref);
  lua_getfenv(L, -1);
  lua_setfenv(L, -3);
  lua_pop(L, 1);
#endif
  lua_call(L, 0, 1);
  join_variables(self, L, value);
  return true;
}

static void start_text(const Evaluation *self, Buffer *text, int value) {
  buffer_init(text, &self->script->vm->allocator);
  add_names(text, self->unit, value);
  buffer_add_text(text, "return function(...)return ");
}

static bool is_known(const GraftUnit *unit, int value) {
  return evaluate_is_pure(unit, value) ||
         evaluate_constructor(unit, value) >= 0;
}

void evaluate_compile(const Evaluation *self, lua_State *L, int value) {
  luaL_checkstack(L, 8, "value");
  if (value < 0) {
    lua_pushnil(L);
    return;
  }
  bool compiled = false;
  if (is_known(self->unit, value)) {
    Buffer text;
    start_text(self, &text, value);
    add_value(&text, self->unit, value);
    buffer_add_text(&text, " end");
    compiled = compile(self, L, &text, value);
  }
  if (!compiled) evaluate_push_unknown(L);
}

void evaluate_call(lua_State *L) {
  if (lua_type(L, -1) != LUA_TFUNCTION) return;
  evaluate_push_unknown(L);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK) return;
  if (status == LUA_ERRMEM) lua_error(L);
  lua_pop(L, 1);
  evaluate_push_unknown(L);
}

void evaluate_push(const Evaluation *self, lua_State *L, int value) {
  evaluate_compile(self, L, value);
  evaluate_call(L);
}

void evaluate_run(const Evaluation *self, lua_State *L, int value) {
  if (value < 0) {
    lua_pushnil(L);
    return;
  }
  luaL_checkstack(L, 8, "value");
  Buffer text;
  start_text(self, &text, value);
  buffer_add_text(&text, "(");
  add_range(&text, self->unit, self->unit->values[value].range);
  buffer_add_text(&text, "\n) end");
  if (!compile(self, L, &text, value)) luaL_error(L, "cannot be evaluated");
  lua_call(L, 0, 1);
}
