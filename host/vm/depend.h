// SPDX-License-Identifier: MIT
//
// Depend: values that are computed from values which an edit changed (S4). For
// each place whose source value changed there is an entry with the base and
// the new value. To know what an unchanged expression gave and gives, the
// places are given their base values, then their new ones, for the time of an
// evaluation; the live values come back after it. So it does not matter how an
// expression reaches a value: by a field, through another name of the same
// table, or from another file.

#ifndef GRAFT_VM_DEPEND_H
#define GRAFT_VM_DEPEND_H

#include "vm/merge.h"

// stack at `object`: object, key, base, new: the source changed this place.
// Raises.
void depend_add(Patcher *self, lua_State *L, int object);

// Says that something below the table at `index` has changed.
void depend_mark(Patcher *self, lua_State *L, int index);

// Whether the place at `object` was added, and whether something at or below
// the table at `index` was.
bool depend_is_changed(Patcher *self, lua_State *L, int object);
bool depend_is_marked(Patcher *self, lua_State *L, int index);

int depend_count(const Patcher *self);

// Between these all changed places have their base or their new values. What
// runs in between must be protected.
typedef enum DependSide { DEPEND_BASE, DEPEND_NEW } DependSide;
void depend_begin(Patcher *self, lua_State *L, DependSide side);
void depend_end(Patcher *self, lua_State *L);

// Gives all that a value of `evaluation`'s unit reads the new source's values
// between these two, until depend_unpin. May raise.
typedef struct Evaluation Evaluation;
void depend_pin(Patcher *self, lua_State *L, const Evaluation *evaluation,
                int value);
void depend_unpin(Patcher *self);

// Pushes what a value of `evaluation`'s unit gives with these values.
void depend_evaluate(Patcher *self, lua_State *L, const Evaluation *evaluation,
                     int value, DependSide side);

// Pushes the place that a path of the evaluation's unit names, also below a
// variable that the present unit no longer has; false when there is none, and
// then anything may be pushed. May raise.
bool depend_push_place(const Evaluation *evaluation, lua_State *L,
                       const Path *read);

// depend_follow.c. Gives what an unchanged statement assigns its new values.
// Raises.
void depend_follow(Patcher *self, Script *script, lua_State *L, int statement);

// The same for all statements of all scripts, until nothing changes.
void depend_follow_all(Patcher *self, lua_State *L);

#endif
