// SPDX-License-Identifier: MIT

#include "patch/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void report_init(GraftReport *self, const GraftAllocator *allocator) {
  *self = (GraftReport){0};
  arena_init(&self->arena, allocator);
}

void report_clear(GraftReport *self) {
  memory_free(self->arena.allocator, self->events.items);
  arena_clear(&self->arena);
  report_init(self, self->arena.allocator);
}

static bool keep(GraftReport *self, const char **text) {
  if (*text == NULL || **text == '\0') {
    *text = "";
    return true;
  }
  *text = arena_copy_string(&self->arena, *text, strlen(*text));
  return *text != NULL;
}

static bool is_failure(const GraftEvent *event) {
  return event->kind == GRAFT_EVENT_REJECT ||
         event->kind == GRAFT_EVENT_REVERT ||
         event->kind == GRAFT_EVENT_CRASH || event->kind == GRAFT_EVENT_ERROR ||
         (event->kind == GRAFT_EVENT_PATCH && !event->ok);
}

const GraftEvent *report_add(GraftReport *self, const GraftEvent *event) {
  GraftEvent copy = *event;
  self->failed |= is_failure(event); // also when there is no room for it
  bool kept = keep(self, &copy.name) && keep(self, &copy.file) &&
              keep(self, &copy.from) && keep(self, &copy.to) &&
              keep(self, &copy.message) && keep(self, &copy.source);
  GraftEvent *added =
      kept ? ARRAY_PUSH(self->arena.allocator, &self->events) : NULL;
  if (added == NULL) return NULL;
  *added = copy;
  return added;
}

bool graft_report_ok(const GraftReport *report) {
  return !report->failed;
}

size_t graft_report_count(const GraftReport *report) {
  return report->events.count;
}

const GraftEvent *graft_report_event(const GraftReport *report, size_t index) {
  return index < report->events.count ? &report->events.items[index] : NULL;
}

// ---------------------------------------------------------------------------
// Writing
// ---------------------------------------------------------------------------

const char *graft_event_word(GraftEventKind kind) {
  switch (kind) {
  case GRAFT_EVENT_WATCH:
    return "watch";
  case GRAFT_EVENT_ADD:
    return "add";
  case GRAFT_EVENT_UPDATE:
    return "update";
  case GRAFT_EVENT_MOVE:
    return "move";
  case GRAFT_EVENT_DELETE:
    return "delete";
  case GRAFT_EVENT_SWAP:
    return "swap";
  case GRAFT_EVENT_RUN:
    return "run";
  case GRAFT_EVENT_KEEP:
    return "keep";
  case GRAFT_EVENT_STALE:
    return "stale";
  case GRAFT_EVENT_ORPHAN:
    return "orphan";
  case GRAFT_EVENT_SILENT:
    return "silent";
  case GRAFT_EVENT_DEPENDS:
    return "depends";
  case GRAFT_EVENT_REJECT:
    return "reject";
  case GRAFT_EVENT_REVERT:
    return "revert";
  case GRAFT_EVENT_BREAK:
    return "break";
  case GRAFT_EVENT_CRASH:
    return "crash";
  case GRAFT_EVENT_MIGRATE:
    return "migrate";
  case GRAFT_EVENT_ERROR:
    return "error";
  case GRAFT_EVENT_NOTICE:
    return "notice";
  case GRAFT_EVENT_PATCH:
    return "patch";
  case GRAFT_EVENT_SWEEP:
    return "sweep";
  }
  return "unknown";
}

// Counts on when the buffer is full, as snprintf does.
typedef struct Out {
  char *buffer;
  size_t size;
  size_t used;
} Out;

