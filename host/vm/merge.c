// SPDX-License-Identifier: MIT

#include "vm/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/depend.h"
#include "vm/evaluate.h"
#include "vm/patcher_state.h"
#include "vm/place.h"
#include "vm/proto.h"

// Places on the stack, from the object on.
enum { KEY = 1, BASE, NOW, LIVE, PLACE_SIZE };

// How deep tables are compared and merged; a bound for the C stack.
enum { DEPTH = 100 };

static const GraftUnit *old_unit(const Merge *self) {
  return self->diff != NULL ? self->diff->old_unit : self->script->unit;
}

static const GraftUnit *new_unit(const Merge *self) {
  return self->script->unit;
}

// ---------------------------------------------------------------------------
// Comparing
// ---------------------------------------------------------------------------

static bool equal(lua_State *L, int left, int right, int depth);

static bool has_fields_of(lua_State *L, int left, int right, int depth) {
  lua_pushnil(L);
  while (lua_next(L, left)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, right);
    bool same = equal(L, lua_gettop(L) - 1, lua_gettop(L), depth);
    lua_pop(L, 2);
    if (same) continue;
    lua_pop(L, 1);
    return false;
  }
  return true;
}

// What a base does not know counts as equal to anything that is there.
static bool equal(lua_State *L, int left, int right, int depth) {
  if (lua_rawequal(L, left, right)) return true;
  if (evaluate_is_unknown(L, left)) return !lua_isnil(L, right);
  if (evaluate_is_unknown(L, right)) return !lua_isnil(L, left);
  if (!lua_istable(L, left) || !lua_istable(L, right) || depth == 0) {
    return false;
  }
  luaL_checkstack(L, 8, "merge");
  return has_fields_of(L, left, right, depth - 1) &&
         has_fields_of(L, right, left, depth - 1);
}

bool merge_equal(lua_State *L, int left, int right) {
  return equal(L, left, right, DEPTH);
}

// ---------------------------------------------------------------------------
// Reporting
// ---------------------------------------------------------------------------

static void value_text(lua_State *L, int index, char *text, size_t size) {
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    snprintf(text, size, "\"%s\"", lua_tostring(L, index));
    break;
  case LUA_TNUMBER:
    lua_pushvalue(L, index);
    snprintf(text, size, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
    break;
  case LUA_TBOOLEAN:
    snprintf(text, size, "%s", lua_toboolean(L, index) ? "true" : "false");
    break;
  default:
    snprintf(text, size, "%s", luaL_typename(L, index));
  }
}

static void note(const Merge *self, NoteKind kind, const char *text) {
  Note added = {.kind = kind, .file = self->script->path, .line = self->line};
  snprintf(added.name, sizeof added.name, "%s", self->script->module);
  snprintf(added.text, sizeof added.text, "%s", text);
  patcher_add_note(self->patcher, &added);
}

static void note_keep(const Merge *self, lua_State *L, int object) {
  char before[80];
  char after[80];
  char text[256];
  value_text(L, object + LIVE, before, sizeof before);
  value_text(L, object + NOW, after, sizeof after);
  snprintf(text, sizeof text, "%.80s = %.79s, source now %.79s", self->name,
           before, after);
  note(self, NOTE_KEEP, text);
}

// A value whose base is not known gives way to the source's.
static void note_taken(const Merge *self, lua_State *L, int object) {
  char before[80];
  char after[80];
  char text[256];
  value_text(L, object + LIVE, before, sizeof before);
  value_text(L, object + NOW, after, sizeof after);
  snprintf(text, sizeof text,
           "%.60s was %.50s, is %.50s now: what the old source gave needs a "
           "call, so they were not merged",
           self->name, before, after);
  note(self, NOTE_TAKEN, text);
}

// ---------------------------------------------------------------------------
// Functions
// ---------------------------------------------------------------------------

// What the function at `index` stems from: a definition of the script's unit,
// SCRIPT_NONE when that is gone; -3 for anything else.
static int definition_of(const Merge *self, lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TFUNCTION) return -3;
  const void *proto = proto_of(L, index);
  ScriptProto *entry =
      proto != NULL ? script_find_proto(self->script->vm, proto) : NULL;
  if (entry == NULL || entry->chunk->script != self->script) return -3;
  return entry->definition;
}

static bool is_constructed(const GraftUnit *unit, int value) {
  return value >= 0 && unit->values[value].kind == VALUE_FUNCTION;
}

