// SPDX-License-Identifier: MIT

#include "vm/inspect.h"

#include <string.h>

#include "vm/proto.h"
#include "vm/script.h"
#include "vm/sweep.h"

typedef struct Count {
  Vm *vm;
  const char *name;
  int running;
  int closures;
} Count;

static bool is_old(const Count *self, const void *proto) {
  const ScriptProto *entry = script_find_proto(self->vm, proto);
  if (entry == NULL || !entry->old || entry->definition < 0) return false;
  const GraftUnit *unit = entry->chunk->script->unit;
  return strcmp(unit->definitions[entry->definition].name, self->name) == 0;
}

static bool count_closure(void *context, lua_State *L, const void *proto) {
  (void)L;
  Count *self = context;
  if (is_old(self, proto)) self->closures++;
  return false;
}

static void count_running(void *context, lua_State *L, const void *proto) {
  (void)L;
  Count *self = context;
  if (is_old(self, proto)) self->running++;
}

// May raise.
static Count count_old(Vm *vm, lua_State *L, const char *name) {
  Count count = {.vm = vm, .name = name};
  Sweep sweep;
  SweepDesc desc = sweep_describe(vm, L);
  // What is settled may be old: every closure has to be seen.
  desc.raw = false;
  desc.judge = count_closure;
  desc.running = count_running;
  desc.context = &count;
  sweep_init(&sweep, &desc);
  int status = sweep_run(&sweep);
  sweep_clear(&sweep);
  if (status != LUA_OK) lua_error(L);
  return count;
}

void inspect_old_code(Vm *vm, lua_State *L, const char *name) {
  Count count = count_old(vm, L, name);
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, count.running);
  lua_setfield(L, -2, "running");
  lua_pushinteger(L, count.closures);
  lua_setfield(L, -2, "closures");
}

typedef struct Inspection {
  const char *name;
  GraftOldCode *old;
} Inspection;

static void count_body(Vm *vm, lua_State *L, void *context) {
  const Inspection *self = context;
  Count count = count_old(vm, L, self->name);
  *self->old = (GraftOldCode){count.running, count.closures};
}

GraftStatus vm_count_old(Vm *self, const char *name, GraftOldCode *old,
                         GraftError *error) {
  Inspection context = {name, old};
  return vm_protect(self, count_body, &context, error);
}
