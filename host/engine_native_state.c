// SPDX-License-Identifier: MIT
//
// What others see of the state of natives: views of Lua, and persistent arrays
// (graft_state_new of graft.h).

#include <string.h>

#include "base/error.h"
#include "engine_native.h"
#include "state/heap.h"

const Type *natives_find_type(const Natives *self, const char *name,
                              TypeSet **types) {
  // The storage's, since they are those of a change as soon as it is applied.
  return self != NULL ? storage_find_type(self->storage, name, types) : NULL;
}

size_t natives_find_extent(const Natives *self, const void *address,
                           size_t size, size_t *before) {
  *before = 0;
  if (self == NULL || size == 0) return 0;
  size_t offset = 0;
  const StorageObject *object = storage_locate(self->storage, address, &offset);
  if (object == NULL) return 0;
  StorageInfo info;
  storage_object_info(object, &info);
  if (offset >= info.size) return 0;
  *before = offset / size;
  return (info.size - offset) / size;
}

// ---------------------------------------------------------------------------
// Persistent arrays
// ---------------------------------------------------------------------------

static GraftStatus no_natives(const char *name, GraftError *error) {
  return error_set(error, GRAFT_ENOTFOUND,
                   "state '%s': the engine has compiled no natives", name);
}

void *graft_state_new(GraftEngine *engine, const GraftStateDesc *desc,
                      GraftError *error) {
  Natives *natives = engine->natives;
  if (natives == NULL) {
    no_natives(desc->name != NULL ? desc->name : "", error);
    return NULL;
  }
  pthread_mutex_lock(&natives->state_lock);
  void *made = heap_new(natives->storage,
                        &(HeapDesc){.name = desc->name,
                                    .type = desc->type,
                                    .element_size = desc->element_size,
                                    .count = desc->count,
                                    .file = desc->file},
                        error);
  pthread_mutex_unlock(&natives->state_lock);
  return made;
}

void *graft_state_find(GraftEngine *engine, const char *name, size_t *count) {
  Natives *natives = engine->natives;
  if (natives == NULL) return NULL;
  pthread_mutex_lock(&natives->state_lock);
  void *found = heap_find(natives->storage, name, count);
  pthread_mutex_unlock(&natives->state_lock);
  return found;
}

void *graft_state_resize(GraftEngine *engine, const char *name, size_t count,
                         GraftError *error) {
  Natives *natives = engine->natives;
  if (natives == NULL) {
    no_natives(name, error);
    return NULL;
  }
  pthread_mutex_lock(&natives->state_lock);
  void *found = heap_resize(natives->storage, name, count, error);
  pthread_mutex_unlock(&natives->state_lock);
  return found;
}

bool graft_state_free(GraftEngine *engine, const char *name) {
  Natives *natives = engine->natives;
  if (natives == NULL) return false;
  pthread_mutex_lock(&natives->state_lock);
  bool found = heap_free(natives->storage, name);
  pthread_mutex_unlock(&natives->state_lock);
  return found;
}

// ---------------------------------------------------------------------------
// What natives can call
// ---------------------------------------------------------------------------

// The part of graft.h that is for natives too: a program that has the library
// linked in need not export it.
void *natives_find_api(Natives *self, const char *name) {
  static const struct {
    const char *name;
    GraftNative code;
  } functions[] = {
      {"graft_engine_find", (GraftNative)graft_engine_find},
      {"graft_engine_fn", (GraftNative)graft_engine_fn},
      {"graft_fn_call", (GraftNative)graft_fn_call},
      {"graft_fn_info", (GraftNative)graft_fn_info},
      {"graft_fn_name", (GraftNative)graft_fn_name},
      {"graft_fn_pointer", (GraftNative)graft_fn_pointer},
      {"graft_fn_typed", (GraftNative)graft_fn_typed},
      {"graft_state_find", (GraftNative)graft_state_find},
      {"graft_state_free", (GraftNative)graft_state_free},
      {"graft_state_new", (GraftNative)graft_state_new},
      {"graft_state_resize", (GraftNative)graft_state_resize},
  };
  if (strcmp(name, "graft_engine") == 0) return &self->engine;
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    if (strcmp(name, functions[i].name) == 0) {
      return (void *)(uintptr_t)functions[i].code;
    }
  }
  return NULL;
}
