// SPDX-License-Identifier: MIT

#include "vm/reset.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "vm/evaluate.h"
#include "vm/initial.h"
#include "vm/place.h"

enum { MAX_KEYS = 32 };

typedef struct Reset {
  Script *script;
  char text[512];
  const char *keys[MAX_KEYS]; // into text, or of the unit
  uint32_t key_count;
  Path path;
  Initial initial;
  const char *why_not;
} Reset;

// ---------------------------------------------------------------------------
// What a name means
// ---------------------------------------------------------------------------

static Script *find_script(const Vm *vm, const char *name, size_t *size) {
  Script *found = NULL;
  *size = 0;
  for (Script *script = vm->scripts; script != NULL; script = script->next) {
    size_t length = strlen(script->module);
    if (length <= *size || strncmp(script->module, name, length) != 0 ||
        (name[length] != '.' && name[length] != ':')) {
      continue;
    }
    found = script;
    *size = length;
  }
  return found;
}

static bool split(Reset *self, const char *name) {
  if (strlen(name) >= sizeof self->text) return false;
  strcpy(self->text, name);
  for (char *at = self->text; at != NULL;) {
    if (self->key_count == MAX_KEYS / 2) return false;
    self->keys[self->key_count++] = at;
    at = strchr(at, '.');
    if (at != NULL) *at++ = '\0';
  }
  return *self->keys[0] != '\0';
}

static bool find_local(Reset *self) {
  const GraftUnit *unit = self->script->unit;
  for (int i = unit->variable_count - 1; i >= 0; i--) {
    const Variable *variable = &unit->variables[i];
    if (variable->owner >= 0 || !variable->top ||
        strcmp(variable->name, self->keys[0]) != 0) {
      continue;
    }
    self->path = (Path){.name = self->keys[0],
                        .variable = i,
                        .key_count = self->key_count - 1,
                        .keys = self->keys + 1};
    if (variable->attribute != ATTRIBUTE_NONE) {
      self->why_not = "is a constant";
    }
    return initial_find(unit, &self->path, &self->initial);
  }
  return false;
}

// What the file returns is a name: the path goes on behind that.
static bool find_exported(Reset *self) {
  const GraftUnit *unit = self->script->unit;
  if (unit->return_statement < 0) return false;
  int value = unit->statements[unit->return_statement].value;
  if (value < 0 || unit->values[value].kind != VALUE_NAME) return false;
  const Path *root = &unit->values[value].path;
  if (root->computed || root->key_count + self->key_count > MAX_KEYS) {
    return false;
  }
  const char *keys[MAX_KEYS];
  memcpy(keys, self->keys, sizeof keys);
  for (uint32_t i = 0; i < root->key_count; i++) self->keys[i] = root->keys[i];
  for (uint32_t i = 0; i < self->key_count; i++) {
    self->keys[root->key_count + i] = keys[i];
  }
  self->path = (Path){.name = root->name,
                      .variable = root->variable,
                      .key_count = root->key_count + self->key_count,
                      .keys = self->keys};
  if (initial_find(unit, &self->path, &self->initial)) return true;
  memcpy(self->keys, keys, sizeof keys);
  return false;
}

// What the file returns is a constructor.
static bool find_returned(Reset *self) {
  const GraftUnit *unit = self->script->unit;
  if (unit->return_statement < 0) return false;
  int value = unit->statements[unit->return_statement].value;
  for (uint32_t i = 0; i < self->key_count && value >= 0; i++) {
    value = initial_field(unit, value, self->keys[i]);
  }
  if (value < 0) return false;
  self->initial = (Initial){.value = value, .count = 1};
  self->path =
      (Path){.name = NULL, .key_count = self->key_count, .keys = self->keys};
  return true;
}

static bool find_global(Reset *self) {
  self->path = (Path){.name = self->keys[0],
                      .variable = VARIABLE_GLOBAL,
                      .key_count = self->key_count - 1,
                      .keys = self->keys + 1};
  return initial_find(self->script->unit, &self->path, &self->initial);
}

// ---------------------------------------------------------------------------
// Giving the value
// ---------------------------------------------------------------------------

// Whether the text names all fields that the source gives the table.
static bool is_complete(const GraftUnit *unit, int value) {
  if (evaluate_is_pure(unit, value)) return true;
  int table = evaluate_constructor(unit, value);
  for (int i = unit->values[table].first_field; i >= 0;
       i = unit->fields[i].next) {
    if (unit->fields[i].kind == FIELD_COMPUTED) return false;
  }
  return true;
}

