// SPDX-License-Identifier: MIT

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "state/storage_inner.h"

// --- Units -------------------------------------------------------------------

StorageChange *storage_change_new(Storage *self,
                                  const StorageChangeDesc *desc) {
  StorageChange *change = memory_new(self->allocator, sizeof *change);
  if (change == NULL) return NULL;
  change->storage = self;
  change->allocator = self->allocator;
  change->desc = *desc;
  return change;
}

const ChangeUnit *change_unit(const StorageChange *self, const char *file) {
  for (size_t i = 0; i < self->units.count; i++) {
    if (strcmp(self->units.items[i].file, file) == 0) {
      return &self->units.items[i];
    }
  }
  return NULL;
}

// Structs that both sets have, but not alike.
static bool compare_sets(StorageChange *self, const char *file,
                         const TypeSet *from, const TypeSet *to) {
  for (size_t i = 0; i < type_set_count(to); i++) {
    const Type *new = type_set_at(to, i);
    bool is_struct = new->kind == KIND_STRUCT || new->kind == KIND_UNION;
    if (!is_struct || new->is_incomplete || *type_name(new) == '\0') continue;
    const Type *old = type_set_find(from, type_name(new));
    if (old == NULL || old->kind != new->kind || old->is_incomplete ||
        type_same(old, new)) {
      continue;
    }
    ChangedType *changed = ARRAY_PUSH(self->allocator, &self->changed);
    if (changed == NULL) return false;
    *changed = (ChangedType){file, old, new};
  }
  return true;
}

GraftStatus storage_change_unit(StorageChange *self, const char *file,
                                TypeSet *types, GraftError *error) {
  assert(change_unit(self, file) == NULL);
  char *name = memory_copy_string(self->allocator, file, strlen(file));
  ChangeUnit *unit = ARRAY_PUSH(self->allocator, &self->units);
  if (name == NULL || unit == NULL) {
    if (unit != NULL) self->units.count--;
    memory_free(self->allocator, name);
    return error_memory(error);
  }
  *unit = (ChangeUnit){.file = name};
  if (types == NULL) return GRAFT_OK;
  const StorageUnit *old = storage_unit(self->storage, file);
  unit->types = type_set_retain(types);
  bool compared = old == NULL || compare_sets(self, name, old->types, types);
  return compared ? GRAFT_OK : error_memory(error);
}

// --- Entries -----------------------------------------------------------------

ChangeEntry *change_entry(const StorageChange *self,
                          const StorageObject *object) {
  for (size_t i = 0; i < self->entries.count; i++) {
    if (self->entries.items[i].object == object) {
      return &self->entries.items[i];
    }
  }
  return NULL;
}

static MigrateFunction find_custom(void *context, const Type *to) {
  const ChangeEntry *entry = ((void **)context)[0];
  const StorageChange *self = ((void **)context)[1];
  return self->desc.find_migration(self->desc.context, entry->object->file, to);
}

// How the old bytes become new ones. `next` is what will be.
static GraftStatus make_plan(StorageChange *self, ChangeEntry *entry,
                             GraftError *error) {
  Buffer name;
  buffer_init(&name, self->allocator);
  storage_object_write_name(&name, entry->object, entry->object->file);
  void *context[] = {entry, self};
  MigrateDesc desc = {
      .from = entry->object->state.type,
      .to = entry->next.type,
      .name = buffer_text(&name),
      .find = self->desc.find_migration != NULL ? find_custom : NULL,
      .context = context,
  };
  GraftStatus status = name.failed ? error_memory(error)
                                   : migrate_plan_new(self->allocator, &desc,
                                                      &entry->plan, error);
  buffer_clear(&name);
  if (status < 0) error_at(error, entry->object->file, entry->next.line, 0);
  return status;
}

static bool same_layout(const ObjectState *a, const ObjectState *b) {
  if (a->size != b->size || a->count != b->count) return false;
  return a->type == NULL || b->type == NULL || type_same(a->type, b->type);
}

// Decides where `next` lives: in place, or in a block of its own.
static GraftStatus place_entry(StorageChange *self, ChangeEntry *entry,
                               size_t align, GraftError *error) {
  const ObjectState *old = &entry->object->state;
  ObjectState *next = &entry->next;
  bool is_aligned = (uintptr_t)old->block.address % align == 0;
  if (!entry->is_new && same_layout(old, next) && is_aligned) {
    next->block = old->block;
    return GRAFT_OK;
  }
  entry->moves = true;
  BlockPool *pool = storage_pool(self->storage, entry->object);
  if (!block_take(pool, next->size, align, &next->block)) {
    return error_memory(error);
  }
  bool is_migrated = !entry->is_new && !next->is_const && old->type != NULL &&
                     next->type != NULL;
  return is_migrated ? make_plan(self, entry, error) : GRAFT_OK;
}

