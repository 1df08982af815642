// SPDX-License-Identifier: MIT

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine_native.h"
#include <ffi.h>

// ---------------------------------------------------------------------------
// Which functions switch
// ---------------------------------------------------------------------------

static const WorkerFile *file_of(const NativeStep *step) {
  return step->plan->file;
}

// Whether the fast tier's result is for this function.
static bool is_named(const WorkerFile *file, const char *name) {
  for (size_t i = 0; i < file->function_count; i++) {
    if (strcmp(file->functions[i], name) == 0) return true;
  }
  return false;
}

// A static function that the optimised build has put into its callers is theirs
// here, too: they are named with it.
static bool is_wanted(const NativeSymbol *symbol, const NativeStep *step,
                      const ObjectFunction *function) {
  return is_named(file_of(step), function->name) &&
         (function->global || symbol->object != NULL);
}

// Whether the text of a function is another than that of its present version.
static bool has_other_text(const NativeSymbol *symbol, const WorkerFile *file,
                           const char *name) {
  const Backing *present = slot_find_layer(symbol->fn, LAYER_NATIVE);
  NativeRange range;
  if (present == NULL || present->source == NULL ||
      !native_find_text(file->text, file->size, name, &range)) {
    return true;
  }
  size_t size = range.end - range.start;
  return size != present->source_size ||
         memcmp(file->text + range.start, present->source, size) != 0;
}

// Code of two compilers cannot be compared; there the text tells.
static bool is_changed(const NativeSymbol *symbol, const NativeStep *step,
                       const ObjectFunction *function) {
  if (symbol->object == NULL || step->partial) return true;
  if (symbol->object->tier == WORKER_FAST) {
    return has_other_text(symbol, file_of(step), function->name);
  }
  return symbol->function->hash != function->hash;
}

static bool add_switch(NativeChange *self, const NativeSwitch *entry) {
  NativeSwitch *place = ARRAY_PUSH(self->natives->allocator, &self->switches);
  if (place == NULL) return false;
  *place = *entry;
  place->was = *entry->symbol;
  const Backing *before = slot_find_layer(entry->symbol->fn, LAYER_NATIVE);
  place->was_code = before != NULL ? before->code : NULL;
  return true;
}

static bool list_present(NativeChange *self, NativeStep *step) {
  const ObjectFile *object = step->product->object;
  for (size_t i = 0; i < object_function_count(object); i++) {
    const ObjectFunction *function = object_function(object, i);
    NativeSymbol *symbol =
        natives_find_function(self->natives, step->file, function);
    if (function->part || symbol == NULL) continue;
    if (step->partial && !is_wanted(symbol, step, function)) continue;
    if (symbol->kept_out == file_of(step)->hash && symbol->kept_out != 0) {
      continue;
    }
    if (!add_switch(self, &(NativeSwitch){.symbol = symbol,
                                          .step = step,
                                          .function = function,
                                          .index = i,
                                          .keep_version = !is_changed(
                                              symbol, step, function)})) {
      return false;
    }
  }
  return true;
}

static bool is_listed(const NativeChange *self, const NativeSymbol *symbol) {
  for (size_t i = 0; i < self->switches.count; i++) {
    if (self->switches.items[i].symbol == symbol) return true;
  }
  return false;
}

// Functions of the file that its new text does not have.
static bool list_gone(NativeChange *self, const NativeStep *step) {
  for (size_t i = 0; i < self->natives->symbol_list.count; i++) {
    NativeSymbol *symbol = self->natives->symbol_list.items[i];
    if (symbol->file != step->file || symbol->object == NULL ||
        is_listed(self, symbol)) {
      continue;
    }
    if (step->product != NULL &&
        object_find_function(step->product->object, symbol->function->symbol) >=
            0) {
      continue; // kept out, or another file's now
    }
    if (!add_switch(self, &(NativeSwitch){.symbol = symbol})) return false;
  }
  return true;
}

static bool list_switches(NativeChange *self) {
  for (size_t i = 0; i < self->steps.count; i++) {
    NativeStep *step = &self->steps.items[i];
    if (step->product != NULL && !list_present(self, step)) return false;
  }
  for (size_t i = 0; i < self->steps.count; i++) {
    const NativeStep *step = &self->steps.items[i];
    if (!step->partial && !list_gone(self, step)) return false;
  }
  return true;
}

