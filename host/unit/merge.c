// SPDX-License-Identifier: MIT
//
// Merge: the interface of units after Rhai's AST (U2-U4). A unit is two lists
// of references, so filtering and merging move references only; the source
// units live on behind them.

#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "unit/counter.h"
#include "unit/unit.h"

static const Definition *ref_definition(UnitRef ref) {
  return &ref.origin->definitions[ref.index];
}

static void describe(UnitRef ref, GraftUnitFunction *function) {
  const GraftUnit *origin = ref.origin;
  const Definition *definition = ref_definition(ref);
  *function = (GraftUnitFunction){
      .name = definition->name,
      .path = definition->path,
      .file = origin->file,
      .line = definition->line,
      .last_line = definition->last_line,
      .column = definition->column,
      .parameter_count = definition->parameter_count,
      .parameters = definition->parameters,
      .vararg = definition->vararg,
      .method = definition->has_self,
      .shown = definition->shown != SHOWN_NOT,
      .source = unit_text(origin, definition->whole),
      .source_size = range_size(definition->whole),
      .file_source = origin->source,
      .file_source_size = origin->size,
      .fingerprint = definition->deep,
  };
}

static bool keeps(const GraftUnitFilter *filter, UnitRef ref) {
  if (filter == NULL || filter->keep == NULL) return true;
  GraftUnitFunction function;
  describe(ref, &function);
  return filter->keep(filter->context, &function);
}

// ---------------------------------------------------------------------------
// One unit
// ---------------------------------------------------------------------------

size_t graft_unit_function_count(const GraftUnit *self) {
  return self->kept_functions.count;
}

bool graft_unit_function(const GraftUnit *self, size_t index,
                         GraftUnitFunction *function) {
  if (index >= self->kept_functions.count) return false;
  describe(self->kept_functions.items[index], function);
  return true;
}

size_t graft_unit_statement_count(const GraftUnit *self) {
  return self->kept_statements.count;
}

const char *graft_unit_source(const GraftUnit *self, size_t *size) {
  if (size != NULL) *size = self->size;
  return self->source;
}

void graft_unit_clear_statements(GraftUnit *self) {
  self->kept_statements.count = 0;
}

void graft_unit_clear_functions(GraftUnit *self) {
  self->kept_functions.count = 0;
}

void graft_unit_retain_functions(GraftUnit *self,
                                 const GraftUnitFilter *filter) {
  size_t kept = 0;
  for (size_t i = 0; i < self->kept_functions.count; i++) {
    UnitRef ref = self->kept_functions.items[i];
    if (keeps(filter, ref)) self->kept_functions.items[kept++] = ref;
  }
  self->kept_functions.count = kept;
}

// ---------------------------------------------------------------------------
// Two units
// ---------------------------------------------------------------------------

// The lists a unit will have; nothing is retained by them.
typedef struct Lists {
  const GraftAllocator *allocator;
  ARRAY(UnitRef) functions;
  ARRAY(UnitRef) statements;
  ARRAY(GraftUnit *) origins; // each once
  Map names;                  // of functions → their place from 1
  Counter seen;               // of origins
} Lists;

static void lists_clear(Lists *self) {
  memory_free(self->allocator, self->functions.items);
  memory_free(self->allocator, self->statements.items);
  memory_free(self->allocator, self->origins.items);
  map_clear(&self->names);
  counter_clear(&self->seen);
}

static bool add_function(Lists *self, UnitRef ref) {
  const char *name = ref_definition(ref)->name;
  size_t place = (size_t)(uintptr_t)map_find(&self->names, name);
  if (place > 0) {
    self->functions.items[place - 1] = ref;
    return true;
  }
  UnitRef *added = ARRAY_PUSH(self->allocator, &self->functions);
  if (added == NULL) return false;
  *added = ref;
  return map_set(&self->names, name, (void *)self->functions.count);
}

static bool add_unit(Lists *self, const GraftUnit *unit,
                     const GraftUnitFilter *filter) {
  for (size_t i = 0; i < unit->kept_functions.count; i++) {
    UnitRef ref = unit->kept_functions.items[i];
    if (keeps(filter, ref) && !add_function(self, ref)) return false;
  }
  for (size_t i = 0; i < unit->kept_statements.count; i++) {
    UnitRef *added = ARRAY_PUSH(self->allocator, &self->statements);
    if (added == NULL) return false;
    *added = unit->kept_statements.items[i];
  }
  return true;
}

static bool add_origin(Lists *self, const GraftUnit *origin) {
  int *seen = counter_at(&self->seen, (uintptr_t)origin);
  if (seen == NULL) return false;
  if ((*seen)++ > 0) return true;
  GraftUnit **added = ARRAY_PUSH(self->allocator, &self->origins);
  if (added == NULL) return false;
  // Counting references does not change what others see of it.
  *added = (GraftUnit *)origin;
  return true;
}

static bool add_origins(Lists *self) {
  for (size_t i = 0; i < self->functions.count; i++) {
    if (!add_origin(self, self->functions.items[i].origin)) return false;
  }
  for (size_t i = 0; i < self->statements.count; i++) {
    if (!add_origin(self, self->statements.items[i].origin)) return false;
  }
  return true;
}

static void move_array(const GraftAllocator *allocator, void **to,
                       void **from) {
  memory_free(allocator, *to);
  *to = *from;
  *from = NULL;
}

// Gives the lists to `unit`, which retains the origins.
static void give_lists(Lists *self, GraftUnit *unit) {
  const GraftAllocator *allocator = self->allocator;
  for (size_t i = 0; i < self->origins.count; i++) {
    unit_retain(self->origins.items[i]);
  }
  for (size_t i = 0; i < unit->origins.count; i++) {
    unit_release(unit->origins.items[i]);
  }
  move_array(allocator, (void **)&unit->kept_functions.items,
             (void **)&self->functions.items);
  unit->kept_functions.count = self->functions.count;
  unit->kept_functions.capacity = self->functions.capacity;
  move_array(allocator, (void **)&unit->kept_statements.items,
             (void **)&self->statements.items);
  unit->kept_statements.count = self->statements.count;
  unit->kept_statements.capacity = self->statements.capacity;
  move_array(allocator, (void **)&unit->origins.items,
             (void **)&self->origins.items);
  unit->origins.count = self->origins.count;
  unit->origins.capacity = self->origins.capacity;
}

static bool merge_into(GraftUnit *unit, const GraftUnit *left,
                       const GraftUnit *right, const GraftUnitFilter *filter) {
  Lists lists = {.allocator = &unit->allocator};
  map_init(&lists.names, &unit->allocator);
  counter_init(&lists.seen, &unit->allocator);
  bool done = add_unit(&lists, left, NULL) && add_unit(&lists, right, filter) &&
              add_origins(&lists);
  if (done) give_lists(&lists, unit);
  lists_clear(&lists);
  return done;
}

GraftUnit *graft_unit_merge(const GraftUnit *left, const GraftUnit *right,
                            const GraftUnitFilter *filter) {
  GraftUnit *unit = unit_new(&left->allocator);
  if (unit == NULL) return NULL;
  if (merge_into(unit, left, right, filter)) return unit;
  unit_release(unit);
  return NULL;
}

GraftStatus graft_unit_combine(GraftUnit *self, const GraftUnit *right,
                               const GraftUnitFilter *filter) {
  return merge_into(self, self, right, filter) ? GRAFT_OK : GRAFT_ENOMEM;
}
