// SPDX-License-Identifier: MIT

#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"
#include "engine_native.h"
#include "engine_types.h"

// ---------------------------------------------------------------------------
// Events
// ---------------------------------------------------------------------------

static void fill_text(const char **text) {
  if (*text == NULL) *text = "";
}

// What a callback is given when there is no memory to keep the event.
static GraftEvent filled(const GraftEvent *event) {
  GraftEvent copy = *event;
  fill_text(&copy.name);
  fill_text(&copy.file);
  fill_text(&copy.from);
  fill_text(&copy.to);
  fill_text(&copy.message);
  fill_text(&copy.source);
  return copy;
}

void engine_emit(GraftEngine *self, const GraftEvent *event) {
  const GraftEvent *kept = report_add(&self->report, event);
  // A listener may cause further events, which may move this one.
  GraftEvent copy = kept != NULL ? *kept : filled(event);
  if (self->types != NULL) types_note(self->types, &copy);
  bool telling = self->telling;
  self->telling = true;
  bool shown = self->on_lua_event != NULL && self->on_lua_event(self, &copy);
  if (!shown && self->desc.on_event != NULL) {
    self->desc.on_event(self->desc.context, &copy);
  }
  self->telling = telling;
}

void engine_notice(GraftEngine *self, const char *text) {
  engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_NOTICE, .message = text});
}

void engine_emit_error(GraftEngine *self, const GraftError *error) {
  engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_ERROR,
                                  .file = error->file,
                                  .line = error->line,
                                  .message = error->message});
}

// ---------------------------------------------------------------------------
// What the registry tells
// ---------------------------------------------------------------------------

static bool is_script(const Backing *backing) {
  return backing != NULL && backing->kind == BACKING_SCRIPT;
}

static bool is_native(const Backing *backing) {
  return backing != NULL && backing->kind != BACKING_SCRIPT;
}

// Scripts replace each other where a transaction has put the new code in place
// already, and where a file is loaded again, which gives it a second life
// beside the first. The first one of a slot is where its file has put it. Only
// a pin exchanges them.
static bool is_in_place(const Backing *from, const Backing *to) {
  return (from == NULL || is_script(from)) && is_script(to);
}

static void on_switch(void *context, GraftFn *fn, const Backing *from,
                      const Backing *to) {
  GraftEngine *self = context;
  if (self->undoing || (!self->pinning && is_in_place(from, to))) return;
  // What Lua holds of a native is the slot's, whichever version is active, but
  // with checks for its C type.
  if (is_native(from) && is_native(to) && from->signature == to->signature) {
    return;
  }
  EngineSwap *swap = ARRAY_PUSH(&self->allocator, &self->swaps);
  if (swap == NULL) {
    engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_ERROR,
                                    .name = fn->name,
                                    .message = "out of memory: Lua code keeps "
                                               "the backing that it holds"});
    return;
  }
  *swap = (EngineSwap){.fn = fn};
  if (from != NULL) swap->from = backing_retain(from);
  if (to != NULL) swap->to = backing_retain(to);
}

GraftStatus engine_exchange_swaps(GraftEngine *self, GraftError *error) {
  // References that have not followed would miss it.
  if (self->swaps.count > 0) engine_end_sweep(self, "a backing was exchanged");
  if (self->swaps.count > 0) {
    view_allow_compiled(self->vm, !natives_reach_lua(self->natives));
  }
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < self->swaps.count && status == GRAFT_OK; i++) {
    EngineSwap *swap = &self->swaps.items[i];
    if (swap->exchanged) continue;
    status = loader_exchange(self->vm, swap->fn, swap->from, swap->to, error);
    swap->exchanged = status == GRAFT_OK;
    swap->failed = status < 0;
  }
  return status;
}

static void release_swap(GraftEngine *self, const EngineSwap *swap) {
  if (swap->from != NULL) backing_release(self->registry, swap->from);
  if (swap->to != NULL) backing_release(self->registry, swap->to);
}

// One that has failed may have replaced some references.
void engine_undo_swaps(GraftEngine *self, size_t first) {
  while (self->swaps.count > first) {
    EngineSwap swap = self->swaps.items[self->swaps.count - 1];
    GraftError error;
    if ((swap.exchanged || swap.failed) &&
        loader_exchange(self->vm, swap.fn, swap.to, swap.from, &error) < 0) {
      engine_emit_error(self, &error);
    }
    self->swaps.count--;
    release_swap(self, &swap);
  }
}