// ---------------------------------------------------------------------------
// Slots
// ---------------------------------------------------------------------------

static void news(NativeChange *self, GraftEventKind kind,
                 const NativeSwitch *entry, int line) {
  NativeNews *place = ARRAY_PUSH(self->natives->allocator, &self->news);
  if (place == NULL) return; // it is as it is; only the report lacks it
  const Backing *now = slot_find_layer(entry->symbol->fn, LAYER_NATIVE);
  *place = (NativeNews){.kind = kind,
                        .symbol = entry->symbol,
                        .line = line,
                        .version = now != NULL ? now->version : 0};
}

static GraftStatus retype(NativeChange *self, GraftFn *fn,
                          const Signature *signature, GraftError *error) {
  if (signature != NULL && signature->lua) signature = NULL;
  if (fn->held || signature_equal(fn->typed, signature)) return GRAFT_OK;
  NativeRetype *place = ARRAY_PUSH(self->natives->allocator, &self->retypes);
  if (place == NULL) return error_memory(error);
  place->fn = fn;
  GraftStatus status = entry_retype(fn, signature, &place->before, error);
  if (status < 0) self->retypes.count--;
  return status;
}

static GraftStatus put(NativeChange *self, NativeSwitch *entry,
                       GraftError *error) {
  GraftFn *fn = entry->symbol->fn;
  const WorkerFile *file = file_of(entry->step);
  const LayoutFunction *layout =
      native_product_function(entry->step->product, entry->function);
  const Backing *before = slot_find_layer(fn, LAYER_NATIVE);
  NativeObject *object = entry->step->object;
  BackingDesc desc = {
      .layer = LAYER_NATIVE,
      .kind = BACKING_NATIVE,
      .code = (GraftNative)(uintptr_t)link_function(object->link, entry->index),
      .owner = object,
      .file = entry->step->file->path,
      .keep_version = entry->keep_version && before != NULL};
  char why_not[SIGNATURE_WHY_NOT] = "";
  desc.signature = native_signature(fn, layout, why_not);
  desc.why_not = why_not;
  // The fast tier knows no types, and none has changed.
  if (layout == NULL && before != NULL) {
    desc.signature = before->signature;
    desc.why_not = before->why_not;
  }
  if (desc.signature != NULL) desc.why_not = NULL;
  NativeRange range;
  if (native_find_text(file->text, file->size, entry->function->name, &range)) {
    desc.source = file->text + range.start;
    desc.source_size = range.end - range.start;
    desc.line = range.line;
  }
  if (layout != NULL && layout->line > 0) desc.line = layout->line;
  GraftStatus status = retype(self, fn, desc.signature, error);
  if (status == GRAFT_OK) status = slot_set(fn, &desc, error);
  if (status < 0) return status;
  native_object_retain(object);
  engine_note_native(self->natives->engine, fn);
  if (!desc.keep_version) {
    news(self, before != NULL ? GRAFT_EVENT_UPDATE : GRAFT_EVENT_ADD, entry,
         desc.line);
  }
  return GRAFT_OK;
}

static GraftStatus take(NativeChange *self, NativeSwitch *entry,
                        GraftError *error) {
  GraftFn *fn = entry->symbol->fn;
  const Backing *before = slot_find_layer(fn, LAYER_NATIVE);
  if (before == NULL) return GRAFT_OK;
  char what[512];
  snprintf(what, sizeof what, "deleted from %s:%d", entry->symbol->file->path,
           before->line);
  int line = before->line;
  GraftStatus status = slot_remove(fn, LAYER_NATIVE, what, error);
  if (status == GRAFT_OK) news(self, GRAFT_EVENT_DELETE, entry, line);
  return status;
}

static void enter_symbol(const NativeSwitch *entry) {
  NativeSymbol *symbol = entry->symbol;
  symbol->kept_out = 0;
  if (entry->step == NULL) {
    symbol->object = NULL;
    symbol->function = NULL;
    return;
  }
  symbol->file = entry->step->file;
  symbol->object = entry->step->object;
  symbol->function = entry->function;
}

static GraftStatus switch_slots(NativeChange *self, GraftError *error) {
  for (size_t i = 0; i < self->switches.count; i++) {
    NativeSwitch *entry = &self->switches.items[i];
    entry->snapshot = slot_snapshot(entry->symbol->fn);
    if (entry->snapshot == NULL) return error_memory(error);
    GraftStatus status = entry->step != NULL ? put(self, entry, error)
                                             : take(self, entry, error);
    if (status < 0) return status;
    enter_symbol(entry);
  }
  return GRAFT_OK;
}