static void remove_others(lua_State *L, int live, int source) {
  lua_pushnil(L);
  while (lua_next(L, live)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, source);
    bool gone = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!gone) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, live);
  }
}

// Fields that are not known, functions above all, stay.
static void fill(lua_State *L, int live, int source) {
  luaL_checkstack(L, 8, "reset");
  lua_pushnil(L);
  while (lua_next(L, source)) {
    int value = lua_gettop(L);
    lua_pushvalue(L, value - 1);
    lua_rawget(L, live);
    if (lua_istable(L, value) && lua_istable(L, -1) &&
        !lua_rawequal(L, value, -1)) {
      remove_others(L, value + 1, value);
      fill(L, value + 1, value);
    } else if (!evaluate_is_unknown(L, value)) {
      lua_pushvalue(L, value - 1);
      lua_pushvalue(L, value);
      lua_rawset(L, live);
    }
    lua_settop(L, value - 1);
  }
}

// stack: …, object, key
static void push_place(const Reset *self, lua_State *L) {
  if (self->path.name != NULL) {
    place_push(self->script, L, &self->path);
    return;
  }
  vm_push(self->script->vm, L, self->script->value_ref);
  for (uint32_t i = 0; i + 1 < self->key_count; i++) {
    if (!lua_istable(L, -1)) break;
    lua_pushstring(L, self->keys[i]);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  lua_pushstring(L, self->keys[self->key_count - 1]);
}

static void push_source(Reset *self, lua_State *L) {
  const GraftUnit *unit = self->script->unit;
  Evaluation evaluation = {.script = self->script, .unit = unit};
  int value = self->initial.value;
  if (value >= 0 && unit->values[value].kind == VALUE_FUNCTION) {
    self->why_not = "is a function";
  } else if (self->initial.assignment != NULL &&
             self->initial.assignment->result > 0) {
    self->why_not = "is one of several results of a call";
  }
  evaluate_push(&evaluation, L, value);
  if (self->why_not != NULL || !evaluate_is_unknown(L, -1)) return;
  lua_pop(L, 1);
  evaluate_run(&evaluation, L, value);
}

static void give(Vm *vm, lua_State *L, void *context) {
  (void)vm;
  Reset *self = context;
  const GraftUnit *unit = self->script->unit;
  push_place(self, L);
  if (!lua_istable(L, 1) && !lua_isfunction(L, 1)) {
    self->why_not = "has no table to be in any more";
    return;
  }
  push_source(self, L);
  if (self->why_not != NULL) return;
  place_get(L, 1);
  // stack: object, key, value of the source, live
  if (lua_istable(L, 3) && lua_istable(L, 4) &&
      evaluate_constructor(unit, self->initial.value) >= 0) {
    if (is_complete(unit, self->initial.value)) remove_others(L, 4, 3);
    fill(L, 4, 3);
    return;
  }
  lua_pushvalue(L, 3);
  place_set(NULL, L, 1);
}

GraftStatus reset_name(Vm *vm, const char *name, GraftError *error) {
  Reset self = {0};
  size_t size = 0;
  self.script = find_script(vm, name, &size);
  if (self.script == NULL || !split(&self, name + size + 1)) {
    error_set(error, GRAFT_ENOTFOUND, "%s is in no script that was loaded",
              name);
    return GRAFT_ENOTFOUND;
  }
  bool local = name[size] == ':';
  bool found = local ? find_local(&self)
                     : find_exported(&self) || find_returned(&self) ||
                           find_global(&self);
  if (!found) {
    error_set(error, GRAFT_ENOTFOUND, "%s gives %s no value", self.script->path,
              name);
    return GRAFT_ENOTFOUND;
  }
  GraftStatus status = GRAFT_OK;
  if (self.why_not == NULL) status = vm_protect(vm, give, &self, error);
  if (status == GRAFT_OK && self.why_not != NULL) {
    error_set(error, GRAFT_ERUN, "%s %s", name, self.why_not);
    status = GRAFT_ERUN;
  }
  return status;
}

GraftStatus vm_reset(Vm *self, const char *name, GraftError *error) {
  GraftStatus status = vm_check_open(self, error);
  return status < 0 ? status : reset_name(self, name, error);
}
