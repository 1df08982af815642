// SPDX-License-Identifier: MIT
//
// Buffer: a growing string, always terminated. When memory runs out it stays
// as it was and `failed` is set, so that a caller may check once at the end.

#ifndef GRAFT_BASE_BUFFER_H
#define GRAFT_BASE_BUFFER_H

#include <stddef.h>

#include "base/memory.h"

typedef struct Buffer {
  const GraftAllocator *allocator;
  char *text; // NULL while empty
  size_t size;
  size_t capacity;
  bool failed;
} Buffer;

void buffer_init(Buffer *self, const GraftAllocator *allocator);
void buffer_clear(Buffer *self);
void buffer_add(Buffer *self, const char *text, size_t size);
void buffer_add_text(Buffer *self, const char *text);
void buffer_add_repeated(Buffer *self, char character, size_t count);
void buffer_format(Buffer *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The text, never NULL, borrowed until the next change.
const char *buffer_text(const Buffer *self);

#endif