static void restore_slots(NativeChange *self) {
  GraftEngine *engine = self->natives->engine;
  bool undoing = engine->undoing;
  engine_undo_swaps(engine, self->first_swap);
  engine->undoing = true;
  for (size_t i = self->switches.count; i > 0; i--) {
    NativeSwitch *entry = &self->switches.items[i - 1];
    *entry->symbol = entry->was;
    if (entry->snapshot != NULL) slot_restore(entry->snapshot);
    entry->snapshot = NULL;
  }
  for (size_t i = self->retypes.count; i > 0; i--) {
    entry_restore(self->retypes.items[i - 1].fn,
                  self->retypes.items[i - 1].before);
  }
  self->retypes.count = 0;
  engine->undoing = undoing;
}

// ---------------------------------------------------------------------------
// Everybody at once
// ---------------------------------------------------------------------------

// What is loaded at the start takes the place of nothing.
static bool is_on_probation(const NativeChange *self, const NativeSwitch *entry,
                            bool back) {
  return !back && !entry->keep_version && !self->natives->loading;
}

// Of what is passed in memory.
static void set_sizes(GuardChange *change, const Signature *signature) {
  if (signature == NULL) return;
  const ffi_cif *interface = signature->interface;
  change->stack_size = interface->bytes;
  if (signature->result != TYPE_STRUCT) return;
  size_t size = signature->result_detail->size;
  if (size > 2 * sizeof(void *)) change->result_size = size;
}

// What each function's guard is to do; `back` is for undo. NULL: no memory.
static GuardChange *guard_changes(const NativeChange *self, bool back) {
  size_t count = self->switches.count;
  GuardChange *changes =
      memory_new(self->natives->allocator, (count + 1) * sizeof *changes);
  for (size_t i = 0; changes != NULL && i < count; i++) {
    const NativeSwitch *entry = &self->switches.items[i];
    GraftNative code = NULL;
    if (entry->step != NULL) {
      code = (GraftNative)(uintptr_t)link_function(entry->step->object->link,
                                                   entry->index);
    }
    changes[i] = (GuardChange){.fn = entry->symbol->guard,
                               .code = back ? entry->was_code : code,
                               .probation = is_on_probation(self, entry, back)};
    // Code that knows another layout must not be called again.
    if (!back && self->moved.count == 0) changes[i].previous = entry->was_code;
    const GraftFn *fn = entry->symbol->fn;
    changes[i].keep_cell =
        changes[i].code == NULL ||
        (fn->active != NULL && fn->active->layer != LAYER_NATIVE);
    set_sizes(&changes[i], fn->typed);
  }
  return changes;
}

static GraftStatus begin(NativeChange *self, const GuardChange *changes,
                         GraftError *error) {
  GraftStatus status = guard_switch_begin(self->natives->guard, changes,
                                          self->switches.count, error);
  self->natives->switching = status == GRAFT_OK;
  return status;
}

// Afterwards what is active in each slot decides on its cell.
static void end(NativeChange *self, bool commit) {
  if (commit) {
    guard_switch_commit(self->natives->guard);
  } else {
    guard_switch_cancel(self->natives->guard);
  }
  self->natives->switching = false;
}

static void update_cells(const NativeChange *self) {
  for (size_t i = 0; i < self->switches.count; i++) {
    slot_update_cell(self->switches.items[i].symbol->fn);
  }
}

// Whether somebody may be in code whose variables are about to move.
static GraftStatus check_nobody_inside(NativeChange *self, GraftError *error) {
  Natives *natives = self->natives;
  if (self->moved.count == 0) return GRAFT_OK;
  ARRAY(StacksRange) ranges = {0};
  bool complete = true;
  for (NativeObject *object = natives->objects; object != NULL && complete;
       object = object->next) {
    StacksRange *range = ARRAY_PUSH(natives->allocator, &ranges);
    complete = range != NULL;
    if (!complete) break;
    LinkRange code = link_code(object->link);
    *range = (StacksRange){code.start, code.end};
  }
  StacksAnswer answer = {0};
  GraftStatus status = complete ? natives_ask(natives, ranges.items,
                                              ranges.count, &answer, error)
                                : error_memory(error);
  memory_free(natives->allocator, ranges.items);
  if (status == GRAFT_OK && (answer.inside || !guard_is_idle(natives->guard))) {
    return native_tell_busy(self, &answer, error);
  }
  return status;
}

