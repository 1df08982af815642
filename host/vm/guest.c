// SPDX-License-Identifier: MIT

#include "vm/guest.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "vm/chunk.h"
#include "vm/guest_state.h"
#include "vm/loader.h"
#include "vm/probation_state.h"
#include "vm/proto.h"
#include "vm/stub.h"
#include "vm/stub_ffi.h"

// In the Lua registry, under a name that every copy of Graft knows: the guard,
// a userdata whose finalizer runs when the state closes.
static const char guard_key[] = "graft.guard";

#if VM_LUAJIT

// A thread points to what all threads share, which lies at a fixed distance
// behind the main thread.
static const char *shared_of(lua_State *L) {
  enum { THREAD_SHARED = 16 };
  const char *shared = NULL;
  memcpy(&shared, (const char *)L + THREAD_SHARED, sizeof shared);
  return shared;
}

lua_State *guest_main_thread(lua_State *L) {
  bool is_main = lua_pushthread(L) == 1;
  lua_pop(L, 1);
  if (is_main) return L;
  lua_State *other = luaL_newstate();
  if (other == NULL) luaL_error(L, "out of memory");
  ptrdiff_t distance = shared_of(other) - (const char *)other;
  lua_close(other);
  lua_State *main = (lua_State *)(shared_of(L) - distance);
  return main;
}

#else

lua_State *guest_main_thread(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

#endif

// ---------------------------------------------------------------------------
// Coming and going
// ---------------------------------------------------------------------------

bool guest_is_taken(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, guard_key);
  bool taken = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return taken;
}

static void leave(Vm *vm, lua_State *L, bool closing);

// stack: guard
static int state_closes(lua_State *L) {
  Vm **guard = lua_touserdata(L, 1);
  Vm *vm = *guard;
  if (vm == NULL) return 0;
  *guard = NULL;
  leave(vm, L, true);
  vm->main = vm->L = vm->walker = NULL;
  if (vm->closed != NULL) vm->closed(vm->closed_context);
  return 0;
}

void guest_enter(Vm *vm, lua_State *L) {
  if (vm->owned) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, guard_key);
    return;
  }
  Vm **guard = lua_newuserdata(L, sizeof *guard);
  *guard = vm;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, state_closes);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, guard_key);
}

static void remove_guard(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, guard_key);
  Vm **guard = lua_touserdata(L, -1);
  if (guard != NULL) *guard = NULL;
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, guard_key);
}

static void remove_hooks(lua_State *L) {
  lua_Hook hook = lua_gethook(L);
  if (hook == script_return_hook || hook == probation_hook) {
    lua_sethook(L, NULL, 0, 0);
  }
}

// Traces may hold what is gone. Nothing is compiled in a state that closes, and
// LuaJIT refuses to be asked there.
static void flush_traces(lua_State *L, bool closing) {
#if VM_LUAJIT
  if (closing) return;
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
#else
  (void)L, (void)closing;
#endif
}

static void remove_module(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    lua_setfield(L, -2, "graft");
  }
  lua_pop(L, 1);
}

static void leave(Vm *vm, lua_State *L, bool closing) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, "graft");
  remove_guard(L);
  remove_hooks(L);
  if (vm->main != L) remove_hooks(vm->main);
  loader_remove(L);
  stub_clear(vm, L);
#if VM_LUAJIT
  stub_ffi_clear(vm, L);
#endif
  flush_traces(L, closing);
  remove_module(L);
  luaL_unref(L, LUA_REGISTRYINDEX, vm->private_ref);
  vm_forget(L);
  lua_settop(L, top);
}

void guest_leave(Vm *vm, lua_State *L) {
  leave(vm, L, false);
}

// ---------------------------------------------------------------------------
// Scripts that ran before
// ---------------------------------------------------------------------------

typedef struct FoundChunk {
  const char *name; // of its function, which `ref` keeps
  int ref;
} FoundChunk;

typedef struct Search {
  ARRAY(FoundChunk) chunks;
} Search;

// stack: …, function of the frame → …
static void note_chunk(Vm *vm, lua_State *L, const lua_Debug *frame,
                       Search *search) {
  const void *proto = proto_of(L, -1);
  bool unknown = strcmp(frame->what, "main") == 0 && frame->source[0] == '@' &&
                 proto != NULL && script_find_proto(vm, proto) == NULL;
  FoundChunk *chunk =
      unknown ? ARRAY_PUSH(&vm->allocator, &search->chunks) : NULL;
  if (chunk == NULL) {
    lua_pop(L, 1);
    return;
  }
  *chunk = (FoundChunk){.name = frame->source + 1};
  chunk->ref = vm_ref(vm, L);
}

