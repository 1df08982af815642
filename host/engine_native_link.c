// SPDX-License-Identifier: MIT

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "engine_native.h"
#include "registry/signature.h"

// ---------------------------------------------------------------------------
// Signatures
// ---------------------------------------------------------------------------

const Signature *native_signature(const GraftFn *fn,
                                  const LayoutFunction *function,
                                  char why_not[SIGNATURE_WHY_NOT]) {
  Registry *registry = fn->registry;
  const GraftAllocator *allocator = registry->desc.allocator;
  if (function == NULL) {
    snprintf(why_not, SIGNATURE_WHY_NOT,
             "it was compiled without debug information");
    return NULL;
  }
  Signature *made = signature_of_type(allocator, function->type, why_not);
  if (made == NULL) return NULL;
  const Signature *kept = registry_signature(registry, made);
  signature_free(allocator, made);
  if (kept == NULL) snprintf(why_not, SIGNATURE_WHY_NOT, "out of memory");
  return kept;
}

// ---------------------------------------------------------------------------
// Variables
// ---------------------------------------------------------------------------

static StorageVariable describe(const NativeStep *step, const ObjectData *data,
                                const LayoutVariable *variable) {
  StorageVariable described = {.file = step->file->path,
                               .function = "",
                               .name = data->symbol,
                               .size = data->size,
                               .align = data->align,
                               .is_const = !data->writable};
  if (variable != NULL) {
    described.function = variable->function;
    described.name = variable->name;
    described.line = variable->line;
    described.type = variable->type;
    described.is_const = variable->is_const && !data->writable;
  }
  return described;
}

// A variable of the fast tier, which has no types: the one that is there.
static GraftStatus find_fast(NativeChange *self, NativeStep *step, size_t index,
                             GraftError *error) {
  const ObjectData *data = object_data(step->product->object, index);
  StorageObject *found =
      storage_find(self->natives->storage, step->file->path, "", data->name);
  StorageInfo info = {0};
  if (found != NULL) storage_object_info(found, &info);
  if (found != NULL && info.size == data->size) {
    step->storage[index] = found;
    return GRAFT_OK;
  }
  if (!data->writable) return GRAFT_OK;
  // A copy of its own would do for code that is not taken.
  return found == NULL && !data->global
             ? GRAFT_OK
             : error_set(error, GRAFT_ESIGNATURE,
                         "%s waits for the user's compiler", data->name);
}

static GraftStatus declare_one(NativeChange *self, NativeStep *step,
                               size_t index, GraftError *error) {
  const ObjectData *data = object_data(step->product->object, index);
  if (data->labels || data->thread_local_) return GRAFT_OK;
  if (step->partial) return find_fast(self, step, index, error);
  const LayoutVariable *variable = native_product_variable(step->product, data);
  // Constants that no source names, such as tables of switches.
  if (variable == NULL && !data->writable && !data->global) return GRAFT_OK;
  if (variable != NULL && variable->is_split) variable = NULL;
  StorageVariable described = describe(step, data, variable);
  const StorageObject *before =
      storage_find(self->natives->storage, described.file, described.function,
                   described.name);
  StorageObject **place = &step->storage[index];
  GraftStatus status =
      storage_change_declare(self->storage, &described, place, error);
  if (status < 0 || before == NULL || !native_change_moves(self, *place)) {
    return status;
  }
  StorageObject **moved = ARRAY_PUSH(self->natives->allocator, &self->moved);
  if (moved == NULL) return error_memory(error);
  *moved = *place;
  return GRAFT_OK;
}

bool native_change_moves(const NativeChange *self,
                         const StorageObject *object) {
  return storage_change_address(self->storage, object) !=
         storage_object_address(object);
}

