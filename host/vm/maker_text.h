// SPDX-License-Identifier: MIT
//
// Maker text: what the VM is given to compile for a patch, put together from
// pieces of the new source, each at its own line of the file. Pure data in,
// data out, on any thread.
//
// The text is a chunk that fills the table it is called with: under each
// definition's number + 1 goes either a closure of it, over variables of its
// own, or a function that makes one. The former is for functions that have one
// closure as a rule, since it costs half.

#ifndef GRAFT_VM_MAKER_TEXT_H
#define GRAFT_VM_MAKER_TEXT_H

#include "base/array.h"
#include "base/buffer.h"
#include "patch/diff.h"

typedef struct MakerText {
  Buffer buffer;
  const GraftUnit *unit;
  int line;
  // What the prototypes of the text are, in order.
  ARRAY(int) protos;
} MakerText;

void maker_text_init(MakerText *self, const GraftAllocator *allocator);
void maker_text_clear(MakerText *self);
// Empties it, for another text of this unit.
void maker_text_start(MakerText *self, const GraftUnit *unit);

// Adds to `rework`, by new definition, those that need prototypes of their own
// now; what is marked already stays, and marks what encloses it.
void maker_find_rework(const Diff *diff, bool *rework);

// Whether a definition's place in the table holds its closure.
bool maker_is_direct(const Definition *definition);

// What is marked in `rework` at one depth; functions that enclose each other
// share lines, so each depth is a text of its own. buffer.failed: out of
// memory.
void maker_add_depth(MakerText *self, const bool *rework, int depth);
int maker_deepest(const GraftUnit *unit, const bool *rework); // -1: none

// For maker_statement.c.
void maker_add_proto(MakerText *self, int definition);
void maker_add_protos(MakerText *self, int first, int end);
void maker_add_source(MakerText *self, uint32_t start, uint32_t end);
void maker_go_to_line(MakerText *self, int line);
void maker_add_function(MakerText *self, const Definition *definition);
void maker_add_local(MakerText *self, const char *name, const char *constant);
int maker_count_lines(const char *text, size_t size);
const char *maker_constant(const GraftUnit *unit, int variable);

#endif
