// SPDX-License-Identifier: MIT

#include "vm/break.h"

#include <string.h>

#include "base/error.h"
#include "vm/break_state.h"
#include "vm/cell.h"
#include "vm/probation_state.h"
#include "vm/proto.h"
#include "vm/script.h"

// ---------------------------------------------------------------------------
// Frames
// ---------------------------------------------------------------------------

// Level 0 of the stack is the message handler.
bool break_find_frame(const GraftBreak *at, size_t index, lua_Debug *frame) {
  return index < at->frame_count &&
         lua_getstack(at->L, (int)index + 1, frame) == 1;
}

// A stack may be deep, and each look at it begins at the top.
static size_t count_frames(lua_State *L) {
  lua_Debug frame;
  int none = 1;
  while (lua_getstack(L, none, &frame)) none *= 2;
  int some = none / 2;
  while (some + 1 < none) {
    int middle = some + (none - some) / 2;
    if (lua_getstack(L, middle, &frame)) {
      some = middle;
    } else {
      none = middle;
    }
  }
  return (size_t)some;
}

static size_t find_place(const GraftBreak *at) {
  lua_Debug frame;
  for (size_t i = 0; i < 8 && break_find_frame(at, i, &frame); i++) {
    lua_getinfo(at->L, "S", &frame);
    if (frame.what[0] != 'C') return i;
  }
  return 0;
}

// What is known of the function that a frame runs.
static const ScriptProto *find_proto(const GraftBreak *at, lua_Debug *frame) {
  if (!lua_checkstack(at->L, 1)) return NULL;
  lua_getinfo(at->L, "f", frame);
  const void *proto = proto_of(at->L, -1);
  lua_pop(at->L, 1);
  return proto != NULL ? script_find_proto(at->vm, proto) : NULL;
}

static const char *name_of(const ScriptProto *proto, const lua_Debug *frame) {
  if (proto != NULL && proto->definition >= 0) {
    return proto->chunk->script->unit->definitions[proto->definition].name;
  }
  if (proto != NULL && proto->definition == SCRIPT_MAIN) {
    return proto->chunk->script->module;
  }
  return frame->name != NULL ? frame->name : "";
}

size_t graft_break_frame_count(const GraftBreak *at) {
  return at->frame_count;
}

size_t graft_break_place(const GraftBreak *at) {
  return at->place;
}

bool graft_break_frame(GraftBreak *at, size_t index, GraftFrame *frame) {
  lua_Debug info;
  if (!break_find_frame(at, index, &info)) return false;
  lua_getinfo(at->L, "nSl", &info);
  const ScriptProto *proto = find_proto(at, &info);
  bool is_c = info.what[0] == 'C';
  buffer_clear(&at->text);
  buffer_add_text(&at->text,
                  proto != NULL ? proto->chunk->script->path : info.short_src);
  *frame = (GraftFrame){
      .name = name_of(proto, &info),
      .file = buffer_text(&at->text),
      .line = info.currentline > 0 ? info.currentline : 0,
      .first_line = is_c ? 0 : info.linedefined,
      .last_line = is_c ? 0 : info.lastlinedefined,
      .is_new = proto != NULL && proto->probation,
  };
  return true;
}

// The text that a frame's function was compiled from: that of the present unit,
// or of the last one that had the code.
static const GraftUnit *unit_of(const ScriptProto *proto) {
  if (proto == NULL) return NULL;
  return proto->code != NULL ? proto->code->unit : proto->chunk->script->unit;
}

const char *graft_break_line(GraftBreak *at, size_t frame, int line) {
  lua_Debug info;
  if (line < 1 || !break_find_frame(at, frame, &info)) return NULL;
  const GraftUnit *unit = unit_of(find_proto(at, &info));
  if (unit == NULL) return NULL;
  const char *text = unit->source;
  const char *end = text + unit->size;
  for (int i = 1; i < line && text != NULL; i++) {
    text = memchr(text, '\n', (size_t)(end - text));
    if (text != NULL) text++;
  }
  if (text == NULL || text >= end) return NULL;
  const char *stop = memchr(text, '\n', (size_t)(end - text));
  if (stop == NULL) stop = end;
  if (stop > text && stop[-1] == '\r') stop--;
  buffer_clear(&at->text);
  buffer_add(&at->text, text, (size_t)(stop - text));
  return buffer_text(&at->text);
}

// ---------------------------------------------------------------------------
// Variables
// ---------------------------------------------------------------------------

// The VM calls what has no name in the source "(temporary)" and the like.
static bool is_named(const char *name) {
  return name[0] != '(' && name[0] != '\0';
}

