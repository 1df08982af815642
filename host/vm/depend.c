// SPDX-License-Identifier: MIT

#include "vm/depend.h"

#include "vm/evaluate.h"
#include "vm/given.h"
#include "vm/initial.h"
#include "vm/patcher_state.h"
#include "vm/place.h"

enum { ENTRY_OBJECT = 1, ENTRY_KEY, ENTRY_BASE, ENTRY_NEW, ENTRY_LIVE };

// ---------------------------------------------------------------------------
// What changed
// ---------------------------------------------------------------------------

static void push_table(Patcher *self, lua_State *L, int *ref) {
  if (*ref == VM_NO_REF) {
    lua_newtable(L);
    *ref = vm_ref(self->vm, L);
  }
  vm_push(self->vm, L, *ref);
}

// Pushes the set of changed keys of the object at `index`.
static void push_keys(Patcher *self, lua_State *L, int index) {
  push_table(self, L, &self->depend_index_ref);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, index);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

// stack: …, key or nil → …, key in the set
static void set_key(lua_State *L) {
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushboolean(L, 1);
}

// Appends an entry of the four values at `object`.
static void append(Patcher *self, lua_State *L, int object, int place) {
  push_table(self, L, &self->depend_ref);
  lua_createtable(L, ENTRY_LIVE, 0);
  for (int i = ENTRY_OBJECT; i <= ENTRY_NEW; i++) {
    lua_pushvalue(L, object + i - ENTRY_OBJECT);
    lua_rawseti(L, -2, i);
  }
  lua_rawseti(L, -2, place);
  lua_pop(L, 1);
}