// A function that the source has in place is patched by the sweep. Returns
// whether the new one is to be put; `*decided` is false for other values.
static bool takes_function(const Merge *self, lua_State *L, int object,
                           bool *decided) {
  bool new_one = is_constructed(new_unit(self), self->new_value);
  bool old_one = is_constructed(old_unit(self), self->old_value);
  *decided = new_one || (old_one && lua_isnil(L, object + NOW));
  if (!*decided) return false;
  int live = definition_of(self, L, object + LIVE);
  if (!new_one) return live == SCRIPT_NONE;
  int now = definition_of(self, L, object + NOW);
  if (lua_isnil(L, object + LIVE) || live == SCRIPT_NONE) return true;
  if (now == live) return false;
  if (old_one) return false; // replaced at run time, and not by this edit
  *decided = false;
  return false;
}

// ---------------------------------------------------------------------------
// Fields
// ---------------------------------------------------------------------------

static int find_field(const GraftUnit *unit, int value, lua_State *L, int key) {
  int table = evaluate_constructor(unit, value);
  if (table < 0) return -1;
  for (int i = unit->values[table].first_field; i >= 0;
       i = unit->fields[i].next) {
    const Field *field = &unit->fields[i];
    bool found = false;
    if (field->kind == FIELD_NAME && lua_type(L, key) == LUA_TSTRING) {
      found = strcmp(field->name, lua_tostring(L, key)) == 0;
    } else if (lua_type(L, key) == LUA_TNUMBER) {
      found = field->kind == FIELD_ITEM
                  ? lua_tonumber(L, key) == field->number
                  : field->kind == FIELD_CONSTANT &&
                        strtod(unit_text(unit, field->key), NULL) ==
                            lua_tonumber(L, key);
    }
    if (found) return field->value;
  }
  return -1;
}

static Merge merge_of_field(const Merge *self, lua_State *L, int key) {
  Merge field = *self;
  field.old_value = find_field(old_unit(self), self->old_value, L, key);
  field.new_value = find_field(new_unit(self), self->new_value, L, key);
  if (field.new_value >= 0) {
    field.line = new_unit(self)->values[field.new_value].line;
  }
  size_t used = strlen(field.name);
  if (lua_type(L, key) == LUA_TSTRING) {
    snprintf(field.name + used, sizeof field.name - used, "%s%s",
             used > 0 ? "." : "", lua_tostring(L, key));
  } else {
    char text[40];
    value_text(L, key, text, sizeof text);
    snprintf(field.name + used, sizeof field.name - used, "[%s]", text);
  }
  return field;
}

// stack: …, key; pushes nothing. `base` 0: nothing is known of it.
static void merge_field(const Merge *self, lua_State *L, int base, int now,
                        int live) {
  int key = lua_gettop(L);
  Merge field = merge_of_field(self, L, key);
  lua_pushvalue(L, live);
  lua_pushvalue(L, key);
  if (base != 0) {
    lua_pushvalue(L, key);
    lua_rawget(L, base);
  } else {
    evaluate_push_unknown(L);
  }
  lua_pushvalue(L, key);
  lua_rawget(L, now);
  merge_place(&field, L, key + 1);
  lua_settop(L, key);
}

static void merge_fields(const Merge *self, lua_State *L, int base, int now,
                         int live) {
  luaL_checkstack(L, 2 * PLACE_SIZE + 8, "merge");
  int before = depend_count(self->patcher);
  lua_pushnil(L);
  while (lua_next(L, now)) {
    lua_pop(L, 1);
    merge_field(self, L, base, now, live);
  }
  if (base != 0) lua_pushnil(L);
  while (base != 0 && lua_next(L, base)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, now);
    bool gone = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (gone) merge_field(self, L, base, now, live);
  }
  if (depend_count(self->patcher) > before) {
    depend_mark(self->patcher, L, live);
  }
}

// The metatable that `setmetatable` gives a merged table.
static void merge_metatable(const Merge *self, lua_State *L, int now,
                            int live) {
  bool had_one = self->old_value >= 0 &&
                 old_unit(self)->values[self->old_value].inner >= 0;
  if (!lua_getmetatable(L, now)) {
    if (!had_one) return;
    lua_pushnil(L);
  }
  if (!lua_getmetatable(L, live)) lua_pushnil(L);
  // stack: …, new metatable, live metatable
  if (!lua_rawequal(L, -1, -2)) {
    journal_add_metatable(self->patcher, L, live);
    lua_pushvalue(L, -2);
    lua_setmetatable(L, live);
  }
  lua_pop(L, 2);
}

