// SPDX-License-Identifier: MIT

#include "vm/chunk.h"

#include "vm/proto.h"

static void unmap(ScriptChunk *self) {
  Vm *vm = self->script->vm;
  for (size_t i = 0; i < self->count; i++) {
    probation_remove(vm, &self->protos[i]);
    ScriptProto *known = pointer_map_find(&vm->protos, self->protos[i].proto);
    if (known == &self->protos[i]) {
      pointer_map_remove(&vm->protos, self->protos[i].proto);
    }
  }
}

// NULL when out of memory. The list is given up in any case.
static ScriptChunk *make(Script *script, ProtoList *list) {
  Vm *vm = script->vm;
  ScriptChunk *self = memory_new(
      &vm->allocator, sizeof *self + list->count * sizeof self->protos[0]);
  if (self != NULL) {
    self->script = script;
    self->count = list->count;
    self->walk = vm->walk + 1;
  }
  bool complete = self != NULL;
  for (size_t i = 0; i < list->count && complete; i++) {
    self->protos[i] = (ScriptProto){.proto = list->items[i].proto,
                                    .chunk = self,
                                    .definition = SCRIPT_NONE,
                                    .gone = -1};
    complete =
        pointer_map_set(&vm->protos, self->protos[i].proto, &self->protos[i]);
  }
  memory_free(&vm->allocator, list->items);
  if (complete) return self;
  if (self != NULL) unmap(self);
  memory_free(&vm->allocator, self);
  return NULL;
}

typedef struct Listing {
  Vm *vm;
  ProtoList list;
  int ref;
} Listing;

// stack: function, listing. The reference comes last, since nobody would let
// go of it after an error.
static int list_protos(lua_State *L) {
  Listing *listing = lua_touserdata(L, 2);
  proto_list(L, 1, &listing->vm->allocator, &listing->list);
  lua_settop(L, 1);
  listing->ref = vm_ref(listing->vm, L);
  return 0;
}

ScriptChunk *chunk_new(Script *script, lua_State *L) {
  Listing listing = {.vm = script->vm};
  lua_pushcfunction(L, list_protos);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, &listing);
  int status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK) {
    memory_free(&script->vm->allocator, listing.list.items);
    lua_error(L);
  }
  ScriptChunk *self = make(script, &listing.list);
  if (self == NULL) {
    vm_unref(script->vm, listing.ref);
    luaL_error(L, "out of memory");
  }
  self->ref = listing.ref;
  self->fresh = script->patch;
  self->next = script->chunks;
  script->chunks = self;
  return self;
}

void chunk_free(ScriptChunk *self) {
  if (self == NULL) return;
  Script *script = self->script;
  ScriptChunk **link = &script->chunks;
  while (*link != NULL && *link != self) link = &(*link)->next;
  if (*link != NULL) *link = self->next;
  unmap(self);
  for (size_t i = 0; i < self->count; i++) {
    old_code_free(&script->vm->allocator, self->protos[i].code);
  }
  vm_unref(script->vm, self->ref);
  memory_free(&script->vm->allocator, self);
}

void chunk_map(ScriptChunk *self, size_t index, int definition) {
  self->protos[index].definition = definition;
}
