// SPDX-License-Identifier: MIT
//
// Stacks, one thread at a time: whether its registers or stack point into code.

#ifndef GRAFT_NATIVE_STACKS_LOOK_H
#define GRAFT_NATIVE_STACKS_LOOK_H

#include "base/array.h"
#include "native/stacks.h"

// A mapping that can be read.
typedef struct StacksMap {
  uintptr_t start, end;
} StacksMap;

// Where a thread sleeps in the kernel.
typedef struct StacksSleep {
  uintptr_t sp, pc; // 0: it runs
  bool calm;        // in a call that code with a lock would not make
} StacksSleep;

typedef struct StacksLook {
  const StacksDesc *desc;
  ARRAY(StacksMap) maps;
  // The code of the unwinder. It has locks, so a thread that may be inside
  // cannot use it in a signal handler.
  StacksMap unwinder;
  bool not_bounds;   // words that are a range's start or end do not count
  StacksSleep sleep; // of the thread, when it was looked at from outside
  // The answer.
  bool inside;
  bool in_unwinder;
  uintptr_t address;
  size_t range;
} StacksLook;

// Reads the mappings as they are now. GRAFT_EIO, GRAFT_ENOMEM.
GraftStatus stacks_look_init(StacksLook *self, const GraftAllocator *allocator,
                             const StacksDesc *desc, GraftError *error);
void stacks_look_clear(StacksLook *self, const GraftAllocator *allocator);

// Forgets the answer.
void stacks_look_again(StacksLook *self);

// Whether a word points into the code; sets the answer if it does.
bool stacks_look_word(StacksLook *self, uintptr_t word);

// All words from `sp` to the end of its mapping, as far as they can be read.
// False when they cannot be read at all. Safe in signal handlers.
bool stacks_look_from(StacksLook *self, uintptr_t sp);

// The calling thread at itself, by unwinding, since its stack holds the ranges
// that are asked for; word by word where it cannot be unwound.
void stacks_look_here(StacksLook *self);

// For PokeHandler: the poked thread looks at itself. A stack can hold words of
// calls that are over, so what is found is made sure of by unwinding.
void stacks_look_poked(void *self, void *machine);

#endif