// What the source has, and this compilation does not store.
static GraftStatus mention_rest(NativeChange *self, const NativeStep *step,
                                GraftError *error) {
  const Layout *layout = &step->product->layout;
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < layout->variables.count && status == GRAFT_OK; i++) {
    const LayoutVariable *variable = &layout->variables.items[i];
    if (variable->has_address || variable->is_thread_local) continue;
    StorageVariable mentioned = {.file = step->file->path,
                                 .function = variable->function,
                                 .name = variable->name,
                                 .line = variable->line,
                                 .type = variable->type,
                                 .is_const = variable->is_const};
    status = storage_change_mention(self->storage, &mentioned, error);
  }
  return status;
}

static GraftStatus declare(NativeChange *self, NativeStep *step,
                           GraftError *error) {
  Natives *natives = self->natives;
  TypeSet *types = step->product != NULL ? step->product->layout.types : NULL;
  GraftStatus status = GRAFT_OK;
  if (!step->partial) {
    status = storage_change_unit(self->storage, step->file->path, types, error);
  }
  if (status < 0 || step->product == NULL) return status;
  size_t count = object_data_count(step->product->object);
  step->storage =
      memory_new(natives->allocator, (count + 1) * sizeof *step->storage);
  if (step->storage == NULL) return error_memory(error);
  for (size_t i = 0; i < count && status == GRAFT_OK; i++) {
    status = declare_one(self, step, i, error);
  }
  if (status < 0 || step->partial) return status;
  return mention_rest(self, step, error);
}

// ---------------------------------------------------------------------------
// Functions
// ---------------------------------------------------------------------------

// Whether another file of the change, or one that stays, defines it too.
static GraftStatus check_single(NativeChange *self, const NativeStep *step,
                                const ObjectFunction *function,
                                GraftError *error) {
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *other = &self->steps.items[i];
    if (other == step || other->product == NULL) continue;
    int index = object_find_function(other->product->object, function->symbol);
    if (index < 0 ||
        !object_function(other->product->object, (size_t)index)->global) {
      continue;
    }
    return error_set(error, GRAFT_EARG, "%s is defined in %s too",
                     function->name, other->file->path);
  }
  const NativeSymbol *symbol =
      natives_find_symbol(self->natives, function->name);
  if (symbol == NULL || symbol->object == NULL || symbol->file == step->file) {
    return GRAFT_OK;
  }
  for (size_t i = 0; i < self->steps.count; i++) {
    if (self->steps.items[i].file == symbol->file) return GRAFT_OK;
  }
  // A file that was renamed is gone when its grace time is over.
  self->awaits_removal = access(symbol->file->path, F_OK) != 0;
  return error_set(error, GRAFT_EARG, "%s is defined in %s too", function->name,
                   symbol->file->path);
}

static GraftStatus open_symbol(NativeChange *self, NativeStep *step,
                               const ObjectFunction *function,
                               GraftError *error) {
  NativeSymbol *symbol =
      natives_add_symbol(self->natives, step->file, function);
  if (symbol == NULL) return error_memory(error);
  char why_not[SIGNATURE_WHY_NOT];
  const LayoutFunction *layout =
      native_product_function(step->product, function);
  const Signature *signature = native_signature(symbol->fn, layout, why_not);
  bool lua = signature != NULL && signature->lua;
  if (lua) signature = NULL;
  GraftStatus status = entry_open(symbol->fn, signature, error);
  if (status < 0 || symbol->guard != NULL) return status;
  symbol->guard = guard_fn_new(
      self->natives->guard,
      &(GuardFnDesc){.owner = symbol, .cell = symbol->fn->cell, .lua = lua});
  return symbol->guard != NULL ? GRAFT_OK : error_memory(error);
}

static GraftStatus open_symbols(NativeChange *self, NativeStep *step,
                                GraftError *error) {
  if (step->product == NULL) return GRAFT_OK;
  size_t count = object_function_count(step->product->object);
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < count && status == GRAFT_OK; i++) {
    const ObjectFunction *function = object_function(step->product->object, i);
    if (function->part) continue;
    if (function->global) status = check_single(self, step, function, error);
    if (status == GRAFT_OK) status = open_symbol(self, step, function, error);
    if (status == GRAFT_EARG) error_at(error, step->file->path, 0, 0);
  }
  return status;
}

