// SPDX-License-Identifier: MIT

#include "engine_native.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

// ---------------------------------------------------------------------------
// Opening and closing
// ---------------------------------------------------------------------------

static void *take_pages(void *context, size_t size) {
  return region_take(context, size);
}

static void give_pages(void *context, void *pages, size_t size) {
  region_give(context, pages, size);
}

static void hide_pages(void *context, void *pages, size_t size) {
  region_retire(context, pages, size);
}

static void release_object(void *context, void *owner) {
  native_object_release(context, owner);
}

// Functions that have no name of R2 are called through their entries alone.
static void on_hidden_error(void *context, GraftFn *fn,
                            const GraftError *error) {
  Natives *self = context;
  const RegistryDesc *desc = &self->engine->registry->desc;
  desc->on_error(desc->context, fn, error);
}

static NativeHost native_host(Natives *self) {
  return (NativeHost){
      .release = release_object, .target = natives_target, .context = self};
}

static GraftStatus open_parts(Natives *self, GraftError *error) {
  GraftStatus status = region_open(self->allocator, 0, &self->region, error);
  if (status == GRAFT_OK) status = natives_open_guard(self, error);
  if (status < 0) return status;
  self->literals = literal_pool_new(self->allocator, self->region);
  self->tls = tls_new(self->allocator);
  self->storage =
      storage_new(&(StorageDesc){.allocator = self->allocator,
                                 .variables = {.take = take_pages,
                                               .give = give_pages,
                                               .hide = hide_pages,
                                               .context = self->region}});
  self->hidden = registry_new(&(RegistryDesc){.allocator = self->allocator,
                                              .natives = native_host(self),
                                              .context = self,
                                              .on_error = on_hidden_error});
  if (self->literals == NULL || self->tls == NULL || self->storage == NULL ||
      self->hidden == NULL) {
    return error_memory(error);
  }
  self->hidden->region = self->region;
  return natives_open_worker(self, error);
}

Natives *natives_open(GraftEngine *engine, GraftError *error) {
  if (engine->natives != NULL) return engine->natives;
  Natives *self = memory_new(&engine->allocator, sizeof *self);
  if (self == NULL) {
    error_memory(error);
    return NULL;
  }
  self->engine = engine;
  self->allocator = &engine->allocator;
  map_init(&self->by_path, self->allocator);
  map_init(&self->symbols, self->allocator);
  pthread_mutexattr_t recursive;
  pthread_mutexattr_init(&recursive);
  pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&self->state_lock, &recursive);
  pthread_mutexattr_destroy(&recursive);
  if (open_parts(self, error) < 0) {
    natives_stop(self);
    natives_close(self);
    return NULL;
  }
  // The watcher thread looks at it from here on.
  pthread_mutex_lock(&engine->mutex);
  engine->natives = self;
  pthread_mutex_unlock(&engine->mutex);
  engine->registry->desc.natives = native_host(self);
  engine->registry->region = self->region;
  return self;
}

void natives_stop(Natives *self) {
  if (self == NULL) return;
  worker_close(self->worker);
  self->worker = NULL;
}

static void free_file(const GraftAllocator *allocator, NativeFile *file) {
  if (file == NULL) return;
  native_plan_free(allocator, file->waiting);
  memory_free(allocator, file->path);
  memory_free(allocator, file->absolute);
  memory_free(allocator, file->root);
  memory_free(allocator, file->module);
  memory_free(allocator, file->text);
  memory_free(allocator, file->checks);
  memory_free(allocator, file);
}

static void free_symbol(const GraftAllocator *allocator, NativeSymbol *symbol) {
  if (symbol == NULL) return;
  memory_free(allocator, symbol->key);
  memory_free(allocator, symbol);
}

void natives_finish(Natives *self) {
  for (size_t i = 0; self != NULL && i < self->files.count; i++) {
    NativeObject *object = self->files.items[i]->object;
    if (object != NULL) link_destruct(object->link);
  }
}

