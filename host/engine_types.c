// SPDX-License-Identifier: MIT

#include "engine_types.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "engine_native.h"

// ---------------------------------------------------------------------------
// What there is
// ---------------------------------------------------------------------------

typedef struct Gathering {
  const Types *types;
  TypesEntries entries;
  TypesStructs structs;
  TypesModules scripts;
  bool failed; // out of memory
} Gathering;

static bool is_loaded(const EngineFile *file) {
  return file->script != NULL && file->unit != NULL;
}

static void add_entry(Gathering *self, const TypesEntry *entry) {
  TypesEntry *place = ARRAY_PUSH(self->types->allocator, &self->entries);
  if (place != NULL) *place = *entry;
  self->failed |= place == NULL;
}

// What a script shows.
static void add_unit(Gathering *self, const char *module,
                     const GraftUnit *unit) {
  TypesModule *script = ARRAY_PUSH(self->types->allocator, &self->scripts);
  if (script != NULL) *script = (TypesModule){module, unit};
  self->failed |= script == NULL;
  for (size_t i = 0; i < unit->kept_functions.count; i++) {
    UnitRef ref = unit->kept_functions.items[i];
    const Definition *definition = &ref.origin->definitions[ref.index];
    if (definition->shown == SHOWN_NOT) continue;
    add_entry(self, &(TypesEntry){.module = module,
                                  .module_size = strlen(module),
                                  .path = definition->shown_path,
                                  .unit = ref.origin,
                                  .is = definition});
  }
}

static const Type *type_of_symbol(const NativeSymbol *symbol) {
  if (symbol->object == NULL || symbol->function == NULL) return NULL;
  const LayoutFunction *function =
      native_product_function(symbol->object->product, symbol->function);
  return function != NULL ? function->type : NULL;
}

static const Type *type_of_library(const GraftEngine *engine,
                                   GraftNative code) {
  for (size_t i = 0; i < engine->libraries.count; i++) {
    const Library *library = engine->libraries.items[i];
    for (size_t k = 0; k < library_count(library); k++) {
      const LibraryEntry *entry = library_entry(library, k);
      if (entry->code == code) return entry->type;
    }
  }
  return NULL;
}

static const Type *type_of_native(const GraftEngine *engine, const GraftFn *fn,
                                  const Backing *backing) {
  bool compiled_here = backing->layer == LAYER_NATIVE && fn->native != NULL;
  if (compiled_here) return type_of_symbol(fn->native);
  return type_of_library(engine, backing->code);
}

static void add_natives(Gathering *self) {
  const GraftEngine *engine = self->types->engine;
  for (size_t i = 0; i < engine->native_slots.count; i++) {
    const GraftFn *fn = engine->native_slots.items[i];
    const Backing *backing = slot_highest_native(fn);
    const char *dot = strrchr(fn->name, '.');
    if (backing == NULL || dot == NULL) continue;
    add_entry(self, &(TypesEntry){.module = fn->name,
                                  .module_size = (size_t)(dot - fn->name),
                                  .path = dot + 1,
                                  .fn = fn,
                                  .backing = backing,
                                  .type = type_of_native(engine, fn, backing)});
  }
}

static int compare_entries(const void *left, const void *right) {
  const TypesEntry *a = left;
  const TypesEntry *b = right;
  size_t size =
      a->module_size < b->module_size ? a->module_size : b->module_size;
  int order = memcmp(a->module, b->module, size);
  if (order == 0) {
    order =
        (a->module_size > b->module_size) - (a->module_size < b->module_size);
  }
  if (order == 0) order = strcmp(a->path, b->path);
  // A script's before the native that it overrides.
  return order != 0 ? order : (a->unit == NULL) - (b->unit == NULL);
}

static bool is_same_name(const TypesEntry *a, const TypesEntry *b) {
  return a->module_size == b->module_size &&
         memcmp(a->module, b->module, a->module_size) == 0 &&
         strcmp(a->path, b->path) == 0;
}

// One entry a name: a script's knows the native below it.
static void join_entries(TypesEntries *entries) {
  size_t kept = 0;
  for (size_t i = 0; i < entries->count; i++) {
    TypesEntry entry = entries->items[i];
    TypesEntry *last = kept > 0 ? &entries->items[kept - 1] : NULL;
    if (last == NULL || !is_same_name(last, &entry)) {
      entries->items[kept++] = entry;
      continue;
    }
    if (entry.backing == NULL) continue;
    last->fn = entry.fn;
    last->backing = entry.backing;
    last->type = entry.type;
    // A native that was chosen by hand.
    if (entry.fn->state.pin != GRAFT_PIN_AUTO &&
        entry.fn->active == entry.backing) {
      last->unit = NULL;
      last->is = NULL;
    }
  }
  entries->count = kept;
}

