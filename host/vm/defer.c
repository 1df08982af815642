// SPDX-License-Identifier: MIT
//
// The Lua registry has a table of script → list of {function, statement of the
// present unit, whether a transaction under way has added it}. What a
// transaction takes out is in a list of the same form in the private table.

#include "vm/defer.h"

#include <stdio.h>

#include "base/error.h"
#include "vm/patcher_state.h"
#include "vm/proto.h"

static const char cleanups_key = 0; // its address is the key in the registry

enum { CLEANUP_FUNCTION = 1, CLEANUP_STATEMENT, CLEANUP_FRESH };

// Pushes the script's list.
static void push_list(Script *script, lua_State *L) {
  luaL_checkstack(L, 8, "defer");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cleanups_key);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cleanups_key);
  }
  lua_rawgetp(L, -1, script);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, script);
  }
  lua_remove(L, -2);
}

void defer_clear(Script *script, lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cleanups_key);
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, script);
  }
  lua_pop(L, 1);
}

static int entry_statement(lua_State *L, int entry) {
  lua_rawgeti(L, entry, CLEANUP_STATEMENT);
  int statement = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return statement;
}

static bool entry_is_fresh(lua_State *L, int entry) {
  lua_rawgeti(L, entry, CLEANUP_FRESH);
  bool fresh = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return fresh;
}

// ---------------------------------------------------------------------------
// Registering
// ---------------------------------------------------------------------------

// The statement with that line; of several the last that calls something.
static int find_statement(const GraftUnit *unit, int line) {
  int found = -1;
  for (int i = 0; i < unit->statement_count; i++) {
    const Statement *statement = &unit->statements[i];
    if (line < statement->line || line > statement->last_line) continue;
    if (found < 0 || statement->has_call) found = i;
  }
  return found;
}

// What runs in a frame: a main chunk, or a statement of a patch.
static Script *frame_script(Vm *vm, lua_State *L, lua_Debug *frame,
                            int *statement) {
  lua_getinfo(L, "f", frame);
  const void *proto = proto_of(L, -1);
  lua_pop(L, 1);
  ScriptProto *entry = proto != NULL ? script_find_proto(vm, proto) : NULL;
  if (entry == NULL) return NULL;
  Script *script = entry->chunk->script;
  const PatchedFile *file = script->patch;
  if (file != NULL && file->running_proto == proto) {
    *statement = file->running;
    return script;
  }
  if (entry->definition != SCRIPT_MAIN) return NULL;
  lua_getinfo(L, "l", frame);
  *statement = find_statement(script->unit, frame->currentline);
  return *statement >= 0 ? script : NULL;
}

bool defer_add(Vm *vm, lua_State *L) {
  Script *script = NULL;
  int statement = -1;
  lua_Debug frame;
  for (int level = 1; script == NULL && lua_getstack(L, level, &frame);
       level++) {
    script = frame_script(vm, L, &frame, &statement);
  }
  if (script == NULL) {
    lua_pop(L, 1);
    return false;
  }
  const PatchedFile *file = script->patch;
  lua_createtable(L, 3, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, CLEANUP_FUNCTION);
  lua_pushinteger(L, statement);
  lua_rawseti(L, -2, CLEANUP_STATEMENT);
  lua_pushboolean(L, file != NULL && file->running_proto != NULL);
  lua_rawseti(L, -2, CLEANUP_FRESH);
  push_list(script, L);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
  if (!script->loaded) vm->unfinished = true;
  return true;
}

// A cleanup of the host's, as a function of Lua.
typedef struct HostCleanup {
  void (*callback)(void *context);
  void *context;
  bool added;
} HostCleanup;

static int run_host_cleanup(lua_State *L) {
  const HostCleanup *self = lua_touserdata(L, lua_upvalueindex(1));
  self->callback(self->context);
  return 0;
}

static void add_host_cleanup(Vm *vm, lua_State *L, void *context) {
  HostCleanup *self = context;
  *(HostCleanup *)lua_newuserdata(L, sizeof *self) = *self;
  lua_pushcclosure(L, run_host_cleanup, 1);
  self->added = defer_add(vm, L);
}

