// SPDX-License-Identifier: MIT
//
// Names: identity paths and registry names of definitions, as unit.h shows
// them by example.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "unit/build.h"
#include "unit/counter.h"

static char *append(char *at, const char *text, size_t size, size_t *room) {
  if (size > *room) size = *room;
  memcpy(at, text, size);
  *room -= size;
  return at + size;
}

const char *name_join(GraftUnit *unit, const char *left, const char *separator,
                      const char *right) {
  size_t left_size = strlen(left), right_size = strlen(right);
  size_t size = left_size + strlen(separator) + right_size;
  char hash[20] = "";
  if (size > NAME_LIMIT) {
    uint64_t sum =
        hash_bytes(hash_bytes(0, left, left_size), right, right_size);
    snprintf(hash, sizeof hash, "~%016" PRIx64, sum);
    size = NAME_LIMIT;
  }
  char *name = arena_new(&unit->arena, size + strlen(hash) + 1);
  if (name == NULL) return NULL;
  size_t room = size;
  char *at = append(name, left, left_size, &room);
  at = append(at, separator, strlen(separator), &room);
  at = append(at, right, right_size, &room);
  memcpy(at, hash, strlen(hash));
  return name;
}

typedef struct Names {
  GraftUnit *unit;
  Definition *definitions;
  Counter counter;
  const char **displays; // by definition: the name without the module
  bool odd_keys;
} Names;

static uint64_t hash_text(uint64_t seed, const char *text) {
  return hash_bytes(seed, text, strlen(text));
}

// How many like it came before, among its siblings.
static int number(Names *self, const Definition *definition) {
  uint64_t key = hash_mix((uint64_t)definition->parent, definition->named);
  int *seen = counter_at(&self->counter, hash_text(key, definition->segment));
  return seen != NULL ? (*seen)++ : -1;
}

// Its own part of the path: "think", "think~2", "bus.on/1", "/1".
static const char *own_part(Names *self, const Definition *definition) {
  int before = number(self, definition);
  if (before < 0) return NULL;
  if (definition->named && before == 0) return definition->segment;
  char suffix[24];
  if (definition->named) {
    snprintf(suffix, sizeof suffix, "~%d", before + 1);
  } else {
    snprintf(suffix, sizeof suffix, "/%d", before + 1);
  }
  return name_join(self->unit, definition->segment, "", suffix);
}

static const char *join_part(Names *self, const char *parent,
                             const char *part) {
  bool separate = *parent != '\0' && *part != '/' && *part != '\0';
  return name_join(self->unit, parent, separate ? "." : "", part);
}

// Sets path and display of the index-th definition; its parent comes before.
static bool assign_path(Names *self, int index) {
  Definition *definition = &self->definitions[index];
  const char *part = own_part(self, definition);
  if (part == NULL) return false;
  definition->path = part;
  self->displays[index] = part;
  if (definition->parent >= 0) {
    definition->path =
        join_part(self, self->definitions[definition->parent].path, part);
    const char *outer = self->displays[definition->parent];
    self->displays[index] = outer == self->definitions[definition->parent].path
                                ? definition->path
                                : join_part(self, outer, part);
  }
  if (definition->shown != SHOWN_NOT) {
    self->displays[index] = definition->shown_path;
  }
  return definition->path != NULL && self->displays[index] != NULL;
}

// Several definitions may be shown under one name; the last one keeps it.
static bool settle_shown(Names *self, int index) {
  Definition *definition = &self->definitions[index];
  if (definition->shown == SHOWN_NOT) return true;
  uint64_t key = hash_text(1, definition->shown_path);
  int *left = counter_at(&self->counter, key);
  if (left == NULL) return false;
  if (--*left == 0) return true;
  int *seen = counter_at(&self->counter, hash_mix(key, 1));
  if (seen == NULL) return false;
  char suffix[24];
  snprintf(suffix, sizeof suffix, "~%d", ++*seen);
  self->displays[index] =
      name_join(self->unit, definition->shown_path, "", suffix);
  definition->shown = SHOWN_NOT;
  definition->shown_path = NULL;
  return self->displays[index] != NULL;
}

static bool count_shown(Names *self) {
  for (int i = 0; i < self->unit->definition_count; i++) {
    if (self->definitions[i].shown == SHOWN_NOT) continue;
    uint64_t key = hash_text(1, self->definitions[i].shown_path);
    int *count = counter_at(&self->counter, key);
    if (count == NULL) return false;
    ++*count;
  }
  return true;
}

// Where keys hold any character, two names might still be the same.
static bool make_unique(Names *self, Definition *definition) {
  for (int k = 2;; k++) {
    uint64_t key = hash_text(2, definition->name);
    int *seen = counter_at(&self->counter, key);
    if (seen == NULL) return false;
    if ((*seen)++ == 0) return true;
    char suffix[24];
    snprintf(suffix, sizeof suffix, "~%d", k + *seen - 2);
    definition->name = name_join(self->unit, definition->name, "", suffix);
    if (definition->name == NULL) return false;
  }
}

static bool assign_name(Names *self, int index) {
  Definition *definition = &self->definitions[index];
  const char *module = self->unit->module;
  const char *separator = ":";
  if (definition->shown != SHOWN_NOT) {
    bool both = *module != '\0' && *definition->shown_path != '\0';
    separator = both ? "." : "";
  }
  const char *display = self->displays[index];
  const char *name = name_join(self->unit, module, separator, display);
  definition->name = name;
  return name != NULL && (!self->odd_keys || make_unique(self, definition));
}

bool names_assign(Builder *builder) {
  GraftUnit *unit = builder->unit;
  Names self = {.unit = unit,
                .definitions = builder->definitions,
                .odd_keys = builder->parser->odd_keys};
  const GraftAllocator *allocator = builder->parser->allocator;
  counter_init(&self.counter, allocator);
  self.displays = memory_new(allocator, (size_t)unit->definition_count *
                                            sizeof *self.displays);
  bool done =
      self.displays != NULL &&
      counter_reserve(&self.counter, 2 * (size_t)unit->definition_count) &&
      count_shown(&self);
  for (int i = 0; i < unit->definition_count && done; i++) {
    done = assign_path(&self, i) && settle_shown(&self, i) &&
           assign_name(&self, i);
  }
  counter_clear(&self.counter);
  memory_free(allocator, self.displays);
  return done;
}