// ---------------------------------------------------------------------------
// Linking
// ---------------------------------------------------------------------------

typedef struct Linking {
  NativeChange *change;
  NativeStep *step;
} Linking;

static void *find_entry(void *context, const ObjectFile *object, size_t index) {
  Linking *self = context;
  const ObjectFunction *function = object_function(object, index);
  NativeSymbol *symbol =
      natives_add_symbol(self->change->natives, self->step->file, function);
  if (symbol == NULL) return NULL;
  if (symbol->fn->cell == NULL &&
      entry_open(symbol->fn, NULL, NULL) != GRAFT_OK) {
    return NULL;
  }
  return (void *)(uintptr_t)symbol->fn->entry;
}

// Where a thread-local variable lies. False when out of memory or room.
static bool find_local(Natives *natives, const NativeStep *step, size_t index,
                       size_t *offset) {
  const ObjectData *data = object_data(step->product->object, index);
  const LayoutVariable *variable = native_product_variable(step->product, data);
  Buffer key;
  buffer_init(&key, natives->allocator);
  buffer_format(&key, "%s:%s:%s", step->file->path,
                variable != NULL ? variable->function : "",
                variable != NULL ? variable->name : data->symbol);
  if (variable != NULL) {
    buffer_format(&key, ":%llx", (unsigned long long)type_hash(variable->type));
  }
  bool added = !key.failed && tls_add(natives->tls, buffer_text(&key),
                                      data->size, data->align, offset);
  buffer_clear(&key);
  return added;
}

// Where a variable of a step will be; NULL: the link keeps it.
static void *address_of(const NativeChange *self, const NativeStep *step,
                        size_t index) {
  const StorageObject *object = step->storage[index];
  if (object == NULL) return NULL;
  // The fast tier declares none.
  return step->partial ? storage_object_address(object)
                       : storage_change_address(self->storage, object);
}

static bool find_storage(void *context, const ObjectFile *object, size_t index,
                         LinkStorage *storage) {
  Linking *self = context;
  if (object_data(object, index)->thread_local_) {
    return find_local(self->change->natives, self->step, index,
                      &storage->local);
  }
  storage->address = address_of(self->change, self->step, index);
  return true;
}

// A variable of another file, of the change or of one that stays.
static void *find_variable(const NativeChange *self, const char *name) {
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *step = &self->steps.items[i];
    if (step->product == NULL) continue;
    int index = object_find_data(step->product->object, name);
    if (index < 0 || step->storage[index] == NULL ||
        !object_data(step->product->object, (size_t)index)->global) {
      continue;
    }
    return address_of(self, step, (size_t)index);
  }
  for (NativeObject *object = self->natives->objects; object != NULL;
       object = object->next) {
    if (object->file->object != object) continue;
    int index = object_find_data(object->product->object, name);
    if (index < 0 || object->storage[index] == NULL ||
        !object_data(object->product->object, (size_t)index)->global) {
      continue;
    }
    return storage_object_address(object->storage[index]);
  }
  return NULL;
}

// Whether a function will be there after the change.
static bool stays(const NativeChange *self, const NativeSymbol *symbol) {
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *step = &self->steps.items[i];
    if (step->product != NULL &&
        object_find_function(step->product->object, symbol->key) >= 0) {
      return true;
    }
  }
  if (symbol->object == NULL) return false;
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *step = &self->steps.items[i];
    if (step->file == symbol->file && !step->partial) return false;
  }
  return true;
}