void natives_close(Natives *self) {
  if (self == NULL) return;
  const GraftAllocator *allocator = self->allocator;
  registry_free(self->hidden);
  guard_close(self->guard);
  while (self->objects != NULL) native_object_unload(self, self->objects);
  storage_free(self->storage);
  tls_free(self->tls);
  literal_pool_free(self->literals);
  region_close(self->region);
  for (size_t i = 0; i < self->files.count; i++) {
    free_file(allocator, self->files.items[i]);
  }
  for (size_t i = 0; i < self->symbol_list.count; i++) {
    free_symbol(allocator, self->symbol_list.items[i]);
  }
  for (size_t i = 0; i < self->headers.count; i++) {
    memory_free(allocator, self->headers.items[i]);
  }
  memory_free(allocator, self->headers.items);
  natives_clear_batches(self);
  memory_free(allocator, self->files.items);
  memory_free(allocator, self->symbol_list.items);
  map_clear(&self->by_path);
  map_clear(&self->symbols);
  pthread_mutex_destroy(&self->state_lock);
  memory_free(allocator, self);
}

// ---------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------

NativeFile *natives_find_file(Natives *self, const char *path) {
  pthread_mutex_lock(&self->engine->mutex);
  NativeFile *file = map_find(&self->by_path, path);
  pthread_mutex_unlock(&self->engine->mutex);
  return file;
}

// "physics" of "natives/physics.c" (R2).
static char *copy_module(const GraftAllocator *allocator, const char *path) {
  const char *slash = strrchr(path, '/');
  const char *start = slash != NULL ? slash + 1 : path;
  return memory_copy_string(allocator, start, strcspn(start, "."));
}

NativeFile *natives_add_file(Natives *self, const char *path,
                             const char *root) {
  NativeFile *file = natives_find_file(self, path);
  if (file != NULL) return file;
  const GraftAllocator *allocator = self->allocator;
  file = memory_new(allocator, sizeof *file);
  if (file == NULL) return NULL;
  file->path = memory_copy_string(allocator, path, strlen(path));
  file->root = memory_copy_string(allocator, root, strlen(root));
  file->module = copy_module(allocator, path);
  char absolute[PATH_MAX];
  if (realpath(path, absolute) != NULL) {
    file->absolute = memory_copy_string(allocator, absolute, strlen(absolute));
  }
  pthread_mutex_lock(&self->engine->mutex);
  NativeFile **place = NULL;
  if (file->path != NULL && file->root != NULL && file->module != NULL) {
    place = ARRAY_PUSH(allocator, &self->files);
  }
  if (place != NULL && !map_set(&self->by_path, file->path, file)) {
    self->files.count--;
    place = NULL;
  }
  if (place != NULL) *place = file;
  pthread_mutex_unlock(&self->engine->mutex);
  if (place != NULL) return file;
  free_file(allocator, file);
  return NULL;
}

// ---------------------------------------------------------------------------
// Symbols
// ---------------------------------------------------------------------------

NativeSymbol *natives_find_symbol(const Natives *self, const char *symbol) {
  return map_find(&self->symbols, symbol);
}

// What a function is known by: its symbol, that of a static one with its file.
static char *make_key(const Natives *self, const NativeFile *file,
                      const ObjectFunction *function) {
  size_t size = strlen(file->path) + strlen(function->name) + 2;
  char *key = memory_new(self->allocator, size);
  if (key == NULL) return NULL;
  if (function->global) {
    snprintf(key, size, "%s", function->name);
  } else {
    snprintf(key, size, "%s:%s", file->path, function->name);
  }
  return key;
}

NativeSymbol *natives_find_function(const Natives *self, const NativeFile *file,
                                    const ObjectFunction *function) {
  if (function->global) return map_find(&self->symbols, function->name);
  char *key = make_key(self, file, function);
  NativeSymbol *found = key != NULL ? map_find(&self->symbols, key) : NULL;
  memory_free(self->allocator, key);
  return found;
}

// Whether `physics_step` is one of physics.c's (R2).
static bool has_stem(const char *symbol, const char *stem) {
  size_t size = strlen(stem);
  return size > 0 && strncmp(symbol, stem, size) == 0 && symbol[size] == '_' &&
         symbol[size + 1] != '\0';
}

