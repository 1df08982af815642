// SPDX-License-Identifier: MIT

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/error.h"
#include "engine.h"

// ---------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------

EngineFile *engine_find_file(GraftEngine *self, const char *path) {
  pthread_mutex_lock(&self->mutex);
  EngineFile *file = map_find(&self->files, path);
  pthread_mutex_unlock(&self->mutex);
  return file;
}

const char *engine_plain_path(const char *path) {
  while (path[0] == '.' && path[1] == '/') {
    path += 2;
    while (*path == '/') path++;
  }
  return path;
}

static bool watches_current_folder(const GraftEngine *self) {
  for (size_t i = 0; i < self->roots.count; i++) {
    if (*self->roots.items[i].path == '\0') return true;
  }
  return false;
}

// The watcher names what is below "." with that.
void engine_prime(GraftEngine *self, const char *path, const char *text,
                  size_t size) {
  if (self->watch == NULL) return;
  if (path[0] == '/' || !watches_current_folder(self)) {
    watch_prime(self->watch, path, text, size);
    return;
  }
  Buffer dotted;
  buffer_init(&dotted, &self->allocator);
  buffer_format(&dotted, "./%s", path);
  if (!dotted.failed) watch_prime(self->watch, dotted.text, text, size);
  buffer_clear(&dotted);
}

static void file_free(GraftEngine *self, EngineFile *file) {
  if (file == NULL) return;
  unit_release(file->unit);
  for (size_t i = 0; i < file->history_count; i++) {
    unit_release(file->history[i]);
  }
  plan_free(&self->allocator, file->waiting);
  memory_free(&self->allocator, file->path);
  memory_free(&self->allocator, file->module);
  memory_free(&self->allocator, file);
}

void engine_clear_files(GraftEngine *self) {
  for (size_t i = 0; i < self->file_list.count; i++) {
    file_free(self, self->file_list.items[i]);
  }
  memory_free(&self->allocator, self->file_list.items);
  map_clear(&self->files);
}

static EngineFile *add_file(GraftEngine *self, const char *path,
                            const char *module) {
  EngineFile *file = memory_new(&self->allocator, sizeof *file);
  if (file == NULL) return NULL;
  file->path = memory_copy_string(&self->allocator, path, strlen(path));
  file->module = memory_copy_string(&self->allocator, module, strlen(module));
  pthread_mutex_lock(&self->mutex);
  EngineFile **place = NULL;
  if (file->path != NULL && file->module != NULL) {
    place = ARRAY_PUSH(&self->allocator, &self->file_list);
  }
  if (place != NULL && !map_set(&self->files, file->path, file)) {
    self->file_list.count--;
    place = NULL;
  }
  if (place != NULL) *place = file;
  pthread_mutex_unlock(&self->mutex);
  if (place != NULL) return file;
  file_free(self, file);
  return NULL;
}

void engine_set_unit(GraftEngine *self, EngineFile *file, GraftUnit *unit) {
  pthread_mutex_lock(&self->mutex);
  GraftUnit *old = file->unit;
  file->unit = unit_retain(unit);
  pthread_mutex_unlock(&self->mutex);
  unit_release(old);
}

static char *read_stream(const GraftEngine *self, FILE *stream, size_t *size) {
  Buffer buffer;
  buffer_init(&buffer, &self->allocator);
  char block[16384];
  size_t read = 0;
  buffer_add(&buffer, "", 0);
  while ((read = fread(block, 1, sizeof block, stream)) > 0) {
    buffer_add(&buffer, block, read);
  }
  if (ferror(stream) || buffer.failed) {
    buffer_clear(&buffer);
    return NULL;
  }
  *size = buffer.size;
  return buffer.text;
}