// The slot that C means by a name that no native defines: `ai_goblin_think`
// is `ai.goblin.think`, a script's or the host's. Its C type is that which the
// file declares.
static void *find_slot(Linking *self, const char *name) {
  Natives *natives = self->change->natives;
  const ObjectFunction wanted = {.name = name};
  char *dotted = memory_copy_string(natives->allocator, name, strlen(name));
  GraftFn *found = NULL;
  for (char *at = dotted; at != NULL && *at != '\0' && found == NULL; at++) {
    if (*at != '_' || at == dotted || at[1] == '\0') continue;
    *at = '.';
    GraftFn *fn = registry_find(natives->engine->registry, dotted);
    if (fn != NULL && fn->active != NULL) found = fn;
  }
  memory_free(natives->allocator, dotted);
  if (found == NULL) return NULL;
  char why_not[SIGNATURE_WHY_NOT];
  const Signature *signature = native_signature(
      found, native_product_function(self->step->product, &wanted), why_not);
  if (found->cell == NULL && entry_open(found, signature, NULL) < 0) {
    return NULL;
  }
  return (void *)(uintptr_t)found->entry;
}

static void *find_external(void *context, const ObjectUndefined *symbol) {
  Linking *self = context;
  const NativeSymbol *found =
      natives_find_symbol(self->change->natives, symbol->name);
  if (found != NULL && stays(self->change, found)) {
    return (void *)(uintptr_t)found->fn->entry;
  }
  void *address = find_variable(self->change, symbol->name);
  if (address == NULL) {
    address = natives_find_api(self->change->natives, symbol->name);
  }
  return address != NULL ? address : find_slot(self, symbol->name);
}

// Without memory a variable that is there already keeps what it began with.
void native_step_give_locals(Natives *natives, const NativeStep *step,
                             bool all) {
  const ObjectFile *object = step->product->object;
  for (size_t i = 0; i < object_data_count(object); i++) {
    const ObjectData *data = object_data(object, i);
    size_t offset;
    if (!data->thread_local_ || !find_local(natives, step, i, &offset) ||
        !(all || tls_is_new(natives->tls, offset))) {
      continue;
    }
    tls_set_image(natives->tls, offset, link_contents(step->object->link, i),
                  data->size);
  }
}

