// SPDX-License-Identifier: MIT
//
// Makers: compiling what a patch needs, and getting closures out of it.

#include "vm/chunk.h"
#include "vm/patcher_state.h"

// The chunks of a file lie in front of the table's beginning.
static void keep_chunk(lua_State *L, int makers) {
  int place = -1;
  for (;; place--) {
    lua_rawgeti(L, makers, place);
    bool is_free = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (is_free) break;
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, makers, place);
}

// Gives the chunk on top, of this text, to the script, and calls it with the
// table at `makers`. Pops it.
static void run_chunk(const MakerText *self, Script *script, lua_State *L,
                      int makers) {
#if VM_LUAJIT
  vm_push(script->vm, L, script->environment_ref);
  lua_getfenv(L, -1);
  lua_setfenv(L, -3);
  lua_pop(L, 1);
#endif
  ScriptChunk *chunk = chunk_new(script, L);
  for (size_t i = 0; i < self->protos.count && i + 1 < chunk->count; i++) {
    chunk_map(chunk, i + 1, self->protos.items[i]);
  }
  keep_chunk(L, makers);
  lua_pushvalue(L, makers);
  lua_call(L, 1, 0);
}

// stack: …, makers. `mode` is "t" for a text, "b" for what was compiled
// beforehand.
static void run_text(const MakerText *self, Script *script, lua_State *L,
                     const char *mode) {
  if (self->buffer.failed) luaL_error(L, "out of memory");
  if (self->buffer.size == 0) return;
  int makers = lua_gettop(L);
  if (luaL_loadbufferx(L, self->buffer.text, self->buffer.size,
                       script->chunk_name, mode) != LUA_OK) {
    lua_error(L);
  }
  run_chunk(self, script, L, makers);
}

// stack: …, makers
static void compile_functions(PatchedFile *file, lua_State *L) {
  Script *script = file->patch.script;
  MakerCode *code = file->code;
  if (code != NULL && maker_code_fits(code, file->rework)) {
    for (size_t i = 0; i < code->pieces.count; i++) {
      run_text(&code->pieces.items[i], script, L, "b");
    }
    return;
  }
  const GraftUnit *unit = file->patch.unit;
  int depth = maker_deepest(unit, file->rework);
  for (; depth >= 0; depth--) {
    maker_text_start(&file->text, unit);
    maker_add_depth(&file->text, file->rework, depth);
    run_text(&file->text, script, L, "t");
  }
}

// stack: …, makers
static void compile_statements(PatchedFile *file, lua_State *L) {
  size_t size = (size_t)file->patch.unit->variable_count + 1;
  MakerUse *uses = lua_newuserdata(L, size * sizeof *uses);
  maker_text_start(&file->text, file->patch.unit);
  maker_add_statements(&file->text, file, uses);
  lua_pop(L, 1);
  run_text(&file->text, file->patch.script, L, "t");
}

void maker_compile(PatchedFile *file, lua_State *L) {
  Vm *vm = file->patch.script->vm;
  lua_newtable(L);
  compile_functions(file, L);
  file->makers_ref = vm_ref(vm, L);
  lua_newtable(L);
  compile_statements(file, L);
  file->statements_ref = vm_ref(vm, L);
}

// stack: …, makers. Fills it again with closures.
static void run_again(lua_State *L) {
  int makers = lua_gettop(L);
  for (int place = -1;; place--) {
    lua_rawgeti(L, makers, place);
    if (lua_isnil(L, -1)) break;
    lua_pushvalue(L, makers);
    lua_call(L, 1, 0);
  }
  lua_settop(L, makers);
}

// A closure is taken out of the table; for another one of the same definition,
// which is rare, all are made again.
void maker_push_closure(PatchedFile *file, lua_State *L, int definition) {
  vm_push(file->patch.script->vm, L, file->makers_ref);
  lua_rawgeti(L, -1, definition + 1);
  if (!maker_is_direct(&file->patch.unit->definitions[definition])) {
    lua_remove(L, -2);
    lua_call(L, 0, 1);
    return;
  }
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    run_again(L);
    lua_rawgeti(L, -1, definition + 1);
  }
  lua_pushnil(L);
  lua_rawseti(L, -3, definition + 1);
  lua_remove(L, -2);
}
