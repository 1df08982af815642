// SPDX-License-Identifier: MIT
//
// Pointers in state: walking them, and making them follow what moved.

#include <string.h>

#include "base/error.h"
#include "state/storage_inner.h"

// --- Walking -----------------------------------------------------------------

static bool walk(const PointerWalk *self, const Type *type, char *address,
                 bool in_union);

static bool walk_elements(const PointerWalk *self, const Type *type,
                          char *address, size_t count, bool in_union) {
  if (!type_has_pointer(type)) return true;
  for (size_t i = 0; i < count; i++) {
    if (!walk(self, type, address + i * type->size, in_union)) return false;
  }
  return true;
}

static bool walk(const PointerWalk *self, const Type *type, char *address,
                 bool in_union) {
  switch (type->kind) {
  case KIND_POINTER:
    return self->visit(self->context, type, (void **)(void *)address, in_union);
  case KIND_ARRAY:
    return walk_elements(self, type->target, address, type->count, in_union);
  case KIND_STRUCT:
  case KIND_UNION:
    in_union |= type->kind == KIND_UNION;
    for (size_t i = 0; i < type->member_count; i++) {
      const TypeMember *member = &type->members[i];
      TypeKind kind = member->type->kind;
      // Numbers are the most, and have nothing to be looked into.
      if (kind < KIND_POINTER || member->bit_size > 0) continue;
      if (!walk(self, member->type, address + member->offset, in_union)) {
        return false;
      }
    }
    return true;
  default:
    return true;
  }
}

bool walk_pointers(const PointerWalk *self, const Type *type, void *address,
                   size_t count) {
  return walk_elements(self, type, address, count, false);
}

typedef struct StateWalk {
  const StorageObject *object;
  StorageVisit visit;
  void *context;
} StateWalk;

static bool visit_state(void *context, const Type *type, void **place,
                        bool in_union) {
  (void)in_union;
  StateWalk *self = context;
  return self->visit(self->context,
                     &(StoragePointer){self->object, type, place});
}

void storage_walk_pointers(const Storage *self, StorageVisit visit,
                           void *context) {
  StateWalk state = {.visit = visit, .context = context};
  PointerWalk pointers = {visit_state, &state};
  for (size_t i = 0; i < self->objects.count; i++) {
    const ObjectState *object = &self->objects.items[i]->state;
    if (object->is_removed || object->type == NULL) continue;
    state.object = self->objects.items[i];
    if (!walk_pointers(&pointers, object->type, object->block.address,
                       object->count)) {
      return;
    }
  }
}

// --- Paths -------------------------------------------------------------------

// A part of an object in one of its states.
typedef struct Part {
  const StorageObject *object;
  const ObjectState *state;
  size_t offset;
} Part;

// "bodies[3].next", with "physics.c: " unless that is `file`.
static void write_part(Buffer *text, const Part *part, const char *file) {
  const StorageObject *object = part->object;
  const ObjectState *state = part->state;
  size_t offset = part->offset;
  storage_object_write_name(text, object, file);
  if (state->type == NULL || state->type->size == 0) return;
  if (object->is_heap) {
    buffer_format(text, "[%zu]", offset / state->type->size);
    offset %= state->type->size;
  }
  type_write_path(text, state->type, offset);
}

static Part part_of(const StorageObject *object, const void *place) {
  const ObjectState *state = &object->state;
  return (Part){
      object, state,
      (size_t)((const char *)place - (const char *)state->block.address)};
}

void storage_write_path(Buffer *text, const StoragePointer *pointer) {
  Part part = part_of(pointer->object, pointer->place);
  write_part(text, &part, NULL);
}

// --- Where things are now ----------------------------------------------------

// The moved object whose old bytes the address is in, or right behind.
static const MovedPlace *find_moved(const StorageChange *self,
                                    const char *address) {
  size_t first = 0, end = self->moved.count;
  while (first < end) {
    size_t middle = (first + end) / 2;
    if (self->moved.items[middle].address <= address) {
      first = middle + 1;
    } else {
      end = middle;
    }
  }
  if (first == 0) return NULL;
  const MovedPlace *place = &self->moved.items[first - 1];
  return (size_t)(address - place->address) <= place->size ? place : NULL;
}

