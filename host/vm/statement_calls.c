// SPDX-License-Identifier: MIT

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "vm/patcher_state.h"
#include "vm/place.h"
#include "vm/statement.h"

static void add_call(Buffer *text, const PatchedFile *file,
                     const Statement *statement) {
  if (text->size > 0) buffer_add_text(text, ", ");
  if (statement->kind == STATEMENT_CALL && statement->callee.name != NULL) {
    char name[96];
    place_text(&statement->callee, name, sizeof name);
    buffer_format(text, "%s at ", name);
  }
  buffer_format(text, "%s:%d", file->patch.script->path, statement->line);
}

// Puts the list behind the first line of the message, before the traceback.
static void add_to_message(GraftError *error, const char *calls) {
  char message[sizeof error->message];
  size_t first = strcspn(error->message, "\n");
  snprintf(message, sizeof message, "%.*s\n(not undone: calls of %.400s)%s",
           (int)(first < 500 ? first : 500), error->message, calls,
           error->message + first);
  memcpy(error->message, message, sizeof message);
}

// Assignments are undone, but not what functions did that were called (T2).
void statement_list_calls(Patcher *self) {
  Buffer text;
  buffer_init(&text, &self->vm->allocator);
  for (size_t i = 0; i < self->files.count; i++) {
    const PatchedFile *file = self->files.items[i];
    const Diff *diff = file->patch.diff;
    for (int k = 0; k < diff->run_count; k++) {
      const Statement *statement = &diff->new_unit->statements[diff->run[k]];
      if (file->ran[k] && statement->has_call) {
        add_call(&text, file, statement);
      }
    }
  }
  if (text.size > 0 && self->error != NULL) {
    add_to_message(self->error, buffer_text(&text));
  }
  buffer_clear(&text);
}
