// SPDX-License-Identifier: MIT

#include "registry/backing.h"

#include <stdio.h>
#include <string.h>

static void free_parts(const GraftAllocator *allocator, Backing *self) {
  memory_free(allocator, (void *)self->file);
  memory_free(allocator, (void *)self->source);
  memory_free(allocator, (void *)self->why_not);
  memory_free(allocator, self);
}

// Copies a text that may be NULL. False when out of memory.
static bool copy_text(const GraftAllocator *allocator, const char *text,
                      size_t size, const char **copy) {
  if (text == NULL) return true;
  *copy = memory_copy_string(allocator, text, size);
  return *copy != NULL;
}

static bool copy_parts(Registry *registry, const BackingDesc *desc,
                       Backing *self) {
  const GraftAllocator *allocator = registry->desc.allocator;
  const char *why_not = desc->why_not;
  size_t file_size = desc->file != NULL ? strlen(desc->file) : 0;
  size_t why_size = why_not != NULL ? strlen(why_not) : 0;
  if (!copy_text(allocator, desc->file, file_size, &self->file) ||
      !copy_text(allocator, desc->source, desc->source_size, &self->source) ||
      !copy_text(allocator, why_not, why_size, &self->why_not)) {
    return false;
  }
  if (desc->kind == BACKING_SCRIPT || desc->signature == NULL) return true;
  self->signature = registry_signature(registry, desc->signature);
  return self->signature != NULL;
}

Backing *backing_new(Registry *registry, const BackingDesc *desc) {
  Backing *self = memory_new(registry->desc.allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->kind = desc->kind;
  self->layer = desc->layer;
  self->count = 1;
  self->code = desc->code;
  self->owner = desc->owner;
  self->script = desc->script;
  self->line = desc->line;
  self->source_size = desc->source_size;
  if (!copy_parts(registry, desc, self)) {
    free_parts(registry->desc.allocator, self);
    return NULL;
  }
  if (self->signature != NULL) {
    self->kind = self->signature->lua ? BACKING_LUA_C : BACKING_NATIVE;
  }
  return self;
}

void backing_discard(Registry *registry, Backing *self) {
  free_parts(registry->desc.allocator, self);
}

void backing_free(Registry *registry, Backing *self) {
  const ScriptHost *host = &registry->desc.script;
  if (self->kind == BACKING_SCRIPT && host->release != NULL) {
    host->release(host->context, self->script);
  }
  const NativeHost *natives = &registry->desc.natives;
  if (self->owner != NULL && natives->release != NULL) {
    natives->release(natives->context, self->owner);
  }
  free_parts(registry->desc.allocator, self);
}

const char *backing_kind_text(const Backing *self) {
  if (self == NULL) return "none";
  return self->kind == BACKING_SCRIPT ? "script" : "native";
}

const char *layer_text(int layer, char buffer[24]) {
  switch (layer) {
  case LAYER_BUILTIN:
    return "built-in";
  case LAYER_NATIVE:
    return "native";
  case LAYER_SCRIPT:
    return "script";
  default:
    snprintf(buffer, 24, "mod %d", layer - LAYER_MOD + 1);
    return buffer;
  }
}
