// SPDX-License-Identifier: MIT
//
// The public face of slots: calls with values, and info. Declared in graft.h;
// typed handles are in native/entry.c.

#include "registry/slot.h"

#include "base/error.h"
#include "registry/convert.h"

const char *graft_fn_name(const GraftFn *fn) {
  return fn->name;
}

// A native as another thread may see it.
typedef struct Target {
  GraftNative code;
  const Signature *signature;
} Target;

static GraftStatus not_callable(const GraftFn *fn, const char *why_not,
                                GraftError *error) {
  return error_set(error, GRAFT_ESIGNATURE,
                   "%s cannot be called with values: %s", fn->name,
                   why_not != NULL ? why_not : "its C type is not known");
}

static GraftStatus no_room(const GraftFn *fn, const Signature *signature,
                           const GraftCall *call, GraftError *error) {
  return error_set(error, GRAFT_EARG,
                   "%s returns a struct of %zu bytes, and GraftCall.bytes has "
                   "room for %zu",
                   fn->name, signature->result_detail->size, call->byte_count);
}

static GraftStatus call_code(GraftFn *fn, Target target, GraftCall *call,
                             GraftError *error) {
  const Signature *signature = target.signature;
  if (call->arg_count != signature->param_count) {
    return convert_count_error(signature, fn->name, call->arg_count, error);
  }
  CallWord words[SIGNATURE_PARAMS];
  words[0].bits = 0; // call_native reads one word at least
  for (int i = 0; i < call->arg_count; i++) {
    GraftStatus status = convert_argument(signature, fn->name, i,
                                          &call->args[i], &words[i], error);
    if (status < 0) return status;
  }
  CallWord result = {.pointer = call->bytes};
  if (signature->result == TYPE_STRUCT &&
      (call->bytes == NULL ||
       call->byte_count < signature->result_detail->size)) {
    return no_room(fn, signature, call, error);
  }
  call_native(signature, target.code, words, &result);
  call->result_count = 0;
  if (signature->result != TYPE_VOID && call->result_capacity > 0) {
    call->results[0] =
        convert_word(signature->result, signature->result_name, result);
    call->result_count = 1;
  }
  return GRAFT_OK;
}

GraftStatus slot_call_script(GraftFn *self, GraftCall *call,
                             GraftError *error) {
  Registry *registry = self->registry;
  const ScriptHost *host = &registry->desc.script;
  if (host->call == NULL) {
    return error_set(error, GRAFT_ERUN, "%s needs a VM, and there is none",
                     self->name);
  }
  // The slot may change while the script runs.
  const Backing *backing = backing_retain(self->active);
  GraftStatus status = host->call(host->context, self, backing, call, error);
  backing_release(registry, backing);
  return status;
}

static GraftStatus on_wrong_thread(const GraftFn *fn, GraftError *error) {
  return error_set(error, GRAFT_ETHREAD,
                   "%s is a script now and was called from another thread "
                   "than the engine's",
                   fn->name);
}

GraftStatus slot_native_elsewhere(GraftFn *self, GraftNative *code,
                                  const Signature **signature,
                                  GraftError *error) {
  GraftStatus status = GRAFT_OK;
  pthread_mutex_lock(&self->registry->lock);
  const Backing *active = self->active;
  if (active == NULL) {
    status = slot_missing(self, error);
  } else if (active->kind != BACKING_NATIVE) {
    status = on_wrong_thread(self, error);
  } else if (active->signature == NULL) {
    status = not_callable(self, active->why_not, error);
  } else {
    *code = atomic_load_explicit(&self->code, memory_order_relaxed);
    *signature = active->signature;
  }
  pthread_mutex_unlock(&self->registry->lock);
  return status;
}

static GraftStatus call_elsewhere(GraftFn *fn, GraftCall *call,
                                  GraftError *error) {
  Target target = {0};
  atomic_fetch_add_explicit(&fn->calls_elsewhere, 1, memory_order_relaxed);
  GraftStatus status =
      slot_native_elsewhere(fn, &target.code, &target.signature, error);
  if (target.signature == NULL) return status;
  return call_code(fn, target, call, error);
}

GraftStatus graft_fn_call(GraftFn *fn, GraftCall *call, GraftError *error) {
  call->result_count = 0;
  if (!registry_is_host(fn->registry)) return call_elsewhere(fn, call, error);
  slot_count_call(fn);
  const Backing *active = fn->active;
  if (active == NULL) return slot_missing(fn, error);
  if (active->kind != BACKING_NATIVE) return slot_call_script(fn, call, error);
  if (active->signature == NULL) {
    return not_callable(fn, active->why_not, error);
  }
  GraftNative code = atomic_load_explicit(&fn->code, memory_order_relaxed);
  return call_code(fn, (Target){code, active->signature}, call, error);
}

static const char *layer_word(int layer) {
  char buffer[24];
  return layer < LAYER_MOD ? layer_text(layer, buffer) : "mod";
}

// The C type that callers may rely on: that of the active native, else of the
// typed handles, else of a native underneath.
static const char *signature_text(const GraftFn *fn) {
  const Backing *active = fn->active;
  if (active != NULL && active->signature != NULL) {
    return active->signature->text;
  }
  const Signature *signature = slot_signature(fn);
  return signature != NULL ? signature->text : NULL;
}

void graft_fn_info(const GraftFn *fn, GraftInfo *info) {
  const Backing *active = fn->active;
  *info = (GraftInfo){
      .name = fn->name,
      .kind = backing_kind_text(active),
      .layer = "none",
      .signature = signature_text(fn),
      .calls = atomic_load_explicit(&fn->calls, memory_order_relaxed) +
               atomic_load_explicit(&fn->calls_elsewhere, memory_order_relaxed),
      .pin = fn->state.pin,
      .removed = fn->state.removed,
  };
  if (active == NULL) return;
  info->layer = layer_word(active->layer);
  info->mod = active->layer >= LAYER_MOD ? active->layer - LAYER_MOD : 0;
  info->version = active->version;
  info->file = active->file;
  info->line = active->line;
}

// ---------------------------------------------------------------------------
// Backings and versions
// ---------------------------------------------------------------------------

static void describe(const Backing *self, GraftBacking *backing) {
  *backing = (GraftBacking){
      .kind = backing_kind_text(self),
      .layer = layer_word(self->layer),
      .mod = self->layer >= LAYER_MOD ? self->layer - LAYER_MOD : 0,
      .version = self->version,
      .file = self->file,
      .line = self->line,
      .signature = self->signature != NULL ? self->signature->text : NULL,
      .why_not = self->why_not,
      .source = self->source,
      .source_size = self->source_size,
  };
}

size_t graft_fn_backing_count(const GraftFn *fn) {
  return fn->state.layer_count;
}

bool graft_fn_backing(const GraftFn *fn, size_t index, GraftBacking *backing) {
  if (index >= fn->state.layer_count) return false;
  describe(fn->state.layers[fn->state.layer_count - 1 - index], backing);
  return true;
}

size_t graft_fn_history_count(const GraftFn *fn) {
  return (size_t)slot_history_count(fn);
}

bool graft_fn_history(const GraftFn *fn, size_t index, GraftBacking *version) {
  if (index >= graft_fn_history_count(fn)) return false;
  describe(slot_history(fn, (int)index), version);
  return true;
}