// The slot of a function: "physics.step", or else "physics:clamp" among the
// hidden ones, with the path where two files have one stem.
static GraftFn *add_slot(Natives *self, const NativeFile *file,
                         const ObjectFunction *function) {
  size_t size = strlen(file->path) + strlen(function->name) + 2;
  char *name = memory_new(self->allocator, size);
  if (name == NULL) return NULL;
  GraftFn *fn = NULL;
  if (function->global && has_stem(function->name, file->module)) {
    snprintf(name, size, "%s.%s", file->module,
             function->name + strlen(file->module) + 1);
    fn = registry_add(self->engine->registry, name);
  } else {
    snprintf(name, size, "%s:%s", file->module, function->name);
    if (registry_find(self->hidden, name) != NULL) {
      snprintf(name, size, "%s:%s", file->path, function->name);
    }
    fn = registry_add(self->hidden, name);
  }
  memory_free(self->allocator, name);
  return fn;
}

NativeSymbol *natives_add_symbol(Natives *self, NativeFile *file,
                                 const ObjectFunction *function) {
  NativeSymbol *symbol = natives_find_function(self, file, function);
  if (symbol != NULL) return symbol;
  symbol = memory_new(self->allocator, sizeof *symbol);
  if (symbol == NULL) return NULL;
  symbol->file = file;
  symbol->is_global = function->global;
  symbol->key = make_key(self, file, function);
  symbol->fn = add_slot(self, file, function);
  NativeSymbol **place = NULL;
  if (symbol->key != NULL && symbol->fn != NULL) {
    place = ARRAY_PUSH(self->allocator, &self->symbol_list);
  }
  if (place != NULL && map_set(&self->symbols, symbol->key, symbol)) {
    *place = symbol;
    symbol->fn->native = symbol;
    return symbol;
  }
  if (place != NULL) self->symbol_list.count--;
  free_symbol(self->allocator, symbol);
  return NULL;
}

const char *native_symbol_name(const NativeSymbol *self) {
  return self->fn->name;
}

// ---------------------------------------------------------------------------
// Objects
// ---------------------------------------------------------------------------

NativeProduct *native_product_retain(NativeProduct *self) {
  atomic_fetch_add(&self->count, 1);
  return self;
}

void native_product_release(NativeProduct *self) {
  if (self == NULL || atomic_fetch_sub(&self->count, 1) > 1) return;
  layout_clear(&self->layout);
  lines_free(self->lines);
  object_free(self->object);
  memory_free(self->allocator, self);
}

const LayoutFunction *native_product_function(const NativeProduct *self,
                                              const ObjectFunction *function) {
  for (size_t i = 0; i < self->layout.functions.count; i++) {
    const LayoutFunction *entry = &self->layout.functions.items[i];
    if (strcmp(entry->name, function->name) == 0) return entry;
  }
  return NULL;
}

const LayoutVariable *native_product_variable(const NativeProduct *self,
                                              const ObjectData *data) {
  for (size_t i = 0; i < self->layout.variables.count; i++) {
    const LayoutVariable *entry = &self->layout.variables.items[i];
    if (entry->has_address && entry->address == data->address) return entry;
  }
  return NULL;
}

void native_object_retain(NativeObject *self) {
  self->count++;
}

void native_object_release(Natives *self, NativeObject *object) {
  (void)self; // it is unloaded at a safe point, see engine_native_guard.c
  object->count--;
}

void natives_list_object(Natives *self, NativeObject *object) {
  object->next = self->objects;
  self->objects = object; // only now can a handler find it
}

enum { READERS_MS = 100 };

// Takes an object out of the list. False: a handler may be at it still, such
// as one that has crashed itself; it is never freed then.
static bool unlist(Natives *self, const NativeObject *object) {
  _Atomic(NativeObject *) *place = &self->objects;
  for (NativeObject *at; (at = *place) != NULL && at != object;) {
    place = &at->next;
  }
  if (*place != NULL) *place = object->next;
  uint64_t start = watch_now();
  while (atomic_load(&self->readers) > 0) {
    if (watch_now() - start > (uint64_t)READERS_MS * 1000000) return false;
    sched_yield();
  }
  return true;
}

void native_object_unload(Natives *self, NativeObject *object) {
  if (object == NULL) return;
  if (!unlist(self, object)) return;
  link_free(object->link);
  size_t count = object_data_count(object->product->object);
  for (size_t i = 0; object->storage != NULL && i < count; i++) {
    if (object->storage[i] == NULL) continue;
    storage_object_release(self->storage, object->storage[i]);
  }
  memory_free(self->allocator, object->storage);
  memory_free(self->allocator, object->lines);
  native_product_release(object->product);
  memory_free(self->allocator, object);
}
