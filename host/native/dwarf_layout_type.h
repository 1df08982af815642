// SPDX-License-Identifier: MIT
//
// DWARF types as Types. For dwarf_layout.c alone.

#ifndef GRAFT_NATIVE_DWARF_LAYOUT_TYPE_H
#define GRAFT_NATIVE_DWARF_LAYOUT_TYPE_H

#include <elfutils/libdw.h>

#include "base/pointer_map.h"
#include "state/type.h"

// A typedef's own Type, which is a copy of what it stands for.
typedef struct LayoutAlias {
  Type *copy;
  const Type *of;
} LayoutAlias;

typedef struct TypeReader {
  const GraftAllocator *allocator;
  TypeSet *set;
  const char *unit;      // for declarations without a file
  const char *directory; // where the compiler ran
  PointerMap types;      // by the address of their DIE
  ARRAY(LayoutAlias) aliases;
  const Type *nothing; // void
  bool failed;         // out of memory: what is read is not to be used
} TypeReader;

void type_reader_init(TypeReader *self, TypeSet *set,
                      const GraftAllocator *allocator);
void type_reader_clear(TypeReader *self);

// The type that a DIE's DW_AT_type names, void when it has none; `*is_const`,
// which may be NULL, says whether it is const, of arrays: their elements.
// Never NULL: void stands for what cannot be had.
const Type *type_reader_type_of(TypeReader *self, Dwarf_Die *holder,
                                bool *is_const);

// The type that a DIE is, such as a struct or a function.
const Type *type_reader_read(TypeReader *self, Dwarf_Die *die);

// Once everything is read: what was copied before it was complete is copied
// anew.
void type_reader_finish(TypeReader *self);

// Helpers for DIEs. Texts are copied into the set; "" for none.
const char *type_reader_text(TypeReader *self, Dwarf_Die *die, unsigned name);
const char *type_reader_file(TypeReader *self, Dwarf_Die *die);
bool die_flag(Dwarf_Die *die, unsigned name);
bool die_number(Dwarf_Die *die, unsigned name, Dwarf_Word *number);

#endif