static void add_types(Gathering *self, const TypeSet *set) {
  for (size_t i = 0; set != NULL && i < type_set_count(set); i++) {
    const Type *type = type_set_at(set, i);
    if (*type_name(type) == '\0') continue;
    if (!types_is_class(type) && type->kind != KIND_ENUM) continue;
    const Type **place = ARRAY_PUSH(self->types->allocator, &self->structs);
    if (place != NULL) *place = type;
    self->failed |= place == NULL;
  }
}

// Complete ones first, then by what the result does not depend on.
static int compare_types(const void *left, const void *right) {
  const Type *a = *(const Type *const *)left;
  const Type *b = *(const Type *const *)right;
  int order = strcmp(type_name(a), type_name(b));
  if (order == 0) order = a->is_incomplete - b->is_incomplete;
  if (order == 0) order = strcmp(a->file, b->file);
  return order != 0 ? order : a->line - b->line;
}

static void add_structs(Gathering *self) {
  const GraftEngine *engine = self->types->engine;
  const Natives *natives = engine->natives;
  for (size_t i = 0; natives != NULL && i < natives->files.count; i++) {
    const NativeObject *object = natives->files.items[i]->object;
    if (object != NULL) add_types(self, object->product->layout.types);
  }
  for (size_t i = 0; i < engine->libraries.count; i++) {
    add_types(self, library_types(engine->libraries.items[i]));
  }
  TypesStructs *all = &self->structs;
  if (all->count == 0) return;
  qsort(all->items, all->count, sizeof *all->items, compare_types);
  size_t kept = 1;
  for (size_t i = 1; i < all->count; i++) {
    const char *last = type_name(all->items[kept - 1]);
    if (strcmp(last, type_name(all->items[i])) != 0) {
      all->items[kept++] = all->items[i];
    }
  }
  all->count = kept;
}

static void gather(Gathering *self) {
  const Types *types = self->types;
  const GraftEngine *engine = types->engine;
  for (size_t i = 0; i < engine->file_list.count; i++) {
    const EngineFile *file = engine->file_list.items[i];
    if (is_loaded(file)) add_unit(self, file->module, file->unit);
  }
  for (size_t i = 0; i < types->scripts.count; i++) {
    const TypesScript *script = &types->scripts.items[i];
    const EngineFile *file = map_find(&engine->files, script->path);
    bool loaded = file != NULL && file->script != NULL;
    if (!loaded && script->unit != NULL) {
      add_unit(self, script->module, script->unit);
    }
  }
  add_natives(self);
  if (self->entries.count > 0) {
    qsort(self->entries.items, self->entries.count, sizeof *self->entries.items,
          compare_entries);
  }
  join_entries(&self->entries);
  add_structs(self);
}

static void clear_gathering(Gathering *self) {
  memory_free(self->types->allocator, self->entries.items);
  memory_free(self->types->allocator, self->structs.items);
  memory_free(self->types->allocator, self->scripts.items);
}

// ---------------------------------------------------------------------------
// Writing
// ---------------------------------------------------------------------------

static bool is_same_module(const TypesEntry *a, const TypesEntry *b) {
  return a->module_size == b->module_size &&
         memcmp(a->module, b->module, a->module_size) == 0;
}

static GraftStatus write_text(Types *self, const char *path, Buffer *text,
                              GraftError *error) {
  GraftStatus status = text->failed ? error_memory(error)
                                    : types_write_file(self, path, text, error);
  buffer_clear(text);
  return status;
}

static GraftStatus write_modules(Types *self, const TypesText *all,
                                 GraftError *error) {
  const TypesEntries *entries = all->entries;
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0, end = 0; i < entries->count && status == GRAFT_OK;
       i = end) {
    const TypesEntry *first = &entries->items[i];
    for (end = i + 1; end < entries->count; end++) {
      if (!is_same_module(first, &entries->items[end])) break;
    }
    Buffer path;
    Buffer text;
    buffer_init(&path, self->allocator);
    buffer_init(&text, self->allocator);
    types_path_of(first->module, first->module_size, &path);
    types_write_module(all, &text, i, end);
    text.failed |= path.failed;
    status = write_text(self, buffer_text(&path), &text, error);
    buffer_clear(&path);
  }
  return status;
}