// The n-th local that has a name, from 0.
static bool find_local(const GraftBreak *at, lua_Debug *frame, size_t index,
                       BreakVariable *variable) {
  const char *name;
  for (int n = 1; (name = lua_getlocal(at->L, frame, n)) != NULL; n++) {
    lua_pop(at->L, 1);
    if (!is_named(name) || index-- > 0) continue;
    *variable = (BreakVariable){GRAFT_VARIABLE_LOCAL, n, name, NULL};
    return true;
  }
  return false;
}

static bool find_upvalue(const GraftBreak *at, lua_Debug *frame, size_t index,
                         BreakVariable *variable) {
  bool found = false;
  const char *name;
  lua_getinfo(at->L, "f", frame);
  for (int n = 1; !found && (name = lua_getupvalue(at->L, -1, n)) != NULL;
       n++) {
    lua_pop(at->L, 1);
    if (!is_named(name) || strcmp(name, "_ENV") == 0 || index-- > 0) continue;
    *variable = (BreakVariable){GRAFT_VARIABLE_UPVALUE, n, name, NULL};
    found = true;
  }
  lua_pop(at->L, 1);
  return found;
}

static bool find_vararg(const GraftBreak *at, lua_Debug *frame, size_t index,
                        BreakVariable *variable) {
  int number = -1 - (int)index;
  if (lua_getlocal(at->L, frame, number) == NULL) return false;
  lua_pop(at->L, 1);
  *variable = (BreakVariable){GRAFT_VARIABLE_VARARG, number, "...", NULL};
  return true;
}

typedef bool FindVariable(const GraftBreak *at, lua_Debug *frame, size_t index,
                          BreakVariable *variable);

static size_t count(const GraftBreak *at, lua_Debug *frame,
                    FindVariable *find) {
  BreakVariable ignored;
  size_t total = 0;
  while (find(at, frame, total, &ignored)) total++;
  return total;
}

static bool find_at(const GraftBreak *at, lua_Debug *frame, size_t index,
                    BreakVariable *variable) {
  static FindVariable *const kinds[] = {find_local, find_vararg, find_upvalue};
  if (!lua_checkstack(at->L, 3)) return false;
  for (int i = 0; i < 3; i++) {
    if (kinds[i](at, frame, index, variable)) return true;
    index -= count(at, frame, kinds[i]);
  }
  return false;
}

// The file's variable that the name would mean in the function's text.
static bool find_module_variable(const GraftBreak *at, lua_Debug *frame,
                                 const char *name, BreakVariable *variable) {
  const ScriptProto *proto = find_proto(at, frame);
  if (proto == NULL || proto->old || proto->definition < 0) return false;
  Script *script = proto->chunk->script;
  const GraftUnit *unit = script->unit;
  uint32_t start = unit->definitions[proto->definition].whole.start;
  for (int i = unit->variable_count - 1; i >= 0; i--) {
    const Variable *candidate = &unit->variables[i];
    if (candidate->owner >= 0 || !candidate->top ||
        candidate->offset >= start || strcmp(candidate->name, name) != 0) {
      continue;
    }
    *variable = (BreakVariable){GRAFT_VARIABLE_UPVALUE, i, name, script};
    return true;
  }
  return false;
}

// A later local hides an earlier one, each local an upvalue, and each of these
// a variable of the file.
bool break_find_variable(const GraftBreak *at, lua_Debug *frame,
                         const char *name, BreakVariable *variable) {
  BreakVariable candidate;
  bool found = false;
  if (!lua_checkstack(at->L, 3)) return false;
  for (size_t i = 0; find_local(at, frame, i, &candidate); i++) {
    if (strcmp(candidate.name, name) != 0) continue;
    *variable = candidate;
    found = true;
  }
  for (size_t i = 0; !found && find_upvalue(at, frame, i, variable); i++) {
    found = strcmp(variable->name, name) == 0;
  }
  return found || find_module_variable(at, frame, name, variable);
}

// A copy may be out of date where a closure holds the variable itself.
static void check_known(const BreakVariable *variable, lua_State *L) {
  if (variable->script->cell_states[variable->number] == CELL_TRUE) return;
  luaL_error(L, "the value of '%s' is not known here", variable->name);
}

bool break_push_variable(const GraftBreak *at, lua_Debug *frame,
                         const BreakVariable *variable, lua_State *to) {
  lua_State *L = at->L;
  if (variable->script != NULL) {
    check_known(variable, to);
    cell_get(variable->script, to, variable->number);
    return true;
  }
  if (!lua_checkstack(L, 3) || !lua_checkstack(to, 1)) return false;
  if (variable->kind == GRAFT_VARIABLE_UPVALUE) {
    lua_getinfo(L, "f", frame);
    lua_getupvalue(L, -1, variable->number);
    lua_remove(L, -2);
  } else {
    (void)lua_getlocal(L, frame, variable->number);
  }
  lua_xmove(L, to, 1);
  return true;
}

