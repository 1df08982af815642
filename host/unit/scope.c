// SPDX-License-Identifier: MIT
//
// Scopes: which local a name means, and which functions capture it. Each
// symbol knows its innermost visible local, and each local the innermost open
// function that has captured it, so that a use costs no search (D4).

#include "base/hash.h"
#include "unit/parser.h"

int scope_declare(Parser *self, Symbol *symbol, uint32_t offset) {
  int index = (int)self->locals.count;
  Local *local = PARSER_PUSH(self, &self->locals);
  FunctionState *function = self->function;
  *local = (Local){
      .symbol = symbol,
      .shadowed = symbol->local,
      .level = function->level,
      .owner = function->definition,
      .statement = self->statement,
      .captured_level = function->level,
      .record = -1,
      .variable = VARIABLE_LOCAL,
      .offset = offset,
      .block = self->block,
      .top = function->block_depth == 0,
  };
  *PARSER_PUSH(self, &self->active) = index;
  symbol->local = index;
  return index;
}

void scope_close(Parser *self, size_t active_count) {
  while (self->active.count > active_count) {
    int index = self->active.items[--self->active.count];
    Local *local = &self->locals.items[index];
    local->symbol->local = local->shadowed;
    local->block_last = self->block_count;
  }
}

ScopeBlock scope_open_block(Parser *self) {
  ScopeBlock block = {self->active.count, self->block};
  self->block = ++self->block_count;
  self->function->block_depth++;
  return block;
}

void scope_close_block(Parser *self, ScopeBlock block) {
  self->function->block_depth--;
  scope_close(self, block.active_count);
  self->block = block.outer;
}

// Adds a record to the end of a function's chain.
static CaptureRecord *add_record(Parser *self, FunctionState *function) {
  int index = (int)self->captures.count;
  CaptureRecord *record = PARSER_PUSH(self, &self->captures);
  if (function->last_capture < 0) {
    function->first_capture = index;
  } else {
    self->captures.items[function->last_capture].next = index;
  }
  function->last_capture = index;
  *record = (CaptureRecord){.next = -1};
  return record;
}

static void use_global(Parser *self, Symbol *symbol) {
  FunctionState *function = self->function;
  if (symbol->global_level == function->level) return;
  CaptureRecord *record = add_record(self, function);
  record->symbol = symbol;
  record->local = VARIABLE_GLOBAL;
  record->outer = symbol->global_level;
  record->direct = true;
  symbol->global_level = function->level;
}

// Every function from the one that captured last down to this one gets a
// record; the outer ones' are made first, so that `outer` can refer to them.
static void capture_through(Parser *self, FunctionState *function, int index) {
  Local *local = &self->locals.items[index];
  if (function->level <= local->captured_level) return;
  capture_through(self, function->up, index);
  int record_index = (int)self->captures.count;
  CaptureRecord *record = add_record(self, function);
  local = &self->locals.items[index];
  record->symbol = local->symbol;
  record->local = index;
  record->outer = local->record;
  record->direct = false;
  record->env_only = true;
  local->record = record_index;
  local->captured_level = function->level;
  local->captured = true;
}

static CaptureRecord *capture(Parser *self, int index) {
  capture_through(self, self->function, index);
  return &self->captures.items[self->locals.items[index].record];
}

static void mark_used(Parser *self, int index) {
  // Records on the way were made with env_only, or by an earlier use.
  CaptureRecord *record = capture(self, index);
  record->direct = true;
  while (record->env_only) {
    record->env_only = false;
    if (record->outer < 0) break;
    record = &self->captures.items[record->outer];
  }
}

// A use of the environment: a `local _ENV` in sight, or the chunk's own.
static void use_env(Parser *self) {
  int env = self->symbol_env->local;
  FunctionState *function = self->function;
  if (env >= 0) {
    function->env_local = env;
    if (self->locals.items[env].level < function->level) capture(self, env);
    return;
  }
  for (; function != NULL && !function->uses_env; function = function->up) {
    function->uses_env = true;
  }
}

int scope_use(Parser *self, Symbol *symbol) {
  int index = symbol->local;
  if (index >= 0) {
    if (self->locals.items[index].level < self->function->level) {
      mark_used(self, index);
    }
    return index;
  }
  if (self->function->level > 0) use_global(self, symbol);
  use_env(self);
  return VARIABLE_GLOBAL;
}

void scope_open_function(Parser *self, FunctionState *state) {
  state->up = self->function;
  state->level = self->function != NULL ? self->function->level + 1 : 0;
  state->first_capture = state->last_capture = -1;
  state->env_local = VARIABLE_GLOBAL;
  state->outer_block = self->block;
  self->block = ++self->block_count;
  self->function = state;
}

// Restores what symbols and locals knew before the function. Records stay.
void scope_close_function(Parser *self) {
  FunctionState *function = self->function;
  for (int i = function->first_capture; i >= 0;) {
    CaptureRecord *record = &self->captures.items[i];
    if (record->local < 0) {
      record->symbol->global_level = record->outer;
    } else {
      Local *local = &self->locals.items[record->local];
      local->captured_level = function->level - 1;
      local->record = record->outer;
    }
    i = record->next;
  }
  self->block = function->outer_block;
  self->function = function->up;
}
