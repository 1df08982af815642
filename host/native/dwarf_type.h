// SPDX-License-Identifier: MIT
//
// DWARF types as signature types. For dwarf.c alone.

#ifndef GRAFT_NATIVE_DWARF_TYPE_H
#define GRAFT_NATIVE_DWARF_TYPE_H

#include <elfutils/libdw.h>

#include "registry/signature.h"

// What a type is, or why it cannot be passed. `why_not` is a noun phrase such
// as "struct Body by value".
typedef struct DwarfType {
  SignatureType type;
  const char *why_not; // NULL: `type` holds
} DwarfType;

// The type that `die`'s DW_AT_type names; void when it has none. Texts are
// put into `arena`. False when out of memory.
bool dwarf_type_read(Arena *arena, Dwarf_Die *die, DwarfType *type);

#endif
