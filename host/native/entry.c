// SPDX-License-Identifier: MIT
//
// Entry: C entry points of slots, graft_fn_typed and graft_fn_pointer of
// graft.h. A slot that was asked for one has a cell (thunk.h) that holds the
// active native's code, or else a libffi closure, the fallback: it calls the
// script, or reports why there is nothing to call, and returns zero. Which of
// the two is in the cell is slot.c's doing at each switch. One signature for
// all handles of a slot, for ever: changing it is refused (N3). Traded away:
// calls through these are not counted, and a slot's closure is kept until the
// registry goes.

#include "graft.h"

#include <ffi.h>
#include <string.h>

#include "base/error.h"
#include "native/thunk.h"
#include "registry/convert.h"
#include "registry/slot.h"

typedef struct Entries {
  ThunkTable thunks;
} Entries;

// --- From C into a script --------------------------------------------------

// The arguments of a C call as words in the form of results.
static void read_words(const Signature *signature, void **args,
                       CallWord *words) {
  words[0].bits = 0;
  for (int i = 0; i < signature->param_count; i++) {
    const void *from = args[i];
    CallWord *word = &words[i];
    switch ((TypeCode)signature->params[i]) {
    case TYPE_BOOL:
      word->integer = *(const bool *)from;
      break;
    case TYPE_INT8:
      word->integer = *(const int8_t *)from;
      break;
    case TYPE_UINT8:
      word->integer = *(const uint8_t *)from;
      break;
    case TYPE_INT16:
      word->integer = *(const int16_t *)from;
      break;
    case TYPE_UINT16:
      word->integer = *(const uint16_t *)from;
      break;
    case TYPE_INT32:
    case TYPE_ENUM:
      word->integer = *(const int32_t *)from;
      break;
    case TYPE_UINT32:
      word->integer = *(const uint32_t *)from;
      break;
    case TYPE_FLOAT:
      word->number = (double)*(const float *)from;
      break;
    case TYPE_STRING:
    case TYPE_POINTER:
      word->pointer = *(const void *const *)from;
      break;
    case TYPE_STRUCT:
      word->pointer = from; // the caller's copy, until the call returns
      break;
    case TYPE_VOID:
    case TYPE_INT64:
    case TYPE_UINT64:
    case TYPE_DOUBLE:
      memcpy(word, from, sizeof *word);
      break;
    }
  }
}

// A struct that nobody has set is zero.
static void write_struct(const Signature *signature, CallWord word,
                         void *returned) {
  size_t size = signature->result_detail->size;
  if (word.pointer == NULL) {
    memset(returned, 0, size);
  } else if (word.pointer != returned) {
    memmove(returned, word.pointer, size);
  }
}

// libffi wants integers widened to ffi_arg.
static void write_result(const Signature *signature, CallWord word,
                         void *returned) {
  TypeCode type = signature->result;
  if (type == TYPE_STRUCT) {
    write_struct(signature, word, returned);
  } else if (type == TYPE_FLOAT) {
    *(float *)returned = (float)word.number;
  } else if (type == TYPE_DOUBLE) {
    *(double *)returned = word.number;
  } else if (type == TYPE_INT64 || type == TYPE_UINT64) {
    *(int64_t *)returned = word.integer;
  } else if (type == TYPE_STRING || type == TYPE_POINTER) {
    *(const void **)returned = word.pointer;
  } else if (type != TYPE_VOID) {
    *(ffi_arg *)returned = (ffi_arg)word.integer;
  }
}

// A script's string belongs to the VM; C gets a copy that lives until the
// slot's next one.
static GraftStatus keep_text(GraftFn *fn, CallWord *word, GraftError *error) {
  const GraftAllocator *allocator = fn->registry->desc.allocator;
  const char *text = word->pointer;
  char *copy = memory_copy_string(allocator, text, strlen(text));
  if (copy == NULL) return error_memory(error);
  memory_free(allocator, fn->result_text);
  fn->result_text = copy;
  word->pointer = copy;
  return GRAFT_OK;
}

static GraftStatus call_script(GraftFn *fn, const CallWord *words,
                               CallWord *result, GraftError *error) {
  const Signature *typed = fn->typed;
  GraftValue values[SIGNATURE_PARAMS];
  for (int i = 0; i < typed->param_count; i++) {
    values[i] = convert_word(typed->params[i], typed->param_names[i], words[i]);
  }
  GraftValue returned = {.type = GRAFT_NIL};
  GraftCall call = {.args = values,
                    .arg_count = typed->param_count,
                    .results = &returned,
                    .result_capacity = 1};
  GraftStatus status = slot_call_script(fn, &call, error);
  if (status < 0 || typed->result == TYPE_VOID) return status;
  if (call.result_count == 0) returned.type = GRAFT_NIL;
  status = convert_result(typed, fn->name, &returned, result, error);
  if (status < 0 || typed->result != TYPE_STRING) return status;
  return keep_text(fn, result, error);
}

static void widen_floats(const Signature *signature, CallWord *words) {
  for (int i = 0; i < signature->param_count; i++) {
    if (signature->params[i] != TYPE_FLOAT) continue;
    words[i] = call_float((float)words[i].number);
  }
}

static GraftStatus call_code(GraftFn *fn, GraftNative code,
                             const Signature *signature, CallWord *words,
                             CallWord *result, GraftError *error) {
  if (!signature_equal(signature, fn->typed)) {
    return error_set(error, GRAFT_ESIGNATURE,
                     "%s is now %s, and was called by a typed handle as %s",
                     fn->name, signature != NULL ? signature->text : "unknown",
                     fn->typed->text);
  }
  widen_floats(signature, words);
  call_native(signature, code, words, result);
  return GRAFT_OK;
}

