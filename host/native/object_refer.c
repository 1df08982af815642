// SPDX-License-Identifier: MIT
//
// Who refers to whom in an object: what each relocation's target is, the
// pieces without names, and lists of references for functions and variables.

#include "native/object_inner.h"

#include <assert.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"

// --- Targets -----------------------------------------------------------------

// The last item that starts at or before `offset`; the first of those that
// start there. -1 when there is none.
static int64_t item_at(const ObjectFile *self, const ObjectSection *section,
                       uint64_t offset) {
  bool code = section->kind == SECTION_CODE;
  size_t low = 0, high = section->item_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    uint32_t index = section->items[middle];
    uint64_t start =
        code ? self->functions[index].offset : self->data[index].offset;
    if (start < offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low < section->item_count) {
    uint32_t index = section->items[low];
    uint64_t start =
        code ? self->functions[index].offset : self->data[index].offset;
    if (start == offset) return index;
  }
  return low > 0 ? (int64_t)section->items[low - 1] : -1;
}

// Code is meant by its function only where it starts, and never by a distance
// in data: jump tables and unwind tables have those.
static ObjectTarget code_target(const ObjectFile *self, uint32_t section,
                                uint64_t offset, bool distance) {
  if (!distance) {
    int64_t item = item_at(self, &self->sections[section], offset);
    if (item >= 0 && self->functions[item].offset == offset) {
      return (ObjectTarget){.kind = TARGET_FUNCTION, .index = (uint32_t)item};
    }
  }
  return (ObjectTarget){
      .kind = TARGET_CODE, .index = section, .offset = offset};
}

// A variable of the section around `offset`, or its only one, since code may
// point before or behind it; else a piece.
static ObjectTarget data_target(const ObjectFile *self, uint32_t index,
                                uint64_t offset) {
  const ObjectSection *section = &self->sections[index];
  int64_t item = -1;
  if (section->item_count == 1) {
    item = section->items[0];
  } else if (section->item_count > 1) {
    item = item_at(self, section, offset);
  }
  if (item >= 0) {
    const ObjectData *data = &self->data[item];
    uint64_t within = offset - data->offset;
    bool inside = offset == data->offset ||
                  (offset > data->offset && within < data->size);
    if (inside || (section->item_count == 1 && data->size == section->size)) {
      return (ObjectTarget){.kind = TARGET_DATA,
                            .index = (uint32_t)item,
                            .addend = (int64_t)within};
    }
  }
  return (ObjectTarget){.kind = TARGET_PIECE, .index = index, .offset = offset};
}

static ObjectTarget place_target(const ObjectFile *self, uint32_t section,
                                 uint64_t offset, bool distance) {
  switch (self->sections[section].kind) {
  case SECTION_CODE:
    return code_target(self, section, offset, distance);
  case SECTION_DATA:
    return data_target(self, section, offset);
  case SECTION_LITERALS:
    return (ObjectTarget){
        .kind = TARGET_PIECE, .index = section, .offset = offset};
  default:
    // Nothing that is loaded refers there, except damaged objects.
    return (ObjectTarget){.kind = TARGET_NULL};
  }
}

static ObjectTarget item_target(const ObjectFile *self,
                                const ObjectSymbol *symbol) {
  ObjectTarget target = {.index = (uint32_t)symbol->item};
  if (symbol->undefined) {
    target.kind = TARGET_UNDEFINED;
  } else if (self->sections[symbol->section].kind == SECTION_CODE) {
    const ObjectFunction *function = &self->functions[symbol->item];
    target.kind = TARGET_FUNCTION;
    // A static second name of a global function (.localalias) means that one.
    if (!function->global) {
      return code_target(self, symbol->section, function->offset, false);
    }
  } else {
    target.kind = TARGET_DATA;
  }
  return target;
}

// Damaged objects have values that only wrap around.
static void add_to(ObjectTarget *target, uint64_t amount) {
  target->addend = (int64_t)((uint64_t)target->addend + amount);
}

// How far behind the field the mentioned place is counted from: x86-64 counts
// from the instruction's end, most often that of the field. Only for section
// symbols, whose addend says the place.
static int64_t bias_of(const ObjectFile *self, const ObjectSection *section,
                       const RelocationType *type) {
  bool relative =
      type->basis == BASIS_RELATIVE && section->kind == SECTION_CODE;
  return self->machine == OBJECT_X86_64 && relative ? 4 : 0;
}