static void *forward(void *context, const void *address) {
  return storage_change_forward(context, address);
}

// What Lua holds of variables follows them.
static GraftStatus migrate_views(NativeChange *self, GraftError *error) {
  if (self->moved.count == 0) return GRAFT_OK;
  return view_migrate(self->natives->engine->vm, forward, self->storage, error);
}

// Callers wait at their gates while it runs.
static GraftStatus switch_inside(NativeChange *self, GraftError *error) {
  GraftStatus status = check_nobody_inside(self, error);
  if (status < 0) return status;
  status = storage_change_apply(self->storage, &self->report, error);
  if (status < 0) return status;
  self->applied = true;
  status = migrate_views(self, error);
  if (status == GRAFT_OK) status = switch_slots(self, error);
  self->switched = self->was_switched = true;
  return status;
}

static void undo_inside(NativeChange *self) {
  if (self->switched) restore_slots(self);
  if (self->applied && self->moved.count > 0) {
    view_undo(self->natives->engine->vm);
  }
  if (self->applied) storage_change_undo(self->storage);
  self->switched = self->applied = false;
}

GraftStatus native_change_switch(NativeChange *self, GraftError *error) {
  if (self == NULL || self->steps.count == 0) return GRAFT_OK;
  Natives *natives = self->natives;
  self->first_swap = natives->engine->swaps.count;
  tls_commit(natives->tls);
  if (!list_switches(self)) return error_memory(error);
  GuardChange *changes = guard_changes(self, false);
  if (changes == NULL) return error_memory(error);
  GraftStatus status = begin(self, changes, error);
  if (status == GRAFT_OK) {
    pthread_mutex_lock(&natives->state_lock);
    status = switch_inside(self, error);
    if (status < 0) undo_inside(self);
    pthread_mutex_unlock(&natives->state_lock);
    end(self, status == GRAFT_OK);
    update_cells(self);
  }
  memory_free(natives->allocator, changes);
  // Statements of the same change may call what is new.
  view_allow_compiled(natives->engine->vm, !natives_reach_lua(natives));
  if (status == GRAFT_OK)
    status = engine_exchange_swaps(natives->engine, error);
  return status;
}

void native_change_undo(NativeChange *self) {
  if (self == NULL || !self->switched) return;
  Natives *natives = self->natives;
  GuardChange *changes = guard_changes(self, true);
  bool gated = changes != NULL && begin(self, changes, NULL) == GRAFT_OK;
  pthread_mutex_lock(&natives->state_lock);
  undo_inside(self);
  pthread_mutex_unlock(&natives->state_lock);
  if (gated) end(self, true);
  for (size_t i = 0; !gated && i < self->switches.count; i++) {
    const NativeSwitch *entry = &self->switches.items[i];
    guard_fn_set(entry->symbol->guard, entry->was_code,
                 entry->symbol->fn->active == NULL ||
                     entry->symbol->fn->active->layer != LAYER_NATIVE);
  }
  update_cells(self);
  view_allow_compiled(natives->engine->vm, !natives_reach_lua(natives));
  memory_free(natives->allocator, changes);
}

// ---------------------------------------------------------------------------
// Commit
// ---------------------------------------------------------------------------

static bool has_moved(const NativeChange *self, const StorageObject *object) {
  for (size_t i = 0; i < self->moved.count; i++) {
    if (self->moved.items[i] == object) return true;
  }
  return false;
}

// Objects that stay in the history and know variables where they were.
static void mark_outdated(NativeChange *self) {
  if (self->moved.count == 0) return;
  for (NativeObject *object = self->natives->objects; object != NULL;
       object = object->next) {
    size_t count = object->storage != NULL
                       ? object_data_count(object->product->object)
                       : 0;
    for (size_t i = 0; i < count && !object->outdated; i++) {
      object->outdated = has_moved(self, object->storage[i]);
    }
  }
}