static GraftStatus give_images(NativeChange *self, NativeStep *step,
                               GraftError *error) {
  const ObjectFile *object = step->product->object;
  native_step_give_locals(self->natives, step, false);
  for (size_t i = 0; i < object_data_count(object); i++) {
    const void *contents = link_contents(step->object->link, i);
    if (step->storage[i] == NULL || contents == NULL) continue;
    GraftStatus status =
        storage_change_image(self->storage, step->storage[i], contents,
                             object_data(object, i)->size, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// The shared libraries that a file names, as `engine bind` writes it:
//   static const char graft_library[] = "libz.so.1";
// They stay, as those that the program was linked with.
static GraftStatus load_libraries(const NativeStep *step, GraftError *error) {
  const ObjectFile *object = step->product->object;
  for (size_t i = 0; i < object_data_count(object); i++) {
    const ObjectData *data = object_data(object, i);
    if (strcmp(data->name, "graft_library") != 0 || data->image == NULL ||
        memchr(data->image, '\0', data->size) == NULL) {
      continue;
    }
    // cppcheck-suppress leakReturnValNotUsed // it stays
    if (dlopen(data->image, RTLD_NOW | RTLD_GLOBAL) != NULL) continue;
    error_set(error, GRAFT_EIO, "cannot load its library: %s", dlerror());
    return error_at(error, step->file->path, 0, 0);
  }
  return GRAFT_OK;
}

static GraftStatus place(NativeChange *self, NativeStep *step,
                         GraftError *error) {
  GraftStatus loaded = load_libraries(step, error);
  if (loaded < 0) return loaded;
  Natives *natives = self->natives;
  NativeObject *object = memory_new(natives->allocator, sizeof *object);
  if (object == NULL) return error_memory(error);
  Linking linking = {self, step};
  LinkHost host = {.context = &linking,
                   .entry = find_entry,
                   .storage = find_storage,
                   .external = find_external};
  GraftStatus status = link_new(&(LinkDesc){.allocator = natives->allocator,
                                            .region = natives->region,
                                            .literals = natives->literals,
                                            .tls = natives->tls,
                                            .host = &host,
                                            .object = step->product->object,
                                            .lines = step->product->lines},
                                &object->link, error);
  if (status < 0) {
    memory_free(natives->allocator, object);
    if (error->file[0] == '\0') error_at(error, step->file->path, 0, 0);
    return status;
  }
  step->object = object;
  object->file = step->file;
  object->product = native_product_retain(step->product);
  object->tier = step->partial ? WORKER_FAST : WORKER_OPTIMISED;
  return step->partial ? GRAFT_OK : give_images(self, step, error);
}

static MigrateFunction find_migration(void *context, const char *file,
                                      const Type *type);

GraftStatus native_change_link(NativeChange *self, GraftError *error) {
  self->storage = storage_change_new(
      self->natives->storage,
      &(StorageChangeDesc){.find_migration = find_migration, .context = self});
  if (self->storage == NULL) return error_memory(error);
  tls_discard(self->natives->tls); // of a change that failed
  GraftStatus status = GRAFT_OK;
  // Migration functions are among them, which declaring asks for.
  for (size_t i = 0; i < self->steps.count && status == GRAFT_OK; i++) {
    status = open_symbols(self, &self->steps.items[i], error);
  }
  for (size_t i = 0; i < self->steps.count && status == GRAFT_OK; i++) {
    status = declare(self, &self->steps.items[i], error);
    if (status < 0 && error->file[0] == '\0') {
      error_at(error, self->steps.items[i].file->path, 0, 0);
    }
  }
  for (size_t i = 0; i < self->steps.count && status == GRAFT_OK; i++) {
    NativeStep *step = &self->steps.items[i];
    if (step->product != NULL) status = place(self, step, error);
  }
  return status;
}

// ---------------------------------------------------------------------------
// Migration functions
// ---------------------------------------------------------------------------

// Storage calls it through its entry while everybody else waits: this thread
// gets to the new code. `physics_migrate_body` for struct Body of physics.c:
// the type's name as it is, or in small letters with `_` between its words.
static bool names_type(const char *text, const char *type) {
  bool same = strcmp(text, type) == 0;
  const char *at = type;
  for (; *at != '\0'; at++) {
    bool upper = *at >= 'A' && *at <= 'Z';
    bool inside = at != type && at[-1] >= 'a' && at[-1] <= 'z';
    if (upper && inside && *text == '_') text++;
    if (*text != (upper ? *at - 'A' + 'a' : *at)) return same;
    text++;
  }
  return same || *text == '\0';
}

static MigrateFunction find_migration(void *context, const char *file,
                                      const Type *type) {
  const NativeChange *self = context;
  const char *name = *type->alias != '\0' ? type->alias : type->name;
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *step = &self->steps.items[i];
    if (step->product == NULL ||
        (*file != '\0' && strcmp(step->file->path, file) != 0)) {
      continue;
    }
    size_t stem = strlen(step->file->module);
    const ObjectFile *object = step->product->object;
    for (size_t k = 0; k < object_function_count(object); k++) {
      const char *symbol = object_function(object, k)->symbol;
      if (strncmp(symbol, step->file->module, stem) != 0 ||
          strncmp(symbol + stem, "_migrate_", 9) != 0 ||
          (!names_type(symbol + stem + 9, name) &&
           !names_type(symbol + stem + 9, type->name))) {
        continue;
      }
      const NativeSymbol *found = natives_find_function(
          self->natives, step->file, object_function(object, k));
      return found != NULL ? (MigrateFunction)(uintptr_t)found->fn->entry
                           : NULL;
    }
  }
  return NULL;
}
