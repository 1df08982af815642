// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine_native.h"

// Who still relies on a function's former C type (N3). At most so many are
// named; the count is told.
enum { CALLERS_NAMED = 4 };

typedef struct Callers {
  NativeChange *change;
  const NativeSymbol *symbol;
  const LayoutFunction *function; // as it is to be
  Buffer text;                    // their names
  int count;
} Callers;

static const NativeStep *step_of(const NativeChange *self,
                                 const NativeFile *file) {
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *step = &self->steps.items[i];
    if (step->file == file && !step->partial) return step;
  }
  return NULL;
}

static void add_caller(Callers *self, const char *what, const char *file,
                       int line) {
  if (++self->count > CALLERS_NAMED) return;
  if (self->count > 1) buffer_add_text(&self->text, ", ");
  buffer_add_text(&self->text, what);
  if (file != NULL) buffer_format(&self->text, " in %s", file);
  if (file != NULL && line > 0) buffer_format(&self->text, ":%d", line);
}

// What a caller's compiler thought of the function; NULL: not known.
static const Type *declared_type(const NativeObject *caller, const char *name) {
  const ObjectFunction wanted = {.name = name};
  const LayoutFunction *declared =
      native_product_function(caller->product, &wanted);
  return declared != NULL ? declared->type : NULL;
}

static bool refers_to(const ObjectFunction *function, const char *name) {
  for (size_t i = 0; i < function->references.count; i++) {
    if (strcmp(function->references.items[i].name, name) == 0) return true;
  }
  return false;
}

// The functions of a file that stays as it is.
static void add_object(Callers *self, const NativeObject *caller) {
  const char *name = self->symbol->key;
  const Type *declared = declared_type(caller, name);
  if (declared != NULL && type_same_deep(self->change->natives->allocator,
                                         declared, self->function->type)) {
    return;
  }
  const ObjectFile *object = caller->product->object;
  for (size_t i = 0; i < object_function_count(object); i++) {
    const ObjectFunction *function = object_function(object, i);
    if (function->part || !refers_to(function, name)) continue;
    const LayoutFunction *layout =
        native_product_function(caller->product, function);
    add_caller(self, function->name, caller->file->path,
               layout != NULL ? layout->line : 0);
  }
}

static void add_objects(Callers *self) {
  if (!self->symbol->is_global) return;
  Natives *natives = self->change->natives;
  for (size_t i = 0; i < natives->files.count; i++) {
    const NativeFile *file = natives->files.items[i];
    if (file->object == NULL || step_of(self->change, file) != NULL) continue;
    add_object(self, file->object);
  }
}

// The type that a pointer in state will have after the change.
static const Type *type_to_be(const NativeChange *self,
                              const StoragePointer *pointer) {
  StorageInfo info;
  storage_object_info(pointer->object, &info);
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *step = &self->steps.items[i];
    if (step->product == NULL || strcmp(step->file->path, info.file) != 0) {
      continue;
    }
    const Layout *layout = &step->product->layout;
    for (size_t k = 0; k < layout->variables.count; k++) {
      const LayoutVariable *variable = &layout->variables.items[k];
      if (strcmp(variable->name, info.name) != 0 ||
          strcmp(variable->function, info.function) != 0) {
        continue;
      }
      // A pointer by itself, or all alike in an array; what is deeper inside
      // keeps its type unless the whole has another.
      const Type *type = variable->type;
      while (type->kind == KIND_ARRAY) type = type->target;
      if (type->kind == KIND_POINTER) return type;
    }
  }
  return pointer->type;
}

static bool add_pointer(void *context, const StoragePointer *pointer) {
  Callers *self = context;
  const void *entry = (const void *)(uintptr_t)self->symbol->fn->entry;
  if (*pointer->place != entry) return true;
  const Type *type = type_to_be(self->change, pointer);
  if (type->target == NULL || type->target->kind != KIND_FUNCTION ||
      type_same_deep(self->change->natives->allocator, type->target,
                     self->function->type)) {
    return true;
  }
  Buffer path;
  buffer_init(&path, self->change->natives->allocator);
  storage_write_path(&path, pointer);
  add_caller(self, buffer_text(&path), NULL, 0);
  buffer_clear(&path);
  return true;
}

static const char *signature_text(Buffer *buffer, const Type *type,
                                  const char *name) {
  buffer_init(buffer, buffer->allocator);
  type_write(buffer, type, name);
  return buffer_text(buffer);
}

