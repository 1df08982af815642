// SPDX-License-Identifier: MIT
//
// Roles: what a function is called in the source, from what is around it. See
// the examples at the top of unit.h.

#include "base/hash.h"
#include "unit/parser.h"

typedef struct Description {
  bool named;
  uint64_t role;
  uint64_t place;
  const ParsedPath *target;
  uint32_t first_key; // of the fields behind the target, in keys
  uint32_t key_count;
} Description;

static void add_symbol(Buffer *text, const Symbol *symbol) {
  if (text->size > 0) buffer_add(text, ".", 1);
  size_t size = symbol->size;
  buffer_add(text, symbol->text,
             size < PATH_TEXT_LIMIT ? size : PATH_TEXT_LIMIT);
}

static void add_path(Parser *self, const ParsedPath *path) {
  if (path->symbol != NULL) add_symbol(&self->text, path->symbol);
  for (uint32_t i = 0; i < path->key_count; i++) {
    add_symbol(&self->text, self->keys.items[path->first_key + i]);
  }
}

static uint64_t hash_path(Parser *self, uint64_t hash, const ParsedPath *path) {
  if (path->symbol != NULL) hash = hash_mix(hash, path->symbol->hash);
  for (uint32_t i = 0; i < path->key_count; i++) {
    hash = hash_mix(hash, self->keys.items[path->first_key + i]->hash);
  }
  return hash;
}

static void describe_argument(Parser *self, Description *to, const Role *role) {
  // What setmetatable gets is what it returns.
  if (role->path->symbol == self->symbol_setmetatable &&
      role->path->key_count == 0 && role->number == 1) {
    return;
  }
  to->named = false;
  if (self->text.size == 0) add_path(self, role->path);
  to->place = hash_path(self, to->place, role->path);
  to->role = hash_path(self, to->role, role->path);
  to->role = hash_mix(to->role, (uint64_t)role->number);
  to->role = hash_mix(to->role, role->literals);
}

static void describe(Parser *self, Description *to, const Role *role) {
  if (role->up != NULL) describe(self, to, role->up);
  to->role = hash_mix(to->role, role->kind);
  to->place = hash_mix(to->place, role->kind);
  switch (role->kind) {
  case ROLE_TARGET:
    add_path(self, role->path);
    to->role = hash_path(self, to->role, role->path);
    to->named = !role->path->computed && role->path->symbol != NULL;
    to->target = role->path;
    break;
  case ROLE_FIELD:
    add_symbol(&self->text, role->key);
    to->role = hash_mix(to->role, role->key->hash);
    if (to->key_count++ == 0) to->first_key = (uint32_t)self->keys.count;
    *PARSER_PUSH(self, &self->keys) = role->key;
    break;
  case ROLE_ARGUMENT:
    describe_argument(self, to, role);
    break;
  case ROLE_RETURN:
    to->named = true;
    break;
  case ROLE_ITEM:
  case ROLE_NONE:
    to->named = false;
  }
}

// The target's keys and the fields' behind it, in one run.
static ParsedPath join_target(Parser *self, const Description *from) {
  ParsedPath path = {.local = VARIABLE_GLOBAL};
  if (from->target == NULL) return path;
  path = *from->target;
  if (from->key_count == 0) return path;
  uint32_t first = (uint32_t)self->keys.count;
  for (uint32_t i = 0; i < path.key_count; i++) {
    Symbol *key = self->keys.items[path.first_key + i];
    *PARSER_PUSH(self, &self->keys) = key;
  }
  for (uint32_t i = 0; i < from->key_count; i++) {
    Symbol *key = self->keys.items[from->first_key + i];
    *PARSER_PUSH(self, &self->keys) = key;
  }
  path.first_key = first;
  path.key_count += from->key_count;
  return path;
}

static const char *copy_text(Parser *self) {
  if (self->text.failed) parser_no_memory(self);
  const char *copy =
      arena_copy_string(self->arena, buffer_text(&self->text), self->text.size);
  if (copy == NULL) parser_no_memory(self);
  return copy;
}

void role_describe(Parser *self, Definition *definition) {
  Description to = {0};
  self->text.size = 0;
  if (self->role != NULL) describe(self, &to, self->role);
  if (self->text.size == 0) to.named = false;
  definition->segment = copy_text(self);
  definition->named = to.named;
  definition->role = to.role;
  definition->place = to.place;
  definition->kind = to.named ? DEFINITION_ASSIGNED : DEFINITION_ANONYMOUS;
  definition->target = (Path){.variable = VARIABLE_GLOBAL};
  if (to.named) {
    ParsedPath target = join_target(self, &to);
    definition->target = path_pack(&target);
  }
}

void role_describe_target(Parser *self, Definition *definition,
                          const ParsedPath *target) {
  self->text.size = 0;
  add_path(self, target);
  definition->segment = copy_text(self);
  definition->named = true;
  definition->target = path_pack(target);
}
