// SPDX-License-Identifier: MIT
//
// What the parts of migrate share: a struct's members as migration sees them,
// and numbers on their way from one type to another.

#ifndef GRAFT_STATE_MIGRATE_INNER_H
#define GRAFT_STATE_MIGRATE_INNER_H

#include "state/migrate.h"

// A member of a struct or of an anonymous struct within, with its offset from
// the outermost. Anonymous unions are members without a name.
typedef struct FlatMember {
  const char *name;
  const Type *type;
  size_t offset;
  int bit_offset;
  int bit_size;
} FlatMember;

// The n-th of them. Structs are short; nothing is kept.
bool flat_member_at(const Type *type, size_t index, FlatMember *member);

// The member of `type` that is `wanted` by name; an anonymous union is the one
// that has a member of the same name.
bool flat_member_like(const Type *type, const FlatMember *wanted,
                      FlatMember *member);

// Whether every old member of a union is in the new one as it was.
bool union_keeps(const Type *from, const Type *to);

// A scalar within a struct.
typedef struct Leaf {
  const Type *type;
  int bit_offset;
  int bit_size; // 0: all of the type
} Leaf;

// Whether a number of one can be made of one of the other.
bool leaf_converts(const Leaf *from, const Leaf *to);

// Makes it. True when the value had to change.
bool leaf_convert(const Leaf *from, const void *source, const Leaf *to,
                  void *target);

#endif