// Offsets of elements and of what is in them. Right behind the old end is
// right behind the new.
static bool move_offset(const ObjectState *from, const ObjectState *to,
                        const Type *pointee, size_t offset, size_t *moved) {
  if (offset == from->size) {
    *moved = to->size;
    return true;
  }
  if (from->type == NULL || to->type == NULL) {
    *moved = offset;
    return offset < to->size;
  }
  size_t size = from->type->size;
  if (size == 0) return false;
  size_t index = offset / size;
  bool is_element = pointee != NULL && offset % size == 0 &&
                    type_is_meant(from->type, pointee);
  if (is_element && index < to->count) { // most are
    *moved = index * to->type->size;
    return true;
  }
  if (index >= to->count ||
      !migrate_offset(from->type, to->type, pointee, offset % size, moved)) {
    return false;
  }
  *moved += index * to->type->size;
  return true;
}

bool change_forward(const StorageChange *self, const Type *pointee,
                    void *address, void **moved, const MovedPlace **place) {
  *moved = address;
  *place = find_moved(self, address);
  if (*place == NULL) return true;
  const ChangeEntry *entry = (*place)->entry;
  size_t offset = (size_t)((char *)address - (*place)->address);
  size_t now;
  // Applied: what was is in `next`.
  if (!move_offset(&entry->next, &entry->object->state, pointee, offset,
                   &now)) {
    return false;
  }
  *moved = (char *)entry->object->state.block.address + now;
  return true;
}

void *storage_change_forward(const StorageChange *self, const void *address) {
  void *moved;
  const MovedPlace *place;
  bool found =
      change_forward(self, NULL, (void *)(uintptr_t)address, &moved, &place);
  return found ? moved : NULL;
}

// --- Redirecting -------------------------------------------------------------

typedef struct Redirector {
  StorageChange *change;
  const StorageObject *object; // that the pointers are in
  bool is_lenient;             // what cannot follow stays, for now
  bool is_journaled;           // not in a place that undoing drops anyway
  // What was found fit last: a million pointers ask the same.
  const Type *fit_pointee;
  const Type *fit_part;
  GraftError *error;
  GraftStatus status;
} Redirector;

static bool is_struct(const Type *type) {
  return type->kind == KIND_STRUCT || type->kind == KIND_UNION;
}

// The struct that a pointer leads to by way of arrays.
static const Type *pointee_of(const Type *pointer) {
  const Type *type = pointer->target;
  while (type->kind == KIND_ARRAY) type = type->target;
  return type;
}

// What became of a struct in the unit that the pointer's object is of.
static const ChangedType *find_changed(const Redirector *self,
                                       const Type *pointee) {
  if (!is_struct(pointee)) return NULL;
  for (size_t i = 0; i < self->change->changed.count; i++) {
    const ChangedType *changed = &self->change->changed.items[i];
    bool is_of =
        self->object->is_heap || strcmp(changed->file, self->object->file) == 0;
    if (is_of && type_is_meant(changed->to, pointee)) return changed;
  }
  return NULL;
}

// A message names the pointer, and the error where it is declared.
static void write_pointer(const Redirector *self, Buffer *text,
                          void *const *place) {
  Part part = part_of(self->object, place);
  write_part(text, &part, self->object->file);
}

static bool refuse(Redirector *self) {
  self->status = GRAFT_ESIGNATURE;
  error_at(self->error, self->object->file, self->object->state.line, 0);
  return false;
}

static bool refuse_gone(Redirector *self, void **place,
                        const MovedPlace *target) {
  Buffer from, to;
  buffer_init(&from, self->change->allocator);
  buffer_init(&to, self->change->allocator);
  write_pointer(self, &from, place);
  Part part = {target->entry->object, &target->entry->next,
               (size_t)((char *)*place - target->address)};
  write_part(&to, &part, self->object->file);
  error_set(self->error, GRAFT_ESIGNATURE,
            "%s points to %s, which would be gone: clear it first",
            buffer_text(&from), buffer_text(&to));
  buffer_clear(&from);
  buffer_clear(&to);
  return refuse(self);
}

static bool refuse_unknown(Redirector *self, void **place,
                           const Type *pointee) {
  Buffer from, type;
  buffer_init(&from, self->change->allocator);
  buffer_init(&type, self->change->allocator);
  write_pointer(self, &from, place);
  type_write(&type, pointee, "");
  error_set(
      self->error, GRAFT_ESIGNATURE,
      "%s points to memory that Graft cannot migrate, and %s has another "
      "layout now: take it from graft_state_new, or set the pointer to NULL",
      buffer_text(&from), buffer_text(&type));
  buffer_clear(&from);
  buffer_clear(&type);
  return refuse(self);
}

static bool refuse_view(Redirector *self, void **place, const Type *pointee) {
  Buffer from, type;
  buffer_init(&from, self->change->allocator);
  buffer_init(&type, self->change->allocator);
  write_pointer(self, &from, place);
  type_write(&type, pointee, "");
  error_set(self->error, GRAFT_ESIGNATURE,
            "%s points to a %s that would have another layout than %s knows",
            buffer_text(&from), buffer_text(&type), self->object->file);
  buffer_clear(&from);
  buffer_clear(&type);
  return refuse(self);
}

