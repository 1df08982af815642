// SPDX-License-Identifier: MIT
//
// Who refers to whom in an object: lists of references for its functions and
// variables, and who needs each undefined symbol.

#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "native/object_inner.h"

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

GraftStatus object_refer(ObjectFile *object, GraftError *error) {
  size_t targets =
      object->function_count + object->data_count + object->undefined_count;
  Referrer self = {.object = object, .round = 1};
  self.stamps = memory_new(object->allocator, targets * sizeof(uint32_t));
  self.places = memory_new(object->allocator, targets * sizeof(uint32_t));
  GraftStatus status;
  if (self.stamps == NULL || self.places == NULL) {
    status = error_memory(error);
  } else {
    status = refer_functions(&self, error);
    if (status == GRAFT_OK) status = refer_data(&self, error);
  }
  memory_free(object->allocator, self.stamps);
  memory_free(object->allocator, self.places);
  memory_free(object->allocator, self.list.items);
  return status;
}