void merge_tables(const Merge *self, lua_State *L, int base) {
  int top = lua_gettop(L);
  bool known = lua_istable(L, base);
  merge_fields(self, L, known ? base : 0, base + 1, base + 2);
  merge_metatable(self, L, base + 1, base + 2);
  lua_settop(L, top);
}

// ---------------------------------------------------------------------------
// Places
// ---------------------------------------------------------------------------

// Fields that no constant names have no value here; they are in constructors.
static bool is_constructor(const GraftUnit *unit, int value) {
  return value < 0 || evaluate_constructor(unit, value) >= 0;
}

// Whether the source makes a table here, before and now, whose fields a live
// table is to be given.
static bool merges_fields(const Merge *self, lua_State *L, int object) {
  if (!lua_istable(L, object + NOW) || !lua_istable(L, object + LIVE) ||
      lua_rawequal(L, object + NOW, object + LIVE) ||
      lua_rawequal(L, object + BASE, object + LIVE) ||
      !is_constructor(old_unit(self), self->old_value) ||
      !is_constructor(new_unit(self), self->new_value)) {
    return false;
  }
  if (lua_istable(L, object + BASE)) return true;
  return evaluate_is_unknown(L, object + BASE) && self->old_value >= 0;
}

static bool has_same_source(const Merge *self) {
  if (self->old_value < 0 || self->new_value < 0) return false;
  return old_unit(self)->values[self->old_value].fingerprint ==
         new_unit(self)->values[self->new_value].fingerprint;
}

// A call that stands in an edited statement, and is not itself edited, is made
// again with the statement; what it gave at first stays.
static bool is_same_call(const Merge *self) {
  return has_same_source(self) &&
         new_unit(self)->values[self->new_value].has_call;
}

// A value of which only the live one is known.
static bool takes_unknown(const Merge *self, lua_State *L, int object) {
  if (has_same_source(self) || lua_rawequal(L, object + NOW, object + LIVE)) {
    return false;
  }
  if (!lua_isnil(L, object + LIVE)) note_taken(self, L, object);
  return true;
}

// Whether the source gives the same as before. Two tables that it only names
// are the same when they are one.
static bool is_same_source(const Merge *self, lua_State *L, int object) {
  if (is_constructor(old_unit(self), self->old_value) &&
      is_constructor(new_unit(self), self->new_value)) {
    return merge_equal(L, object + NOW, object + BASE);
  }
  return lua_rawequal(L, object + NOW, object + BASE);
}

// A table that the source only names is the same when it is that one.
static bool is_named(const GraftUnit *unit, int value) {
  return value >= 0 && unit->values[value].kind == VALUE_NAME;
}

// Whether what is there is what the source gave.
static bool is_untouched(const Merge *self, lua_State *L, int object) {
  return is_named(old_unit(self), self->old_value)
             ? lua_rawequal(L, object + BASE, object + LIVE)
             : merge_equal(L, object + BASE, object + LIVE);
}

static bool takes_known(const Merge *self, lua_State *L, int object) {
  if (is_same_source(self, L, object) ||
      lua_rawequal(L, object + NOW, object + LIVE)) {
    return false;
  }
  if (is_untouched(self, L, object)) return true;
  if (!is_named(new_unit(self), self->new_value) &&
      merge_equal(L, object + NOW, object + LIVE)) {
    return false;
  }
  note_keep(self, L, object);
  return false;
}

// Decides about a value that is not merged field by field.
static bool takes_new(const Merge *self, lua_State *L, int object) {
  bool decided = false;
  bool takes = takes_function(self, L, object, &decided);
  if (decided) return takes;
  if (is_same_call(self)) return false;
  bool unknown = evaluate_is_unknown(L, object + BASE);
  if (unknown) {
    takes = takes_unknown(self, L, object);
    lua_pushvalue(L, object + (takes ? LIVE : NOW));
    lua_replace(L, object + BASE);
  } else {
    takes = takes_known(self, L, object);
  }
  if (!is_same_source(self, L, object)) {
    depend_add(self->patcher, L, object);
  }
  return takes;
}

void merge_place(const Merge *self, lua_State *L, int object) {
  int top = lua_gettop(L);
  if (evaluate_is_unknown(L, object + NOW)) return;
  luaL_checkstack(L, 16, "merge");
  lua_settop(L, object + NOW);
  place_get(L, object);
  // stack: object, key, base, new, live
  if (merges_fields(self, L, object)) {
    merge_tables(self, L, object + BASE);
  } else if (takes_new(self, L, object)) {
    lua_pushvalue(L, object + NOW);
    place_set(self->patcher, L, object);
  }
  lua_settop(L, top);
}
