// SPDX-License-Identifier: MIT
//
// What the spec programs of the engine share: a host with graft.h alone, as a
// user's is, which has a temporary folder of scripts and keeps what the engine
// tells, as lines of text.

#ifndef GRAFT_SPEC_ENGINE_SUPPORT_H
#define GRAFT_SPEC_ENGINE_SUPPORT_H

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

typedef struct Host {
  GraftEngine *engine;
  GraftError error; // of the last call that was given it
  char folder[64];
  char path[160]; // what host_path returns
  char events[16384];
} Host;

// --- Files -----------------------------------------------------------------

static inline const char *host_path(Host *self, const char *name) {
  snprintf(self->path, sizeof self->path, "%s/%s", self->folder, name);
  return self->path;
}

// By a rename, so that a watcher sees the whole.
static inline void host_write(Host *self, const char *name, const char *text) {
  char temporary[180];
  snprintf(temporary, sizeof temporary, "%s~", host_path(self, name));
  FILE *file = fopen(temporary, "wb");
  bool written = file != NULL && fputs(text, file) >= 0;
  if (file != NULL) written &= fclose(file) == 0;
  if (!written || rename(temporary, host_path(self, name)) != 0) {
    perror(temporary);
    exit(2);
  }
}

static inline void host_remove(Host *self, const char *name) {
  unlink(host_path(self, name));
}

static inline int host_unlink(const char *path, const struct stat *info,
                              int kind, struct FTW *place) {
  (void)info, (void)kind, (void)place;
  return remove(path);
}

// --- Life ------------------------------------------------------------------

// "TEXT [NAME]"; an error's text does not tell which function was called.
static inline void host_on_event(void *context, const GraftEvent *event) {
  Host *self = context;
  size_t used = strlen(self->events);
  size_t room = sizeof self->events - used;
  char text[2048];
  graft_event_text(event, text, sizeof text);
  snprintf(self->events + used, room, "%s [%s]\n", text, event->name);
}

// The folder is a root of the engine. `desc` may be NULL.
static inline void host_open(Host *self, const GraftEngineDesc *desc) {
  *self = (Host){.folder = "/tmp/graft-spec-XXXXXX"};
  GraftEngineDesc filled = desc != NULL ? *desc : (GraftEngineDesc){0};
  filled.on_event = host_on_event;
  filled.context = self;
  if (mkdtemp(self->folder) == NULL ||
      graft_engine_open(&filled, &self->engine, &self->error) < 0 ||
      graft_engine_add_root(self->engine, self->folder, &self->error) < 0) {
    printf("FAIL open: %s\n", self->error.message);
    exit(2);
  }
}

