// SPDX-License-Identifier: MIT
//
// What each relocation's target is.

#include <elf.h>

#include "native/object_inner.h"

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
