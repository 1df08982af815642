// SPDX-License-Identifier: MIT

#include "vm/script.h"

#include <string.h>

#include "base/error.h"
#include "vm/cell.h"
#include "vm/chunk.h"
#include "vm/defer.h"
#include "vm/given.h"
#include "vm/probation_state.h"
#include "vm/proto.h"
#include "vm/state.h"

// Return events after which the hook that reads variables rests.
// A main script is the one that runs for long, and LuaJIT compiles nothing
// while there is a hook.
enum { HOOK_LIMIT = 20000, HOOK_LIMIT_MAIN = 500 };

Script *script_new(const ScriptDesc *desc) {
  Vm *vm = desc->vm;
  const GraftAllocator *allocator = &vm->allocator;
  Script *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->vm = vm;
  self->owner = desc->owner;
  self->unit = unit_retain(desc->unit);
  self->module =
      memory_copy_string(allocator, desc->module, strlen(desc->module));
  self->path = memory_copy_string(allocator, desc->path, strlen(desc->path));
  self->chunk_name = memory_resize(allocator, NULL, strlen(desc->path) + 2);
  self->cell_states = memory_new(
      allocator, sizeof(CellState) * (size_t)(desc->unit->variable_count + 1));
  self->slot_refs = memory_new(
      allocator, sizeof(int) * (size_t)(desc->unit->definition_count + 1));
  self->next = vm->scripts;
  if (self->next != NULL) self->next->previous = self;
  vm->scripts = self;
  if (self->module == NULL || self->path == NULL || self->chunk_name == NULL ||
      self->cell_states == NULL || self->slot_refs == NULL) {
    script_free(self);
    return NULL;
  }
  self->chunk_name[0] = '@';
  strcpy(self->chunk_name + 1, desc->path);
  return self;
}

void script_free(Script *self) {
  if (self == NULL) return;
  Vm *vm = self->vm;
  while (self->chunks != NULL) chunk_free(self->chunks);
  vm_unref(vm, self->cells_ref);
  vm_unref(vm, self->value_ref);
  vm_unref(vm, self->environment_ref);
  if (self->previous != NULL) self->previous->next = self->next;
  if (self->next != NULL) self->next->previous = self->previous;
  if (vm->scripts == self) vm->scripts = self->next;
  unit_release(self->unit);
  memory_free(&vm->allocator, self->module);
  memory_free(&vm->allocator, self->path);
  memory_free(&vm->allocator, self->chunk_name);
  memory_free(&vm->allocator, self->cell_states);
  memory_free(&vm->allocator, self->slot_refs);
  memory_free(&vm->allocator, self);
}

ScriptProto *script_find_proto(const Vm *vm, const void *proto) {
  return pointer_map_find(&vm->protos, proto);
}

// ---------------------------------------------------------------------------
// The variables of code
// ---------------------------------------------------------------------------

static const Capture *find_capture(const Definition *definition,
                                   const char *name) {
  const Capture *capture = definition_capture(definition, name);
  return capture != NULL && capture->variable >= 0 ? capture : NULL;
}

int script_proto_variable(const ScriptProto *proto, const char *name) {
  if (proto->definition < 0) return SCRIPT_NONE;
  const OldCode *code = proto->code;
  const GraftUnit *unit =
      code != NULL ? code->unit : proto->chunk->script->unit;
  const Definition *definition =
      &unit->definitions[code != NULL ? code->definition : proto->definition];
  const Capture *capture = find_capture(definition, name);
  if (capture == NULL) return SCRIPT_NONE;
  return code != NULL ? code->variables[capture - definition->captures]
                      : capture->variable;
}

