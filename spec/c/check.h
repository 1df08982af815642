// SPDX-License-Identifier: MIT
//
// Check: what the C spec programs say. One line for each check, `ok NAME` or
// `FAIL NAME: why`; `return check_status();` ends main. With it comes an
// allocator that counts what is alive and can be told to fail.

#ifndef GRAFT_SPEC_CHECK_H
#define GRAFT_SPEC_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft.h"

static int check_failures;

static inline void check_report(const char *name, bool passed,
                                const char *why) {
  if (passed) {
    printf("ok %s\n", name);
    return;
  }
  check_failures++;
  printf("FAIL %s: %s\n", name, why);
}

static inline void check_text(const char *name, const char *got,
                              const char *expected) {
  char why[1400];
  snprintf(why, sizeof why, "got \"%s\", expected \"%s\"",
           got != NULL ? got : "(null)", expected);
  check_report(name, got != NULL && strcmp(got, expected) == 0, why);
}

#define CHECK_LINE_TEXT_(line) #line
#define CHECK_LINE_TEXT(line) CHECK_LINE_TEXT_(line)

#define CHECK(name, condition)                                                 \
  check_report((name), (condition),                                            \
               #condition " in line " CHECK_LINE_TEXT(__LINE__))

static inline int check_status(void) {
  return check_failures == 0 ? 0 : 1;
}

typedef struct CheckMemory {
  GraftAllocator allocator;
  long alive;   // blocks
  long calls;   // that ask for memory
  long fail_at; // the first call that fails, from 1; 0 for none
} CheckMemory;

static inline void *check_resize(void *context, void *block, size_t size) {
  CheckMemory *memory = context;
  if (size == 0) {
    memory->alive -= block != NULL;
    free(block);
    return NULL;
  }
  if (++memory->calls == memory->fail_at) return NULL;
  void *moved = realloc(block, size);
  memory->alive += block == NULL && moved != NULL;
  return moved;
}

static inline void check_memory_init(CheckMemory *memory, long fail_at) {
  *memory = (CheckMemory){.fail_at = fail_at};
  memory->allocator = (GraftAllocator){check_resize, memory};
}

#endif