// A new entry for an object, which the change owns when it is new.
static ChangeEntry *add_entry(StorageChange *self, const ObjectName *name) {
  ChangeEntry *entry = ARRAY_PUSH(self->allocator, &self->entries);
  if (entry == NULL) return NULL;
  entry->object = storage_object_find(self->storage, name);
  entry->is_new = entry->object == NULL;
  if (entry->is_new) entry->object = storage_object_new(self->storage, name);
  if (entry->object != NULL) return entry;
  self->entries.count--;
  return NULL;
}

// A type that is not known is what it was, if the size is. One that needs more
// bytes than there are cannot be gone by.
static void set_type(ChangeEntry *entry, const Type *type, TypeSet *types) {
  ObjectState *next = &entry->next;
  const ObjectState *old = &entry->object->state;
  if (type == NULL && old->size == next->size) {
    type = old->type;
    types = old->types;
  }
  if (type == NULL || type->size > next->size) return;
  next->type = type;
  next->types = type_set_retain(types);
}

GraftStatus storage_change_declare(StorageChange *self,
                                   const StorageVariable *variable,
                                   StorageObject **object, GraftError *error) {
  const ChangeUnit *unit = change_unit(self, variable->file);
  assert(unit != NULL && unit->types != NULL);
  ObjectName name = {variable->file, variable->function, variable->name, false};
  ChangeEntry *entry = add_entry(self, &name);
  if (entry == NULL) return error_memory(error);
  entry->next = (ObjectState){
      .size = variable->size,
      .count = 1,
      .line = variable->line,
      .is_const = variable->is_const,
  };
  set_type(entry, variable->type, unit->types);
  *object = entry->object;
  return place_entry(self, entry, variable->align > 0 ? variable->align : 1,
                     error);
}

void *storage_change_address(const StorageChange *self,
                             const StorageObject *object) {
  const ChangeEntry *entry = change_entry(self, object);
  return entry != NULL && !self->is_applied ? entry->next.block.address
                                            : object->state.block.address;
}

GraftStatus storage_change_mention(StorageChange *self,
                                   const StorageVariable *variable,
                                   GraftError *error) {
  ObjectName name = {variable->file, variable->function, variable->name, false};
  StorageObject *object = storage_object_find(self->storage, &name);
  if (object == NULL) return GRAFT_OK;
  StorageObject **place = ARRAY_PUSH(self->allocator, &self->mentioned);
  if (place == NULL) return error_memory(error);
  *place = object;
  return GRAFT_OK;
}

