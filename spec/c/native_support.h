// SPDX-License-Identifier: MIT
//
// A small owner of natives for the C specs: storage and entries by symbol, in
// a region, as the engine has them by file and type.

#ifndef GRAFT_SPEC_NATIVE_SUPPORT_H
#define GRAFT_SPEC_NATIVE_SUPPORT_H

#include <stdint.h>

#include "base/map.h"
#include "check.h"
#include "native/link.h"
#include "native/thunk.h"

typedef struct World {
  const GraftAllocator *allocator;
  NativeRegion *region;
  LiteralPool *literals;
  Tls *tls;
  ThunkTable thunks;
  Map entries; // symbol → ThunkTable's Thunk
  Map storage; // symbol → where it lies
  Map locals;  // symbol → offset
  Arena arena;
  LinkHost host;
  bool foreign;
} World;

// One file, loaded.
typedef struct Loaded {
  ObjectFile *object;
  LineTable *lines;
  Link *link;
} Loaded;

static inline int world_host_function(int value) {
  return value + 500;
}

static inline Thunk *world_thunk(World *self, const char *symbol) {
  Thunk *thunk = map_find(&self->entries, symbol);
  if (thunk != NULL) return thunk;
  thunk = arena_new(&self->arena, sizeof *thunk);
  char *key = arena_copy_string(&self->arena, symbol, strlen(symbol));
  if (thunk == NULL || key == NULL ||
      !thunk_table_add(&self->thunks, NULL, thunk) ||
      !map_set(&self->entries, key, thunk)) {
    return NULL;
  }
  return thunk;
}

static inline void *world_entry(void *context, const ObjectFile *object,
                                size_t index) {
  Thunk *thunk = world_thunk(context, object_function(object, index)->symbol);
  return thunk != NULL ? (void *)(uintptr_t)thunk->entry : NULL;
}

static inline bool world_local(World *self, const ObjectData *data,
                               LinkStorage *storage) {
  size_t *offset = arena_new(&self->arena, sizeof *offset);
  char *key =
      arena_copy_string(&self->arena, data->symbol, strlen(data->symbol));
  if (offset == NULL || key == NULL ||
      !tls_add(self->tls, data->symbol, data->size, data->align,
               &storage->local)) {
    return false;
  }
  *offset = storage->local;
  return map_set(&self->locals, key, offset);
}

// Variables get a page each: simple, and what is written beside one is seen.
static inline bool world_storage(void *context, const ObjectFile *object,
                                 size_t index, LinkStorage *storage) {
  World *self = context;
  const ObjectData *data = object_data(object, index);
  if (data->thread_local_) return world_local(self, data, storage);
  // What has no type is the link's.
  if (strncmp(data->symbol, "__", 2) == 0) return true;
  if (strncmp(data->symbol, "switch.table", 12) == 0) return true;
  if (strncmp(data->symbol, "reltable", 8) == 0) return true;
  storage->address = map_find(&self->storage, data->symbol);
  if (storage->address != NULL) return true;
  char *key =
      arena_copy_string(&self->arena, data->symbol, strlen(data->symbol));
  storage->address = region_take(self->region, data->size);
  return key != NULL && storage->address != NULL &&
         map_set(&self->storage, key, storage->address);
}

static inline void *world_external(void *context,
                                   const ObjectUndefined *symbol) {
  World *self = context;
  if (strcmp(symbol->name, "fixture_host") == 0) {
    return (void *)(uintptr_t)world_host_function;
  }
  void *address = map_find(&self->storage, symbol->name);
  if (address != NULL) return address;
  if (strncmp(symbol->name, "fixture_", 8) != 0 || symbol->weak ||
      strcmp(symbol->name, "fixture_nobody") == 0) {
    return NULL;
  }
  Thunk *thunk = world_thunk(self, symbol->name);
  return thunk != NULL ? (void *)(uintptr_t)thunk->entry : NULL;
}

static inline bool world_external_local(void *context,
                                        const ObjectUndefined *symbol,
                                        size_t *offset) {
  World *self = context;
  size_t *found = map_find(&self->locals, symbol->name);
  if (found != NULL) *offset = *found;
  return found != NULL;
}

