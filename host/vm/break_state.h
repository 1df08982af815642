// SPDX-License-Identifier: MIT
//
// What the files of vm/ share about a stop.

#ifndef GRAFT_VM_BREAK_STATE_H
#define GRAFT_VM_BREAK_STATE_H

#include "base/buffer.h"
#include "vm/state.h"

struct GraftBreak {
  Vm *vm;
  lua_State *L; // that raised; its frame 0 is the message handler
  size_t frame_count;
  size_t place;
  bool can_retry;
  GraftError error;
  Buffer text; // what the last function returned
};

typedef struct BreakDesc {
  const char *message;
  bool can_retry;
} BreakDesc;

// For the message handler, when `vm->failure` is new code: asks the host, and
// notes what it wants in `vm->failure`. Leaves the stack as it was.
void break_ask(Vm *vm, lua_State *L, const BreakDesc *desc);

// A variable of a frame: number of a local, which is below 0 for varargs, of an
// upvalue, or of a module-level variable that the function does not use.
typedef struct BreakVariable {
  GraftVariableKind kind;
  int number;
  const char *name;
  struct Script *script; // of a module-level variable, else NULL
} BreakVariable;

// False when `index` is out of range.
bool break_find_frame(const GraftBreak *at, size_t index, lua_Debug *frame);
// The one with this name that the code of the frame means.
bool break_find_variable(const GraftBreak *at, lua_Debug *frame,
                         const char *name, BreakVariable *variable);
// Pushes its value on `to`, another thread. False without room. May raise on
// `to`, as the next one does on `from`.
bool break_push_variable(const GraftBreak *at, lua_Debug *frame,
                         const BreakVariable *variable, lua_State *to);
// Pops the value off `from`, another thread.
bool break_set_variable(const GraftBreak *at, lua_Debug *frame,
                        const BreakVariable *variable, lua_State *from);

// Writes the value at `index` as it is to be read. May raise, by a
// metamethod.
void break_describe(lua_State *L, int index, Buffer *text);

#endif