void depend_add(Patcher *self, lua_State *L, int object) {
  luaL_checkstack(L, 10, "depend");
  push_keys(self, L, object);
  lua_pushvalue(L, object + 1);
  set_key(L);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  bool known = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (!known) {
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    append(self, L, object, self->depend_count + 1);
    self->depend_count++;
  } else {
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void depend_mark(Patcher *self, lua_State *L, int index) {
  luaL_checkstack(L, 8, "depend");
  push_keys(self, L, lua_absindex(L, index));
  lua_pop(L, 1);
}

bool depend_is_marked(Patcher *self, lua_State *L, int index) {
  if (self->depend_index_ref == VM_NO_REF) return false;
  vm_push(self->vm, L, self->depend_index_ref);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  bool marked = !lua_isnil(L, -1);
  lua_pop(L, 2);
  return marked;
}

int depend_count(const Patcher *self) {
  return self->depend_count;
}

bool depend_is_changed(Patcher *self, lua_State *L, int object) {
  if (self->depend_index_ref == VM_NO_REF) return false;
  vm_push(self->vm, L, self->depend_index_ref);
  lua_pushvalue(L, object);
  lua_rawget(L, -2);
  bool changed = false;
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, object + 1);
    set_key(L);
    lua_rawget(L, -2);
    changed = !lua_isnil(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return changed;
}

// ---------------------------------------------------------------------------
// Evaluating
// ---------------------------------------------------------------------------

// stack: …, list → …, list, object, key
static int push_entry(lua_State *L, int place) {
  lua_rawgeti(L, -1, place);
  lua_rawgeti(L, -1, ENTRY_OBJECT);
  lua_rawgeti(L, -2, ENTRY_KEY);
  return lua_gettop(L) - 1;
}

void depend_begin(Patcher *self, lua_State *L, DependSide side) {
  int count = self->depend_count + self->pin_count;
  if (count == 0) return;
  luaL_checkstack(L, 10, "depend");
  int top = lua_gettop(L);
  vm_push(self->vm, L, self->depend_ref);
  for (int i = 1; i <= count; i++) {
    int object = push_entry(L, i);
    place_get(L, object);
    lua_rawseti(L, object - 1, ENTRY_LIVE);
    self->depend_active = i;
    lua_rawgeti(L, object - 1, side == DEPEND_BASE ? ENTRY_BASE : ENTRY_NEW);
    place_set_raw(L, object);
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
}

void depend_end(Patcher *self, lua_State *L) {
  if (self->depend_active == 0) return;
  int top = lua_gettop(L);
  vm_push(self->vm, L, self->depend_ref);
  for (; self->depend_active > 0; self->depend_active--) {
    int object = push_entry(L, self->depend_active);
    lua_rawgeti(L, object - 1, ENTRY_LIVE);
    place_set_raw(L, object);
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
}

// stack: …, object, key
static bool is_pinned(Patcher *self, lua_State *L, int object) {
  bool found = false;
  vm_push(self->vm, L, self->depend_ref);
  int list = lua_gettop(L);
  for (int i = 1; i <= self->pin_count && !found; i++) {
    int other = push_entry(L, self->depend_count + i);
    found = lua_rawequal(L, object, other) &&
            lua_rawequal(L, object + 1, other + 1);
    lua_settop(L, list);
  }
  lua_pop(L, 1);
  return found;
}

static void pin_reads(Patcher *self, lua_State *L, const Evaluation *evaluation,
                      int value, DependSide side);

// Pushes what the source gives a place, where that is known and no table.
static void push_given(Patcher *self, lua_State *L,
                       const Evaluation *evaluation, const Initial *initial,
                       DependSide side) {
  const GraftUnit *unit = evaluation->unit;
  int object = lua_gettop(L) - 1;
  if (evaluate_constructor(unit, initial->value) >= 0 ||
      unit->values[initial->value].kind == VALUE_FUNCTION) {
    evaluate_push_unknown(L);
  } else if (evaluate_is_pure(unit, initial->value)) {
    pin_reads(self, L, evaluation, initial->value, side);
    evaluate_compile(evaluation, L, initial->value);
    depend_begin(self, L, side);
    evaluate_call(L);
    depend_end(self, L);
  } else {
    given_push(L, object);
  }
}

// Whether the name has its value from one place above the expression alone.
static bool has_one_source(const GraftUnit *unit, const Path *read, int value,
                           Initial *initial) {
  return !read->computed && read->variable != VARIABLE_LOCAL &&
         initial_find(unit, read, initial) && initial->count == 1 &&
         initial->value >= 0 &&
         unit->statements[initial->assignment->statement].range.end <=
             unit->values[value].range.start;
}

// The place of a variable that the present unit no longer has.
static bool push_gone_place(const Evaluation *evaluation, lua_State *L,
                            const Path *path) {
  vm_push(evaluation->script->vm, L, evaluation->gone_ref);
  int object = lua_gettop(L);
  if (!lua_istable(L, object)) return false;
  lua_rawgeti(L, object, path->variable + 1);
  lua_replace(L, object);
  if (lua_isnil(L, object)) return false;
  lua_pushnil(L);
  for (uint32_t i = 0; i < path->key_count; i++) {
    place_get(L, object);
    lua_replace(L, object);
    if (!lua_istable(L, object)) return false;
    lua_pushstring(L, path->keys[i]);
    lua_replace(L, object + 1);
  }
  return true;
}

bool depend_push_place(const Evaluation *evaluation, lua_State *L,
                       const Path *read) {
  Path path = *read;
  if (path.variable >= 0 && evaluation->variables != NULL) {
    path.variable = evaluation->variables[path.variable];
    if (path.variable < 0) return push_gone_place(evaluation, L, read);
  }
  return place_push(evaluation->script, L, &path);
}

// What an expression reads counts with the value that the source gives it, also
// where it was changed at run time: base and new value are what a source
// gives, not what the program made of it.
static void pin_read(Patcher *self, lua_State *L, const Evaluation *evaluation,
                     const Path *read, const Initial *initial,
                     DependSide side) {
  int object = lua_gettop(L) + 1;
  luaL_checkstack(L, 16, "depend");
  if (depend_push_place(evaluation, L, read) &&
      !depend_is_changed(self, L, object) && !is_pinned(self, L, object)) {
    push_given(self, L, evaluation, initial, side);
    if (!evaluate_is_unknown(L, -1)) {
      lua_pushvalue(L, -1);
      append(self, L, object, self->depend_count + self->pin_count + 1);
      self->pin_count++;
    }
  }
  lua_settop(L, object - 1);
}

// Ends, because each step goes to what stands further up.
static void pin_reads(Patcher *self, lua_State *L, const Evaluation *evaluation,
                      int value, DependSide side) {
  if (value < 0) return;
  const GraftUnit *unit = evaluation->unit;
  for (uint32_t i = 0; i < unit->values[value].read_count; i++) {
    const Path *read = &unit->reads[unit->values[value].first_read + i];
    Initial initial;
    if (has_one_source(unit, read, value, &initial)) {
      pin_read(self, L, evaluation, read, &initial, side);
    }
  }
}

void depend_pin(Patcher *self, lua_State *L, const Evaluation *evaluation,
                int value) {
  pin_reads(self, L, evaluation, value, DEPEND_NEW);
}

void depend_unpin(Patcher *self) {
  self->pin_count = 0;
}

void depend_evaluate(Patcher *self, lua_State *L, const Evaluation *evaluation,
                     int value, DependSide side) {
  pin_reads(self, L, evaluation, value, side);
  evaluate_compile(evaluation, L, value);
  depend_begin(self, L, side);
  evaluate_call(L);
  depend_end(self, L);
  depend_unpin(self);
}
