// SPDX-License-Identifier: MIT

#include "native/guard_inner.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct Text {
  char *buffer;
  size_t capacity;
  size_t size; // of the whole
} Text;

static void add(Text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(Text *text, const char *format, ...) {
  bool fits = text->size < text->capacity;
  va_list arguments;
  va_start(arguments, format);
  int size =
      vsnprintf(fits ? text->buffer + text->size : NULL,
                fits ? text->capacity - text->size : 0, format, arguments);
  va_end(arguments);
  if (size > 0) text->size += (size_t)size;
}

static const char *access_text(const GuardCrash *crash) {
  if (crash->frame_count > 0 && crash->frames[0].address == crash->address) {
    return "jumping to";
  }
  return crash->access == MACHINE_WRITE  ? "writing to"
         : crash->access == MACHINE_READ ? "reading from"
                                         : "touching";
}

static void add_access(Text *text, const GuardCrash *crash, const char *name) {
  if (crash->signal_code == SI_KERNEL) {
    add(text, "crashed with %s, at an address that cannot be", name);
    return;
  }
  add(text, "crashed with %s, %s 0x%llx", name, access_text(crash),
      (unsigned long long)(uintptr_t)crash->address);
}

static void add_what(Text *text, const GuardCrash *crash) {
  if (crash->overflow) {
    add(text, "overflowed the stack");
  } else if (crash->signal == 0) {
    add(text, "has not returned for %d ms", crash->elapsed_ms);
  } else if (crash->signal == SIGSEGV) {
    add_access(text, crash, "SIGSEGV");
  } else if (crash->signal == SIGBUS) {
    add_access(text, crash, "SIGBUS");
  } else if (crash->signal == SIGABRT) {
    add(text, "called abort (SIGABRT)");
  } else if (crash->signal == SIGFPE && crash->signal_code == FPE_INTDIV) {
    add(text, "divided by zero (SIGFPE)");
  } else if (crash->signal == SIGFPE) {
    add(text, "crashed with SIGFPE");
  } else {
    add(text, "crashed with an illegal instruction (SIGILL)");
  }
}

static void add_place(Text *text, const GuardPlace *place) {
  if (place->file != NULL && place->line > 0) {
    add(text, "%s:%d in %s", place->file, place->line, place->name);
  } else {
    add(text, "%s", place->name);
  }
}

// The innermost place in natives, then those that called it.
static void add_places(Text *text, const GuardCrash *crash) {
  bool first = true;
  for (int i = 0; i < crash->frame_count; i++) {
    if (crash->frames[i].place.name == NULL) continue;
    add(text, first ? " at " : "\n  called from ");
    add_place(text, &crash->frames[i].place);
    first = false;
  }
}

size_t guard_crash_text(const GuardCrash *crash, char *buffer, size_t size) {
  Text text = {buffer, size, 0};
  if (size > 0) buffer[0] = '\0';
  add_what(&text, crash);
  if (crash->thread != 0 && !crash->on_host_thread) {
    add(&text, " on thread %d '%.15s'", (int)crash->thread, crash->thread_name);
  }
  add_places(&text, crash);
  return text.size;
}
