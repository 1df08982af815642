// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/error.h"
#include "engine.h"
#include "vm/guest.h"

GraftStatus graft_engine_attach(const GraftEngineDesc *desc, void *state,
                                GraftEngine **engine, GraftError *error) {
  *engine = NULL;
  if (state == NULL) {
    return error_set(error, GRAFT_EARG,
                     "graft_engine_attach needs a lua_State");
  }
  return engine_open(&(GuestDesc){.desc = desc, .state = state}, engine, error);
}

// What the host holds of an engine of its own stays valid until it closes that;
// no change can be taken any more.
void engine_on_state_closed(void *context) {
  GraftEngine *self = context;
  if (self->of_state) {
    graft_engine_close(self);
    return;
  }
  watch_close(self->watch);
  self->watch = NULL;
  engine_forget_sweep(self);
  atomic_store(&self->pending, false);
}

// ---------------------------------------------------------------------------
// Chunks that ran before
// ---------------------------------------------------------------------------

// The file of a chunk by its name, which a host may give it by its own rules:
// as the roots name it, or from the top of a root. False when there is none.
static bool find_chunk_path(GraftEngine *self, const char *name, Buffer *path) {
  name = engine_plain_path(name);
  char *module = engine_module_of(self, name);
  bool found = module != NULL && engine_is_file(name);
  memory_free(&self->allocator, module);
  if (found) buffer_add_text(path, name);
  for (size_t i = 0; i < self->roots.count && !found; i++) {
    if (*self->roots.items[i].path == '\0') continue; // tried already
    buffer_clear(path);
    buffer_format(path, "%s/%s", self->roots.items[i].path, name);
    found = !path->failed && engine_is_file(path->text);
  }
  return found && !path->failed;
}

static void say_changed(GraftEngine *self, const char *path) {
  char text[512];
  snprintf(text, sizeof text,
           "%s was changed after it was loaded, so what runs now cannot be "
           "patched; start the program again",
           path);
  engine_notice(self, text);
}

static GraftStatus open_chunk(GraftEngine *self, const char *path, int chunk,
                              GraftError *error) {
  char *module = engine_module_of(self, path);
  if (module == NULL) return error_memory(error);
  Script *script = NULL;
  GraftStatus status = engine_open_script(self, path, module, &script, error);
  memory_free(&self->allocator, module);
  return status < 0 ? status : guest_adopt_chunk(script, chunk, error);
}

static void adopt_file(GraftEngine *self, const char *path, int chunk) {
  GraftError error = {.status = GRAFT_OK};
  size_t size = 0;
  char *text = engine_read_file(self, path, &size, &error);
  GraftStatus status = error.status;
  if (text != NULL) {
    size_t start = unit_find_code(text, size);
    if (guest_is_compiled_from(self->vm, chunk, text + start, size - start)) {
      status = open_chunk(self, path, chunk, &error);
    } else {
      say_changed(self, path);
    }
  }
  if (status < 0) engine_emit_error(self, &error);
  memory_free(&self->allocator, text);
}

static void adopt_chunk(void *context, const char *name, int chunk) {
  GraftEngine *self = context;
  Buffer path;
  buffer_init(&path, &self->allocator);
  if (find_chunk_path(self, name, &path)) adopt_file(self, path.text, chunk);
  buffer_clear(&path);
}

void engine_adopt_chunks(GraftEngine *self) {
  if (!self->is_guest) return;
  GraftError error;
  if (guest_find_chunks(self->vm, adopt_chunk, self, &error) < 0) {
    engine_emit_error(self, &error);
  }
}

void engine_finish_chunks(GraftEngine *self) {
  if (!self->is_guest) return;
  GraftError error;
  if (guest_finish_scripts(self->vm, &error) < 0) {
    engine_emit_error(self, &error);
  }
}