static inline bool world_open(World *self, const GraftAllocator *allocator) {
  *self = (World){.allocator = allocator};
  map_init(&self->entries, allocator);
  map_init(&self->storage, allocator);
  map_init(&self->locals, allocator);
  arena_init(&self->arena, allocator);
  GraftError error;
  if (region_open(allocator, 0, &self->region, &error) < 0) return false;
  thunk_table_init(&self->thunks, allocator, self->region);
  self->literals = literal_pool_new(allocator, self->region);
  self->tls = tls_new(allocator);
  self->host = (LinkHost){self, world_entry, world_storage, world_external,
                          world_external_local};
  return self->literals != NULL && self->tls != NULL;
}

static inline void world_close(World *self) {
  thunk_table_clear(&self->thunks);
  literal_pool_free(self->literals);
  tls_free(self->tls);
  region_close(self->region);
  map_clear(&self->entries);
  map_clear(&self->storage);
  map_clear(&self->locals);
  arena_clear(&self->arena);
}

static inline void loaded_clear(Loaded *self) {
  link_free(self->link);
  lines_free(self->lines);
  object_free(self->object);
  *self = (Loaded){0};
}

// Reads and places, without making anything visible. On failure nothing is
// left.
static inline GraftStatus world_read(World *self, const char *path,
                                     const void *bytes, size_t size,
                                     Loaded *loaded, GraftError *error) {
  *loaded = (Loaded){0};
  GraftStatus status =
      object_read(self->allocator, path, bytes, size, &loaded->object, error);
  if (status == GRAFT_OK && object_has_debug(loaded->object)) {
    ObjectImage image;
    status = object_debug_image(loaded->object, &image, error);
    if (status == GRAFT_OK) {
      status = lines_read(self->allocator, &image, &loaded->lines, error);
      object_image_clear(loaded->object, &image);
    }
  }
  if (status == GRAFT_OK) {
    LinkDesc desc = {.allocator = self->allocator,
                     .region = self->region,
                     .literals = self->literals,
                     .tls = self->tls,
                     .host = &self->host,
                     .object = loaded->object,
                     .lines = loaded->lines,
                     .foreign = self->foreign};
    status = link_new(&desc, &loaded->link, error);
  }
  if (status < 0) loaded_clear(loaded);
  return status;
}

// First contents of what is new, then every function of the file.
static inline void world_switch(World *self, const Loaded *loaded, bool first) {
  const ObjectFile *object = loaded->object;
  for (size_t i = 0; i < object_data_count(object) && first; i++) {
    const ObjectData *data = object_data(object, i);
    const void *contents = link_contents(loaded->link, i);
    if (data->thread_local_) {
      size_t *offset = map_find(&self->locals, data->symbol);
      tls_set_image(self->tls, *offset, contents, data->size);
    } else if (contents != NULL &&
               map_find(&self->storage, data->symbol) != NULL) {
      memcpy(link_storage(loaded->link, i), contents, data->size);
    }
  }
  tls_commit(self->tls);
  for (size_t i = 0; i < object_function_count(object); i++) {
    Thunk *thunk = world_thunk(self, object_function(object, i)->symbol);
    if (thunk == NULL) continue;
    atomic_store(thunk->cell,
                 (GraftNative)(uintptr_t)link_function(loaded->link, i));
  }
}

static inline char *read_whole_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*size + 1);
  if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
    free(bytes);
    bytes = NULL;
  }
  fclose(file);
  return bytes;
}

static inline GraftStatus world_load(World *self, const char *path,
                                     Loaded *loaded, GraftError *error) {
  size_t size = 0;
  char *bytes = read_whole_file(path, &size);
  if (bytes == NULL) {
    snprintf(error->message, sizeof error->message, "cannot read %s", path);
    return GRAFT_EIO;
  }
  GraftStatus status = world_read(self, path, bytes, size, loaded, error);
  free(bytes);
  return status;
}

// The entry of a function, to be called.
static inline void *world_function(World *self, const char *symbol) {
  Thunk *thunk = map_find(&self->entries, symbol);
  return thunk != NULL ? (void *)(uintptr_t)thunk->entry : NULL;
}

#endif
