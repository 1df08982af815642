// SPDX-License-Identifier: MIT

#include "unit/unit.h"

#include <string.h>

#include "base/error.h"
#include "unit/lexer.h"
#include "unit/parser.h"

// ---------------------------------------------------------------------------
// Making
// ---------------------------------------------------------------------------

GraftUnit *unit_new(const GraftAllocator *allocator) {
  if (allocator == NULL) allocator = &memory_default;
  GraftUnit *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return NULL;
  self->allocator = *allocator;
  atomic_init(&self->references, 1);
  arena_init(&self->arena, &self->allocator);
  self->module = self->file = self->source = "";
  self->return_statement = -1;
  return self;
}

GraftUnit *unit_retain(GraftUnit *self) {
  if (self != NULL) {
    atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
  }
  return self;
}

void unit_release(GraftUnit *self) {
  if (self == NULL || atomic_fetch_sub_explicit(&self->references, 1,
                                                memory_order_acq_rel) > 1) {
    return;
  }
  for (size_t i = 0; i < self->origins.count; i++) {
    unit_release(self->origins.items[i]);
  }
  GraftAllocator allocator = self->allocator;
  memory_free(&allocator, self->origins.items);
  memory_free(&allocator, self->kept_functions.items);
  memory_free(&allocator, self->kept_statements.items);
  for (int i = 0; i < UNIT_BLOCK_COUNT; i++) {
    memory_free(&allocator, self->blocks[i]);
  }
  arena_clear(&self->arena);
  memory_free(&allocator, self);
}

void graft_unit_free(GraftUnit *self) {
  unit_release(self);
}

// As luaL_loadfilex does: a byte order mark and a first line with # are
// skipped, the line's end is not.
size_t unit_find_code(const char *source, size_t size) {
  size_t start = 0;
  if (size >= 3 && memcmp(source, "\xef\xbb\xbf", 3) == 0) start = 3;
  if (start < size && source[start] == '#') {
    while (start < size && source[start] != '\n') start++;
  }
  return start;
}

static GraftStatus copy_source(GraftUnit *self, const GraftUnitDesc *desc,
                               GraftError *error) {
  size_t size = desc->size > 0 ? desc->size : strlen(desc->source);
  if (size >= INT32_MAX) {
    return error_set(error, GRAFT_EARG, "source of 2 GB or more");
  }
  char *source = arena_new(&self->arena, size + LEXER_PADDING);
  const char *module = desc->module != NULL ? desc->module : "";
  const char *file = desc->file != NULL ? desc->file : module;
  self->module = arena_copy_string(&self->arena, module, strlen(module));
  self->file = arena_copy_string(&self->arena, file, strlen(file));
  if (source == NULL || self->module == NULL || self->file == NULL) {
    return error_memory(error);
  }
  memcpy(source, desc->source, size);
  self->source = source;
  self->size = size;
  self->code_start = unit_find_code(source, size);
  return GRAFT_OK;
}

static GraftStatus parse(GraftUnit *self, GraftError *error) {
  // The parser is too large for small stacks of threads.
  Parser *parser = memory_new(&self->allocator, sizeof *parser);
  if (parser == NULL) return error_memory(error);
  GraftStatus status = parser_run(parser, self, error);
  if (status == GRAFT_OK && !unit_build(self, parser)) {
    status = error_memory(error);
  }
  parser_clear(parser);
  memory_free(&self->allocator, parser);
  return status;
}

// The unit of a source itself: no lists, and nothing changes it any more.
static GraftStatus compile_origin(const GraftUnitDesc *desc, GraftUnit **origin,
                                  GraftError *error) {
  GraftUnit *self = unit_new(desc->allocator);
  if (self == NULL) return error_memory(error);
  GraftStatus status = copy_source(self, desc, error);
  if (status == GRAFT_OK) status = parse(self, error);
  if (status != GRAFT_OK) {
    unit_release(self);
    return status;
  }
  *origin = self;
  return GRAFT_OK;
}

// Everything is kept at first.
static bool keep_all(GraftUnit *self, const GraftUnit *origin) {
  if (!array_reserve(&self->allocator, (void **)&self->kept_statements.items,
                     &self->kept_statements.capacity,
                     (size_t)origin->statement_count + 1, sizeof(UnitRef))) {
    return false;
  }
  for (int i = 0; i < origin->definition_count;
       i = origin->definitions[i].subtree_end) {
    UnitRef *ref = ARRAY_PUSH(&self->allocator, &self->kept_functions);
    if (ref == NULL) return false;
    *ref = (UnitRef){origin, i};
  }
  for (int i = 0; i < origin->statement_count; i++) {
    UnitRef *ref = ARRAY_PUSH(&self->allocator, &self->kept_statements);
    if (ref == NULL) return false;
    *ref = (UnitRef){origin, i};
  }
  return true;
}

// A unit that shows what `origin` holds, which it takes over. NULL when out
// of memory, and then the origin is released.
static GraftUnit *wrap(GraftUnit *origin) {
  GraftUnit *self = unit_new(&origin->allocator);
  if (self != NULL) {
    Arena arena = self->arena;
    *self = *origin;
    self->arena = arena;
    memset(self->blocks, 0, sizeof self->blocks);
    self->arena.allocator = &self->allocator;
    atomic_init(&self->references, 1);
    GraftUnit **held = ARRAY_PUSH(&self->allocator, &self->origins);
    if (held != NULL) {
      *held = origin;
      if (keep_all(self, origin)) return self;
      unit_release(self);
      return NULL;
    }
  }
  unit_release(self);
  unit_release(origin);
  return NULL;
}

GraftStatus graft_unit_compile(const GraftUnitDesc *desc, GraftUnit **unit,
                               GraftError *error) {
  *unit = NULL;
  if (desc->source == NULL) {
    return error_set(error, GRAFT_EARG, "no source to compile");
  }
  GraftUnit *origin = NULL;
  GraftStatus status = compile_origin(desc, &origin, error);
  if (origin == NULL) return status;
  *unit = wrap(origin);
  return *unit != NULL ? GRAFT_OK : error_memory(error);
}

// ---------------------------------------------------------------------------
// Looking
// ---------------------------------------------------------------------------

const Definition *unit_find(const GraftUnit *self, const char *name) {
  for (int i = 0; i < self->definition_count; i++) {
    const Definition *definition = &self->definitions[i];
    if (strcmp(definition->name, name) == 0) return definition;
  }
  return NULL;
}

int unit_outermost(const GraftUnit *self, int definition) {
  while (self->definitions[definition].parent >= 0) {
    definition = self->definitions[definition].parent;
  }
  return definition;
}

bool path_equal(const Path *left, const Path *right) {
  if (left->variable != right->variable || left->computed != right->computed ||
      left->key_count != right->key_count) {
    return false;
  }
  if (left->name == NULL || right->name == NULL) {
    return left->name == right->name;
  }
  if (strcmp(left->name, right->name) != 0) return false;
  for (uint32_t i = 0; i < left->key_count; i++) {
    if (strcmp(left->keys[i], right->keys[i]) != 0) return false;
  }
  return true;
}
