// SPDX-License-Identifier: MIT

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine_native.h"

// ---------------------------------------------------------------------------
// The text of a function
// ---------------------------------------------------------------------------

// Walks the text of a C file, past comments, literals and directives.
typedef struct Scan {
  const char *text;
  size_t size;
  size_t at;
  int line;
  int depth;       // of braces
  bool line_start; // nothing but blanks since the last line end
} Scan;

static char peek(const Scan *self, size_t ahead) {
  return self->at + ahead < self->size ? self->text[self->at + ahead] : '\0';
}

static void step(Scan *self) {
  if (self->text[self->at] == '\n') {
    self->line++;
    self->line_start = true;
  } else if (!isspace((unsigned char)self->text[self->at])) {
    self->line_start = false;
  }
  self->at++;
}

static void skip(Scan *self, size_t count) {
  while (count-- > 0 && self->at < self->size) step(self);
}

static void skip_block_comment(Scan *self) {
  skip(self, 2);
  while (self->at < self->size &&
         !(peek(self, 0) == '*' && peek(self, 1) == '/')) {
    step(self);
  }
  skip(self, 2);
}

// Up to the line's end, continued lines included.
static void skip_line(Scan *self) {
  while (self->at < self->size && peek(self, 0) != '\n') {
    if (peek(self, 0) == '\\') skip(self, 1);
    if (peek(self, 0) == '/' && peek(self, 1) == '*') {
      skip_block_comment(self);
    } else {
      skip(self, 1);
    }
  }
}

static void skip_literal(Scan *self, char quote) {
  skip(self, 1);
  while (self->at < self->size && peek(self, 0) != quote &&
         peek(self, 0) != '\n') {
    skip(self, peek(self, 0) == '\\' ? 2 : 1);
  }
  skip(self, 1);
}

// Past what is no code; false when there is code here.
static bool skip_other(Scan *self) {
  char c = peek(self, 0);
  if (isspace((unsigned char)c)) {
    step(self);
  } else if (c == '/' && peek(self, 1) == '*') {
    bool start = self->line_start;
    skip_block_comment(self);
    self->line_start = start;
  } else if ((c == '/' && peek(self, 1) == '/') ||
             (c == '#' && self->line_start)) {
    skip_line(self);
  } else if (c == '"' || c == '\'') {
    skip_literal(self, c);
  } else {
    return false;
  }
  return true;
}

static bool is_word(char c) {
  return isalnum((unsigned char)c) || c == '_';
}

// What the walk has seen of a top-level piece so far.
typedef struct Piece {
  size_t start; // SIZE_MAX: nothing yet
  bool named;   // the name stood right before the parameters
  int line;     // of the name
} Piece;

// At code outside of braces.
static void look_at_word(Scan *self, Piece *piece, const char *name) {
  size_t start = self->at;
  int line = self->line;
  if (piece->start == SIZE_MAX) piece->start = start;
  while (is_word(peek(self, 0))) step(self);
  size_t size = self->at - start;
  bool same =
      size == strlen(name) && memcmp(self->text + start, name, size) == 0;
  if (!same) return;
  while (self->at < self->size && skip_other(self)) continue;
  if (peek(self, 0) != '(' || piece->named) return;
  piece->named = true;
  piece->line = line;
}

bool native_find_text(const char *text, size_t size, const char *name,
                      NativeRange *range) {
  Scan scan = {.text = text, .size = size, .line = 1, .line_start = true};
  Piece piece = {.start = SIZE_MAX};
  while (scan.at < scan.size) {
    if (skip_other(&scan)) continue;
    char c = peek(&scan, 0);
    if (scan.depth == 0 && is_word(c)) {
      look_at_word(&scan, &piece, name);
      continue;
    }
    scan.depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (scan.depth < 0) scan.depth = 0;
    step(&scan);
    if (scan.depth > 0 || (c != '}' && c != ';')) continue;
    if (piece.named && c == '}') {
      *range = (NativeRange){piece.start, scan.at, piece.line};
      return true;
    }
    piece = (Piece){.start = SIZE_MAX};
  }
  return false;
}

// ---------------------------------------------------------------------------
// Old versions
// ---------------------------------------------------------------------------

// A slot whose native is compiled here, whatever is active in it.
static GraftFn *find_slot(Natives *self, const char *name) {
  GraftFn *fn = registry_find(self->engine->registry, name);
  if (fn == NULL || fn->native == NULL) fn = registry_find(self->hidden, name);
  return fn != NULL && fn->native != NULL ? fn : NULL;
}

