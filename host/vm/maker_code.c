// SPDX-License-Identifier: MIT

#include "vm/maker_code.h"

#include <string.h>

#include "vm/compat.h"

void maker_code_free(MakerCode *self) {
  if (self == NULL) return;
  for (size_t i = 0; i < self->pieces.count; i++) {
    maker_text_clear(&self->pieces.items[i]);
  }
  memory_free(&self->allocator, self->pieces.items);
  memory_free(&self->allocator, self->rework);
  GraftAllocator allocator = self->allocator;
  memory_free(&allocator, self);
}

static int write_code(lua_State *L, const void *bytes, size_t size,
                      void *context) {
  (void)L;
  Buffer *buffer = context;
  buffer_add(buffer, bytes, size);
  return buffer->failed;
}

// Leaves the checker's stack empty. lua_load catches its errors, and lua_dump
// asks for no memory in 5.4; in LuaJIT it may, and catches that too.
static bool compile(lua_State *L, MakerText *piece, const char *chunk_name) {
  if (piece->buffer.failed) return false;
  bool compiled =
      luaL_loadbufferx_text(L, piece->buffer.text, piece->buffer.size,
                            chunk_name) == LUA_OK;
  buffer_clear(&piece->buffer);
#if VM_LUAJIT
  compiled = compiled && lua_dump(L, write_code, &piece->buffer) == 0;
#else
  compiled = compiled && lua_dump(L, write_code, &piece->buffer, 0) == 0;
#endif
  lua_settop(L, 0);
  return compiled && !piece->buffer.failed;
}

static bool add_piece(MakerCode *self, lua_State *L, const GraftUnit *unit,
                      const char *chunk_name, int depth) {
  MakerText *piece = ARRAY_PUSH(&self->allocator, &self->pieces);
  if (piece == NULL) return false;
  maker_text_init(piece, &self->allocator);
  maker_text_start(piece, unit);
  maker_add_depth(piece, self->rework, depth);
  if (piece->buffer.size == 0) return !piece->buffer.failed;
  return compile(L, piece, chunk_name);
}

static MakerCode *code_new(const GraftAllocator *allocator, const Diff *diff) {
  MakerCode *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = *allocator;
  self->definition_count = diff->new_unit->definition_count;
  self->rework = memory_new(allocator, (size_t)self->definition_count + 1);
  if (self->rework != NULL) {
    maker_find_rework(diff, self->rework);
    return self;
  }
  memory_free(allocator, self);
  return NULL;
}

MakerCode *maker_code_new(const GraftAllocator *allocator, VmChecker *checker,
                          const Diff *diff, const char *path) {
  Buffer chunk_name;
  buffer_init(&chunk_name, allocator);
  buffer_format(&chunk_name, "@%s", path);
  MakerCode *self = chunk_name.failed ? NULL : code_new(allocator, diff);
  if (self != NULL) {
    const GraftUnit *unit = diff->new_unit;
    int depth = maker_deepest(unit, self->rework);
    while (depth >= 0 && add_piece(self, (lua_State *)checker, unit,
                                   chunk_name.text, depth)) {
      depth--;
    }
    if (depth >= 0) {
      maker_code_free(self);
      self = NULL;
    }
  }
  buffer_clear(&chunk_name);
  return self;
}

bool maker_code_fits(const MakerCode *self, const bool *rework) {
  return memcmp(self->rework, rework, (size_t)self->definition_count) == 0;
}
