// SPDX-License-Identifier: MIT

#include "native/object_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

GraftStatus object_refuse(const ObjectFile *self, GraftError *error,
                          const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return error_set(error, GRAFT_EIO, "%s: %s", self->path, text);
}

// tcc says nowhere that it wrote the file; all others do.
static bool is_tcc(const ObjectFile *self) {
  for (size_t i = 1; i < self->section_count; i++) {
    const char *name = self->sections[i].name;
    if (strcmp(name, ".comment") == 0 || strcmp(name, ".note.GNU-stack") == 0) {
      return false;
    }
  }
  return true;
}

static GraftStatus read_all(ObjectFile *self, GraftError *error) {
  GraftStatus status = object_read_tables(self, error);
  if (status < 0) return status;
  self->tcc = is_tcc(self);
  status = object_list(self, error);
  if (status == GRAFT_OK) status = object_list_pieces(self, error);
  if (status == GRAFT_OK) status = object_refer(self, error);
  return status == GRAFT_OK ? object_hash(self, error) : status;
}

GraftStatus object_read(const GraftAllocator *allocator, const char *path,
                        const void *bytes, size_t size, ObjectFile **object,
                        GraftError *error) {
  *object = NULL;
  ObjectFile *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = allocator;
  arena_init(&self->arena, allocator);
  map_init(&self->function_map, allocator);
  map_init(&self->data_map, allocator);
  self->size = size;
  self->path = memory_copy_string(allocator, path, strlen(path));
  self->bytes = memory_resize(allocator, NULL, size > 0 ? size : 1);
  GraftStatus status;
  if (self->path == NULL || self->bytes == NULL) {
    status = error_memory(error);
  } else {
    if (size > 0) memcpy(self->bytes, bytes, size);
    status = read_all(self, error);
  }
  if (status < 0) {
    object_free(self);
  } else {
    *object = self;
  }
  return status;
}

void object_free(ObjectFile *self) {
  if (self == NULL) return;
  map_clear(&self->function_map);
  map_clear(&self->data_map);
  arena_clear(&self->arena);
  memory_free(self->allocator, self->bytes);
  memory_free(self->allocator, self->path);
  memory_free(self->allocator, self);
}

const char *object_path(const ObjectFile *self) {
  return self->path;
}

ObjectMachine object_machine(const ObjectFile *self) {
  return self->machine;
}

size_t object_function_count(const ObjectFile *self) {
  return self->function_count;
}

const ObjectFunction *object_function(const ObjectFile *self, size_t index) {
  return &self->functions[index];
}

size_t object_data_count(const ObjectFile *self) {
  return self->data_count;
}

const ObjectData *object_data(const ObjectFile *self, size_t index) {
  return &self->data[index];
}

size_t object_undefined_count(const ObjectFile *self) {
  return self->undefined_count;
}

const ObjectUndefined *object_undefined(const ObjectFile *self, size_t index) {
  return &self->undefined[index];
}

int object_find_function(const ObjectFile *self, const char *symbol) {
  const ObjectFunction *found = map_find(&self->function_map, symbol);
  return found != NULL ? (int)(found - self->functions) : -1;
}

int object_find_data(const ObjectFile *self, const char *symbol) {
  const ObjectData *found = map_find(&self->data_map, symbol);
  return found != NULL ? (int)(found - self->data) : -1;
}
