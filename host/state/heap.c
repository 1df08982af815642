// SPDX-License-Identifier: MIT

#include "state/heap.h"

#include <string.h>

#include "base/error.h"
#include "state/storage_inner.h"

static StorageObject *find(const Storage *self, const char *name) {
  return storage_object_find(self, &(ObjectName){"", "", name, true});
}

// --- Types -------------------------------------------------------------------

static const Type *type_in(const StorageUnit *unit, const HeapDesc *desc) {
  const Type *type = type_set_find(unit->types, desc->type);
  if (type == NULL || type->is_incomplete || type->size == 0) return NULL;
  if (desc->element_size > 0 && type->size != desc->element_size) return NULL;
  return type;
}

// The unit that the type is taken from: the caller's, or the first that has
// it. NULL and an error when there is none, or others disagree.
static const StorageUnit *find_unit(const Storage *self, const HeapDesc *desc,
                                    GraftError *error) {
  const StorageUnit *found = NULL;
  if (desc->file != NULL) found = storage_unit(self, desc->file);
  if (found != NULL && type_in(found, desc) != NULL) return found;
  found = NULL;
  for (size_t i = 0; i < self->units.count; i++) {
    const StorageUnit *unit = &self->units.items[i];
    const Type *type = type_in(unit, desc);
    if (type == NULL) continue;
    if (found != NULL && !type_same(type, type_in(found, desc))) {
      error_set(error, GRAFT_EARG,
                "state '%s': %s is laid out differently in %s and %s",
                desc->name, desc->type, found->file, unit->file);
      return NULL;
    }
    if (found == NULL) found = unit;
  }
  if (found == NULL) {
    error_set(error, GRAFT_ENOTFOUND,
              desc->element_size > 0
                  ? "state '%s': no native has a type %s of %zu bytes"
                  : "state '%s': no native has a type %s",
              desc->name, desc->type, desc->element_size);
  }
  return found;
}

// --- Making ------------------------------------------------------------------

static char *copy(Storage *self, const char *text) {
  return memory_copy_string(self->allocator, text, strlen(text));
}

// NULL when out of memory.
static StorageObject *make(Storage *self, const HeapDesc *desc,
                           const StorageUnit *unit) {
  ObjectName name = {"", "", desc->name, true};
  const Type *type = type_in(unit, desc);
  if (desc->count > SIZE_MAX / 2 / type->size || !storage_reserve(self, 1)) {
    return NULL;
  }
  StorageObject *object = storage_object_new(self, &name);
  if (object == NULL) return NULL;
  ObjectState *state = &object->state;
  state->type = type;
  state->types = type_set_retain(unit->types);
  state->count = desc->count;
  state->size = type->size * desc->count;
  object->type_text = copy(self, desc->type);
  bool is_callers = desc->file != NULL && strcmp(desc->file, unit->file) == 0;
  if (is_callers) object->type_file = copy(self, desc->file);
  if (object->type_text == NULL || (is_callers && object->type_file == NULL) ||
      !block_take(&self->heap, state->size, type->align, &state->block)) {
    storage_object_free(self, object);
    return NULL;
  }
  storage_list(self, object);
  storage_sort_places(self);
  return object;
}

static void *reuse(const StorageObject *object, const HeapDesc *desc,
                   GraftError *error) {
  const ObjectState *state = &object->state;
  bool same_size =
      desc->element_size == 0 || desc->element_size == state->type->size;
  if (strcmp(object->type_text, desc->type) == 0 && same_size &&
      state->count == desc->count) {
    return state->block.address;
  }
  error_set(error, GRAFT_EARG,
            "state '%s' is there already, as %zu of %s with %zu bytes",
            desc->name, state->count, object->type_text, state->type->size);
  return NULL;
}

static void *new_locked(Storage *storage, const HeapDesc *desc,
                        GraftError *error) {
  const StorageObject *object = find(storage, desc->name);
  if (object != NULL) return reuse(object, desc, error);
  const StorageUnit *unit = find_unit(storage, desc, error);
  if (unit == NULL) return NULL;
  object = make(storage, desc, unit);
  if (object == NULL) {
    error_memory(error);
    return NULL;
  }
  return object->state.block.address;
}

void *heap_new(Storage *storage, const HeapDesc *desc, GraftError *error) {
  if (desc->name == NULL || *desc->name == '\0' || desc->type == NULL ||
      *desc->type == '\0') {
    error_set(error, GRAFT_EARG, "a state needs a name and a type");
    return NULL;
  }
  storage_lock(storage);
  void *address = new_locked(storage, desc, error);
  storage_unlock(storage);
  return address;
}

void *heap_find(const Storage *storage, const char *name, size_t *count) {
  storage_lock(storage);
  const StorageObject *object = find(storage, name);
  void *address = object != NULL ? object->state.block.address : NULL;
  if (count != NULL) *count = object != NULL ? object->state.count : 0;
  storage_unlock(storage);
  return address;
}

// --- Resizing ----------------------------------------------------------------

typedef struct Shift {
  const char *from;
  size_t size;
  char *to;
} Shift;

static bool shift(void *context, const StoragePointer *pointer) {
  const Shift *self = context;
  const char *address = *pointer->place;
  if (address < self->from || address > self->from + self->size) return true;
  *(void **)(uintptr_t)pointer->place = self->to + (address - self->from);
  return true;
}

// A new block, which pointers in state
// follow to.
static bool resize(Storage *self, StorageObject *object, size_t count) {
  ObjectState *state = &object->state;
  if (count > SIZE_MAX / 2 / state->type->size) return false;
  size_t size = state->type->size * count;
  Block block;
  if (!block_take(&self->heap, size, state->type->align, &block)) return false;
  Shift move = {state->block.address, state->size, block.address};
  memcpy(block.address, state->block.address,
         size < state->size ? size : state->size);
  Block old = state->block;
  state->block = block;
  state->size = size;
  state->count = count;
  storage_walk_pointers(self, shift, &move);
  block_retire(&self->heap, old);
  storage_sort_places(self);
  return true;
}

void *heap_resize(Storage *storage, const char *name, size_t count,
                  GraftError *error) {
  storage_lock(storage);
  StorageObject *object = find(storage, name);
  void *address = NULL;
  if (object == NULL) {
    error_set(error, GRAFT_ENOTFOUND, "no state '%s'", name);
  } else if (count != object->state.count && !resize(storage, object, count)) {
    error_memory(error);
  } else {
    address = object->state.block.address;
  }
  storage_unlock(storage);
  return address;
}

bool heap_free(Storage *storage, const char *name) {
  storage_lock(storage);
  StorageObject *object = find(storage, name);
  if (object != NULL) {
    storage_unlist(storage, object);
    storage_sort_places(storage);
    block_retire(&storage->heap, object->state.block);
    object->state.block = (Block){0};
    storage_object_free(storage, object);
  }
  storage_unlock(storage);
  return object != NULL;
}