OldCode *old_code_new(const ScriptProto *proto, const Diff *diff) {
  const OldCode *before = proto->code;
  const GraftUnit *unit = before != NULL ? before->unit : diff->old_unit;
  int index = before != NULL ? before->definition : proto->definition;
  const Definition *definition = &unit->definitions[index];
  OldCode *self =
      memory_new(&proto->chunk->script->vm->allocator,
                 sizeof *self + definition->capture_count * sizeof(int));
  if (self == NULL) return NULL;
  self->unit = unit_retain((GraftUnit *)unit);
  self->definition = index;
  for (uint32_t i = 0; i < definition->capture_count; i++) {
    int variable = before != NULL ? before->variables[i]
                                  : definition->captures[i].variable;
    int now = variable >= 0 ? diff->variable_new[variable] : -1;
    self->variables[i] = now >= 0 ? now : SCRIPT_NONE;
  }
  return self;
}

void old_code_free(const GraftAllocator *allocator, OldCode *self) {
  if (self == NULL) return;
  unit_release(self->unit);
  memory_free(allocator, self);
}

void script_supersede(Script *self) {
  if (self == NULL) return;
  self->superseded = true;
  // The slots have other closures soon.
  memset(self->slot_refs, 0,
         sizeof(int) * (size_t)self->unit->definition_count);
}

static bool is_unseen(const Script *self) {
  for (const ScriptChunk *chunk = self->chunks; chunk != NULL;
       chunk = chunk->next) {
    if (chunk->walk >= self->vm->walk) return false;
  }
  return true;
}

void script_free_unseen(Vm *vm) {
  Script *next = NULL;
  for (Script *script = vm->scripts; script != NULL; script = next) {
    next = script->next;
    if (script->superseded && script->running == 0 && is_unseen(script)) {
      script_free(script);
    }
  }
}

void script_prune_chunks(Script *self) {
  ScriptChunk *next = NULL;
  for (ScriptChunk *chunk = self->chunks; chunk != NULL; chunk = next) {
    next = chunk->next;
    if (chunk->walk != self->vm->walk) chunk_free(chunk);
  }
}

// ---------------------------------------------------------------------------
// Running the chunk
// ---------------------------------------------------------------------------

void script_return_hook(lua_State *L, lua_Debug *frame) {
  Vm *vm = vm_of(L);
  if (vm == NULL || --vm->hook_events < 0 || vm->hook_depth == 0) {
    compat_remove_hook(L);
    return;
  }
  if (!lua_checkstack(L, 4)) return;
  lua_getinfo(L, "f", frame);
  const void *proto = proto_of(L, -1);
  lua_pop(L, 1);
  ScriptProto *entry = proto != NULL ? script_find_proto(vm, proto) : NULL;
  if (entry == NULL) return;
  if (entry->definition == SCRIPT_MAIN) {
    cell_save_frame(entry->chunk->script, L, frame);
  }
  probation_remove(vm, entry);
}

// A hook that somebody else has set stays; that of probation, whose work this
// one does too, comes back afterwards.
void script_watch_return(lua_State *L) {
  lua_Hook hook = lua_gethook(L);
  if (hook == NULL || hook == probation_hook) {
    lua_sethook(L, script_return_hook, LUA_MASKRET, 0);
  }
}

static void begin_hook(Vm *vm, lua_State *L, bool is_main) {
  vm->hook_depth++;
  vm->hook_events = is_main ? HOOK_LIMIT_MAIN : HOOK_LIMIT;
  script_watch_return(L);
}

static void end_hook(Vm *vm, lua_State *L) {
  vm->hook_depth--;
  if (lua_gethook(L) != script_return_hook || vm->hook_depth > 0) return;
  compat_remove_hook(L);
  if (vm->probation_count > 0) {
    lua_sethook(L, probation_hook, LUA_MASKRET, 0);
  }
}

// stack: chunk → chunk. Later code gets its globals from the same place.
static void keep_environment(Script *self, lua_State *L) {
  cell_push_new(self->vm, L);
#if VM_LUAJIT
  lua_getfenv(L, -2);
  lua_setfenv(L, -2);
#else
  lua_upvaluejoin(L, -1, 1, -2, 1);
#endif
  self->environment_ref = vm_ref(self->vm, L);
}

