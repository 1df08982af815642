// SPDX-License-Identifier: MIT

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

GraftStatus error_set(GraftError *self, GraftStatus status, const char *format,
                      ...) {
  if (self == NULL) return status;
  self->status = status;
  self->line = 0;
  self->column = 0;
  self->file[0] = '\0';
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(self->message, sizeof self->message, format, arguments);
  va_end(arguments);
  return status;
}

GraftStatus error_at(GraftError *self, const char *file, int line, int column) {
  if (self == NULL) return GRAFT_OK;
  snprintf(self->file, sizeof self->file, "%s", file ? file : "");
  self->line = line;
  self->column = column;
  return self->status;
}

GraftStatus error_memory(GraftError *self) {
  return error_set(self, GRAFT_ENOMEM, "%s", error_text(GRAFT_ENOMEM));
}

const char *error_text(GraftStatus status) {
  switch (status) {
#define STATUS_CASE(code, value, message)                                      \
  case GRAFT_##code:                                                           \
    return message;
    GRAFT_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
  }
  return "unknown status";
}
