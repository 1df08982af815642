// SPDX-License-Identifier: MIT
//
// From which natives Lua code can be reached: LuaJIT must not compile calls of
// those, since a compiled call cannot come back into the VM. Natives reach Lua
// through a function that a script overrides and that some native calls or
// takes the address of, and through a host's functions, of which nothing is
// known. Since pointers to functions may lead anywhere, one such place counts
// for all natives.

#include <dlfcn.h>
#include <string.h>

#include "engine_native.h"

static bool is_overridden(const GraftFn *fn) {
  return fn != NULL && fn->active != NULL && fn->active->kind != BACKING_NATIVE;
}

static bool is_system_file(const char *path) {
  static const char *const names[] = {"libc.so", "libm.so",  "libc-",
                                      "libm-",   "ld-linux", "libpthread",
                                      "libgcc_s"};
  const char *slash = path != NULL ? strrchr(path, '/') : NULL;
  const char *file = slash != NULL ? slash + 1 : path;
  for (size_t i = 0; file != NULL && i < sizeof names / sizeof *names; i++) {
    if (strncmp(file, names[i], strlen(names[i])) == 0) return true;
  }
  return false;
}

// What is neither a native nor the system's.
static bool is_foreign(const Natives *self, const ObjectUndefined *symbol) {
  if (natives_find_symbol(self, symbol->name) != NULL) return false;
  if (strncmp(symbol->name, "graft_state_", 12) == 0) return false;
  void *address = dlsym(RTLD_DEFAULT, symbol->name);
  Dl_info info;
  return address != NULL &&
         (dladdr(address, &info) == 0 || !is_system_file(info.dli_fname));
}

static bool calls_foreign(const Natives *self, NativeObject *object) {
  if (object->reach != REACH_UNKNOWN) return object->reach == REACH_FOREIGN;
  const ObjectFile *file = object->product->object;
  bool found = false;
  for (size_t i = 0; i < object_undefined_count(file) && !found; i++) {
    found = is_foreign(self, object_undefined(file, i));
  }
  object->reach = found ? REACH_FOREIGN : REACH_OWN;
  return found;
}

// By the names of C, which those of slots are made of.
static const GraftFn *find_target(const Natives *self, const char *name) {
  const NativeSymbol *symbol = natives_find_symbol(self, name);
  if (symbol != NULL) return symbol->fn;
  const char *end = strrchr(name, '_');
  char dotted[256];
  size_t size = strlen(name);
  if (end == NULL || size >= sizeof dotted) return NULL;
  for (size_t i = 1; i < size; i++) {
    if (name[i] != '_') continue;
    memcpy(dotted, name, size + 1);
    dotted[i] = '.';
    const GraftFn *fn = registry_find(self->engine->registry, dotted);
    if (fn != NULL && fn->active != NULL) return fn;
  }
  return NULL;
}

static bool reach_lua(const Natives *self, const ObjectReferences *references) {
  for (size_t i = 0; i < references->count; i++) {
    if (is_overridden(find_target(self, references->items[i].name))) {
      return true;
    }
  }
  return false;
}

static bool object_reaches_lua(const Natives *self, NativeObject *object) {
  const ObjectFile *file = object->product->object;
  if (calls_foreign(self, object)) return true;
  for (size_t i = 0; i < object_function_count(file); i++) {
    if (reach_lua(self, &object_function(file, i)->references)) return true;
  }
  for (size_t i = 0; i < object_data_count(file); i++) {
    if (reach_lua(self, &object_data(file, i)->references)) return true;
  }
  return false;
}

bool natives_reach_lua(const Natives *self) {
  if (self == NULL) return false;
  for (NativeObject *object = self->objects; object != NULL;
       object = object->next) {
    if (object_reaches_lua(self, object)) return true;
  }
  return false;
}
