// SPDX-License-Identifier: MIT
//
// Evaluating a text in a frame.

#include <string.h>

#include "base/error.h"
#include "vm/break_state.h"

// ---------------------------------------------------------------------------
// The environment that stands for a frame
// ---------------------------------------------------------------------------

// Upvalues of its metamethods.
enum { UP_STOP = 1, UP_FRAME, UP_GLOBALS };

// The stop that a metamethod was made in, if it lasts, and the variable that
// the string at index 2 names there.
static GraftBreak *find_named(lua_State *L, lua_Debug *frame,
                              BreakVariable *variable) {
  Vm *vm = vm_of(L);
  if (vm == NULL || vm->at == NULL || lua_type(L, 2) != LUA_TSTRING) {
    return NULL;
  }
  if (lua_tonumber(L, lua_upvalueindex(UP_STOP)) != (lua_Number)vm->stops) {
    return NULL;
  }
  size_t index = (size_t)lua_tointeger(L, lua_upvalueindex(UP_FRAME));
  bool found = break_find_frame(vm->at, index, frame) &&
               break_find_variable(vm->at, frame, lua_tostring(L, 2), variable);
  return found ? vm->at : NULL;
}

static int read_name(lua_State *L) {
  lua_Debug frame;
  BreakVariable variable;
  const GraftBreak *at = find_named(L, &frame, &variable);
  if (at != NULL && break_push_variable(at, &frame, &variable, L)) return 1;
  lua_pushvalue(L, 2);
  lua_gettable(L, lua_upvalueindex(UP_GLOBALS));
  return 1;
}

// stack: environment, name, value
static int write_name(lua_State *L) {
  lua_Debug frame;
  BreakVariable variable;
  const GraftBreak *at = find_named(L, &frame, &variable);
  if (at != NULL) {
    if (!break_set_variable(at, &frame, &variable, L)) {
      return luaL_error(L, "no room to set '%s'", variable.name);
    }
    return 0;
  }
  lua_settable(L, lua_upvalueindex(UP_GLOBALS));
  return 0;
}

#if VM_LUAJIT

// Pushes the table of globals that the frame's function sees.
static void push_globals(const GraftBreak *at, lua_Debug *frame, lua_State *L) {
  lua_getinfo(at->L, "f", frame);
  lua_getfenv(at->L, -1);
  lua_remove(at->L, -2);
  lua_xmove(at->L, L, 1);
}

// stack: …, function, environment → …, function. What it loops over is not
// compiled, so that it can be interrupted.
static void set_environment(lua_State *L) {
  lua_setfenv(L, -2);
  luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF);
}

#else

// `_ENV` is a variable like others, if the function has a use for globals.
static void push_globals(const GraftBreak *at, lua_Debug *frame, lua_State *L) {
  const char *name;
  lua_getinfo(at->L, "f", frame);
  int function = lua_gettop(at->L);
  for (int n = 1; (name = lua_getupvalue(at->L, function, n)) != NULL; n++) {
    if (strcmp(name, "_ENV") == 0) {
      lua_xmove(at->L, L, 1);
      lua_pop(at->L, 1);
      return;
    }
    lua_pop(at->L, 1);
  }
  lua_pop(at->L, 1);
  lua_pushglobaltable(L);
}

static void set_environment(lua_State *L) {
  lua_setupvalue(L, -2, 1);
}

#endif

static void push_metamethod(lua_State *L, const Vm *vm, size_t frame,
                            lua_CFunction function) {
  // stack: …, globals, environment, metatable
  lua_pushnumber(L, (lua_Number)vm->stops);
  lua_pushinteger(L, (lua_Integer)frame);
  lua_pushvalue(L, -5);
  lua_pushcclosure(L, function, 3);
}

// stack: … → …, environment
static void push_environment(const GraftBreak *at, lua_Debug *frame,
                             size_t index, lua_State *L) {
  push_globals(at, frame, L);
  lua_newtable(L);
  lua_createtable(L, 0, 2);
  push_metamethod(L, at->vm, index, read_name);
  lua_setfield(L, -2, "__index");
  push_metamethod(L, at->vm, index, write_name);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}

// ---------------------------------------------------------------------------
// Evaluating
// ---------------------------------------------------------------------------

typedef struct Evaluation {
  GraftBreak *at;
  lua_Debug *frame;
  size_t index;
  const char *text;
  GraftStatus status;
  GraftError *error;
} Evaluation;

static const char chunk_name[] = "=break";

// An expression, or else statements. stack: … → …, function or message
static int load_text(lua_State *L, const char *text) {
  if (*text == '=') text++;
  lua_pushfstring(L, "return %s\n", text);
  size_t size = 0;
  const char *expression = lua_tolstring(L, -1, &size);
  int status = luaL_loadbufferx_text(L, expression, size, chunk_name);
  lua_remove(L, -2);
  if (status != LUA_ERRSYNTAX) return status;
  lua_pop(L, 1);
  return luaL_loadbufferx_text(L, text, strlen(text), chunk_name);
}

static int push_varargs(const Evaluation *self, lua_State *L) {
  for (int n = 1;; n++) {
    if (!lua_checkstack(self->at->L, 2) || !lua_checkstack(L, 8)) return n - 1;
    if (lua_getlocal(self->at->L, self->frame, -n) == NULL) return n - 1;
    lua_xmove(self->at->L, L, 1);
  }
}

static void describe_all(Evaluation *self, lua_State *L, int base) {
  for (int i = base; i <= lua_gettop(L); i++) {
    if (i > base) buffer_add_text(&self->at->text, "\t");
    break_describe(L, i, &self->at->text);
  }
}

static void evaluate(Vm *vm, lua_State *L, void *context) {
  Evaluation *self = context;
  if (!lua_checkstack(self->at->L, 4)) luaL_error(L, "no room on the stack");
  int status = load_text(L, self->text);
  if (status == LUA_OK) {
    push_environment(self->at, self->frame, self->index, L);
    set_environment(L);
    int base = lua_gettop(L);
    int arg_count = push_varargs(self, L);
    vm->evaluating = L;
    status = lua_pcall(L, arg_count, LUA_MULTRET, 0);
    if (status == LUA_OK) describe_all(self, L, base);
    vm->evaluating = NULL;
  }
  if (status != LUA_OK) self->status = vm_take_error(L, status, self->error);
}

GraftStatus graft_break_evaluate(GraftBreak *at, size_t frame, const char *text,
                                 const char **shown, GraftError *error) {
  lua_Debug info;
  GraftError local;
  if (error == NULL) error = &local;
  *shown = "";
  if (!break_find_frame(at, frame, &info)) {
    return error_set(error, GRAFT_EARG, "there is no frame %zu", frame);
  }
  Evaluation evaluation = {at, &info, frame, text, GRAFT_OK, error};
  buffer_clear(&at->text);
  GraftStatus status = vm_protect(at->vm, evaluate, &evaluation, error);
  at->vm->evaluating = NULL;
  interrupt_forget(at->vm->evaluator);
  if (status == GRAFT_OK) status = evaluation.status;
  if (status < 0) return status;
  if (at->text.failed) return error_memory(error);
  *shown = buffer_text(&at->text);
  return GRAFT_OK;
}