// stack: chunk → chunk. Its prototypes are the unit's definitions.
static void know_chunk(Script *self, lua_State *L) {
  const GraftUnit *unit = self->unit;
  defer_clear(self, L);
  lua_newtable(L);
  self->cells_ref = vm_ref(self->vm, L);
  ScriptChunk *chunk = chunk_new(self, L);
  chunk_map(chunk, 0, SCRIPT_MAIN);
  if (chunk->count == (size_t)unit->definition_count + 1) {
    for (int i = 0; i < unit->definition_count; i++) {
      chunk_map(chunk, (size_t)i + 1, i);
    }
  }
  keep_environment(self, L);
}

void script_push_chunk(Script *self, lua_State *L) {
  const GraftUnit *unit = self->unit;
  int status =
      luaL_loadbufferx_text(L, unit->source + unit->code_start,
                            unit->size - unit->code_start, self->chunk_name);
  if (status != LUA_OK) lua_error(L);
  know_chunk(self, L);
}

void script_adopt(Script *self, lua_State *L) {
  know_chunk(self, L);
  self->is_main = self->adopted = true;
  self->running++;
  begin_hook(self->vm, L, false);
}

void script_leave(Script *self, lua_State *L) {
  self->running--;
  end_hook(self->vm, L);
}

// When the chunk raises, the hook rests at its next event or after the limit.
void script_run(Script *self, lua_State *L, int arg_count) {
  int base = lua_gettop(L) - arg_count;
  Vm *vm = self->vm;
  begin_hook(vm, L, self->is_main);
  self->running++; // stays when the chunk raises
  lua_call(L, arg_count, LUA_MULTRET);
  self->running--;
  end_hook(vm, L);
  if (lua_gettop(L) < base) lua_pushnil(L);
  lua_settop(L, base);
}

void script_finish(Script *self, lua_State *L) {
  vm_unref(self->vm, self->value_ref);
  self->value_ref = vm_ref(self->vm, L);
  given_add_script(self, L);
  self->loaded = true;
}

// ---------------------------------------------------------------------------
// What the module shows
// ---------------------------------------------------------------------------

void script_push_root(Script *self, lua_State *L, Shown shown) {
  if (shown == SHOWN_EXPORT) {
    vm_push(self->vm, L, self->value_ref);
    return;
  }
#if VM_LUAJIT
  vm_push(self->vm, L, self->environment_ref);
  lua_getfenv(L, -1);
  lua_remove(L, -2);
#else
  vm_push(self->vm, L, self->environment_ref);
  lua_getupvalue(L, -1, 1);
  lua_remove(L, -2);
#endif
}

// stack: value → value of the field that `path` leads to, or nil
static void follow_path(lua_State *L, const char *path) {
  while (*path != '\0') {
    size_t size = strcspn(path, ".");
    if (lua_type(L, -1) != LUA_TTABLE) {
      lua_pop(L, 1);
      lua_pushnil(L);
      return;
    }
    lua_pushlstring(L, path, size);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    path += size;
    if (*path == '.') path++;
  }
}

void script_push_shown(Script *self, lua_State *L,
                       const Definition *definition) {
  script_push_root(self, L, definition->shown);
  follow_path(L, definition->shown_path);
}

typedef struct Find {
  Script *script;
  int definition;
  int ref;
} Find;

static void find_shown(Vm *vm, lua_State *L, void *context) {
  Find *find = context;
  Script *self = find->script;
  script_push_shown(self, L, &self->unit->definitions[find->definition]);
  if (lua_type(L, -1) != LUA_TFUNCTION) return;
  const void *proto = proto_of(L, -1);
  ScriptProto *entry = proto != NULL ? script_find_proto(vm, proto) : NULL;
  if (entry == NULL || entry->chunk->script != self ||
      entry->definition != find->definition) {
    return;
  }
  find->ref = vm_ref(vm, L);
}

GraftStatus script_find_shown(Script *self, int definition, int *ref,
                              GraftError *error) {
  Find find = {self, definition, VM_NO_REF};
  GraftStatus status = vm_protect(self->vm, find_shown, &find, error);
  *ref = find.ref;
  return status;
}