GraftStatus vm_defer(Vm *self, void (*callback)(void *context), void *context,
                     GraftError *error) {
  HostCleanup cleanup = {callback, context, false};
  GraftStatus status = vm_protect(self, add_host_cleanup, &cleanup, error);
  if (status < 0 || cleanup.added) return status;
  return error_set(error, GRAFT_ERUN,
                   "graft_engine_defer: no top-level statement of a watched "
                   "script is running");
}

// ---------------------------------------------------------------------------
// When a chunk has raised
// ---------------------------------------------------------------------------

void defer_run_raised(Script *script, lua_State *L, VmCallbackFailed *failed,
                      void *context) {
  push_list(script, L);
  int list = lua_gettop(L);
  for (int i = (int)lua_rawlen(L, list); i >= 1; i--) {
    lua_rawgeti(L, list, i);
    lua_pushnil(L);
    lua_rawseti(L, list, i);
    lua_rawgeti(L, -1, CLEANUP_FUNCTION);
    GraftError error;
    if (vm_pcall(script->vm, L, 0, 0, &error) < 0) failed(context, &error);
    lua_settop(L, list);
  }
  lua_pop(L, 1);
}

typedef struct Raised {
  Script *only; // NULL: all that have raised
  VmCallbackFailed *failed;
  void *context;
} Raised;

static void run_raised(Vm *vm, lua_State *L, void *context) {
  const Raised *self = context;
  for (Script *script = vm->scripts; script != NULL; script = script->next) {
    bool raised = !script->loaded && script->running > 0 && !script->adopted;
    if (!raised || (self->only != NULL && self->only != script)) continue;
    defer_run_raised(script, L, self->failed, self->context);
  }
}

void vm_run_cleanups(Vm *self, VmCallbackFailed *failed, void *context) {
  if (!self->unfinished || self->busy > 0 || !self->owned) return;
  self->unfinished = false;
  vm_protect(self, run_raised, &(Raised){NULL, failed, context}, NULL);
}

void script_run_cleanups(Script *self, VmCallbackFailed *failed,
                         void *context) {
  if (self == NULL) return;
  vm_protect(self->vm, run_raised, &(Raised){self, failed, context}, NULL);
}

// ---------------------------------------------------------------------------
// In a transaction
// ---------------------------------------------------------------------------

// stack: …, from, to. Moves the entries that `moves` says; the others close up.
static void move_entries(const PatchedFile *file, lua_State *L,
                         bool (*moves)(const PatchedFile *, lua_State *, int)) {
  int to = lua_gettop(L);
  int from = to - 1;
  int count = (int)lua_rawlen(L, from);
  int kept = 0;
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, from, i);
    if (moves(file, L, to + 1)) {
      lua_rawseti(L, to, (int)lua_rawlen(L, to) + 1);
    } else {
      lua_rawseti(L, from, ++kept);
    }
  }
  for (int i = count; i > kept; i--) {
    lua_pushnil(L);
    lua_rawseti(L, from, i);
  }
}

static bool is_going(const PatchedFile *file, lua_State *L, int entry) {
  const Diff *diff = file->patch.diff;
  int now = diff->statement_new[entry_statement(L, entry)];
  return now < 0 || diff->statement_changes[now] != STATEMENT_SAME;
}

void defer_collect(PatchedFile *file, lua_State *L) {
  Script *script = file->patch.script;
  push_list(script, L);
  if (lua_rawlen(L, -1) == 0) {
    lua_pop(L, 1);
    return;
  }
  lua_newtable(L);
  lua_pushvalue(L, -1);
  file->cleanups_ref = vm_ref(script->vm, L);
  move_entries(file, L, is_going);
  lua_pop(L, 2);
}

