// SPDX-License-Identifier: MIT

#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"

void buffer_init(Buffer *self, const GraftAllocator *allocator) {
  *self = (Buffer){.allocator = allocator};
}

void buffer_clear(Buffer *self) {
  memory_free(self->allocator, self->text);
  buffer_init(self, self->allocator);
}

static bool reserve(Buffer *self, size_t size) {
  void *text = self->text;
  if (!array_reserve(self->allocator, &text, &self->capacity,
                     self->size + size + 1, 1)) {
    self->failed = true;
    return false;
  }
  self->text = text;
  return true;
}

void buffer_add(Buffer *self, const char *text, size_t size) {
  if (!reserve(self, size)) return;
  if (size > 0) memcpy(self->text + self->size, text, size);
  self->size += size;
  self->text[self->size] = '\0';
}

void buffer_add_text(Buffer *self, const char *text) {
  buffer_add(self, text, strlen(text));
}

void buffer_add_repeated(Buffer *self, char character, size_t count) {
  if (!reserve(self, count)) return;
  memset(self->text + self->size, character, count);
  self->size += count;
  self->text[self->size] = '\0';
}

void buffer_format(Buffer *self, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (size < 0 || !reserve(self, (size_t)size)) return;
  va_start(arguments, format);
  vsnprintf(self->text + self->size, (size_t)size + 1, format, arguments);
  va_end(arguments);
  self->size += (size_t)size;
}

const char *buffer_text(const Buffer *self) {
  return self->text != NULL ? self->text : "";
}