char *engine_read_file(const GraftEngine *self, const char *path, size_t *size,
                       GraftError *error) {
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) {
    error_set(error, errno == ENOENT ? GRAFT_ENOTFOUND : GRAFT_EIO,
              "cannot open %s: %s", path, strerror(errno));
    return NULL;
  }
  errno = 0;
  char *text = read_stream(self, stream, size);
  if (text == NULL) {
    error_set(error, GRAFT_EIO, "cannot read %s: %s", path,
              errno != 0 ? strerror(errno) : error_text(GRAFT_ENOMEM));
  }
  fclose(stream);
  return text;
}

// Shows what the VM says of a broken file, as for one that is saved (T3).
static GraftStatus reject_source(GraftEngine *self, const Plan *plan,
                                 const char *path, GraftError *error) {
  *error = plan->error;
  if (plan->status == GRAFT_ESYNTAX) {
    engine_emit(self, &(GraftEvent){.kind = GRAFT_EVENT_REJECT,
                                    .file = path,
                                    .line = plan->error.line,
                                    .column = plan->error.column,
                                    .message = plan->error.message,
                                    .source = plan->source_line});
  }
  return plan->status;
}

static GraftStatus compile_source(GraftEngine *self, const PlanDesc *source,
                                  const char *module, GraftUnit **unit,
                                  GraftError *error) {
  VmChecker *checker = vm_checker_new();
  if (checker == NULL) return error_memory(error);
  Plan plan = {.module = (char *)module};
  plan_compile(self, checker, &plan, source);
  vm_checker_free(checker);
  *unit = plan.unit;
  GraftStatus status = plan.status < 0
                           ? reject_source(self, &plan, source->path, error)
                           : GRAFT_OK;
  memory_free(&self->allocator, plan.source_line);
  if (status < 0) {
    unit_release(plan.unit);
    *unit = NULL;
  }
  return status;
}

static GraftStatus set_script(GraftEngine *self, const PlanDesc *source,
                              GraftUnit *unit, const char *module,
                              GraftError *error) {
  EngineFile *file = engine_find_file(self, source->path);
  if (file == NULL) file = add_file(self, source->path, module);
  if (file == NULL) return error_memory(error);
  Script *script = script_new(&(ScriptDesc){.vm = self->vm,
                                            .unit = unit,
                                            .module = module,
                                            .path = source->path,
                                            .owner = file});
  if (script == NULL) return error_memory(error);
  script_run_cleanups(file->script, engine_on_cleanup_failed, self);
  script_supersede(file->script);
  file->script = script;
  engine_set_unit(self, file, unit);
  engine_prime(self, source->path, source->contents, source->size);
  engine_emit(self,
              &(GraftEvent){.kind = GRAFT_EVENT_WATCH, .file = source->path});
  return GRAFT_OK;
}

GraftStatus engine_open_script(GraftEngine *self, const char *path,
                               const char *module, Script **script,
                               GraftError *error) {
  size_t size = 0;
  char *text = engine_read_file(self, path, &size, error);
  if (text == NULL) return error->status;
  PlanDesc source = {.path = path, .contents = text, .size = size};
  GraftUnit *unit = NULL;
  GraftStatus status = compile_source(self, &source, module, &unit, error);
  if (status == GRAFT_OK) {
    status = set_script(self, &source, unit, module, error);
  }
  if (status == GRAFT_OK) *script = engine_find_file(self, path)->script;
  unit_release(unit);
  memory_free(&self->allocator, text);
  return status;
}

// ---------------------------------------------------------------------------
// Modules
// ---------------------------------------------------------------------------