static void emit_swap(GraftEngine *self, const EngineSwap *swap) {
  if (swap->from == NULL || swap->to == NULL) return;
  if (is_native(swap->from) && is_native(swap->to)) return; // an update
  engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_SWAP,
                                  .name = swap->fn->name,
                                  .file = swap->to->file,
                                  .line = swap->to->line,
                                  .version = swap->to->version,
                                  .from = backing_kind_text(swap->from),
                                  .to = backing_kind_text(swap->to)});
}

static void emit_callback_error(GraftEngine *self, const char *name,
                                const GraftError *error) {
  char place[1400];
  char message[1440];
  engine_place_message(error, place, sizeof place);
  snprintf(message, sizeof message, "%s: callback failed: %s", name, place);
  engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_ERROR,
                                  .name = name,
                                  .file = error->file,
                                  .line = error->line,
                                  .message = message});
}

static void on_follower_failed(void *context, const GraftError *error) {
  emit_callback_error(context, "graft.conform", error);
}

void engine_on_cleanup_failed(void *context, const GraftError *error) {
  emit_callback_error(context, "graft.defer", error);
}

void engine_run_cleanups(GraftEngine *self) {
  if (engine_is_busy(self)) return;
  vm_run_cleanups(self->vm, engine_on_cleanup_failed, self);
}

// They are told inside of a transaction, as after a patch.
static void tell_followers(GraftEngine *self) {
  bool updating = self->updating;
  self->updating = true;
  vm_tell_followers(self->vm, on_follower_failed, self);
  self->updating = updating;
}

void engine_show_swaps(GraftEngine *self) {
  GraftError error;
  if (engine_exchange_swaps(self, &error) < 0) engine_emit_error(self, &error);
  if (self->swaps.count > 0) tell_followers(self);
  // A listener has swapped: the loop that called it goes on with that.
  if (self->showing_swaps) return;
  self->showing_swaps = true;
  size_t kept = 0;
  for (size_t i = 0; i < self->swaps.count; i++) {
    EngineSwap swap = self->swaps.items[i];
    if (!swap.exchanged) {
      self->swaps.items[kept++] = swap;
      continue;
    }
    emit_swap(self, &swap);
    release_swap(self, &swap);
  }
  self->swaps.count = kept;
  self->showing_swaps = false;
  engine_tell_conformed(self);
}

// Of calls by typed handles, which nobody else is told of. New code that such a
// call has run, inside another one, has failed: no script can catch it.
static void on_error(void *context, GraftFn *fn, const GraftError *error) {
  GraftEngine *self = context;
  if (!registry_is_host(self->registry)) {
    engine_on_call_failed(self, fn, error->message);
    return;
  }
  if (error->status == GRAFT_EREVERTED) return; // that has been told
  ProbationFailure failure = probation_take_failure(self->vm);
  if (error->status == GRAFT_ERUN && failure.script != NULL &&
      engine_on_failure(self, &failure, error) == GRAFT_EREVERTED) {
    return;
  }
  engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_ERROR,
                                  .name = fn->name,
                                  .file = error->file,
                                  .line = error->line,
                                  .message = error->message});
}

// ---------------------------------------------------------------------------
// Opening and closing
// ---------------------------------------------------------------------------

