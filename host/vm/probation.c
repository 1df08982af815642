// SPDX-License-Identifier: MIT

#include "vm/probation.h"

#include <stdio.h>

#include "vm/probation_state.h"
#include "vm/proto.h"
#include "vm/state.h"

enum {
  FIRST_EVENTS = 5000, // return events looked at after a patch
  LATER_EVENTS = 1000, // … after each later safe point
  SAFE_POINTS = 600,   // after which new code is trusted
};

static ScriptProto *find_entry(Vm *vm, lua_State *L, lua_Debug *frame) {
  lua_getinfo(L, "f", frame);
  const void *proto = proto_of(L, -1);
  lua_pop(L, 1);
  return proto != NULL ? script_find_proto(vm, proto) : NULL;
}

void probation_hook(lua_State *L, lua_Debug *frame) {
  Vm *vm = vm_of(L);
  if (vm == NULL || vm->probation_count == 0 || --vm->probation_events < 0) {
    compat_remove_hook(L);
    return;
  }
  if (!lua_checkstack(L, 4)) return;
  ScriptProto *entry = find_entry(vm, L, frame);
  if (entry != NULL) probation_remove(vm, entry);
}

// Somebody else's hook stays.
static void set_hook(lua_State *L) {
  lua_Hook hook = lua_gethook(L);
  if (hook == NULL || hook == probation_hook) {
    lua_sethook(L, probation_hook, LUA_MASKRET, 0);
  }
}

static void watch(Vm *vm, int events) {
  vm->probation_events = events;
  set_hook(vm->main);
  if (vm->L != vm->main) set_hook(vm->L);
}

void probation_add(Vm *vm, ScriptProto *entry) {
  if (!entry->probation) vm->probation_count++;
  entry->probation = true;
  vm->probation_safe_points = 0;
  watch(vm, FIRST_EVENTS);
}

void probation_remove(Vm *vm, ScriptProto *entry) {
  if (entry->probation) vm->probation_count--;
  entry->probation = false;
}

static void trust_all(Vm *vm) {
  for (Script *script = vm->scripts; script != NULL; script = script->next) {
    for (ScriptChunk *chunk = script->chunks; chunk != NULL;
         chunk = chunk->next) {
      for (size_t i = 0; i < chunk->count; i++) {
        probation_remove(vm, &chunk->protos[i]);
      }
    }
  }
}

void probation_resume(Vm *vm) {
  if (vm->probation_count == 0) return;
  if (++vm->probation_safe_points > SAFE_POINTS) {
    trust_all(vm);
  } else {
    watch(vm, LATER_EVENTS);
  }
}

// Called where an error was raised, by the message handler: the innermost call
// of new code is to blame.
void probation_note_error(Vm *vm, lua_State *L) {
  vm->failure.script = NULL;
  if (vm->probation_count == 0 || !lua_checkstack(L, 4)) return;
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    const ScriptProto *entry = find_entry(vm, L, &frame);
    if (entry == NULL || !entry->probation || entry->definition < 0) continue;
    Script *script = entry->chunk->script;
    vm->failure.script = script;
    snprintf(vm->failure.name, sizeof vm->failure.name, "%s",
             script->unit->definitions[entry->definition].name);
    return;
  }
}

ProbationFailure probation_take_failure(Vm *vm) {
  ProbationFailure failure = vm->failure;
  vm->failure.script = NULL;
  return failure;
}