static ObjectTarget section_target(const ObjectFile *self,
                                   const ObjectSection *section,
                                   const ObjectRelocation *relocation,
                                   const RelocationType *type) {
  const ObjectSymbol *symbol = &self->symbols[relocation->symbol];
  bool distance =
      type->basis == BASIS_RELATIVE && section->kind != SECTION_CODE;
  int64_t bias = bias_of(self, section, type);
  uint64_t offset =
      symbol->value + (uint64_t)relocation->addend + (uint64_t)bias;
  const ObjectSection *into = &self->sections[symbol->section];
  // Before or behind the section: counted from its start, or end.
  if ((int64_t)offset < 0) offset = 0;
  if (offset > into->size) offset = into->size;
  ObjectTarget target = place_target(self, symbol->section, offset, distance);
  // `addend` is now what brings from the target's start to S + A.
  uint64_t rest = symbol->value + (uint64_t)relocation->addend - offset;
  add_to(&target, rest);
  return target;
}

ObjectTarget object_symbol_target(const ObjectFile *self, uint32_t index) {
  if (index >= self->symbol_count) return (ObjectTarget){0};
  const ObjectSymbol *symbol = &self->symbols[index];
  if (symbol->item >= 0) return item_target(self, symbol);
  if (symbol->section == 0) {
    return (ObjectTarget){.addend = (int64_t)symbol->value};
  }
  const ObjectSection *section = &self->sections[symbol->section];
  uint64_t offset = symbol->value < section->size ? symbol->value : 0;
  return place_target(self, symbol->section, offset, false);
}

ObjectTarget object_target(const ObjectFile *self, const ObjectSection *section,
                           const ObjectRelocation *relocation) {
  RelocationType type = object_relocation_type(self, section, relocation);
  if (type.use == USE_LOCAL_MODULE) {
    return (ObjectTarget){.kind = TARGET_LOCALS, .addend = relocation->addend};
  }
  bool placed = type.use == USE_ADDRESS || type.use == USE_CALL;
  if (placed && relocation->symbol < self->symbol_count) {
    const ObjectSymbol *symbol = &self->symbols[relocation->symbol];
    if (symbol->type == STT_SECTION && symbol->section != 0) {
      return section_target(self, section, relocation, &type);
    }
  }
  ObjectTarget target = object_symbol_target(self, relocation->symbol);
  add_to(&target, (uint64_t)relocation->addend);
  return target;
}

// --- Ranges ------------------------------------------------------------------

