// SPDX-License-Identifier: MIT
//
// Gate: an entry point that also says which it is. Like a thunk (thunk.h) it
// jumps to where its cell points, but with the cell's address in a register
// that no C call uses (r11, x16), so that one piece of code can stand behind
// all gates and find what each belongs to. Same pages, same limits.

#ifndef GRAFT_NATIVE_GATE_H
#define GRAFT_NATIVE_GATE_H

#include <stdatomic.h>

#include "base/array.h"

enum { GATE_SIZE = 16 }; // of an entry and of a cell alike

// guard_*.S knows this layout.
typedef struct GateCell {
  _Atomic(GraftNative) code;
  void *owner;
} GateCell;

typedef struct Gate {
  GraftNative entry;
  GateCell *cell;
} Gate;

typedef struct GateTable {
  const GraftAllocator *allocator;
  ARRAY(char *) blocks; // a code page and a cell page each
  size_t page_size;
  size_t used; // entries of the last block
} GateTable;

void gate_table_init(GateTable *self, const GraftAllocator *allocator);
void gate_table_clear(GateTable *self); // nobody calls an entry any more

// A new gate whose cell has neither code nor owner yet. False when out of
// memory, or when the processor has no gates. One thread at a time.
bool gate_table_add(GateTable *self, Gate *gate);

#endif