static GraftStatus open_parts(GraftEngine *self, void *state,
                              GraftError *error) {
  pthread_condattr_t attributes;
  pthread_mutex_init(&self->mutex, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&self->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  GraftStatus status = vm_open(&(VmDesc){.allocator = &self->allocator,
                                         .state = state,
                                         .closed = engine_on_state_closed,
                                         .context = self},
                               &self->vm, error);
  if (status < 0) return status;
  vm_set_engine(self->vm, self);
  self->registry = registry_new(&(RegistryDesc){
      .allocator = &self->allocator,
      .script = {.call = vm_call, .release = vm_release, .context = self->vm},
      .context = self,
      .on_switch = on_switch,
      .on_error = on_error});
  if (self->registry == NULL) return error_memory(error);
  vm_set_failed(self->vm, engine_on_failure, self);
  if (self->desc.on_error == GRAFT_ON_ERROR_BREAK) {
    status = vm_set_break(self->vm, engine_on_break, self, error);
    if (status < 0) return status;
  }
  engine_init_hooks(self);
  engine_init_views(self);
  status = loader_install(self->vm, &self->hooks, error);
  if (status == GRAFT_OK) {
    status = view_open(self->vm, &self->view_hooks, error);
  }
  return status < 0 ? status : bindings_open(self, error);
}

GraftStatus engine_open(const GuestDesc *guest, GraftEngine **engine,
                        GraftError *error) {
  const GraftEngineDesc *desc = guest->desc;
  const GraftAllocator *allocator =
      desc->allocator != NULL ? desc->allocator : &memory_default;
  *engine = NULL;
  GraftEngine *self = memory_new(allocator, sizeof *self);
  if (self == NULL) return error_memory(error);
  self->allocator = *allocator;
  self->desc = *desc;
  map_init(&self->files, &self->allocator);
  report_init(&self->report, &self->allocator);
  self->is_guest = guest->state != NULL;
  self->of_state = guest->of_state;
  GraftStatus status = open_parts(self, guest->state, error);
  if (status < 0) {
    graft_engine_close(self);
    return status;
  }
  vm_rest(self->vm);
  *engine = self;
  return GRAFT_OK;
}

GraftStatus graft_engine_open(const GraftEngineDesc *desc, GraftEngine **engine,
                              GraftError *error) {
  return engine_open(&(GuestDesc){.desc = desc}, engine, error);
}

static void free_plans(GraftEngine *self) {
  while (self->plans != NULL) {
    Plan *next = self->plans->next;
    plan_free(&self->allocator, self->plans);
    self->plans = next;
  }
}

// Finalizers of scripts may call natives, so the VM stops first. Its memory
// goes after the registry, which lets go of scripts.
void graft_engine_close(GraftEngine *engine) {
  if (engine == NULL) return;
  GraftEngine *self = engine;
  GraftAllocator allocator = self->allocator;
  // No watcher thread may interrupt a VM that closes.
  watch_close(self->watch);
  self->watch = NULL;
  natives_stop(self->natives);
  engine_forget_sweep(self);
  vm_stop(self->vm);
  vm_checker_free(self->checker);
  free_plans(self);
  engine_free_notices(self);
  self->on_lua_event = NULL;
  self->desc.on_event = NULL;
  for (size_t i = 0; i < self->swaps.count; i++) {
    release_swap(self, &self->swaps.items[i]);
  }
  natives_finish(self->natives);
  registry_free(self->registry);
  vm_close(self->vm);
  natives_close(self->natives);
  engine_clear_files(self);
  for (size_t i = 0; i < self->libraries.count; i++) {
    library_close(self->libraries.items[i]);
  }
  for (size_t i = 0; i < self->roots.count; i++) {
    memory_free(&allocator, self->roots.items[i].path);
    memory_free(&allocator, self->roots.items[i].only);
  }
  types_free(self->types);
  report_clear(&self->report);
  memory_free(&allocator, self->libraries.items);
  memory_free(&allocator, self->roots.items);
  memory_free(&allocator, self->swaps.items);
  memory_free(&allocator, self->conformed.items);
  memory_free(&allocator, self->native_slots.items);
  pthread_cond_destroy(&self->changed);
  pthread_mutex_destroy(&self->mutex);
  memory_free(&allocator, self);
}

const char *graft_vm_name(void) {
  return vm_name();
}

const char *graft_vm_version(void) {
  return vm_version();
}

const char *graft_version(void) {
  return GRAFT_VERSION;
}

void *graft_engine_state(GraftEngine *engine) {
  return vm_state(engine->vm);
}

// ---------------------------------------------------------------------------
// Natives
// ---------------------------------------------------------------------------

// Without "./" in front and slashes at the end; "" for the current folder.
static char *copy_root(const GraftEngine *self, const char *path) {
  path = engine_plain_path(path);
  size_t size = strlen(path);
  while (size > 1 && path[size - 1] == '/') size--;
  if (size == 1 && path[0] == '.') size = 0;
  return memory_copy_string(&self->allocator, path, size);
}

// Modules are looked for among these, so that it costs nothing to have many
// scripts.
bool engine_note_native(GraftEngine *self, GraftFn *fn) {
  for (size_t i = 0; i < self->native_slots.count; i++) {
    if (self->native_slots.items[i] == fn) return true;
  }
  GraftFn **place = ARRAY_PUSH(&self->allocator, &self->native_slots);
  if (place != NULL) *place = fn;
  return place != NULL;
}

static GraftStatus set_native(GraftEngine *self, const char *name,
                              const BackingDesc *desc, GraftError *error) {
  GraftFn *fn = registry_add(self->registry, name);
  if (fn == NULL || !engine_note_native(self, fn)) return error_memory(error);
  GraftStatus status = slot_set(fn, desc, error);
  engine_show_swaps(self);
  return status;
}

GraftStatus graft_engine_register(GraftEngine *engine, const char *name,
                                  GraftNative code, const char *signature,
                                  GraftError *error) {
  if (code == NULL || *name == '\0') {
    return error_set(error, GRAFT_EARG, "a native needs %s",
                     code == NULL ? "code" : "a name");
  }
  Signature *parsed = NULL;
  GraftStatus status =
      signature_parse(&engine->allocator, signature, &parsed, error);
  if (status < 0) return status;
  status = set_native(engine, name,
                      &(BackingDesc){.layer = LAYER_BUILTIN,
                                     .kind = BACKING_NATIVE,
                                     .code = code,
                                     .signature = parsed},
                      error);
  signature_free(&engine->allocator, parsed);
  return status;
}

static GraftStatus load_library(GraftEngine *self, const char *path,
                                GraftError *error) {
  Library **place = ARRAY_PUSH(&self->allocator, &self->libraries);
  if (place == NULL) return error_memory(error);
  GraftStatus status = library_open(&self->allocator, path, place, error);
  if (status < 0) {
    self->libraries.count--;
    return status;
  }
  Library *library = *place;
  for (size_t i = 0; i < library_count(library) && status == GRAFT_OK; i++) {
    const LibraryEntry *entry = library_entry(library, i);
    status = set_native(self, entry->name,
                        &(BackingDesc){.layer = LAYER_NATIVE,
                                       .kind = BACKING_NATIVE,
                                       .code = entry->code,
                                       .signature = entry->signature,
                                       .why_not = entry->why_not,
                                       .file = entry->file,
                                       .line = entry->line},
                        error);
  }
  return status;
}

// Natives that are compiled here. None is no failure.
static GraftStatus load_sources(GraftEngine *self, const char *path,
                                GraftError *error) {
  if (!natives_has_sources(path)) return GRAFT_OK;
  Natives *natives = natives_open(self, error);
  if (natives == NULL) return error != NULL ? error->status : GRAFT_ENOMEM;
  return natives_load(natives, path, error);
}

static GraftStatus load_libraries(GraftEngine *engine, const char *path,
                                  GraftError *error) {
  LibraryPaths paths = {0};
  GraftStatus status = library_find(&engine->allocator, path, &paths, error);
  for (size_t i = 0; i < paths.count && status == GRAFT_OK; i++) {
    status = load_library(engine, paths.items[i], error);
  }
  library_paths_clear(&engine->allocator, &paths);
  return status;
}

GraftStatus graft_engine_natives(GraftEngine *engine, const char *path,
                                 GraftError *error) {
  GraftError local;
  if (error == NULL) error = &local;
  char *plain = copy_root(engine, path);
  if (plain == NULL) return error_memory(error);
  path = *plain != '\0' ? plain : ".";
  GraftStatus status = GRAFT_OK;
  if (!native_is_source(path)) status = load_libraries(engine, path, error);
  if (status == GRAFT_OK) status = load_sources(engine, path, error);
  memory_free(&engine->allocator, plain);
  return status;
}

bool engine_has_native_file(GraftEngine *self, const char *path) {
  return self->natives != NULL &&
         natives_find_file(self->natives, engine_plain_path(path)) != NULL;
}

// C files that came into watched folders while there were no natives.
void engine_load_new_sources(GraftEngine *self) {
  if (!atomic_exchange(&self->new_sources, false)) return;
  for (size_t i = 0; i < self->roots.count; i++) {
    const EngineRoot *root = &self->roots.items[i];
    GraftError error;
    if (load_sources(self, *root->path != '\0' ? root->path : ".", &error) <
        0) {
      engine_emit_error(self, &error);
    }
  }
}

// ---------------------------------------------------------------------------
// Roots
// ---------------------------------------------------------------------------

static bool has_root(const GraftEngine *self, const char *path) {
  for (size_t i = 0; i < self->roots.count; i++) {
    if (strcmp(self->roots.items[i].path, path) == 0) return true;
  }
  return false;
}

static GraftStatus add_root(GraftEngine *self, char *path, GraftError *error) {
  if (path == NULL) return error_memory(error);
  if (has_root(self, path)) {
    memory_free(&self->allocator, path);
    return GRAFT_OK;
  }
  pthread_mutex_lock(&self->mutex);
  EngineRoot *root = ARRAY_PUSH(&self->allocator, &self->roots);
  if (root != NULL) *root = (EngineRoot){.path = path, .watch_index = -1};
  pthread_mutex_unlock(&self->mutex);
  if (root != NULL) return GRAFT_OK;
  memory_free(&self->allocator, path);
  return error_memory(error);
}

static bool is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_lua_file(const char *path) {
  size_t size = strlen(path);
  return size > 4 && strcmp(path + size - 4, ".lua") == 0;
}

// A file's root is its folder, a glob's the one above the first wildcard.
static char *root_of(const GraftEngine *self, const char *path) {
  size_t literal = strcspn(path, "*?[");
  if (path[literal] != '\0' && !is_folder(path) && !engine_is_file(path)) {
    while (literal > 0 && path[literal - 1] != '/') literal--;
    char *folder = memory_copy_string(&self->allocator, path, literal);
    char *root = NULL;
    if (folder != NULL) root = copy_root(self, *folder ? folder : ".");
    memory_free(&self->allocator, folder);
    return root;
  }
  if (is_folder(path) || !is_lua_file(path)) return copy_root(self, path);
  path = engine_plain_path(path);
  const char *slash = strrchr(path, '/');
  if (slash == NULL) return copy_root(self, ".");
  size_t size = slash == path ? 1 : (size_t)(slash - path);
  return memory_copy_string(&self->allocator, path, size);
}

GraftStatus graft_engine_add_root(GraftEngine *engine, const char *path,
                                  GraftError *error) {
  return add_root(engine, root_of(engine, path), error);
}

static GraftStatus open_watch(GraftEngine *self, GraftError *error) {
  if (self->checker == NULL) self->checker = vm_checker_new();
  if (self->checker == NULL) return error_memory(error);
  GraftError refused;
  if (interrupt_open(self->vm, engine_safe_point, self, &refused) < 0) {
    engine_notice(self, refused.message);
  }
  return watch_open(&(WatchDesc){.allocator = &self->allocator,
                                 .on_batch = engine_on_batch,
                                 .on_message = engine_on_message,
                                 .context = self,
                                 .extensions = ".lua .c .h",
                                 .debounce_ms = self->desc.debounce_ms,
                                 .poll_ms = self->desc.poll_ms,
                                 .grace_ms = self->desc.grace_ms},
                    &self->watch, error);
}

static const char *plural(int count) {
  return count == 1 ? "" : "s";
}

// Says of a new root how it is watched, and what the watcher said of it.
static void show_root(GraftEngine *self, const char *path, int index) {
  WatchInfo info;
  engine_show_notices(self);
  if (index < self->watched || !watch_list(self->watch, index, &info)) return;
  self->watched = index + 1;
  char text[128] = "not there yet";
  if (info.exists) {
    snprintf(text, sizeof text, "%s, %d folder%s, %d file%s", info.method,
             info.folders, plural(info.folders), info.files,
             plural(info.files));
  }
  engine_emit(
      self,
      &(GraftEvent){.kind = GRAFT_EVENT_WATCH, .file = path, .message = text});
}

GraftStatus graft_engine_watch(GraftEngine *engine, const char *path,
                               GraftError *error) {
  GraftStatus status = vm_check_open(engine->vm, error);
  if (status == GRAFT_OK) status = graft_engine_add_root(engine, path, error);
  if (status == GRAFT_OK && engine->watch == NULL) {
    status = open_watch(engine, error);
  }
  if (status < 0) return status;
  char *root = copy_root(engine, path);
  if (root == NULL) return error_memory(error);
  const char *watched = *root != '\0' ? root : ".";
  int index = watch_add_root(engine->watch, watched, error);
  if (index >= 0) show_root(engine, watched, index);
  status = index < 0 ? (GraftStatus)index : GRAFT_OK;
  if (status == GRAFT_OK) status = load_sources(engine, watched, error);
  memory_free(&engine->allocator, root);
  if (status == GRAFT_OK) engine_adopt_chunks(engine);
  return status;
}

// ---------------------------------------------------------------------------
// Running
// ---------------------------------------------------------------------------

// As the watcher names it: without "./" in front, and one slash at a time.
static char *copy_plain_path(const GraftEngine *self, const char *path) {
  path = engine_plain_path(path);
  char *plain = memory_copy_string(&self->allocator, path, strlen(path));
  if (plain == NULL) return NULL;
  char *to = plain;
  for (const char *from = plain; *from != '\0'; from++) {
    if (from[0] != '/' || from[1] != '/') *to++ = *from;
  }
  *to = '\0';
  return plain;
}

static GraftStatus run_file(GraftEngine *engine, const char *path,
                            int arg_count, const char *const *args,
                            GraftError *error) {
  char *module = engine_module_of(engine, path);
  if (module == NULL) {
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t size = strlen(name);
    if (is_lua_file(name)) size -= 4;
    module = memory_copy_string(&engine->allocator, name, size);
  }
  if (module == NULL) return error_memory(error);
  GraftError local;
  if (error == NULL) error = &local;
  Script *script = NULL;
  GraftStatus status = engine_open_script(engine, path, module, &script, error);
  if (status == GRAFT_OK) {
    status = loader_run(
        engine->vm,
        &(LoaderRun){.script = script, .arg_count = arg_count, .args = args},
        error);
  }
  engine_show_swaps(engine);
  engine_run_cleanups(engine);
  memory_free(&engine->allocator, module);
  return status;
}

GraftStatus graft_engine_run(GraftEngine *engine, const char *path,
                             int arg_count, const char *const *args,
                             GraftError *error) {
  char *plain = copy_plain_path(engine, path);
  if (plain == NULL) return error_memory(error);
  GraftStatus status = run_file(engine, plain, arg_count, args, error);
  memory_free(&engine->allocator, plain);
  return status;
}

GraftStatus graft_engine_require(GraftEngine *engine, const char *module,
                                 GraftError *error) {
  GraftStatus status = loader_require(engine->vm, module, error);
  engine_show_swaps(engine);
  engine_run_cleanups(engine);
  return status;
}

GraftStatus graft_engine_run_text(GraftEngine *engine, const char *text,
                                  const char *chunk_name, GraftError *error) {
  return vm_run_text(engine->vm, text, chunk_name, error);
}

void graft_engine_interrupt(GraftEngine *engine) {
  interrupt_stop(engine->vm);
  natives_interrupt(engine->natives);
}

// ---------------------------------------------------------------------------
// Slots
// ---------------------------------------------------------------------------

GraftFn *graft_engine_fn(GraftEngine *engine, const char *name) {
  return registry_add(engine->registry, name);
}

size_t graft_engine_fn_count(const GraftEngine *engine) {
  return registry_count(engine->registry);
}

GraftFn *graft_engine_fn_at(const GraftEngine *engine, size_t index) {
  if (index >= registry_count(engine->registry)) return NULL;
  return registry_at(engine->registry, index);
}

GraftFn *graft_engine_find(GraftEngine *engine, const char *name) {
  GraftFn *fn = registry_find(engine->registry, name);
  return fn != NULL && fn->active != NULL ? fn : NULL;
}

// A version of a native may know a layout that has changed since.
static GraftStatus check_pin(GraftEngine *self, const GraftFn *fn,
                             const char *backing, GraftError *error) {
  char *end = NULL;
  unsigned long version = strtoul(backing, &end, 10);
  if (*end != '\0' || version == 0 || version > UINT32_MAX ||
      self->natives == NULL) {
    return GRAFT_OK;
  }
  const Backing *found = slot_find_version(fn, (uint32_t)version);
  if (found == NULL) return GRAFT_OK;
  return natives_check_version(self->natives, fn, found, error);
}

GraftStatus graft_engine_swap(GraftEngine *engine, const char *name,
                              const char *backing, GraftError *error) {
  GraftFn *fn = registry_find(engine->registry, name);
  if (fn == NULL) {
    return error_set(error, GRAFT_ENOTFOUND, "no function is called '%s'",
                     name);
  }
  GraftStatus status = check_pin(engine, fn, backing, error);
  if (status < 0) return status;
  engine->pinning = true;
  status = slot_pin_text(fn, backing, error);
  engine->pinning = false;
  engine_show_swaps(engine);
  return status;
}
