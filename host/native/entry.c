// SPDX-License-Identifier: MIT
//
#include "native/entry.h"

#include <assert.h>
#include <ffi.h>
#include <string.h>

#include "base/error.h"
#include "native/thunk.h"
#include "registry/convert.h"
#include "registry/slot.h"

typedef struct Entries {
  ThunkTable thunks; // made before there was a region
  ThunkTable near;   // in the region, once there is one
  // All that were ever made: a thread may be in one of a former C type.
  ARRAY(ffi_closure *) closures;
  ffi_cif untyped; // for slots whose C type cannot be called with values
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
  assert(returned != NULL); // libffi has room for every struct
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

// The same for a C type that has no words: nothing can be passed on. Zero in
// the integer register is what most callers read.
static void fall_back_untyped(ffi_cif *cif, void *returned, void **args,
                              void *user) {
  (void)cif, (void)args;
  GraftFn *fn = user;
  GraftError error;
  pthread_mutex_lock(&fn->registry->lock);
  if (fn->active == NULL) {
    slot_missing(fn, &error);
  } else {
    error_set(&error, GRAFT_ESIGNATURE,
              "%s is a script now, and C cannot call it: the values of its C "
              "type cannot be passed on",
              fn->name);
  }
  pthread_mutex_unlock(&fn->registry->lock);
  const RegistryDesc *desc = &fn->registry->desc;
  if (desc->on_error != NULL) desc->on_error(desc->context, fn, &error);
  *(ffi_arg *)returned = 0;
}

// --- Making entries --------------------------------------------------------

static void entries_free(Registry *registry) {
  Entries *self = registry->entries;
  for (size_t i = 0; i < registry_count(registry); i++) {
    registry_at(registry, i)->cell = NULL;
  }
  for (size_t i = 0; i < self->closures.count; i++) {
    ffi_closure_free(self->closures.items[i]);
  }
  memory_free(registry->desc.allocator, self->closures.items);
  thunk_table_clear(&self->thunks);
  thunk_table_clear(&self->near);
  memory_free(registry->desc.allocator, self);
}

static Entries *get_entries(Registry *registry) {
  if (registry->entries != NULL) return registry->entries;
  Entries *self = memory_new(registry->desc.allocator, sizeof *self);
  if (self == NULL) return NULL;
  thunk_table_init(&self->thunks, registry->desc.allocator, NULL);
  thunk_table_init(&self->near, registry->desc.allocator, NULL);
  ffi_prep_cif(&self->untyped, FFI_DEFAULT_ABI, 0, &ffi_type_uint64, NULL);
  registry->entries = self;
  registry->entries_free = entries_free;
  return self;
}

// What a slot's cell holds while no native fits; NULL when out of memory.
// `signature` NULL: for a C type that cannot be called with values.
static GraftNative new_fallback(GraftFn *fn, const Signature *signature) {
  Entries *entries = get_entries(fn->registry);
  if (entries == NULL) return NULL;
  ffi_closure **place =
      ARRAY_PUSH(fn->registry->desc.allocator, &entries->closures);
  if (place == NULL) return NULL;
  void *code = NULL;
  ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
  ffi_cif *interface =
      signature != NULL ? signature->interface : &entries->untyped;
  if (closure == NULL ||
      ffi_prep_closure_loc(closure, interface,
                           signature != NULL ? fall_back : fall_back_untyped,
                           fn, code) != FFI_OK) {
    if (closure != NULL) ffi_closure_free(closure);
    entries->closures.count--;
    return NULL;
  }
  *place = closure;
  return (GraftNative)(uintptr_t)code;
}

// False when out of memory, and then nothing has changed.
static bool make_entry(GraftFn *fn, const Signature *signature) {
  GraftNative fallback = new_fallback(fn, signature);
  if (fallback == NULL) return false;
  if (fn->cell == NULL) {
    Entries *entries = get_entries(fn->registry);
    ThunkTable *table = &entries->thunks;
    if (fn->registry->region != NULL) {
      table = &entries->near;
      table->region = fn->registry->region;
    }
    Thunk thunk;
    if (!thunk_table_add(table, fallback, &thunk)) return false;
    fn->cell = thunk.cell;
    fn->entry = thunk.entry;
  }
  fn->typed = signature;
  fn->fallback = fallback;
  slot_update_cell(fn);
  return true;
}

GraftStatus entry_open(GraftFn *self, const Signature *signature,
                       GraftError *error) {
  if (self->cell != NULL || make_entry(self, signature)) return GRAFT_OK;
  return error_memory(error);
}

GraftStatus entry_retype(GraftFn *self, const Signature *signature,
                         EntryType *before, GraftError *error) {
  *before = (EntryType){self->typed, self->fallback};
  if (self->typed == signature) return GRAFT_OK;
  return make_entry(self, signature) ? GRAFT_OK : error_memory(error);
}

void entry_restore(GraftFn *self, EntryType before) {
  self->typed = before.typed;
  self->fallback = before.fallback;
  slot_update_cell(self);
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
  if (status == GRAFT_OK) fn->held = true;
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
  if (enter(fn, signature, error) < 0) return NULL;
  return fn->entry != NULL ? fn->entry : fn->fallback;
}
