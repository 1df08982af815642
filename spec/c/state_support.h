// SPDX-License-Identifier: MIT
//
// State support: C text compiled to an object, as if a user had saved it. Its
// types are read from DWARF; its variables' initial bytes are taken from the
// loaded object, and what points to its own variables there is made to point
// to their storage, as the linker does. COMPILER is the compiler, FOLDER where
// objects go.

#ifndef GRAFT_SPEC_STATE_SUPPORT_H
#define GRAFT_SPEC_STATE_SUPPORT_H

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include "check.h"
#include "native/dwarf_layout.h"
#include "state/heap.h"
#include "state/storage.h"

typedef struct Unit {
  Layout layout;
  void *handle;
  char *base; // where it is loaded
} Unit;

static char *read_whole(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*size);
  if (fread(bytes, 1, *size, file) != *size) *size = 0;
  fclose(file);
  return bytes;
}

static void stop(const char *why, const char *what) {
  printf("FAIL %s: %s\n", why, what);
  exit(1);
}

static Unit unit_compile_with(const char *flags, const char *text) {
  static int count;
  char path[300], source[310], command[1200];
  snprintf(path, sizeof path, "%s/state-%d-%d.so", FOLDER, (int)getpid(),
           ++count);
  snprintf(source, sizeof source, "%s.c", path);
  FILE *file = fopen(source, "w");
  if (file == NULL) stop("cannot write", source);
  fputs("#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n",
        file);
  fputs(text, file);
  fclose(file);
  snprintf(command, sizeof command, "%s -w %s -g -shared -fPIC -o '%s' '%s'",
           COMPILER, flags, path, source);
  if (system(command) != 0) stop("cannot compile", text);
  Unit unit = {0};
  GraftError error;
  size_t size = 0;
  char *image = read_whole(path, &size);
  if (layout_read(&memory_default, image, size, path, &unit.layout, &error) <
      0) {
    stop("cannot read", error.message);
  }
  free(image);
  unit.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (unit.handle == NULL) stop("cannot load", dlerror());
  struct link_map *map;
  dlinfo(unit.handle, RTLD_DI_LINKMAP, &map);
  unit.base = (char *)map->l_addr;
  unlink(path);
  unlink(source);
  return unit;
}

static inline Unit unit_compile(const char *text) {
  return unit_compile_with("-O0", text);
}

static inline void unit_clear(Unit *unit) {
  layout_clear(&unit->layout);
  dlclose(unit->handle);
}

// --- Changes -----------------------------------------------------------------

typedef struct Linked {
  StorageChange *change;
  const Unit *unit;
  StorageObject *objects[64];
} Linked;

static inline void relocate_pointer(const Linked *linked, char **value) {
  const Layout *layout = &linked->unit->layout;
  for (size_t i = 0; i < layout->variables.count; i++) {
    const LayoutVariable *variable = &layout->variables.items[i];
    char *start = linked->unit->base + variable->address;
    if (!variable->has_address || *value < start ||
        *value >= start + variable->type->size) {
      continue;
    }
    *value =
        (char *)storage_change_address(linked->change, linked->objects[i]) +
        (*value - start);
    return;
  }
}

// What points to a variable of the loaded object points to its storage.
static inline void relocate(const Linked *linked, const Type *type,
                            char *bytes) {
  if (type->kind == KIND_POINTER) {
    char *value;
    memcpy(&value, bytes, sizeof value);
    relocate_pointer(linked, &value);
    memcpy(bytes, &value, sizeof value);
  } else if (type->kind == KIND_ARRAY) {
    for (size_t i = 0; i < type->count; i++) {
      relocate(linked, type->target, bytes + i * type->target->size);
    }
  } else if (type->kind == KIND_STRUCT) {
    for (size_t i = 0; i < type->member_count; i++) {
      relocate(linked, type->members[i].type, bytes + type->members[i].offset);
    }
  }
}

static inline StorageVariable variable_of(const char *file,
                                          const LayoutVariable *variable) {
  return (StorageVariable){
      .file = file,
      .function = variable->function,
      .name = variable->name,
      .line = variable->line,
      .type = variable->type,
      .size = variable->type->size,
      .align = variable->type->align,
      .is_const = variable->is_const,
  };
}

static inline GraftStatus declare_all(Linked *linked, const char *file,
                                      GraftError *error) {
  const Layout *layout = &linked->unit->layout;
  for (size_t i = 0; i < layout->variables.count; i++) {
    const LayoutVariable *variable = &layout->variables.items[i];
    StorageVariable desc = variable_of(file, variable);
    GraftStatus status =
        variable->has_address
            ? storage_change_declare(linked->change, &desc, &linked->objects[i],
                                     error)
            : storage_change_mention(linked->change, &desc, error);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

static inline GraftStatus fill_all(Linked *linked, GraftError *error) {
  const Layout *layout = &linked->unit->layout;
  for (size_t i = 0; i < layout->variables.count; i++) {
    const LayoutVariable *variable = &layout->variables.items[i];
    if (!variable->has_address) continue;
    size_t size = variable->type->size;
    char *image = malloc(size + 1);
    memcpy(image, linked->unit->base + variable->address, size);
    relocate(linked, variable->type, image);
    GraftStatus status = storage_change_image(
        linked->change, linked->objects[i], image, size, error);
    free(image);
    if (status < 0) return status;
  }
  return GRAFT_OK;
}

// A unit comes into a change as `file`.
static inline GraftStatus change_add(StorageChange *change, const char *file,
                                     const Unit *unit, GraftError *error) {
  Linked linked = {.change = change, .unit = unit};
  GraftStatus status =
      storage_change_unit(change, file, unit->layout.types, error);
  if (status == GRAFT_OK) status = declare_all(&linked, file, error);
  return status == GRAFT_OK ? fill_all(&linked, error) : status;
}

static inline MigrateFunction find_migration(void *context, const char *file,
                                             const Type *type) {
  const Unit *unit = context;
  char name[100];
  (void)file;
  snprintf(name, sizeof name, "unit_migrate_%s", type_name(type));
  void *symbol = dlsym(unit->handle, name);
  MigrateFunction function;
  memcpy(&function, &symbol, sizeof function);
  return function;
}

// A save of one file, taken. The report is the caller's to clear.
static inline GraftStatus save(Storage *storage, const char *file,
                               const Unit *unit, StorageReport *report,
                               GraftError *error) {
  StorageChange *change = storage_change_new(
      storage, &(StorageChangeDesc){find_migration, (void *)unit});
  storage_report_init(report, &memory_default);
  if (change == NULL) return GRAFT_ENOMEM;
  GraftStatus status = change_add(change, file, unit, error);
  if (status == GRAFT_OK) status = storage_change_apply(change, report, error);
  if (status == GRAFT_OK) storage_change_keep(change);
  storage_change_free(change);
  return status;
}

static inline void *address_of(const Storage *storage, const char *file,
                               const char *name) {
  StorageObject *object = storage_find(storage, file, "", name);
  if (object == NULL) stop("no variable", name);
  return storage_object_address(object);
}

// The message of the first event of a kind, or "".
static inline const char *event_text(const StorageReport *report,
                                     StorageEventKind kind) {
  for (size_t i = 0; i < report->events.count; i++) {
    if (report->events.items[i].kind == kind) {
      return report->events.items[i].message;
    }
  }
  return "";
}

#endif