static size_t first_from(const ObjectSection *section, uint64_t offset) {
  size_t low = 0, high = section->relocation_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (section->relocations[middle].offset < offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

RelocationRange object_relocations(const ObjectSection *section, uint64_t start,
                                   uint64_t end) {
  size_t first = first_from(section, start);
  size_t last = first_from(section, end);
  if (last <= first) return (RelocationRange){NULL, 0};
  return (RelocationRange){&section->relocations[first], last - first};
}

// --- Pieces ------------------------------------------------------------------

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

// --- References --------------------------------------------------------------

// Collects the references of one function or variable after the other. A
// target that the present one has already is found by its stamp.
typedef struct Referrer {
  ObjectFile *object;
  uint32_t *stamps; // of functions, variables, undefined: the last round
  uint32_t *places; // its reference in `list`
  uint32_t round;
  uint64_t work; // relocations looked at, against overlapping functions
  ARRAY(ObjectReference) list;
} Referrer;

static uint32_t target_number(const ObjectFile *object,
                              const ObjectTarget *target) {
  switch (target->kind) {
  case TARGET_FUNCTION:
    return target->index;
  case TARGET_DATA:
    return (uint32_t)object->function_count + target->index;
  default:
    return (uint32_t)(object->function_count + object->data_count) +
           target->index;
  }
}

static ObjectReference new_reference(const ObjectFile *object,
                                     const ObjectTarget *target,
                                     uint64_t offset) {
  ObjectReference reference = {.function = -1, .data = -1, .offset = offset};
  if (target->kind == TARGET_FUNCTION) {
    reference.function = (int)target->index;
    reference.name = object->functions[target->index].name;
  } else if (target->kind == TARGET_DATA) {
    reference.data = (int)target->index;
    reference.name = object->data[target->index].name;
  } else {
    reference.name = object->undefined[target->index].name;
  }
  return reference;
}

// NULL when out of memory.
static ObjectReference *
get_reference(Referrer *self, const ObjectTarget *target, uint64_t offset) {
  uint32_t number = target_number(self->object, target);
  if (self->stamps[number] == self->round) {
    return &self->list.items[self->places[number]];
  }
  ObjectReference *reference = ARRAY_PUSH(self->object->allocator, &self->list);
  if (reference == NULL) return NULL;
  self->stamps[number] = self->round;
  self->places[number] = (uint32_t)(self->list.count - 1);
  *reference = new_reference(self->object, target, offset);
  return reference;
}

static void note_undefined(ObjectFile *self, const ObjectTarget *target,
                           bool called, int function, uint64_t offset) {
  ObjectUndefined *undefined = &self->undefined[target->index];
  if (called) undefined->called = true;
  if (undefined->function >= 0 || function < 0) return;
  undefined->function = function;
  undefined->offset = offset;
}

// One relocation of the function, or of a variable when that is -1.
static bool refer(Referrer *self, const ObjectSection *section,
                  const ObjectRelocation *relocation, int function,
                  uint64_t start) {
  ObjectTarget target = object_target(self->object, section, relocation);
  if (target.kind != TARGET_FUNCTION && target.kind != TARGET_DATA &&
      target.kind != TARGET_UNDEFINED) {
    return true;
  }
  RelocationType type =
      object_relocation_type(self->object, section, relocation);
  if (type.use == USE_NONE) return true;
  bool called = type.use == USE_CALL;
  uint64_t offset = relocation->offset - start;
  if (target.kind == TARGET_UNDEFINED) {
    note_undefined(self->object, &target, called, function, offset);
  }
  ObjectReference *reference = get_reference(self, &target, offset);
  if (reference == NULL) return false;
  if (called) {
    reference->called = true;
  } else {
    reference->address = true;
  }
  return true;
}

// Keeps what was collected in the arena.
static bool finish(Referrer *self, ObjectReferences *references) {
  size_t count = self->list.count;
  self->list.count = 0;
  self->round++;
  if (count == 0) return true;
  ObjectReference *items =
      arena_new(&self->object->arena, count * sizeof *items);
  if (items == NULL) return false;
  memcpy(items, self->list.items, count * sizeof *items);
  *references = (ObjectReferences){items, count};
  // ARRAY_PUSH gives zeroes only the first time.
  memset(self->list.items, 0, count * sizeof *items);
  return true;
}

// Real functions do not overlap, but for aliases.
static bool too_much(const Referrer *self) {
  return self->work > 64 * (self->object->size + 1024);
}

static GraftStatus refer_functions(Referrer *self, GraftError *error) {
  ObjectFile *object = self->object;
  for (size_t i = 0; i < object->function_count; i++) {
    ObjectFunction *function = &object->functions[i];
    const ObjectSection *section = &object->sections[function->section];
    RelocationRange range = object_relocations(
        section, function->offset, function->offset + function->size);
    self->work += range.count + function->size;
    if (too_much(self)) {
      return object_refuse(object, error, "its functions overlap");
    }
    for (size_t k = 0; k < range.count; k++) {
      if (!refer(self, section, &range.items[k], (int)i, function->offset)) {
        return error_memory(error);
      }
    }
    if (!finish(self, &function->references)) return error_memory(error);
  }
  return GRAFT_OK;
}

// Whether a variable's contents point into code that is no entry.
static bool holds_label(const ObjectFile *self, const ObjectSection *section,
                        const ObjectRelocation *relocation) {
  return object_target(self, section, relocation).kind == TARGET_CODE;
}

static GraftStatus refer_data(Referrer *self, GraftError *error) {
  ObjectFile *object = self->object;
  for (size_t i = 0; i < object->data_count; i++) {
    ObjectData *data = &object->data[i];
    const ObjectSection *section = &object->sections[data->section];
    RelocationRange range =
        object_relocations(section, data->offset, data->offset + data->size);
    self->work += range.count;
    if (too_much(self)) {
      return object_refuse(object, error, "its variables overlap");
    }
    for (size_t k = 0; k < range.count; k++) {
      const ObjectRelocation *relocation = &range.items[k];
      RelocationType type = object_relocation_type(object, section, relocation);
      // Storage ends where the variable does.
      if (relocation->offset + (uint64_t)relocation_size(&type) >
          data->offset + data->size) {
        return object_refuse(object, error, "%s is damaged", data->symbol);
      }
      if (holds_label(object, section, relocation)) data->labels = true;
      if (!refer(self, section, relocation, -1, data->offset)) {
        return error_memory(error);
      }
    }
    if (!finish(self, &data->references)) return error_memory(error);
  }
  return GRAFT_OK;
}

static GraftStatus refer_all(ObjectFile *object, GraftError *error) {
  size_t targets =
      object->function_count + object->data_count + object->undefined_count;
  Referrer self = {.object = object, .round = 1};
  self.stamps = memory_new(object->allocator, targets * sizeof(uint32_t));
  self.places = memory_new(object->allocator, targets * sizeof(uint32_t));
  GraftStatus status = GRAFT_OK;
  if (self.stamps == NULL || self.places == NULL) {
    status = error_memory(error);
  }
  if (status == GRAFT_OK) status = refer_functions(&self, error);
  if (status == GRAFT_OK) status = refer_data(&self, error);
  memory_free(object->allocator, self.stamps);
  memory_free(object->allocator, self.places);
  memory_free(object->allocator, self.list.items);
  return status;
}

GraftStatus object_refer(ObjectFile *self, GraftError *error) {
  Pieces pieces = {0};
  GraftStatus status = find_pieces(self, &pieces, error);
  if (status == GRAFT_OK) status = keep_pieces(self, &pieces, error);
  memory_free(self->allocator, pieces.items);
  return status < 0 ? status : refer_all(self, error);
}
