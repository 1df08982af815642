// SPDX-License-Identifier: MIT

#include "state/storage.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "state/storage_inner.h"

// Addresses near code are dear, others are not.
static const size_t hidden_variables = (size_t)64 << 20;
static const size_t hidden_heap = (size_t)4 << 30;

Storage *storage_new(const StorageDesc *desc) {
  const GraftAllocator *allocator =
      desc->allocator != NULL ? desc->allocator : &memory_default;
  Storage *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = allocator;
  pthread_mutexattr_t recursive;
  pthread_mutexattr_init(&recursive);
  pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&self->lock, &recursive);
  pthread_mutexattr_destroy(&recursive);
  block_pool_init(&self->variables, allocator, &desc->variables,
                  hidden_variables);
  block_pool_init(&self->heap, allocator, &desc->heap, hidden_heap);
  return self;
}

void storage_free(Storage *self) {
  if (self == NULL) return;
  for (size_t i = 0; i < self->objects.count; i++) {
    storage_object_free(self, self->objects.items[i]);
  }
  for (size_t i = 0; i < self->units.count; i++) {
    memory_free(self->allocator, self->units.items[i].file);
    type_set_release(self->units.items[i].types);
  }
  memory_free(self->allocator, self->objects.items);
  memory_free(self->allocator, self->places.items);
  memory_free(self->allocator, self->units.items);
  block_pool_clear(&self->variables);
  block_pool_clear(&self->heap);
  pthread_mutex_destroy(&self->lock);
  memory_free(self->allocator, self);
}

// The lock is no part of what a reader sees.
void storage_lock(const Storage *self) {
  pthread_mutex_lock((pthread_mutex_t *)&self->lock);
}

void storage_unlock(const Storage *self) {
  pthread_mutex_unlock((pthread_mutex_t *)&self->lock);
}

BlockPool *storage_pool(Storage *self, const StorageObject *object) {
  return object->is_heap ? &self->heap : &self->variables;
}

// --- Objects -----------------------------------------------------------------

static uint64_t hash_name(const ObjectName *name) {
  uint64_t hash = hash_mix(HASH_EMPTY, name->is_heap);
  hash = hash_bytes(hash, name->file, strlen(name->file));
  hash = hash_bytes(hash, name->function, strlen(name->function));
  return hash_bytes(hash, name->name, strlen(name->name));
}

StorageObject *storage_object_new(Storage *self, const ObjectName *name) {
  size_t file = strlen(name->file) + 1, function = strlen(name->function) + 1;
  size_t size = strlen(name->name) + 1;
  StorageObject *object = memory_new(self->allocator, sizeof *object);
  char *text = memory_resize(self->allocator, NULL, file + function + size);
  if (object == NULL || text == NULL) {
    memory_free(self->allocator, object);
    memory_free(self->allocator, text);
    return NULL;
  }
  object->file = memcpy(text, name->file, file);
  object->function = memcpy(text + file, name->function, function);
  object->name = memcpy(text + file + function, name->name, size);
  object->hash = hash_name(name);
  object->is_heap = name->is_heap;
  object->state.count = 1;
  return object;
}

void storage_object_free(Storage *self, StorageObject *object) {
  if (object == NULL) return;
  block_give(storage_pool(self, object), object->state.block);
  type_set_release(object->state.types);
  memory_free(self->allocator, object->state.base);
  memory_free(self->allocator, object->type_text);
  memory_free(self->allocator, object->type_file);
  memory_free(self->allocator, object->file);
  memory_free(self->allocator, object);
}

StorageObject *storage_object_find(const Storage *self,
                                   const ObjectName *name) {
  uint64_t hash = hash_name(name);
  for (size_t i = 0; i < self->objects.count; i++) {
    StorageObject *object = self->objects.items[i];
    if (object->hash == hash && !object->state.is_removed &&
        object->is_heap == name->is_heap &&
        strcmp(object->file, name->file) == 0 &&
        strcmp(object->function, name->function) == 0 &&
        strcmp(object->name, name->name) == 0) {
      return object;
    }
  }
  return NULL;
}

void *storage_object_address(const StorageObject *self) {
  return self->state.block.address;
}

void storage_object_info(const StorageObject *self, StorageInfo *info) {
  *info = (StorageInfo){
      .file = self->file,
      .function = self->function,
      .name = self->name,
      .line = self->state.line,
      .type = self->state.type,
      .types = self->state.types,
      .address = self->state.block.address,
      .size = self->state.size,
      .count = self->state.count,
      .is_heap = self->is_heap,
      .is_const = self->state.is_const,
      .is_removed = self->state.is_removed,
  };
}

void storage_object_retain(StorageObject *self) {
  self->users++;
}

void storage_object_release(Storage *storage, StorageObject *self) {
  if (--self->users == 0 && self->state.is_removed) storage_collect(storage);
}

StorageObject *storage_find(const Storage *self, const char *file,
                            const char *function, const char *name) {
  return storage_object_find(self, &(ObjectName){file, function, name, false});
}