// stack: …, entry → …
static void run_cleanup(Patcher *self, PatchedFile *file, lua_State *L,
                        int line) {
  lua_rawgeti(L, -1, CLEANUP_FUNCTION);
  lua_remove(L, -2);
  GraftError error;
  if (vm_pcall(self->vm, L, 0, 0, &error) == GRAFT_OK) return;
  Note note = {.kind = NOTE_FAILED,
               .file = file->patch.script->path,
               .line = error.line > 0 ? error.line : line};
  snprintf(note.name, sizeof note.name, "%s", file->patch.script->module);
  snprintf(note.text, sizeof note.text, "cleanup failed: %.200s",
           error.message);
  patcher_add_note(self, &note);
}

void defer_run(Patcher *self, PatchedFile *file, lua_State *L, int statement) {
  if (file->cleanups_ref == VM_NO_REF || statement < 0) return;
  int line = file->patch.diff->old_unit->statements[statement].line;
  luaL_checkstack(L, 8, "defer");
  vm_push(self->vm, L, file->cleanups_ref);
  int list = lua_gettop(L);
  for (int i = (int)lua_rawlen(L, list); i >= 1; i--) {
    lua_rawgeti(L, list, i);
    if (entry_statement(L, list + 1) == statement) {
      run_cleanup(self, file, L, line);
    }
    lua_settop(L, list);
  }
  lua_pop(L, 1);
}

// stack: …, list. Entries of before have the statements of the old unit.
static void renumber(const PatchedFile *file, lua_State *L) {
  int list = lua_gettop(L);
  for (int i = 1; i <= (int)lua_rawlen(L, list); i++) {
    lua_rawgeti(L, list, i);
    if (entry_is_fresh(L, list + 1)) {
      lua_pushboolean(L, 0);
      lua_rawseti(L, list + 1, CLEANUP_FRESH);
    } else {
      int before = entry_statement(L, list + 1);
      lua_pushinteger(L, file->patch.diff->statement_new[before]);
      lua_rawseti(L, list + 1, CLEANUP_STATEMENT);
    }
    lua_settop(L, list);
  }
}

// Nothing that asks for memory comes after the first list was changed:
// renumbering only sets fields that there are, and the lists were made by
// `defer_collect`.
static void commit(Vm *vm, lua_State *L, void *context) {
  (void)vm;
  Patcher *self = context;
  for (size_t i = 0; i < self->files.count; i++) {
    push_list(self->files.items[i]->patch.script, L);
    renumber(self->files.items[i], L);
    lua_pop(L, 1);
  }
}

GraftStatus defer_commit(Patcher *self, GraftError *error) {
  return vm_protect(self->vm, commit, self, error);
}

static bool is_fresh(const PatchedFile *file, lua_State *L, int entry) {
  (void)file;
  return entry_is_fresh(L, entry);
}

static bool is_any(const PatchedFile *file, lua_State *L, int entry) {
  (void)file;
  (void)L;
  (void)entry;
  return true;
}

// stack: …, list of the script
static void undo_file(Patcher *self, PatchedFile *file, lua_State *L) {
  int list = lua_gettop(L);
  lua_newtable(L);
  move_entries(file, L, is_fresh);
  for (int i = (int)lua_rawlen(L, -1); i >= 1; i--) {
    lua_rawgeti(L, -1, i);
    int line = file->patch.unit->statements[entry_statement(L, -1)].line;
    run_cleanup(self, file, L, line);
    lua_settop(L, list + 1);
  }
  lua_settop(L, list);
  if (file->cleanups_ref == VM_NO_REF) return;
  vm_push(self->vm, L, file->cleanups_ref);
  lua_insert(L, list);
  move_entries(file, L, is_any);
}

static void undo(Vm *vm, lua_State *L, void *context) {
  (void)vm;
  Patcher *self = context;
  for (size_t i = self->files.count; i > 0; i--) {
    int top = lua_gettop(L);
    push_list(self->files.items[i - 1]->patch.script, L);
    undo_file(self, self->files.items[i - 1], L);
    lua_settop(L, top);
  }
}

void defer_undo(Patcher *self) {
  vm_protect(self->vm, undo, self, NULL);
}