bool break_set_variable(const GraftBreak *at, lua_Debug *frame,
                        const BreakVariable *variable, lua_State *from) {
  lua_State *L = at->L;
  if (!lua_checkstack(L, 3)) return false;
  if (variable->script != NULL) {
    check_known(variable, from);
    cell_set(variable->script, from, variable->number);
  } else if (variable->kind == GRAFT_VARIABLE_UPVALUE) {
    lua_getinfo(L, "f", frame);
    proto_unlock_cell(L, -1, variable->number);
    lua_xmove(from, L, 1);
    lua_setupvalue(L, -2, variable->number);
    lua_pop(L, 1);
  } else {
    lua_xmove(from, L, 1);
    lua_setlocal(L, frame, variable->number);
  }
  compat_flush(L);
  return true;
}

typedef struct Description {
  GraftBreak *at;
  lua_Debug *frame;
  BreakVariable variable;
} Description;

static void describe(Vm *vm, lua_State *L, void *context) {
  Description *self = context;
  (void)vm;
  if (!break_push_variable(self->at, self->frame, &self->variable, L)) return;
  break_describe(L, -1, &self->at->text);
}

bool graft_break_variable(GraftBreak *at, size_t frame, size_t index,
                          GraftVariable *variable) {
  lua_Debug info;
  Description description = {.at = at, .frame = &info};
  if (!break_find_frame(at, frame, &info) ||
      !find_at(at, &info, index, &description.variable)) {
    return false;
  }
  GraftError error;
  buffer_clear(&at->text);
  *variable = (GraftVariable){.kind = description.variable.kind,
                              .name = description.variable.name};
  if (vm_protect(at->vm, describe, &description, &error) < 0) {
    buffer_clear(&at->text);
    buffer_format(&at->text, "(%s)", error.message);
  }
  size_t value_size = at->text.size;
  if (variable->kind == GRAFT_VARIABLE_VARARG) {
    // The number goes behind the value's end, into the same memory.
    buffer_add(&at->text, "", 1);
    buffer_format(&at->text, "%d", -description.variable.number);
    if (!at->text.failed) variable->name = at->text.text + value_size + 1;
  }
  variable->value = buffer_text(&at->text);
  return true;
}

// ---------------------------------------------------------------------------
// Stopping
// ---------------------------------------------------------------------------

const char *graft_break_name(const GraftBreak *at) {
  return at->vm->failure.name;
}

const GraftError *graft_break_error(const GraftBreak *at) {
  return &at->error;
}

bool graft_break_can_retry(const GraftBreak *at) {
  return at->can_retry;
}

void *break_context(const GraftBreak *at) {
  return at->vm->break_context;
}

static void new_evaluator(Vm *vm, lua_State *L, void *context) {
  (void)context;
  lua_State *thread = lua_newthread(L);
  vm_ref(vm, L);
  vm->evaluator = thread;
}

GraftStatus vm_set_break(Vm *self, VmBreak *on_break, void *context,
                         GraftError *error) {
  GraftStatus status = vm_protect(self, new_evaluator, NULL, error);
  if (status < 0) return status;
  self->on_break = on_break;
  self->break_context = context;
  return GRAFT_OK;
}

void break_ask(Vm *vm, lua_State *L, const BreakDesc *desc) {
  if (vm->on_break == NULL) return;
  GraftBreak at = {.vm = vm,
                   .L = L,
                   .frame_count = count_frames(L),
                   .can_retry = desc->can_retry};
  at.place = find_place(&at);
  buffer_init(&at.text, &vm->allocator);
  error_set(&at.error, GRAFT_ERUN, "%s", desc->message);
  vm_take_place(&at.error);
  int top = lua_gettop(L);
  lua_State *previous = vm->L;
  GraftRestart restart = GRAFT_RESTART_REVERT;
  vm->L = vm->evaluator;
  vm->at = &at;
  vm->stops++;
  bool asked = vm->on_break(vm->break_context, &at, &restart);
  vm->at = NULL;
  vm->L = previous;
  lua_settop(vm->evaluator, 0);
  lua_settop(L, top);
  buffer_clear(&at.text);
  if (!asked) return;
  if (restart == GRAFT_RESTART_RETRY && !at.can_retry) {
    restart = GRAFT_RESTART_CONTINUE;
  }
  if (restart == GRAFT_RESTART_CONTINUE) probation_trust_stack(vm, L);
  vm->failure.asked = true;
  vm->failure.restart = restart;
}
