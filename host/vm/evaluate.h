// SPDX-License-Identifier: MIT
//
// Evaluate: what an expression of a top-level statement gives, without running
// the statement. Only reads, operators and constructors are evaluated; where
// an expression calls something or makes a function, that part is *unknown*,
// which is a value of its own.

#ifndef GRAFT_VM_EVALUATE_H
#define GRAFT_VM_EVALUATE_H

#include "vm/script.h"
#include "vm/state.h"

typedef struct Evaluation {
  Script *script;
  const GraftUnit *unit; // whose text
  // Variable of `unit` → variable of the script's unit, -1 for none; NULL when
  // they are the same unit.
  const int *variables;
  // Cells of those that have none there, by variable of `unit` + 1, or
  // VM_NO_REF.
  int gone_ref;
} Evaluation;

// Pushes the unknown value, or tells it.
void evaluate_push_unknown(lua_State *L);
bool evaluate_is_unknown(lua_State *L, int index);

// Whether no part of a value is unknown. `value` may be -1, which is nil.
bool evaluate_is_pure(const GraftUnit *unit, int value);

// Pushes a function that gives the value, or the unknown value where nothing
// is known. May raise for lack of memory.
void evaluate_compile(const Evaluation *self, lua_State *L, int value);
// stack: …, what evaluate_compile pushed → …, value. What raises is unknown.
void evaluate_call(lua_State *L);

// Both.
void evaluate_push(const Evaluation *self, lua_State *L, int value);

// The same, but all of it: what it calls is called. Raises what it raises.
void evaluate_run(const Evaluation *self, lua_State *L, int value);

// The constructor whose fields a value has: itself, or the argument of
// `setmetatable`; -1 where there is none.
int evaluate_constructor(const GraftUnit *unit, int value);

#endif