static void search_stack(Vm *vm, lua_State *L, void *context) {
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sf", &frame);
    note_chunk(vm, L, &frame, context);
  }
}

GraftStatus guest_find_chunks(Vm *vm, GuestFound *found, void *context,
                              GraftError *error) {
  Search search = {{0}};
  GraftStatus status = vm_protect(vm, search_stack, &search, error);
  for (size_t i = 0; i < search.chunks.count; i++) {
    FoundChunk *chunk = &search.chunks.items[i];
    if (chunk->ref == VM_NO_REF) continue;
    if (status == GRAFT_OK) found(context, chunk->name, chunk->ref);
    vm_unref(vm, chunk->ref);
  }
  memory_free(&vm->allocator, search.chunks.items);
  return status;
}

// The code of a function, as far as it matters whether two are the same.
typedef struct Print {
  uint64_t hash;
  size_t size;
} Print;

static int add_code(lua_State *L, const void *bytes, size_t size,
                    void *context) {
  (void)L;
  Print *print = context;
  print->hash = hash_bytes(print->hash, bytes, size);
  print->size += size;
  return 0;
}

// stack: …, function
static Print print_of(lua_State *L) {
  Print print = {0};
#if VM_LUAJIT
  lua_dump(L, add_code, &print);
#else
  lua_dump(L, add_code, &print, 0);
#endif
  return print;
}

typedef struct Comparison {
  int chunk;
  const char *text;
  size_t size;
  bool same;
} Comparison;

static void compare(Vm *vm, lua_State *L, void *context) {
  Comparison *self = context;
  lua_Debug info;
  vm_push(vm, L, self->chunk);
  Print running = print_of(L);
  lua_getinfo(L, ">S", &info);
  if (luaL_loadbufferx_text(L, self->text, self->size, info.source) != LUA_OK) {
    return;
  }
  Print fresh = print_of(L);
  self->same = running.hash == fresh.hash && running.size == fresh.size;
}

bool guest_is_compiled_from(Vm *vm, int chunk, const char *text, size_t size) {
  Comparison comparison = {.chunk = chunk, .text = text, .size = size};
  return vm_protect(vm, compare, &comparison, NULL) == GRAFT_OK &&
         comparison.same;
}

typedef struct Adoption {
  Script *script;
  int chunk;
} Adoption;

static void adopt(Vm *vm, lua_State *L, void *context) {
  Adoption *self = context;
  vm_push(vm, L, self->chunk);
  script_adopt(self->script, L);
}

GraftStatus guest_adopt_chunk(Script *script, int chunk, GraftError *error) {
  Adoption adoption = {script, chunk};
  return vm_protect(script->vm, adopt, &adoption, error);
}

static bool runs(lua_State *L, const void *proto) {
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "f", &frame);
    bool found = proto_of(L, -1) == proto;
    lua_pop(L, 1);
    if (found) return true;
  }
  return false;
}

// The first chunk of a script is that of its file.
static const void *main_proto(const Script *script) {
  const ScriptChunk *chunk = script->chunks;
  while (chunk != NULL && chunk->next != NULL) chunk = chunk->next;
  return chunk != NULL ? chunk->protos[0].proto : NULL;
}

static void finish_scripts(Vm *vm, lua_State *L, void *context) {
  (void)context;
  for (Script *script = vm->scripts; script != NULL; script = script->next) {
    if (!script->adopted || script->loaded || runs(L, main_proto(script))) {
      continue;
    }
    script_leave(script, L);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, script->module);
    script_finish(script, L);
    lua_pop(L, 1);
    GraftError error;
    if (vm->hooks->loaded(vm->hooks->context, script, &error) < 0) {
      luaL_error(L, "%s", error.message);
    }
  }
}

static bool any_unfinished(const Vm *vm) {
  const Script *script = vm->scripts;
  while (script != NULL && (!script->adopted || script->loaded)) {
    script = script->next;
  }
  return script != NULL;
}

GraftStatus guest_finish_scripts(Vm *vm, GraftError *error) {
  if (!any_unfinished(vm)) return GRAFT_OK;
  return vm_protect(vm, finish_scripts, NULL, error);
}
