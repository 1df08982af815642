// SPDX-License-Identifier: MIT
//
// Probation: new code is watched until it first returns (T4). A hook on
// returns sees that; it rests after a while and is set again at safe points,
// so that it costs little even where a new function is never called. An error
// that reaches the host from new code that has not returned is a failure.
//
// Traded away: errors that scripts catch themselves are not seen, and a
// function that leaves by a tail call is not seen to return. Lua 5.4 has a
// hook for each thread, so there a return in a coroutine that was made before
// the patch is not seen either.

#ifndef GRAFT_VM_PROBATION_H
#define GRAFT_VM_PROBATION_H

#include "vm/script.h"

// A function that raised before it first returned.
typedef struct ProbationFailure {
  Script *script; // NULL: none
  char name[256]; // registry name
  bool asked;     // the host was asked at the error, and wants…
  GraftRestart restart;
  bool again;         // out: the call is to be made once more
  ScriptProto *entry; // in the message handler only
} ProbationFailure;

// Puts a prototype on probation.
void probation_add(Vm *vm, ScriptProto *entry);
// It is gone, or trusted.
void probation_remove(Vm *vm, ScriptProto *entry);

// At a safe point: watches on. Cheap when nothing is on probation.
void probation_resume(Vm *vm);

// Gives away the failure of the last call that failed; `script` is NULL when
// there was none.
ProbationFailure probation_take_failure(Vm *vm);

#endif