// Sizes and offsets of the file's structs, as C that does not compile where
// they are others. NULL when out of memory.
static char *make_checks(const Natives *self, const NativeProduct *product) {
  Buffer text;
  buffer_init(&text, self->allocator);
  buffer_add_text(&text, "\n");
  if (product->layout.types == NULL) return text.text;
  for (size_t i = 0; i < type_set_count(product->layout.types); i++) {
    const Type *type = type_set_at(product->layout.types, i);
    bool has_tag = *type->name != '\0';
    if ((type->kind != KIND_STRUCT && type->kind != KIND_UNION) ||
        type->is_incomplete || (!has_tag && *type->alias == '\0')) {
      continue;
    }
    const char *tag = !has_tag                    ? ""
                      : type->kind == KIND_STRUCT ? "struct "
                                                  : "union ";
    const char *name = has_tag ? type->name : type->alias;
    buffer_format(&text, "_Static_assert(sizeof(%s%s) == %zu, \"size\");\n",
                  tag, name, type->size);
    for (size_t k = 0; k < type->member_count; k++) {
      const TypeMember *member = &type->members[k];
      if (member->bit_size > 0 || *member->name == '\0') continue;
      buffer_format(&text,
                    "_Static_assert(__builtin_offsetof(%s%s, %s) == %zu, "
                    "\"offset\");\n",
                    tag, name, member->name, member->offset);
    }
  }
  if (!text.failed) return text.text;
  buffer_clear(&text);
  return NULL;
}

static void set_text(Natives *natives, const NativeStep *step) {
  GraftEngine *engine = natives->engine;
  NativeFile *file = step->file;
  const WorkerFile *worker = step->plan->file;
  char *text = NULL;
  char *checks = NULL;
  if (worker != NULL) {
    text = memory_copy_string(natives->allocator, worker->text, worker->size);
  }
  bool same_types = step->partial;
  if (worker != NULL && !same_types) {
    checks = make_checks(natives, step->product);
  }
  pthread_mutex_lock(&engine->mutex);
  char *old = file->text;
  char *old_checks = same_types ? NULL : file->checks;
  file->text = text;
  file->size = text != NULL ? worker->size : 0;
  if (!same_types) file->checks = checks;
  pthread_mutex_unlock(&engine->mutex);
  memory_free(&engine->allocator, old);
  memory_free(&engine->allocator, old_checks);
}

// Where the functions of an object without debug information begin.
static void set_lines(Natives *self, NativeObject *object,
                      const WorkerFile *worker) {
  const ObjectFile *file = object->product->object;
  size_t count = object_function_count(file);
  object->lines =
      memory_new(self->allocator, (count + 1) * sizeof *object->lines);
  for (size_t i = 0; object->lines != NULL && i < count; i++) {
    NativeRange range;
    const char *name = object_function(file, i)->name;
    if (native_find_text(worker->text, worker->size, name, &range)) {
      object->lines[i] = range.line;
    }
  }
}

static void commit_step(NativeChange *self, NativeStep *step) {
  Natives *natives = self->natives;
  NativeFile *file = step->file;
  NativeObject *object = step->object;
  NativeObject *before = file->object;
  const WorkerFile *worker = step->plan->file;
  set_text(natives, step);
  file->hash = worker != NULL ? worker->hash : 0;
  file->late = false;
  if (object != NULL) {
    native_step_give_locals(natives, step, true);
    if (step->partial) set_lines(natives, object, worker);
    object->storage = step->storage;
    step->storage = NULL;
    step->object = NULL;
    natives_list_object(natives, object);
    size_t count = object_data_count(object->product->object);
    for (size_t i = 0; i < count; i++) {
      if (object->storage[i] != NULL) storage_object_retain(object->storage[i]);
    }
  }
  if (step->partial) return;
  if (worker != NULL) natives_watch_headers(natives, worker);
  if (object != NULL) native_object_retain(object);
  file->object = object;
  if (before == NULL && object != NULL) link_construct(object->link);
  if (before != NULL) {
    link_show_debugger(before->link, false);
    native_object_release(natives, before);
  }
}

void native_change_commit(NativeChange *self) {
  if (self == NULL || self->steps.count == 0) return;
  Natives *natives = self->natives;
  pthread_mutex_lock(&natives->state_lock);
  storage_change_keep(self->storage);
  if (self->moved.count > 0) view_keep(natives->engine->vm);
  pthread_mutex_unlock(&natives->state_lock);
  mark_outdated(self);
  native_change_emit_output(self);
  for (size_t i = 0; i < self->steps.count; i++) {
    commit_step(self, &self->steps.items[i]);
  }
}
