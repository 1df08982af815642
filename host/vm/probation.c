// SPDX-License-Identifier: MIT

#include "vm/probation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/probation_state.h"
#include "vm/proto.h"
#include "vm/state.h"

enum {
  FIRST_EVENTS = 5000, // return events looked at after a patch
  LATER_EVENTS = 1000, // … after each later safe point
  SAFE_POINTS = 600,   // after which new code is trusted
  LEVELS = 2000,       // of a stack that are looked at: each costs its depth
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

static void blame(Vm *vm, ScriptProto *entry) {
  vm->failure.entry = entry;
  Script *script = entry->chunk->script;
  vm->failure.script = script;
  snprintf(vm->failure.name, sizeof vm->failure.name, "%s",
           script->unit->definitions[entry->definition].name);
}

static bool is_new(const ScriptProto *entry) {
  return entry != NULL && entry->probation && entry->definition >= 0;
}

// Whether level 1 is the function that coroutine.wrap has returned: an error
// in the coroutine comes out of it, and has left no frames.
static bool is_from_coroutine(lua_State *L) {
  lua_Debug frame;
  if (!lua_getstack(L, 1, &frame)) return false;
  lua_getinfo(L, "f", &frame);
  bool found = lua_iscfunction(L, -1) && lua_getupvalue(L, -1, 1) != NULL;
  if (found) {
    found = lua_type(L, -1) == LUA_TTHREAD;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

// The innermost new function of a script that has this line.
static ScriptProto *find_line(const Script *script, int line) {
  ScriptProto *found = NULL;
  const Definition *inner = NULL;
  for (ScriptChunk *chunk = script->chunks; chunk != NULL;
       chunk = chunk->next) {
    for (size_t i = 0; i < chunk->count; i++) {
      ScriptProto *entry = &chunk->protos[i];
      if (!is_new(entry)) continue;
      const Definition *at = &script->unit->definitions[entry->definition];
      bool holds = at->line <= line && line <= at->last_line;
      if (!holds || (inner != NULL && at->line < inner->line)) continue;
      found = entry;
      inner = at;
    }
  }
  return found;
}

// What comes out of a coroutine is known by the place in its message: the last
// one, since each coroutine.wrap puts its caller's in front.
static ScriptProto *find_by_message(const Vm *vm, const char *message) {
  ScriptProto *found = NULL;
  for (Script *script = vm->scripts; script != NULL; script = script->next) {
    size_t size = strlen(script->path);
    for (const char *at = strstr(message, script->path); at != NULL;
         at = strstr(at + 1, script->path)) {
      if (at[size] != ':') continue;
      ScriptProto *entry = find_line(script, atoi(at + size + 1));
      if (entry != NULL) found = entry;
    }
  }
  return found;
}

// Called where an error was raised, by the message handler: the innermost call
// of new code is to blame.
void probation_note_error(Vm *vm, lua_State *L, const char *message) {
  vm->failure = (ProbationFailure){.script = NULL};
  if (vm->probation_count == 0 || !lua_checkstack(L, 4)) return;
  lua_Debug frame;
  if (is_from_coroutine(L)) {
    ScriptProto *entry = find_by_message(vm, message);
    if (entry != NULL) {
      blame(vm, entry);
      return;
    }
  }
  for (int level = 0; level < LEVELS && lua_getstack(L, level, &frame);
       level++) {
    ScriptProto *entry = find_entry(vm, L, &frame);
    if (!is_new(entry)) continue;
    blame(vm, entry);
    return;
  }
}

void probation_trust_stack(Vm *vm, lua_State *L) {
  lua_Debug frame;
  probation_remove(vm, vm->failure.entry);
  if (!lua_checkstack(L, 4)) return;
  for (int level = 0; level < LEVELS && lua_getstack(L, level, &frame);
       level++) {
    ScriptProto *entry = find_entry(vm, L, &frame);
    if (entry != NULL) probation_remove(vm, entry);
  }
}

ProbationFailure probation_take_failure(Vm *vm) {
  ProbationFailure failure = vm->failure;
  vm->failure.script = NULL;
  return failure;
}
