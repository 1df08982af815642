// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "engine_native.h"

static GraftEventKind event_of(StorageEventKind kind) {
  switch (kind) {
  case STORAGE_MIGRATE:
    return GRAFT_EVENT_MIGRATE;
  case STORAGE_KEEP:
    return GRAFT_EVENT_KEEP;
  case STORAGE_TAKE:
  case STORAGE_RESET:
  case STORAGE_REMOVE:
    return GRAFT_EVENT_NOTICE;
  }
  return GRAFT_EVENT_NOTICE;
}

// "physics:speed", of a function's own "physics:physics_step/count". Messages
// about values name the variable themselves: there it is "physics".
static void write_name(Natives *self, const StorageEvent *event, Buffer *name) {
  const NativeFile *file = natives_find_file(self, event->file);
  bool value = event->kind == STORAGE_KEEP || event->kind == STORAGE_TAKE;
  const char *module = file != NULL ? file->module : "";
  const char *colon = file != NULL ? ":" : "";
  if (value && *event->function == '\0') {
    buffer_add_text(name, module);
  } else if (value) {
    buffer_format(name, "%s%s%s", module, colon, event->function);
  } else {
    buffer_format(name, "%s%s%s%s%s", module, colon, event->function,
                  *event->function != '\0' ? "/" : "", event->name);
  }
}

static void emit_variable(NativeChange *self, const StorageEvent *event) {
  Natives *natives = self->natives;
  if (event->kind == STORAGE_REMOVE) return; // the text says so
  Buffer name;
  Buffer text;
  buffer_init(&name, natives->allocator);
  buffer_init(&text, natives->allocator);
  write_name(natives, event, &name);
  GraftEventKind kind = event_of(event->kind);
  if (kind == GRAFT_EVENT_NOTICE) {
    buffer_format(&text, "%s ", buffer_text(&name));
  }
  if (event->kind == STORAGE_RESET) {
    buffer_add_text(&text, "starts anew: its type is not known");
  }
  buffer_add_text(&text, event->message != NULL ? event->message : "");
  if (event->lost > 0) {
    buffer_format(&text, " (%zu value%s did not fit)", event->lost,
                  event->lost == 1 ? "" : "s");
  }
  engine_emit(natives->engine, &(GraftEvent){.kind = kind,
                                             .name = buffer_text(&name),
                                             .file = event->file,
                                             .line = event->line,
                                             .count = (int)event->count,
                                             .message = buffer_text(&text)});
  buffer_clear(&name);
  buffer_clear(&text);
}

// Warnings, as the compiler wrote them (N7).
void native_change_emit_output(NativeChange *self) {
  for (size_t i = 0; i < self->steps.count; i++) {
    const WorkerFile *file = self->steps.items[i].plan->file;
    if (file == NULL || file->output == NULL) continue;
    size_t size = strlen(file->output);
    while (size > 0 && file->output[size - 1] == '\n') size--;
    char *text =
        memory_copy_string(self->natives->allocator, file->output, size);
    if (text != NULL && size > 0) engine_notice(self->natives->engine, text);
    memory_free(self->natives->allocator, text);
  }
}

void native_change_emit(NativeChange *self) {
  if (self == NULL) return;
  GraftEngine *engine = self->natives->engine;
  for (size_t i = 0; i < self->steps.count; i++) {
    if (!self->natives->loading) continue;
    engine_emit(engine, &(GraftEvent){.kind = GRAFT_EVENT_WATCH,
                                      .file = self->steps.items[i].file->path});
  }
  if (self->natives->loading) return;
  for (size_t i = 0; i < self->news.count; i++) {
    const NativeNews *entry = &self->news.items[i];
    engine_emit(engine, &(GraftEvent){.kind = entry->kind,
                                      .name = native_symbol_name(entry->symbol),
                                      .file = entry->symbol->file->path,
                                      .line = entry->line,
                                      .version = entry->version});
  }
  for (size_t i = 0; i < self->report.events.count; i++) {
    emit_variable(self, &self->report.events.items[i]);
  }
}
