// SPDX-License-Identifier: MIT

#include "registry/registry.h"

#include <string.h>

#include "registry/slot.h"

Registry *registry_new(const RegistryDesc *desc) {
  const GraftAllocator *allocator = desc->allocator;
  if (allocator == NULL) allocator = &memory_default;
  Registry *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->desc = *desc;
  self->desc.allocator = allocator;
  self->host = pthread_self();
  map_init(&self->by_name, self->desc.allocator);
  map_init(&self->by_text, self->desc.allocator);
  if (pthread_mutex_init(&self->lock, NULL) != 0) {
    memory_free(allocator, self);
    return NULL;
  }
  return self;
}

void registry_free(Registry *self) {
  if (self == NULL) return;
  if (self->entries_free != NULL) self->entries_free(self);
  for (size_t i = 0; i < self->slots.count; i++) {
    slot_free(self->slots.items[i]);
  }
  const GraftAllocator *allocator = self->desc.allocator;
  for (size_t i = 0; i < self->signatures.count; i++) {
    signature_free(allocator, self->signatures.items[i]);
  }
  memory_free(allocator, self->slots.items);
  memory_free(allocator, self->signatures.items);
  map_clear(&self->by_name);
  map_clear(&self->by_text);
  pthread_mutex_destroy(&self->lock);
  memory_free(allocator, self);
}

GraftFn *registry_find(const Registry *self, const char *name) {
  return map_find(&self->by_name, name);
}

GraftFn *registry_add(Registry *self, const char *name) {
  GraftFn *fn = registry_find(self, name);
  if (fn != NULL) return fn;
  fn = slot_new(self, name);
  if (fn == NULL) return NULL;
  GraftFn **place = ARRAY_PUSH(self->desc.allocator, &self->slots);
  if (place != NULL && map_set(&self->by_name, fn->name, fn)) {
    *place = fn;
    return fn;
  }
  if (place != NULL) self->slots.count--;
  slot_free(fn);
  return NULL;
}

size_t registry_count(const Registry *self) {
  return self->slots.count;
}

GraftFn *registry_at(const Registry *self, size_t index) {
  return self->slots.items[index];
}

const Signature *registry_signature(Registry *self, const Signature *like) {
  Signature *found = map_find(&self->by_text, like->text);
  // Texts do not say all: structs and enums change behind their names.
  for (size_t i = 0; found != NULL && i < self->signatures.count; i++) {
    if (signature_identical(self->signatures.items[i], like)) {
      return self->signatures.items[i];
    }
  }
  Signature *copy = signature_copy(self->desc.allocator, like);
  if (copy == NULL) return NULL;
  Signature **place = ARRAY_PUSH(self->desc.allocator, &self->signatures);
  if (place != NULL && map_set(&self->by_text, copy->text, copy)) {
    *place = copy;
    return copy;
  }
  if (place != NULL) self->signatures.count--;
  signature_free(self->desc.allocator, copy);
  return NULL;
}
