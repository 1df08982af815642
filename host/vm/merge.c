// SPDX-License-Identifier: MIT
//
// Merge: an edited initial value meets one that may have changed at run time.
// What the old source gave (the base) is evaluated from its text, where that
// consists of constants; where it does not, the new value is taken.

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "vm/patcher_state.h"

bool merge_knows_base(const GraftUnit *unit, int value) {
  if (value < 0) return true;
  return unit->values[value].kind == VALUE_CONSTANT ||
         unit->values[value].kind == VALUE_TABLE;
}

// ---------------------------------------------------------------------------
// The base
// ---------------------------------------------------------------------------

static void add_base(Buffer *text, const GraftUnit *unit, int value);

static bool is_known_field(const GraftUnit *unit, const Field *field) {
  return field->kind != FIELD_COMPUTED && merge_knows_base(unit, field->value);
}

static void add_key(Buffer *text, const GraftUnit *unit, const Field *field) {
  if (field->kind == FIELD_ITEM) {
    buffer_format(text, "[%d]=", field->number);
  } else if (field->kind == FIELD_NAME) {
    buffer_add_text(text, "[");
    bool bare = unit->source[field->key.start] != '"' &&
                unit->source[field->key.start] != '\'' &&
                unit->source[field->key.start] != '[';
    if (bare) buffer_add_text(text, "'");
    buffer_add(text, unit_text(unit, field->key), range_size(field->key));
    buffer_add_text(text, bare ? "']=" : " ]=");
  } else {
    buffer_add_text(text, "[");
    buffer_add(text, unit_text(unit, field->key), range_size(field->key));
    buffer_add_text(text, "]=");
  }
}

static void add_base(Buffer *text, const GraftUnit *unit, int value) {
  if (value < 0) {
    buffer_add_text(text, "nil");
    return;
  }
  const Value *origin = &unit->values[value];
  if (origin->kind == VALUE_CONSTANT) {
    buffer_add(text, unit_text(unit, origin->range), range_size(origin->range));
    return;
  }
  buffer_add_text(text, "{");
  for (int i = origin->first_field; i >= 0; i = unit->fields[i].next) {
    const Field *field = &unit->fields[i];
    if (!is_known_field(unit, field)) continue;
    add_key(text, unit, field);
    add_base(text, unit, field->value);
    buffer_add_text(text, "\n,");
  }
  buffer_add_text(text, "}");
}

