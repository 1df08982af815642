// SPDX-License-Identifier: MIT
//
// DWARF layout: the types, variables and functions of one object in the terms
// of state/type.h, read from its debug information with libdw: gcc's and
// clang's, versions 4 and 5. It reads an ELF image in memory whose debug
// sections are relocated (object_debug_image of object.h, or a linked object).
// Traded away: C++, debug information in files of its own.

#ifndef GRAFT_NATIVE_DWARF_LAYOUT_H
#define GRAFT_NATIVE_DWARF_LAYOUT_H

#include "base/array.h"
#include "state/type.h"

typedef struct LayoutVariable {
  const char *name;
  // "" at file level; else the function it is local to; a name that is used
  // in several blocks has the second one's as "f#2".
  const char *function;
  const char *file; // where it is declared; absolute where that is known
  int line;
  const Type *type;
  uint64_t address; // as in the image; holds when has_address
  // Else the compiler does not store it. Within a function it may then also
  // be an ordinary local that was optimised away.
  bool has_address;
  bool is_split;    // the compiler took it to pieces (clang -O2 does)
  bool is_const;    // declared const (of arrays: of const elements)
  bool is_external; // visible to other objects
  bool is_thread_local;
} LayoutVariable;

// One that has code of its own.
typedef struct LayoutFunction {
  const char *name; // as in the source, without the compiler's suffixes
  const char *unit; // source file of its compile unit, as given
  const char *file;
  int line;
  const Type *type; // KIND_FUNCTION
  uint64_t address; // as in the image
  bool is_external;
} LayoutFunction;

// Everything is owned by `types`, but the arrays.
typedef struct Layout {
  const GraftAllocator *allocator;
  TypeSet *types;
  const char *unit;                // the compile unit's source, as given
  const char *directory;           // where the compiler ran
  ARRAY(LayoutVariable) variables; // in order of file and line
  ARRAY(LayoutFunction)
  functions; // the same; one of which the compiler made
             // several is there as often
} Layout;

// Reads `image`, which is only used during the call; `name` is for messages.
// GRAFT_ENOTFOUND (no debug information), GRAFT_EIO (broken), GRAFT_ENOMEM,
// and then the layout is empty. Clear with layout_clear. Any thread.
GraftStatus layout_read(const GraftAllocator *allocator, const void *image,
                        size_t size, const char *name, Layout *layout,
                        GraftError *error);

// Gives up its reference to the types too.
void layout_clear(Layout *self);

#endif