// What the cell holds while no native fits. By the time it runs, one may fit
// again, since other threads read the cell without a lock.
static GraftStatus call_active(GraftFn *fn, CallWord *words, CallWord *result,
                               GraftError *error) {
  if (!registry_is_host(fn->registry)) {
    GraftNative code;
    const Signature *signature;
    GraftStatus status = slot_native_elsewhere(fn, &code, &signature, error);
    if (status < 0) return status;
    return call_code(fn, code, signature, words, result, error);
  }
  const Backing *active = fn->active;
  if (active == NULL) return slot_missing(fn, error);
  if (active->kind == BACKING_NATIVE) {
    return call_code(fn, active->code, active->signature, words, result, error);
  }
  return call_script(fn, words, result, error);
}

static void fall_back(ffi_cif *cif, void *returned, void **args, void *user) {
  (void)cif;
  GraftFn *fn = user;
  const Signature *typed = fn->typed;
  CallWord words[SIGNATURE_PARAMS];
  // A native's struct is written to where C wants it.
  CallWord result = {.pointer = NULL};
  if (typed->result == TYPE_STRUCT) result.pointer = returned;
  GraftError error; // set by who fails: clearing it would cost a whole call
  read_words(typed, args, words);
  if (call_active(fn, words, &result, &error) < 0) {
    result.bits = 0;
    const RegistryDesc *desc = &fn->registry->desc;
    if (desc->on_error != NULL) desc->on_error(desc->context, fn, &error);
  }
  write_result(typed, result, returned);
}

// --- Making entries --------------------------------------------------------

static void entries_free(Registry *registry) {
  Entries *self = registry->entries;
  for (size_t i = 0; i < registry_count(registry); i++) {
    GraftFn *fn = registry_at(registry, i);
    if (fn->closure != NULL) ffi_closure_free(fn->closure);
    fn->closure = NULL;
    fn->cell = NULL;
  }
  thunk_table_clear(&self->thunks);
  memory_free(registry->desc.allocator, self);
}

static Entries *get_entries(Registry *registry) {
  if (registry->entries != NULL) return registry->entries;
  Entries *self = memory_new(registry->desc.allocator, sizeof *self);
  if (self == NULL) return NULL;
  thunk_table_init(&self->thunks, registry->desc.allocator, NULL);
  registry->entries = self;
  registry->entries_free = entries_free;
  return self;
}

// False when out of memory, and then nothing has changed.
static bool make_entry(GraftFn *fn, const Signature *signature) {
  Entries *entries = get_entries(fn->registry);
  if (entries == NULL) return false;
  void *code = NULL;
  ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
  if (closure == NULL) return false;
  Thunk thunk;
  GraftNative fallback = (GraftNative)(uintptr_t)code;
  if (ffi_prep_closure_loc(closure, signature->interface, fall_back, fn,
                           code) != FFI_OK ||
      !thunk_table_add(&entries->thunks, fallback, &thunk)) {
    ffi_closure_free(closure);
    return false;
  }
  fn->typed = signature;
  fn->closure = closure;
  fn->fallback = fallback;
  fn->cell = thunk.cell;
  fn->entry = thunk.entry != NULL ? thunk.entry : fallback;
  slot_update_cell(fn);
  return true;
}

static GraftStatus check_signature(const GraftFn *fn, const Signature *wanted,
                                   GraftError *error) {
  if (wanted->lua) {
    return error_set(error, GRAFT_ESIGNATURE,
                     "%s: a Lua C function has no typed handles", fn->name);
  }
  const Backing *native = slot_highest_native(fn);
  if (fn->typed == NULL && native != NULL && native->signature == NULL) {
    return error_set(
        error, GRAFT_ESIGNATURE, "%s has no typed handles: %s", fn->name,
        native->why_not != NULL ? native->why_not : "its C type is not known");
  }
  const Signature *have = slot_signature(fn);
  if (have == NULL || have->lua || signature_equal(have, wanted)) {
    return GRAFT_OK;
  }
  return error_set(error, GRAFT_ESIGNATURE, "%s is %s, not %s", fn->name,
                   have->text, wanted->text);
}

static GraftStatus enter(GraftFn *fn, const char *text, GraftError *error) {
  Registry *registry = fn->registry;
  const GraftAllocator *allocator = registry->desc.allocator;
  if (!registry_is_host(registry)) {
    return error_set(error, GRAFT_ETHREAD,
                     "typed handles of %s are made on the engine's own "
                     "thread only",
                     fn->name);
  }
  Signature *wanted;
  GraftStatus status = signature_parse(allocator, text, &wanted, error);
  if (status < 0) return status;
  status = check_signature(fn, wanted, error);
  if (status == GRAFT_OK && fn->typed == NULL) {
    const Signature *kept = registry_signature(registry, wanted);
    if (kept == NULL || !make_entry(fn, kept)) status = error_memory(error);
  }
  signature_free(allocator, wanted);
  return status;
}

GraftNative const *graft_fn_typed(GraftFn *fn, const char *signature,
                                  GraftError *error) {
  if (enter(fn, signature, error) < 0) return NULL;
  // An atomic pointer has the form of a plain one here; callers load it with
  // one instruction.
  return (GraftNative const *)fn->cell;
}

GraftNative graft_fn_pointer(GraftFn *fn, const char *signature,
                             GraftError *error) {
  return enter(fn, signature, error) < 0 ? NULL : fn->entry;
}