static void push_base(const Merge *self, lua_State *L) {
  Vm *vm = self->patcher->vm;
  Buffer text;
  buffer_init(&text, &vm->allocator);
  buffer_add_text(&text, "return ");
  add_base(&text, self->file->patch.diff->old_unit, self->old_value);
  int status = LUA_ERRMEM;
  if (!text.failed) {
    status = luaL_loadbufferx_text(L, text.text, text.size, "=base");
  }
  bool failed = text.failed;
  buffer_clear(&text);
  if (failed) luaL_error(L, "out of memory");
  if (status != LUA_OK) lua_error(L);
  lua_call(L, 0, 1);
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

static void note_keep(const Merge *self, lua_State *L, int live, int now) {
  Script *script = self->file->patch.script;
  Note note = {.kind = NOTE_KEEP, .file = script->path, .line = self->line};
  snprintf(note.name, sizeof note.name, "%s", script->module);
  char before[96];
  char after[96];
  value_text(L, live, before, sizeof before);
  value_text(L, now, after, sizeof after);
  snprintf(note.text, sizeof note.text, "%.48s = %.90s, source now %.90s",
           self->name, before, after);
  patcher_add_note(self->patcher, &note);
}

// ---------------------------------------------------------------------------
// Tables
// ---------------------------------------------------------------------------

static void merge_fields(const Merge *self, lua_State *L, int base, int now,
                         int live);

static bool same_key(const GraftUnit *left, const Field *a,
                     const GraftUnit *right, const Field *b) {
  if (a->kind != b->kind) return false;
  if (a->kind == FIELD_ITEM) return a->number == b->number;
  if (a->kind == FIELD_NAME) return strcmp(a->name, b->name) == 0;
  return range_size(a->key) == range_size(b->key) &&
         memcmp(unit_text(left, a->key), unit_text(right, b->key),
                range_size(a->key)) == 0;
}

static const Field *find_field(const GraftUnit *unit, int value,
                               const GraftUnit *other, const Field *like) {
  for (int i = unit->values[value].first_field; i >= 0;
       i = unit->fields[i].next) {
    if (same_key(unit, &unit->fields[i], other, like)) return &unit->fields[i];
  }
  return NULL;
}

static void push_key(lua_State *L, const GraftUnit *unit, const Field *field) {
  if (field->kind == FIELD_ITEM) {
    lua_pushinteger(L, field->number);
  } else if (field->kind == FIELD_NAME) {
    lua_pushstring(L, field->name);
  } else {
    lua_pushliteral(L, "return ");
    lua_pushlstring(L, unit_text(unit, field->key), range_size(field->key));
    lua_concat(L, 2);
    if (luaL_loadstring(L, lua_tostring(L, -1))) lua_error(L);
    lua_remove(L, -2);
    lua_call(L, 0, 1);
  }
}

// Pushes table[key] of the table at `table`.
static void push_field(lua_State *L, int table, const GraftUnit *unit,
                       const Field *field) {
  push_key(L, unit, field);
  lua_rawget(L, table);
}

// stack: …, value → …
static void set_field(lua_State *L, int table, const GraftUnit *unit,
                      const Field *field) {
  push_key(L, unit, field);
  lua_insert(L, -2);
  lua_rawset(L, table);
}

// stack: …, base field, new field, live field
static void merge_field(const Merge *self, lua_State *L, int live,
                        const Field *before, const Field *after) {
  const Diff *diff = self->file->patch.diff;
  const Value *old_value =
      before != NULL ? &diff->old_unit->values[before->value] : NULL;
  const Value *new_value = &diff->new_unit->values[after->value];
  int top = lua_gettop(L);
  bool take = false;
  if (before == NULL) {
    take = lua_isnil(L, top);
    if (!take) note_keep(self, L, top, top - 1);
  } else if (old_value->fingerprint == new_value->fingerprint) {
    return;
  } else if (old_value->kind == VALUE_TABLE && new_value->kind == VALUE_TABLE &&
             lua_istable(L, top)) {
    Merge inner = *self;
    inner.old_value = before->value;
    inner.new_value = after->value;
    inner.line = new_value->line;
    if (before->kind == FIELD_NAME) inner.name = before->name;
    merge_fields(&inner, L, top - 2, top - 1, top);
  } else if (old_value->kind == VALUE_CONSTANT &&
             !lua_rawequal(L, top, top - 2)) {
    note_keep(self, L, top, top - 1);
  } else {
    take = true;
  }
  if (!take) return;
  lua_pushvalue(L, top - 1);
  set_field(L, live, diff->new_unit, after);
}

// A field that the source no longer has goes, unless it was changed.
static void remove_field(const Merge *self, lua_State *L, int base, int live,
                         const Field *before) {
  const GraftUnit *old = self->file->patch.diff->old_unit;
  push_field(L, base, old, before);
  push_field(L, live, old, before);
  bool changed = old->values[before->value].kind == VALUE_CONSTANT &&
                 !lua_rawequal(L, -1, -2);
  if (changed) {
    lua_pushnil(L);
    note_keep(self, L, lua_gettop(L) - 1, lua_gettop(L));
    lua_pop(L, 1);
  } else {
    lua_pushnil(L);
    set_field(L, live, old, before);
  }
  lua_pop(L, 2);
}

static void merge_fields(const Merge *self, lua_State *L, int base, int now,
                         int live) {
  const GraftUnit *old = self->file->patch.diff->old_unit;
  const GraftUnit *new = self->file->patch.diff->new_unit;
  luaL_checkstack(L, 16, "merge");
  journal_add_table(self->patcher, L, live);
  for (int i = new->values[self->new_value].first_field; i >= 0;
       i = new->fields[i].next) {
    const Field *after = &new->fields[i];
    if (after->kind == FIELD_COMPUTED) continue;
    const Field *before = find_field(old, self->old_value, new, after);
    int top = lua_gettop(L);
    push_field(L, base, new, after);
    push_field(L, now, new, after);
    push_field(L, live, new, after);
    Merge field = *self;
    if (after->kind == FIELD_NAME) field.name = after->name;
    field.line = new->values[after->value].line;
    merge_field(&field, L, live, before, after);
    lua_settop(L, top);
  }
  for (int i = old->values[self->old_value].first_field; i >= 0;
       i = old->fields[i].next) {
    const Field *before = &old->fields[i];
    if (before->kind == FIELD_COMPUTED ||
        find_field(new, self->new_value, old, before) != NULL) {
      continue;
    }
    remove_field(self, L, base, live, before);
  }
}

// stack: live, new → live, result
void merge_values(const Merge *self, lua_State *L) {
  const Diff *diff = self->file->patch.diff;
  int now = lua_gettop(L);
  int live = now - 1;
  if (!merge_knows_base(diff->old_unit, self->old_value)) return;
  push_base(self, L);
  int base = now + 1;
  bool tables = self->old_value >= 0 && self->new_value >= 0 &&
                diff->old_unit->values[self->old_value].kind == VALUE_TABLE &&
                diff->new_unit->values[self->new_value].kind == VALUE_TABLE;
  bool old_table = self->old_value >= 0 &&
                   diff->old_unit->values[self->old_value].kind == VALUE_TABLE;
  bool keep = false;
  if (tables && lua_istable(L, live)) {
    merge_fields(self, L, base, now, live);
    keep = true;
  } else if (old_table ? !lua_istable(L, live) : !lua_rawequal(L, base, live)) {
    keep = true;
    if (!lua_rawequal(L, live, now)) note_keep(self, L, live, now);
  }
  lua_settop(L, now);
  if (!keep) return;
  lua_pushvalue(L, live);
  lua_replace(L, now);
}
