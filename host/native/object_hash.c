// SPDX-License-Identifier: MIT
//
// Hashes of functions that say whether their code changed, wherever it and its
// targets lie: the code without what relocations fill in, and for each
// relocation its place, its type, and its target by name or content.

#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "native/object_inner.h"

// A table in a table in a table is nothing that compilers write.
enum { PIECE_DEPTH = 4 };

typedef struct Hasher {
  ObjectFile *object;
  uint64_t work; // bytes, against overlapping functions
} Hasher;

static uint64_t hash_text(uint64_t hash, const char *text) {
  return hash_bytes(hash, text, strlen(text));
}

// --- Targets -----------------------------------------------------------------

static uint64_t hash_range(Hasher *self, const ObjectSection *section,
                           uint64_t start, uint64_t size, int depth);

// "in help, 40 bytes from its start".
static uint64_t hash_label(const ObjectFile *self, uint64_t hash,
                           const ObjectTarget *target) {
  const ObjectSection *section = &self->sections[target->index];
  uint64_t place = target->offset + (uint64_t)target->addend;
  for (size_t i = section->item_count; i-- > 0;) {
    const ObjectFunction *function = &self->functions[section->items[i]];
    if (function->offset > place) continue;
    hash = hash_text(hash, function->name);
    return hash_mix(hash, place - function->offset);
  }
  return hash_mix(hash, place);
}

static uint64_t hash_piece(Hasher *self, const ObjectTarget *target,
                           int depth) {
  ObjectFile *object = self->object;
  ObjectPiece *piece = object_piece(object, target->index, target->offset);
  if (piece->hash != 0) return piece->hash;
  if (depth >= PIECE_DEPTH) return 1;
  const ObjectSection *section = &object->sections[piece->section];
  uint64_t size = piece->size;
  // What follows up to the next piece may be there for its alignment only.
  if (section->bytes != NULL && section->kind == SECTION_DATA) {
    while (size > 0 && section->bytes[piece->offset + size - 1] == 0) size--;
  }
  RelocationRange range =
      object_relocations(section, piece->offset, piece->offset + piece->size);
  if (range.count > 0) size = piece->size;
  uint64_t hash = hash_range(self, section, piece->offset, size, depth + 1);
  piece->hash = hash != 0 ? hash : 1;
  return piece->hash;
}

static uint64_t hash_target(Hasher *self, uint64_t hash,
                            const ObjectTarget *target, int depth) {
  const ObjectFile *object = self->object;
  hash = hash_mix(hash, target->kind);
  if (target->kind != TARGET_CODE) {
    hash = hash_mix(hash, (uint64_t)target->addend);
  }
  switch (target->kind) {
  case TARGET_UNDEFINED:
    return hash_text(hash, object->undefined[target->index].name);
  case TARGET_FUNCTION:
    return hash_text(hash, object->functions[target->index].name);
  case TARGET_DATA:
    return hash_text(hash, object->data[target->index].name);
  case TARGET_CODE:
    return hash_label(object, hash, target);
  case TARGET_PIECE:
    return hash_mix(hash, hash_piece(self, target, depth));
  case TARGET_NULL:
  case TARGET_LOCALS:
    break;
  }
  return hash;
}

// --- Code and contents -------------------------------------------------------

// A distance within a table counts from its start, wherever that lies.
static ObjectTarget target_within(const Hasher *self,
                                  const ObjectSection *section,
                                  const ObjectRelocation *relocation,
                                  uint64_t start) {
  ObjectTarget target = object_target(self->object, section, relocation);
  if (target.kind == TARGET_CODE && section->kind != SECTION_CODE) {
    RelocationType type =
        object_relocation_type(self->object, section, relocation);
    if (type.basis == BASIS_RELATIVE) {
      uint64_t within = relocation->offset - start;
      target.addend = (int64_t)((uint64_t)target.addend - within);
    }
  }
  return target;
}

static uint64_t hash_range(Hasher *self, const ObjectSection *section,
                           uint64_t start, uint64_t size, int depth) {
  uint64_t end = start + size, at = start;
  uint64_t hash = hash_mix(0, size);
  RelocationRange range = object_relocations(section, start, end);
  self->work += size + range.count;
  if (section->bytes == NULL) return hash;
  for (size_t i = 0; i < range.count; i++) {
    const ObjectRelocation *relocation = &range.items[i];
    RelocationType type =
        object_relocation_type(self->object, section, relocation);
    if (type.use == USE_NONE) continue;
    // Instructions hold other bits too, and nothing where values go.
    bool whole = type.field == FIELD_WORD64 || type.field == FIELD_WORD32;
    uint64_t stop = relocation->offset;
    if (stop > at) hash = hash_bytes(hash, section->bytes + at, stop - at);
    if (whole) stop += (uint64_t)relocation_size(&type);
    if (stop > at) at = stop;
    hash = hash_mix(hash, relocation->offset - start);
    hash = hash_mix(hash, relocation->type);
    ObjectTarget target = target_within(self, section, relocation, start);
    hash = hash_target(self, hash, &target, depth);
  }
  if (end > at) hash = hash_bytes(hash, section->bytes + at, end - at);
  return hash;
}

// --- Functions ---------------------------------------------------------------

// All code of one name; the order of the pieces is the compiler's mood, so
// they are summed up.
static GraftStatus join_names(ObjectFile *self, Map *sums, GraftError *error) {
  uint64_t *values =
      memory_new(self->allocator, self->function_count * sizeof *values);
  if (values == NULL) return error_memory(error);
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < self->function_count; i++) {
    const ObjectFunction *function = &self->functions[i];
    uint64_t *sum = map_find(sums, function->name);
    if (sum == NULL) {
      sum = &values[i];
      if (!map_set(sums, function->name, sum)) {
        status = error_memory(error);
        goto done;
      }
    }
    *sum += hash_mix(1, function->hash);
  }
  for (size_t i = 0; i < self->function_count; i++) {
    ObjectFunction *function = &self->functions[i];
    function->hash = *(uint64_t *)map_find(sums, function->name);
  }
done:
  memory_free(self->allocator, values);
  return status;
}

GraftStatus object_hash(ObjectFile *self, GraftError *error) {
  Hasher hasher = {.object = self};
  for (size_t i = 0; i < self->function_count; i++) {
    ObjectFunction *function = &self->functions[i];
    function->hash = hash_range(&hasher, &self->sections[function->section],
                                function->offset, function->size, 0);
    if (hasher.work > 64 * (self->size + 1024)) {
      return object_refuse(self, error, "its constants overlap");
    }
  }
  Map sums;
  map_init(&sums, self->allocator);
  GraftStatus status = join_names(self, &sums, error);
  map_clear(&sums);
  return status;
}