// The part of an object that a pointer means, as it is now, or NULL.
static const Type *part_at(const StorageChange *self, const void *address,
                           const Type *pointee) {
  size_t offset;
  const StorageObject *object = storage_locate(self->storage, address, &offset);
  if (object == NULL || object->state.type == NULL ||
      object->state.type->size == 0 || offset >= object->state.size) {
    return NULL;
  }
  return type_part(object->state.type, offset % object->state.type->size,
                   pointee);
}

static bool is_behind(const StorageChange *self, const void *address) {
  size_t offset;
  const StorageObject *object = storage_locate(self->storage, address, &offset);
  return object != NULL && offset == object->state.size;
}

// Whether what the pointer leads to is laid out as its holder thinks.
static bool check_view(Redirector *self, const Type *pointee, void **place,
                       bool has_moved) {
  const Type *part = NULL;
  if (pointee == self->fit_pointee) {
    part = part_at(self->change, *place, pointee);
    if (part != NULL && part == self->fit_part) return true;
  }
  const ChangedType *changed = find_changed(self, pointee);
  if (changed == NULL && !has_moved) return true;
  if (!is_struct(pointee) || is_behind(self->change, *place)) return true;
  if (part == NULL) part = part_at(self->change, *place, pointee);
  if (changed == NULL) {
    bool fits =
        pointee->is_incomplete || part == NULL || type_same(part, pointee);
    return fits || refuse_view(self, place, pointee);
  }
  if (part != NULL && type_same(part, changed->to)) {
    self->fit_pointee = pointee;
    self->fit_part = part;
    return true;
  }
  return refuse_unknown(self, place, pointee);
}

static bool redirect(void *context, const Type *type, void **place,
                     bool in_union) {
  Redirector *self = context;
  if (*place == NULL || type->target->kind == KIND_FUNCTION) return true;
  const Type *pointee = pointee_of(type);
  const Type *meant = pointee->kind == KIND_VOID ? NULL : pointee;
  const MovedPlace *target;
  void *moved;
  if (!change_forward(self->change, meant, *place, &moved, &target)) {
    return self->is_lenient || in_union || refuse_gone(self, place, target);
  }
  if (moved != *place) {
    if (!self->is_journaled) {
      *place = moved;
    } else if (!change_overwrite(self->change, place, &moved, sizeof moved)) {
      self->status = error_memory(self->error);
      return false;
    }
  }
  return self->is_lenient || in_union ||
         check_view(self, pointee, place, target != NULL);
}

static bool has_own_block(const ChangeEntry *entry) {
  return entry != NULL && (entry->moves || entry->is_new);
}

static void redirect_live(Redirector *self, const StorageObject *object) {
  const ObjectState *state = &object->state;
  PointerWalk pointers = {redirect, self};
  self->object = object;
  self->fit_pointee = NULL;
  self->is_journaled = !has_own_block(change_entry(self->change, object));
  walk_pointers(&pointers, state->type, state->block.address, state->count);
}

static void redirect_base(Redirector *self, const StorageObject *object,
                          const ObjectState *state) {
  if (state->base == NULL || state->type == NULL) return;
  PointerWalk pointers = {redirect, self};
  self->object = object;
  self->is_journaled = true;
  walk_pointers(&pointers, state->type, state->base, state->count);
}

bool change_follow(StorageChange *self, const ChangeEntry *entry) {
  if (self->moved.count == 0 || entry->object->state.type == NULL) return true;
  Redirector redirector = {.change = self, .is_lenient = true};
  redirect_live(&redirector, entry->object);
  // Applied: the initialiser that was is in `next`.
  redirect_base(&redirector, entry->object, &entry->next);
  return redirector.status == GRAFT_OK;
}

GraftStatus change_redirect(StorageChange *self, GraftError *error) {
  if (self->moved.count == 0 && self->changed.count == 0) return GRAFT_OK;
  Redirector redirector = {.change = self, .error = error};
  const Storage *storage = self->storage;
  for (size_t i = 0; i < storage->objects.count; i++) {
    const StorageObject *object = storage->objects.items[i];
    if (object->state.is_removed || object->state.type == NULL) continue;
    redirector.is_lenient = false;
    redirect_live(&redirector, object);
    if (redirector.status < 0) break;
    // New initialisers were linked against the new places already.
    if (change_entry(self, object) != NULL) continue;
    redirector.is_lenient = true;
    redirect_base(&redirector, object, &object->state);
    if (redirector.status < 0) break;
  }
  return redirector.status;
}