static inline void host_close(Host *self) {
  graft_engine_close(self->engine);
  nftw(self->folder, host_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline bool host_require(Host *self, const char *module) {
  bool loaded =
      graft_engine_require(self->engine, module, &self->error) == GRAFT_OK;
  if (!loaded) printf("# require %s: %s\n", module, self->error.message);
  return loaded;
}

// --- Checks ----------------------------------------------------------------

// Every part up to NULL is in `text`.
static inline void check_parts(const char *name, const char *text,
                               const char *const *parts) {
  while (*parts != NULL && strstr(text, *parts) != NULL) parts++;
  const char *part = *parts;
  char why[1600];
  snprintf(why, sizeof why, "no \"%s\" in \"%s\"", part != NULL ? part : "",
           text);
  check_report(name, part == NULL, why);
}

#define check_holds(name, text, ...)                                           \
  check_parts((name), (text), (const char *const[]){__VA_ARGS__})

static inline void check_code(const char *name, GraftStatus got,
                              GraftStatus expected, const GraftError *error) {
  char why[1400];
  snprintf(why, sizeof why, "status %d, expected %d (%s)", (int)got,
           (int)expected, error->message);
  check_report(name, got == expected, why);
}

// --- Values and calls ------------------------------------------------------

static inline GraftValue nil_value(void) {
  return (GraftValue){.type = GRAFT_NIL};
}

static inline GraftValue boolean_value(bool boolean) {
  return (GraftValue){.type = GRAFT_BOOLEAN, .as.boolean = boolean};
}

static inline GraftValue integer_value(int64_t integer) {
  return (GraftValue){.type = GRAFT_INTEGER, .as.integer = integer};
}

static inline GraftValue number_value(double number) {
  return (GraftValue){.type = GRAFT_NUMBER, .as.number = number};
}

static inline GraftValue bytes_value(const char *text, size_t size) {
  return (GraftValue){.type = GRAFT_STRING, .as.string = {text, size}};
}

static inline GraftValue text_value(const char *text) {
  return bytes_value(text, strlen(text));
}

static inline GraftValue pointer_value(void *address, const char *type) {
  return (GraftValue){.type = GRAFT_POINTER, .as.pointer = {address, type}};
}

static inline bool is_text(const GraftValue *value, const char *text) {
  return value->type == GRAFT_STRING && value->as.string.size == strlen(text) &&
         strcmp(value->as.string.text, text) == 0;
}

// A whole number; LuaJIT has no integers.
static inline bool is_whole(const GraftValue *value, int64_t expected) {
  return value->type == GRAFT_INTEGER
             ? value->as.integer == expected
             : value->type == GRAFT_NUMBER &&
                   value->as.number == (double)expected;
}

// Calls with one argument for one result; nil and host->error when it fails.
static inline GraftValue host_call(Host *self, GraftFn *fn, GraftValue arg) {
  GraftValue result = nil_value();
  GraftCall call = {
      .args = &arg, .arg_count = 1, .results = &result, .result_capacity = 1};
  self->error = (GraftError){.status = GRAFT_OK};
  if (graft_fn_call(fn, &call, &self->error) < 0) return nil_value();
  return result;
}

static inline double host_number(Host *self, GraftFn *fn, double arg) {
  GraftValue value = host_call(self, fn, number_value(arg));
  return value.type == GRAFT_NUMBER    ? value.as.number
         : value.type == GRAFT_INTEGER ? (double)value.as.integer
                                       : -1e9;
}

static inline GraftInfo host_info(Host *self, const char *name) {
  GraftInfo info;
  graft_fn_info(graft_engine_fn(self->engine, name), &info);
  return info;
}

static inline void host_register(Host *self, const char *name, GraftNative code,
                                 const char *signature) {
  if (graft_engine_register(self->engine, name, code, signature, &self->error) <
      0) {
    printf("FAIL register %s: %s\n", name, self->error.message);
    exit(2);
  }
}

// A report as "update physics.gravity:2 v3; patch ok", with rejects as
// "reject FILE:LINE:COLUMN MESSAGE [SOURCE]", files without their folder. Left
// out: which statements ran.
static inline const char *report_text(const GraftReport *report) {
  static char text[4096];
  size_t used = 0;
  *text = '\0';
  for (size_t i = 0; report != NULL && i < graft_report_count(report); i++) {
    const GraftEvent *event = graft_report_event(report, i);
    if (event->kind == GRAFT_EVENT_RUN) continue;
    const char *slash = strrchr(event->file, '/');
    const char *file = slash != NULL ? slash + 1 : event->file;
    char *at = text + used;
    size_t room = sizeof text - used;
    const char *between = used > 0 ? "; " : "";
    const char *word = graft_event_word(event->kind);
    int size;
    if (event->kind == GRAFT_EVENT_PATCH) {
      size = snprintf(at, room, "%s%s %s", between, word,
                      event->ok ? "ok" : "failed");
    } else if (event->kind == GRAFT_EVENT_SWAP) {
      size = snprintf(at, room, "%s%s %s %s to %s", between, word, event->name,
                      event->from, event->to);
    } else if (event->kind == GRAFT_EVENT_REJECT) {
      size =
          snprintf(at, room, "%s%s %s:%d:%d %s [%s]", between, word, file,
                   event->line, event->column, event->message, event->source);
    } else {
      size = snprintf(at, room, "%s%s %s %s:%d v%u", between, word, event->name,
                      file, event->line, (unsigned)event->version);
    }
    if (size > 0) used += (size_t)size;
    if (used >= sizeof text) break;
  }
  return text;
}

#endif
