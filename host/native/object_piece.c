// SPDX-License-Identifier: MIT
//
// The pieces of an object's sections that have no name and are referred to:
// literals, constants, tables of jumps.

#include <assert.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "native/object_inner.h"

typedef ARRAY(ObjectPiece) Pieces;

static int compare_pieces(const void *a, const void *b) {
  const ObjectPiece *x = a, *y = b;
  if (x->section != y->section) return x->section < y->section ? -1 : 1;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

// What the symbol says, where compilers say it; 0 where not.
static uint64_t symbol_size(const ObjectFile *self,
                            const ObjectRelocation *relocation,
                            const ObjectTarget *target) {
  if (relocation->symbol >= self->symbol_count) return 0;
  const ObjectSymbol *symbol = &self->symbols[relocation->symbol];
  bool same =
      symbol->section == target->index && symbol->value == target->offset;
  return same ? symbol->size : 0;
}

static GraftStatus find_pieces(ObjectFile *self, Pieces *pieces,
                               GraftError *error) {
  for (size_t i = 1; i < self->section_count; i++) {
    const ObjectSection *section = &self->sections[i];
    if (section->kind == SECTION_OTHER) continue;
    for (size_t k = 0; k < section->relocation_count; k++) {
      ObjectTarget target =
          object_target(self, section, &section->relocations[k]);
      if (target.kind != TARGET_PIECE) continue;
      ObjectPiece *piece = ARRAY_PUSH(self->allocator, pieces);
      if (piece == NULL) return error_memory(error);
      piece->section = target.index;
      piece->offset = target.offset;
      piece->size = symbol_size(self, &section->relocations[k], &target);
      self->sections[target.index].unnamed = true;
    }
  }
  return GRAFT_OK;
}

// With its terminator; 0 when it has none. `next`, the piece behind, may be
// its tail, and is measured already.
static uint64_t literal_size(const ObjectSection *section,
                             const ObjectPiece *piece,
                             const ObjectPiece *next) {
  static const unsigned char zeroes[4];
  uint64_t unit = section->entry_size, limit = section->size;
  bool tail = next != NULL && (next->offset - piece->offset) % unit == 0;
  if (tail) limit = next->offset;
  for (uint64_t end = piece->offset; end + unit <= limit; end += unit) {
    if (memcmp(section->bytes + end, zeroes, unit) == 0) {
      return end + unit - piece->offset;
    }
  }
  return tail ? next->offset - piece->offset + next->size : 0;
}

static GraftStatus size_piece(ObjectFile *self, const ObjectPiece *next,
                              ObjectPiece *piece, GraftError *error) {
  const ObjectSection *section = &self->sections[piece->section];
  if (next != NULL && next->section != piece->section) next = NULL;
  if (section->kind == SECTION_LITERALS) {
    piece->size = 0;
    if (section->bytes != NULL) {
      piece->size = literal_size(section, piece, next);
    }
    if (piece->size != 0) return GRAFT_OK;
    return object_refuse(self, error, "a string in %s has no end",
                         section->name);
  }
  if (piece->size != 0) return GRAFT_OK;
  uint64_t end = next != NULL ? next->offset : section->size;
  piece->size = end - piece->offset;
  if (section->entry_size != 0 && piece->size > section->entry_size) {
    piece->size = section->entry_size;
  }
  return GRAFT_OK;
}

static GraftStatus keep_pieces(ObjectFile *self, Pieces *pieces,
                               GraftError *error) {
  if (pieces->count == 0) return GRAFT_OK;
  qsort(pieces->items, pieces->count, sizeof *pieces->items, compare_pieces);
  ObjectPiece *list =
      arena_new(&self->arena, pieces->count * sizeof *self->pieces);
  if (list == NULL) return error_memory(error);
  size_t count = 0;
  for (size_t i = 0; i < pieces->count; i++) {
    const ObjectPiece *piece = &pieces->items[i];
    if (count > 0 && compare_pieces(&list[count - 1], piece) == 0) continue;
    list[count++] = *piece;
  }
  self->pieces = list;
  self->piece_count = count;
  for (size_t i = count; i-- > 0;) {
    const ObjectPiece *next = i + 1 < count ? &list[i + 1] : NULL;
    GraftStatus status = size_piece(self, next, &list[i], error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

ObjectPiece *object_piece(const ObjectFile *self, uint32_t section,
                          uint64_t offset) {
  ObjectPiece wanted = {.section = section, .offset = offset};
  ObjectPiece *piece = self->piece_count == 0
                           ? NULL
                           : bsearch(&wanted, self->pieces, self->piece_count,
                                     sizeof *self->pieces, compare_pieces);
  assert(piece != NULL);
  return piece;
}

GraftStatus object_list_pieces(ObjectFile *self, GraftError *error) {
  Pieces pieces = {0};
  GraftStatus status = find_pieces(self, &pieces, error);
  if (status == GRAFT_OK) status = keep_pieces(self, &pieces, error);
  memory_free(self->allocator, pieces.items);
  return status;
}