// Files of broken scripts stay, as their functions would.
static void keep_broken(Types *self) {
  for (size_t i = 0; i < self->scripts.count; i++) {
    const TypesScript *script = &self->scripts.items[i];
    if (script->unit != NULL) continue;
    Buffer path;
    buffer_init(&path, self->allocator);
    types_path_of(script->module, strlen(script->module), &path);
    types_keep_file(self, buffer_text(&path));
    buffer_clear(&path);
  }
}

static GraftStatus write_common(Types *self, const TypesText *all,
                                GraftError *error) {
  Buffer text;
  buffer_init(&text, self->allocator);
  buffer_add_text(&text, types_of_graft);
  GraftStatus status = write_text(self, "graft.lua", &text, error);
  if (status < 0) return status;
  types_write_names(all, &text);
  status = write_text(self, "graft-names.lua", &text, error);
  if (status < 0) return status;
  types_write_structs(all, &text);
  return write_text(self, "graft-structs.lua", &text, error);
}

static GraftStatus write_all(Types *self, GraftError *error) {
  Gathering found = {.types = self};
  gather(&found);
  TypesText all = {&found.entries, &found.structs, &found.scripts};
  for (size_t i = 0; i < self->files.count; i++) {
    self->files.items[i]->needed = false;
  }
  GraftStatus status =
      found.failed ? error_memory(error) : write_common(self, &all, error);
  if (status == GRAFT_OK) status = write_modules(self, &all, error);
  if (status == GRAFT_OK) {
    keep_broken(self);
    types_remove_rest(self);
  }
  clear_gathering(&found);
  return status;
}

static GraftStatus write_types(Types *self, GraftError *error) {
  GraftStatus status = types_check_folder(self, error);
  if (status == GRAFT_OK && !self->has_scanned) {
    status = types_scan_folder(self, error);
    if (status == GRAFT_OK) status = types_read_scripts(self, error);
    self->has_scanned = status == GRAFT_OK;
  }
  return status < 0 ? status : write_all(self, error);
}

// ---------------------------------------------------------------------------
// When
// ---------------------------------------------------------------------------

void types_note(Types *self, const GraftEvent *event) {
  switch (event->kind) {
  case GRAFT_EVENT_WATCH:
    self->dirty |= *event->message == '\0'; // a script was loaded
    break;
  case GRAFT_EVENT_ADD:
  case GRAFT_EVENT_UPDATE:
  case GRAFT_EVENT_MOVE:
  case GRAFT_EVENT_DELETE:
  case GRAFT_EVENT_SWAP:
  case GRAFT_EVENT_REVERT:
  case GRAFT_EVENT_PATCH:
    self->dirty = true;
    break;
  default:
    break;
  }
}

void engine_refresh_types(GraftEngine *engine) {
  Types *self = engine->types;
  if (self == NULL || !self->dirty || engine_is_busy(engine)) return;
  self->dirty = false;
  GraftError error;
  if (write_types(self, &error) == GRAFT_OK) {
    self->shown = (GraftError){.status = GRAFT_OK};
    return;
  }
  // It is tried again after the next change.
  if (strcmp(self->shown.message, error.message) == 0) return;
  self->shown = error;
  engine_emit_error(self->engine, &error);
}

static Types *types_new(GraftEngine *engine, const char *folder) {
  Types *self = memory_new(&engine->allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->engine = engine;
  self->allocator = &engine->allocator;
  map_init(&self->by_path, self->allocator);
  size_t size = strlen(folder);
  while (size > 1 && folder[size - 1] == '/') size--;
  self->folder = memory_copy_string(self->allocator, folder, size);
  if (self->folder != NULL) return self;
  types_free(self);
  return NULL;
}

void types_free(Types *self) {
  if (self == NULL) return;
  types_clear_files(self);
  memory_free(self->allocator, self->folder);
  memory_free(self->allocator, self);
}

GraftStatus graft_engine_types(GraftEngine *engine, const char *folder,
                               bool keep, GraftError *error) {
  GraftError local;
  if (error == NULL) error = &local;
  *error = (GraftError){.status = GRAFT_OK};
  if (folder == NULL || *folder == '\0') {
    return error_set(error, GRAFT_EARG, "no folder was named for the types");
  }
  if (engine_is_busy(engine)) {
    return error_set(error, GRAFT_ERUN, "a transaction is under way");
  }
  Types *self = types_new(engine, folder);
  if (self == NULL) return error_memory(error);
  self->keep = keep;
  GraftStatus status = write_types(self, error);
  if (status < 0 || !keep) {
    types_free(self);
    return status;
  }
  types_free(engine->types);
  engine->types = self;
  return GRAFT_OK;
}