const Type *storage_find_type(const Storage *self, const char *name,
                              TypeSet **types) {
  const Type *found = NULL;
  for (size_t i = 0; i < self->units.count; i++) {
    const Type *type = type_set_find(self->units.items[i].types, name);
    bool is_better =
        type != NULL &&
        (found == NULL || (found->is_incomplete && !type->is_incomplete));
    if (!is_better) continue;
    found = type;
    *types = self->units.items[i].types;
  }
  return found;
}

size_t storage_count(const Storage *self) {
  return self->objects.count;
}

void storage_object_write_name(Buffer *text, const StorageObject *object,
                               const char *file) {
  if (*object->file != '\0' &&
      (file == NULL || strcmp(file, object->file) != 0)) {
    buffer_format(text, "%s: ", object->file);
  }
  if (*object->function != '\0') buffer_format(text, "%s.", object->function);
  buffer_add_text(text, object->name);
}

const StorageUnit *storage_unit(const Storage *self, const char *file) {
  for (size_t i = 0; i < self->units.count; i++) {
    if (strcmp(self->units.items[i].file, file) == 0) {
      return &self->units.items[i];
    }
  }
  return NULL;
}

// --- The list, and where they are --------------------------------------------

bool storage_reserve(Storage *self, size_t count) {
  count += self->objects.count;
  return array_reserve(self->allocator, (void **)&self->objects.items,
                       &self->objects.capacity, count,
                       sizeof *self->objects.items) &&
         array_reserve(self->allocator, (void **)&self->places.items,
                       &self->places.capacity, count,
                       sizeof *self->places.items);
}

void storage_list(Storage *self, StorageObject *object) {
  self->objects.items[self->objects.count++] = object;
}

void storage_unlist(Storage *self, StorageObject *object) {
  size_t next = 0;
  for (size_t i = 0; i < self->objects.count; i++) {
    if (self->objects.items[i] != object) {
      self->objects.items[next++] = self->objects.items[i];
    }
  }
  self->objects.count = next;
}

static int compare_addresses(const void *a, const void *b) {
  const StoragePlace *x = a, *y = b;
  return (x->address > y->address) - (x->address < y->address);
}

void storage_sort_places(Storage *self) {
  self->places.count = 0;
  for (size_t i = 0; i < self->objects.count; i++) {
    StorageObject *object = self->objects.items[i];
    if (object->state.block.address == NULL) continue;
    self->places.items[self->places.count++] =
        (StoragePlace){object->state.block.address, object->state.size, object};
  }
  if (self->places.count > 1) {
    qsort(self->places.items, self->places.count, sizeof *self->places.items,
          compare_addresses);
  }
}

StorageObject *storage_locate(const Storage *self, const void *address,
                              size_t *offset) {
  const char *wanted = address;
  size_t first = 0, end = self->places.count;
  while (first < end) {
    size_t middle = (first + end) / 2;
    if (self->places.items[middle].address <= wanted) {
      first = middle + 1;
    } else {
      end = middle;
    }
  }
  if (first == 0) return NULL;
  const StoragePlace *place = &self->places.items[first - 1];
  *offset = (size_t)(wanted - place->address);
  return *offset <= place->size ? place->object : NULL;
}

void storage_each_range(const Storage *self, StorageRange visit,
                        void *context) {
  for (size_t i = 0; i < self->objects.count; i++) {
    const StorageObject *object = self->objects.items[i];
    if (object->state.is_const || object->state.block.address == NULL) {
      continue;
    }
    visit(context, object->state.block.address, object->state.size);
  }
}

// --- Removed objects ---------------------------------------------------------

static bool is_idle(const StorageObject *object) {
  return object->state.is_removed && object->users == 0;
}

typedef struct Reach {
  const Storage *storage;
  bool *reached; // for each idle object, in the order of the list
} Reach;

static size_t idle_index(const Storage *self, const StorageObject *object) {
  size_t index = 0;
  for (size_t i = 0; self->objects.items[i] != object; i++) {
    index += is_idle(self->objects.items[i]);
  }
  return index;
}

static bool reach(void *context, const StoragePointer *pointer) {
  Reach *self = context;
  size_t offset;
  StorageObject *object =
      storage_locate(self->storage, *pointer->place, &offset);
  if (object != NULL && is_idle(object)) {
    self->reached[idle_index(self->storage, object)] = true;
  }
  return true;
}

void storage_collect(Storage *self) {
  size_t count = 0;
  for (size_t i = 0; i < self->objects.count; i++) {
    count += is_idle(self->objects.items[i]);
  }
  if (count == 0) return;
  Reach walk = {self, memory_new(self->allocator, count * sizeof(bool))};
  if (walk.reached == NULL) return; // another time
  storage_walk_pointers(self, reach, &walk);
  size_t next = 0, index = 0;
  for (size_t i = 0; i < self->objects.count; i++) {
    StorageObject *object = self->objects.items[i];
    if (is_idle(object) && !walk.reached[index++]) {
      storage_object_free(self, object);
    } else {
      self->objects.items[next++] = object;
    }
  }
  self->objects.count = next;
  storage_sort_places(self);
  memory_free(self->allocator, walk.reached);
}