static GraftStatus refuse(Callers *self, const Type *before,
                          GraftError *error) {
  const GraftAllocator *allocator = self->change->natives->allocator;
  Buffer old = {.allocator = allocator};
  Buffer now = {.allocator = allocator};
  const char *name = self->symbol->key;
  if (self->count > CALLERS_NAMED) {
    buffer_format(&self->text, " and %d more", self->count - CALLERS_NAMED);
  }
  signature_text(&old, before, name);
  signature_text(&now, self->function->type, name);
  GraftStatus status =
      error_set(error, GRAFT_ESIGNATURE,
                "%s is now %s, but was %s for %s; change them in the same save",
                native_symbol_name(self->symbol), buffer_text(&now),
                buffer_text(&old), buffer_text(&self->text));
  error_at(error, self->function->file != NULL ? self->symbol->file->path : "",
           self->function->line, 0);
  buffer_clear(&old);
  buffer_clear(&now);
  return status;
}

static bool is_held_otherwise(const NativeSymbol *symbol,
                              const LayoutFunction *function) {
  if (!symbol->fn->held) return false;
  char why_not[SIGNATURE_WHY_NOT];
  return !signature_equal(native_signature(symbol->fn, function, why_not),
                          symbol->fn->typed);
}

static GraftStatus check_function(NativeChange *self, const NativeStep *step,
                                  const ObjectFunction *function,
                                  GraftError *error) {
  const NativeSymbol *symbol =
      natives_find_function(self->natives, step->file, function);
  if (symbol == NULL || symbol->object == NULL || function->part) {
    return GRAFT_OK;
  }
  const LayoutFunction *now = native_product_function(step->product, function);
  const NativeObject *typed =
      symbol->object->tier == WORKER_FAST && symbol->file->object != NULL
          ? symbol->file->object
          : symbol->object;
  const LayoutFunction *before =
      native_product_function(typed->product, function);
  if (now == NULL || before == NULL || now->type == NULL ||
      before->type == NULL) {
    return GRAFT_OK;
  }
  if (type_same_deep(self->natives->allocator, before->type, now->type)) {
    return GRAFT_OK;
  }
  Callers callers = {.change = self, .symbol = symbol, .function = now};
  buffer_init(&callers.text, self->natives->allocator);
  add_objects(&callers);
  storage_walk_pointers(self->natives->storage, add_pointer, &callers);
  if (is_held_otherwise(symbol, now)) {
    add_caller(&callers, "the host's typed handles", NULL, 0);
  }
  GraftStatus status =
      callers.count > 0 ? refuse(&callers, before->type, error) : GRAFT_OK;
  buffer_clear(&callers.text);
  return status;
}

// Whether an object needs a variable of another file.
static bool needs(const NativeObject *object, const char *name) {
  for (size_t i = 0; i < object_undefined_count(object->product->object); i++) {
    const ObjectUndefined *undefined =
        object_undefined(object->product->object, i);
    if (strcmp(undefined->name, name) == 0) return true;
  }
  return false;
}

// A file that stays must not know a variable by its former layout.
static GraftStatus check_variable(const NativeChange *self,
                                  const NativeStep *step, size_t index,
                                  GraftError *error) {
  const ObjectData *data = object_data(step->product->object, index);
  if (!data->global || step->storage[index] == NULL) return GRAFT_OK;
  if (!native_change_moves(self, step->storage[index])) return GRAFT_OK;
  const StorageObject *before =
      storage_find(self->natives->storage, step->file->path, "", data->name);
  if (before == NULL) return GRAFT_OK;
  for (size_t i = 0; i < self->natives->files.count; i++) {
    const NativeFile *file = self->natives->files.items[i];
    if (file->object == NULL || step_of(self, file) != NULL ||
        !needs(file->object, data->name)) {
      continue;
    }
    error_set(error, GRAFT_ESIGNATURE,
              "%s has another layout now, and %s uses it with the old one; "
              "change them in the same save",
              data->name, file->path);
    return error_at(error, step->file->path, 0, 0);
  }
  return GRAFT_OK;
}

static GraftStatus check_step(NativeChange *self, const NativeStep *step,
                              GraftError *error) {
  const ObjectFile *object = step->product->object;
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < object_function_count(object); i++) {
    status = check_function(self, step, object_function(object, i), error);
    if (status < 0) return status;
  }
  for (size_t i = 0; self->moved.count > 0 && i < object_data_count(object);
       i++) {
    status = check_variable(self, step, i, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

GraftStatus native_change_check(NativeChange *self, GraftError *error) {
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *step = &self->steps.items[i];
    if (step->product == NULL || step->partial) continue;
    GraftStatus status = check_step(self, step, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}