bool natives_has_version(Natives *self, const char *name, uint32_t version) {
  const GraftFn *fn = self != NULL ? find_slot(self, name) : NULL;
  if (fn == NULL) return false;
  const Backing *backing = version > 0 ? slot_find_version(fn, version)
                                       : slot_find_layer(fn, LAYER_NATIVE);
  return backing != NULL && backing->kind != BACKING_SCRIPT;
}

// The native version before the present one, or NULL.
static const Backing *find_previous(const GraftFn *fn) {
  const Backing *present = slot_find_layer(fn, LAYER_NATIVE);
  const Backing *found = NULL;
  for (int i = 0; i < slot_history_count(fn); i++) {
    const Backing *backing = slot_history(fn, i);
    if (backing->kind == BACKING_SCRIPT || backing->owner == NULL) continue;
    if (present != NULL && backing->version >= present->version) break;
    found = backing;
  }
  return found;
}

static bool has_callers(const Natives *self, const NativeSymbol *symbol) {
  for (size_t i = 0; i < self->files.count; i++) {
    const NativeObject *object = self->files.items[i]->object;
    for (size_t k = 0;
         object != NULL && k < object_function_count(object->product->object);
         k++) {
      const ObjectReferences *references =
          &object_function(object->product->object, k)->references;
      for (size_t n = 0; n < references->count; n++) {
        if (strcmp(references->items[n].name, symbol->key) == 0) return true;
      }
    }
  }
  return false;
}

GraftStatus natives_check_version(Natives *self, const GraftFn *fn,
                                  const Backing *backing, GraftError *error) {
  const NativeSymbol *symbol = fn->native;
  const NativeObject *object = backing->owner;
  if (symbol == NULL || object == NULL) return GRAFT_OK;
  if (object->outdated) {
    return error_set(error, GRAFT_ESIGNATURE,
                     "%s version %u knows variables by a layout that has "
                     "changed since; save its text again instead",
                     fn->name, (unsigned)backing->version);
  }
  if (!signature_equal(backing->signature, fn->typed) &&
      (fn->held || has_callers(self, symbol))) {
    return error_set(error, GRAFT_ESIGNATURE,
                     "%s version %u is %s, but compiled code calls it as %s",
                     fn->name, (unsigned)backing->version,
                     backing->signature != NULL ? backing->signature->text
                                                : "of a C type of its own",
                     fn->typed != NULL ? fn->typed->text : "another");
  }
  return GRAFT_OK;
}

static GraftStatus put_version(GraftFn *fn, const Backing *backing,
                               GraftError *error) {
  NativeSymbol *symbol = fn->native;
  EntryType before;
  const Signature *signature = backing->signature;
  if (signature != NULL && signature->lua) signature = NULL;
  GraftStatus status = GRAFT_OK;
  if (!fn->held) status = entry_retype(fn, signature, &before, error);
  if (status == GRAFT_OK) {
    status = slot_reinstate(fn, backing->version, error);
  }
  if (status < 0) return status;
  NativeObject *object = backing->owner;
  int index = object_find_function(
      object->product->object,
      symbol->function != NULL ? symbol->function->symbol : symbol->key);
  if (index >= 0) {
    symbol->object = object;
    symbol->function = object_function(object->product->object, (size_t)index);
  }
  // Its optimised build may still be on the way.
  symbol->kept_out = symbol->file->hash;
  bool other = fn->active != NULL && fn->active != backing;
  guard_fn_set(symbol->guard, backing->code, other);
  slot_update_cell(fn);
  return GRAFT_OK;
}

GraftStatus natives_rollback(Natives *self, const char *name, uint32_t version,
                             GraftError *error) {
  GraftFn *fn = find_slot(self, name);
  const Backing *backing =
      version > 0 ? slot_find_version(fn, version) : find_previous(fn);
  if (backing == NULL) {
    return error_set(error, GRAFT_ENOTFOUND, "%s has no version before this",
                     name);
  }
  if (backing == slot_find_layer(fn, LAYER_NATIVE)) return GRAFT_OK;
  GraftStatus status = natives_check_version(self, fn, backing, error);
  if (status == GRAFT_OK) status = put_version(fn, backing, error);
  if (status < 0) return status;
  GraftEngine *engine = self->engine;
  engine_emit(engine, &(GraftEvent){.kind = GRAFT_EVENT_UPDATE,
                                    .name = fn->name,
                                    .file = backing->file,
                                    .line = backing->line,
                                    .version = backing->version});
  engine_show_swaps(engine);
  engine_emit(engine, &(GraftEvent){.kind = GRAFT_EVENT_PATCH, .ok = true});
  return GRAFT_OK;
}