bool engine_is_file(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static void join(Buffer *path, const char *root, const char *module,
                 const char *tail) {
  if (*root != '\0') buffer_format(path, "%s/", root);
  size_t start = path->size;
  buffer_add_text(path, module);
  for (size_t i = start; i < path->size; i++) {
    if (path->text[i] == '.') path->text[i] = '/';
  }
  buffer_add_text(path, tail);
}

// The path of a module's file in `path`; false when there is none.
static bool find_path(const GraftEngine *self, const char *module,
                      Buffer *path) {
  static const char *const tails[] = {".lua", "/init.lua"};
  for (size_t i = 0; i < self->roots.count; i++) {
    for (size_t k = 0; k < 2; k++) {
      buffer_clear(path);
      join(path, self->roots.items[i].path, module, tails[k]);
      if (!path->failed && engine_is_file(path->text)) return true;
    }
  }
  return false;
}

static char *module_below(const GraftEngine *self, const char *relative) {
  size_t size = strlen(relative);
  if (size > 4 && strcmp(relative + size - 4, ".lua") == 0) size -= 4;
  if (size > 5 && strncmp(relative + size - 5, "/init", 5) == 0) size -= 5;
  char *module = memory_copy_string(&self->allocator, relative, size);
  for (size_t i = 0; module != NULL && i < size; i++) {
    if (module[i] == '/') module[i] = '.';
  }
  return module;
}

char *engine_module_of(GraftEngine *self, const char *path) {
  assert(path != NULL);
  pthread_mutex_lock(&self->mutex);
  const char *relative = NULL;
  size_t longest = 0;
  for (size_t i = 0; i < self->roots.count; i++) {
    const char *root = self->roots.items[i].path;
    size_t size = strlen(root);
    bool below =
        size == 0 || (strncmp(path, root, size) == 0 && path[size] == '/');
    if (!below || (relative != NULL && size <= longest)) continue;
    longest = size;
    relative = size == 0 ? path : path + size + 1;
  }
  char *module = relative != NULL ? module_below(self, relative) : NULL;
  pthread_mutex_unlock(&self->mutex);
  return module;
}

bool engine_has_natives(GraftEngine *self, const char *module) {
  const char *path = NULL;
  return self->hooks.native(self, module, 0, &path) != NULL;
}

// ---------------------------------------------------------------------------
// What the loader asks
// ---------------------------------------------------------------------------

static int find_module(void *context, const char *module, Script **script,
                       GraftError *error) {
  GraftEngine *self = context;
  Buffer path;
  buffer_init(&path, &self->allocator);
  int found = engine_has_natives(self, module) ? MODULE_NATIVE : MODULE_NONE;
  if (find_path(self, module, &path)) {
    GraftStatus status =
        engine_open_script(self, path.text, module, script, error);
    found = status < 0 ? (int)status : MODULE_SCRIPT;
  }
  buffer_clear(&path);
  return found;
}

// Slots of all that a script shows, or of nothing.
static GraftStatus on_loaded(void *context, Script *script, GraftError *error) {
  GraftEngine *self = context;
  EngineSlots slots = {.first_swap = self->swaps.count};
  GraftStatus status = engine_bind_slots(self, script, &slots, error);
  if (status < 0) {
    engine_restore_slots(self, &slots);
    script_supersede(script);
  }
  engine_forget_slots(self, &slots);
  return status;
}

static bool has_native(const GraftFn *fn) {
  return slot_find_layer(fn, LAYER_NATIVE) != NULL ||
         slot_find_layer(fn, LAYER_BUILTIN) != NULL;
}

static GraftFn *find_native(void *context, const char *module, size_t index,
                            const char **path) {
  GraftEngine *self = context;
  size_t size = strlen(module);
  for (size_t i = 0; i < self->native_slots.count; i++) {
    GraftFn *fn = self->native_slots.items[i];
    bool below = strncmp(fn->name, module, size) == 0 && fn->name[size] == '.';
    if (!below || strchr(fn->name + size + 1, '.') != NULL || !has_native(fn)) {
      continue;
    }
    if (index-- > 0) continue;
    *path = fn->name + size + 1;
    return fn;
  }
  return NULL;
}

void engine_init_hooks(GraftEngine *self) {
  self->hooks = (LoaderHooks){.find = find_module,
                              .loaded = on_loaded,
                              .native = find_native,
                              .context = self};
}