static bool is_zero(const unsigned char *bytes, size_t size) {
  return size == 0 ||
         (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

GraftStatus storage_change_image(StorageChange *self, StorageObject *object,
                                 const void *image, size_t size,
                                 GraftError *error) {
  ChangeEntry *entry = change_entry(self, object);
  assert(entry != NULL && size <= entry->next.size);
  entry->has_image = true;
  if (is_zero(image, size)) return GRAFT_OK;
  entry->next.base = memory_new(self->allocator, entry->next.size);
  if (entry->next.base == NULL) return error_memory(error);
  memcpy(entry->next.base, image, size);
  return GRAFT_OK;
}

// --- Heap objects ------------------------------------------------------------

// What the unit's types make of a heap object's type: NULL when they do not
// have it, or it is another one that only has the name.
static const Type *heap_type_in(const StorageChange *self,
                                const StorageObject *object,
                                const ChangeUnit *unit) {
  if (unit->types == NULL) return NULL;
  if (object->type_file != NULL && strcmp(object->type_file, unit->file) != 0) {
    return NULL;
  }
  const Type *type = type_set_find(unit->types, object->type_text);
  if (type == NULL || type->is_incomplete) return NULL;
  const StorageUnit *old = storage_unit(self->storage, unit->file);
  const Type *former =
      old != NULL ? type_set_find(old->types, object->type_text) : NULL;
  bool was_it = former == NULL || former->is_incomplete ||
                type_same(former, object->state.type);
  return was_it ? type : NULL;
}

// A unit that stays as it is, and would not agree with the new type.
static const StorageUnit *find_dissenter(const StorageChange *self,
                                         const StorageObject *object,
                                         const Type *type) {
  const Storage *storage = self->storage;
  for (size_t i = 0; i < storage->units.count; i++) {
    const StorageUnit *unit = &storage->units.items[i];
    if (change_unit(self, unit->file) != NULL) continue;
    const Type *view = type_set_find(unit->types, object->type_text);
    if (view != NULL && !view->is_incomplete &&
        type_same(view, object->state.type) && !type_same(view, type)) {
      return unit;
    }
  }
  return NULL;
}

static GraftStatus refuse_views(const StorageObject *object, const char *first,
                                const char *second, GraftError *error) {
  return error_set(error, GRAFT_ESIGNATURE,
                   "state '%s' is made of %s, which is laid out differently "
                   "in %s and %s",
                   object->name, object->type_text, first, second);
}

static GraftStatus find_heap_type(const StorageChange *self,
                                  const StorageObject *object,
                                  const ChangeUnit **unit, const Type **type,
                                  GraftError *error) {
  *unit = NULL;
  for (size_t i = 0; i < self->units.count; i++) {
    const Type *found = heap_type_in(self, object, &self->units.items[i]);
    if (found == NULL) continue;
    if (*unit != NULL && !type_same(found, *type)) {
      return refuse_views(object, (*unit)->file, self->units.items[i].file,
                          error);
    }
    *unit = &self->units.items[i];
    *type = found;
  }
  if (*unit == NULL) return GRAFT_OK;
  const StorageUnit *other = find_dissenter(self, object, *type);
  if (other == NULL || object->type_file != NULL) return GRAFT_OK;
  return refuse_views(object, (*unit)->file, other->file, error);
}

static GraftStatus declare_heap(StorageChange *self, StorageObject *object,
                                GraftError *error) {
  const ChangeUnit *unit;
  const Type *type = NULL;
  GraftStatus status = find_heap_type(self, object, &unit, &type, error);
  if (status < 0 || unit == NULL) return status;
  if (type->size > 0 && object->state.count > SIZE_MAX / 2 / type->size) {
    return error_memory(error);
  }
  ChangeEntry *entry = ARRAY_PUSH(self->allocator, &self->entries);
  if (entry == NULL) return error_memory(error);
  entry->object = object;
  entry->next = (ObjectState){
      .type = type,
      .types = type_set_retain(unit->types),
      .size = type->size * object->state.count,
      .count = object->state.count,
  };
  return place_entry(self, entry, type->align, error);
}

GraftStatus change_declare_heaps(StorageChange *self, GraftError *error) {
  Storage *storage = self->storage;
  for (size_t i = 0; i < storage->objects.count; i++) {
    StorageObject *object = storage->objects.items[i];
    if (!object->is_heap || object->state.is_removed) continue;
    GraftStatus status = declare_heap(self, object, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// --- Ending -----------------------------------------------------------------

// What is left of an entry: with the change kept, the old state; else the new.
static void clear_entry(StorageChange *self, ChangeEntry *entry, bool is_kept) {
  BlockPool *pool = storage_pool(self->storage, entry->object);
  if (entry->moves) {
    if (is_kept) {
      block_retire(pool, entry->next.block);
    } else {
      block_give(pool, entry->next.block);
    }
  }
  type_set_release(entry->next.types);
  memory_free(self->allocator, entry->next.base);
  migrate_plan_free(entry->plan);
  if (entry->is_new && !is_kept)
    storage_object_free(self->storage, entry->object);
}

static void clear(StorageChange *self, bool is_kept) {
  for (size_t i = 0; i < self->entries.count; i++) {
    clear_entry(self, &self->entries.items[i], is_kept);
  }
  for (size_t i = 0; i < self->units.count; i++) {
    ChangeUnit *unit = &self->units.items[i];
    type_set_release(unit->types);
    const StorageUnit *listed = storage_unit(self->storage, unit->file);
    if (listed != NULL && listed->file == unit->file) continue;
    memory_free(self->allocator, unit->file);
  }
  self->entries.count = self->units.count = 0;
}

void storage_change_keep(StorageChange *self) {
  assert(self->is_applied);
  storage_lock(self->storage);
  clear(self, true);
  self->is_applied = false;
  self->journal.entries.count = self->journal.bytes.count = 0;
  storage_collect(self->storage);
  storage_unlock(self->storage);
}

void storage_change_free(StorageChange *self) {
  if (self == NULL) return;
  storage_lock(self->storage);
  storage_change_undo(self);
  clear(self, false);
  storage_unlock(self->storage);
  memory_free(self->allocator, self->units.items);
  memory_free(self->allocator, self->entries.items);
  memory_free(self->allocator, self->mentioned.items);
  memory_free(self->allocator, self->removed.items);
  memory_free(self->allocator, self->changed.items);
  memory_free(self->allocator, self->moved.items);
  memory_free(self->allocator, self->journal.entries.items);
  memory_free(self->allocator, self->journal.bytes.items);
  memory_free(self->allocator, self);
}