static void put(Out *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(Out *self, const char *format, ...) {
  bool fits = self->used < self->size;
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(fits ? self->buffer + self->used : NULL,
                       fits ? self->size - self->used : 0, format, arguments);
  va_end(arguments);
  if (size > 0) self->used += (size_t)size;
}

static void put_place(Out *out, const GraftEvent *event) {
  if (*event->file == '\0') return;
  put(out, "%s", event->file);
  if (event->line > 0) put(out, ":%d", event->line);
  if (event->column > 0) put(out, ":%d", event->column);
}

// The line of source and a caret under the column. Tabs stay tabs, so that the
// caret stands where the terminal shows the character.
static void put_source(Out *out, const GraftEvent *event) {
  if (*event->source == '\0') return;
  put(out, "\n    %s", event->source);
  if (event->column <= 0) return;
  put(out, "\n    ");
  for (int i = 1; i < event->column && event->source[i - 1] != '\0'; i++) {
    unsigned char byte = (unsigned char)event->source[i - 1];
    if (byte == '\t') {
      put(out, "\t");
    } else if ((byte & 0xc0) != 0x80) { // not inside a UTF-8 character
      put(out, " ");
    }
  }
  put(out, "^");
}

static void put_patch(Out *out, const GraftEvent *event) {
  put(out, "Patch %s", event->ok ? "ok" : "failed");
  put(out, " (settle %.2f ms, plan %.2f ms, apply %.2f ms, sweep %.2f ms)",
      event->settle_ms, event->plan_ms, event->apply_ms, event->sweep_ms);
}

static void put_sweep(Out *out, const GraftEvent *event) {
  put(out, "%d reference%s in %d safe point%s, %.2f ms", event->count,
      event->count == 1 ? "" : "s", event->safe_points,
      event->safe_points == 1 ? "" : "s", event->sweep_ms);
  if (*event->message != '\0') put(out, " (at once: %s)", event->message);
}

size_t graft_event_text(const GraftEvent *event, char *buffer, size_t size) {
  Out out = {buffer, size, 0};
  if (size > 0) buffer[0] = '\0';
  const char *word = graft_event_word(event->kind);
  if (event->kind == GRAFT_EVENT_PATCH) {
    put_patch(&out, event);
    return out.used;
  }
  put(&out, "%c%s ", word[0] - 'a' + 'A', word + 1);
  switch (event->kind) {
  case GRAFT_EVENT_WATCH:
  case GRAFT_EVENT_RUN:
    put_place(&out, event);
    if (*event->message != '\0') put(&out, " (%s)", event->message);
    break;
  case GRAFT_EVENT_SWAP:
    put(&out, "%s %s → %s", event->name, event->from, event->to);
    break;
  case GRAFT_EVENT_REJECT:
    put_place(&out, event);
    put(&out, "%s%s", *event->file != '\0' ? ": " : "", event->message);
    put_source(&out, event);
    break;
  case GRAFT_EVENT_REVERT:
  case GRAFT_EVENT_BREAK:
  case GRAFT_EVENT_CRASH:
    put(&out, "%s: %s", event->name, event->message);
    break;
  case GRAFT_EVENT_ERROR:
  case GRAFT_EVENT_NOTICE:
    put(&out, "%s", event->message);
    if (event->count > 1) put(&out, " (%d times)", event->count);
    break;
  case GRAFT_EVENT_KEEP:
  case GRAFT_EVENT_DEPENDS:
  case GRAFT_EVENT_MIGRATE:
    put(&out, "%s %s", event->name, event->message);
    break;
  case GRAFT_EVENT_SWEEP:
    put_sweep(&out, event);
    break;
  case GRAFT_EVENT_STALE:
  case GRAFT_EVENT_ORPHAN:
  case GRAFT_EVENT_SILENT:
    put(&out, "%s (%d)", event->name, event->count);
    break;
  default:
    put(&out, "%s", event->name);
  }
  return out.used;
}

// Bytes that are no UTF-8 become U+FFFD, so that the line is valid JSON.
static int utf8_length(const unsigned char *text) {
  int length = text[0] < 0x80   ? 1
               : text[0] < 0xc2 ? 0
               : text[0] < 0xe0 ? 2
               : text[0] < 0xf0 ? 3
               : text[0] < 0xf5 ? 4
                                : 0;
  for (int i = 1; i < length; i++) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  bool surrogate = text[0] == 0xed && length == 3 && text[1] >= 0xa0;
  bool overlong = (text[0] == 0xe0 && length == 3 && text[1] < 0xa0) ||
                  (text[0] == 0xf0 && length == 4 && text[1] < 0x90) ||
                  (text[0] == 0xf4 && length == 4 && text[1] > 0x8f);
  return surrogate || overlong ? 0 : length;
}

static void put_json_text(Out *out, const char *key, const char *text) {
  if (*text == '\0') return;
  put(out, ",\"%s\":\"", key);
  const unsigned char *at = (const unsigned char *)text;
  while (*at != '\0') {
    int length = utf8_length(at);
    if (*at == '"' || *at == '\\') {
      put(out, "\\%c", *at);
    } else if (*at == '\n') {
      put(out, "\\n");
    } else if (*at < 0x20 || *at == 0x7f) {
      put(out, "\\u%04x", *at);
    } else if (length > 0) {
      put(out, "%.*s", length, (const char *)at);
    } else {
      put(out, "\\ufffd");
    }
    at += length > 0 ? length : 1;
  }
  put(out, "\"");
}

size_t graft_event_json(const GraftEvent *event, char *buffer, size_t size) {
  Out out = {buffer, size, 0};
  if (size > 0) buffer[0] = '\0';
  put(&out, "{\"event\":\"%s\"", graft_event_word(event->kind));
  put_json_text(&out, "name", event->name);
  put_json_text(&out, "file", event->file);
  if (event->line > 0) put(&out, ",\"line\":%d", event->line);
  if (event->column > 0) put(&out, ",\"column\":%d", event->column);
  if (event->version > 0) put(&out, ",\"version\":%u", event->version);
  if (event->count > 0) put(&out, ",\"count\":%d", event->count);
  put_json_text(&out, "from", event->from);
  put_json_text(&out, "to", event->to);
  put_json_text(&out, "message", event->message);
  put_json_text(&out, "source", event->source);
  if (event->kind == GRAFT_EVENT_PATCH) {
    put(&out, ",\"ok\":%s", event->ok ? "true" : "false");
    put(&out,
        ",\"settle_ms\":%.3f,\"plan_ms\":%.3f,\"apply_ms\":%.3f,"
        "\"sweep_ms\":%.3f",
        event->settle_ms, event->plan_ms, event->apply_ms, event->sweep_ms);
    if (event->sweeping) put(&out, ",\"sweeping\":true");
  }
  if (event->kind == GRAFT_EVENT_SWEEP) {
    put(&out, ",\"safe_points\":%d,\"sweep_ms\":%.3f", event->safe_points,
        event->sweep_ms);
  }
  put(&out, "}");
  return out.used;
}
