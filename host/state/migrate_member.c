// SPDX-License-Identifier: MIT
//
// Members as migration sees them, and where bytes go.

#include <string.h>

#include "state/migrate_inner.h"

static bool is_inlined(const TypeMember *member) {
  return *member->name == '\0' && member->type->kind == KIND_STRUCT;
}

// Counts down `*index` until it is that member.
static bool find_flat(const Type *type, size_t base, size_t *index,
                      FlatMember *found) {
  for (size_t i = 0; i < type->member_count; i++) {
    const TypeMember *member = &type->members[i];
    size_t offset = base + member->offset;
    if (is_inlined(member)) {
      if (find_flat(member->type, offset, index, found)) return true;
    } else if ((*index)-- == 0) {
      *found = (FlatMember){member->name, member->type, offset,
                            member->bit_offset, member->bit_size};
      return true;
    }
  }
  return false;
}

bool flat_member_at(const Type *type, size_t index, FlatMember *member) {
  return find_flat(type, 0, &index, member);
}

static bool is_like(const FlatMember *a, const FlatMember *b) {
  if (strcmp(a->name, b->name) != 0) return false;
  if (*a->name != '\0') return true;
  size_t base;
  for (size_t i = 0; i < a->type->member_count; i++) {
    const char *name = a->type->members[i].name;
    if (*name != '\0' && type_member(b->type, name, &base) != NULL) return true;
  }
  return false;
}

bool flat_member_like(const Type *type, const FlatMember *wanted,
                      FlatMember *member) {
  for (size_t i = 0; flat_member_at(type, i, member); i++) {
    if (is_like(wanted, member)) return true;
  }
  return false;
}

bool union_keeps(const Type *from, const Type *to) {
  if (to->size < from->size) return false;
  for (size_t i = 0; i < from->member_count; i++) {
    const TypeMember *old = &from->members[i];
    bool found = false;
    for (size_t j = 0; j < to->member_count && !found; j++) {
      const TypeMember *new = &to->members[j];
      found =
          strcmp(old->name, new->name) == 0 && old->offset == new->offset &&
          old->bit_size == new->bit_size &&
          old->bit_offset == new->bit_offset &&type_same(old->type, new->type);
    }
    if (!found) return false;
  }
  return true;
}

// --- Offsets -----------------------------------------------------------------

static bool find_offset(const Type *from, const Type *to, const Type *pointee,
                        size_t offset, size_t *moved);

static bool find_in_array(const Type *from, const Type *to, const Type *pointee,
                          size_t offset, size_t *moved) {
  size_t size = from->target->size;
  if (size == 0 || to->kind != KIND_ARRAY) return false;
  size_t index = offset / size;
  if (index >= from->count || index >= to->count) return false;
  if (!find_offset(from->target, to->target, pointee, offset % size, moved)) {
    return false;
  }
  *moved += index * to->target->size;
  return true;
}

static bool find_in_struct(const Type *from, const Type *to,
                           const Type *pointee, size_t offset, size_t *moved) {
  FlatMember old, new;
  if (to->kind != KIND_STRUCT) return false;
  for (size_t i = 0; flat_member_at(from, i, &old); i++) {
    if (offset < old.offset || offset >= old.offset + old.type->size) continue;
    if (!flat_member_like(to, &old, &new) ||
        !find_offset(old.type, new.type, pointee, offset - old.offset, moved)) {
      continue;
    }
    *moved += new.offset;
    return true;
  }
  return false;
}

static bool find_offset(const Type *from, const Type *to, const Type *pointee,
                        size_t offset, size_t *moved) {
  if (offset == 0 && (pointee == NULL || type_is_meant(from, pointee))) {
    *moved = 0;
    return true;
  }
  if (from->kind == KIND_ARRAY) {
    return find_in_array(from, to, pointee, offset, moved);
  }
  if (from->kind == KIND_STRUCT) {
    return find_in_struct(from, to, pointee, offset, moved);
  }
  // The inside of a scalar or union, when no better place was asked for.
  *moved = offset;
  return pointee == NULL && offset < to->size;
}

bool migrate_offset(const Type *from, const Type *to, const Type *pointee,
                    size_t offset, size_t *moved) {
  if (type_same(from, to)) {
    *moved = offset;
    return offset < from->size;
  }
  // A part that is meant has a place of its own, or none.
  if (pointee != NULL && type_part(from, offset, pointee) != NULL) {
    return find_offset(from, to, pointee, offset, moved);
  }
  return find_offset(from, to, NULL, offset, moved);
}
