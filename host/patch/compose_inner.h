// SPDX-License-Identifier: MIT
//
// What the files of compose share: compose.c says where everything goes, in
// edits of the present source; compose_text.c makes the text and looks at what
// became of it.

#ifndef GRAFT_PATCH_COMPOSE_INNER_H
#define GRAFT_PATCH_COMPOSE_INNER_H

#include "base/buffer.h"
#include "patch/compose.h"

typedef enum EditKind {
  EDIT_STATEMENT, // a statement of the origin, for one of the present or new
  EDIT_FIELD,     // `path = function`, for a function of a table constructor
  EDIT_KEPT,      // the same for one of the present source that is kept
  EDIT_FUNCTION,  // parameters and body
  EDIT_DOT,       // a method's `:`, for a function that is none any more
} EditKind;

// What takes the place of a range of the present source; where the range is
// empty, what is put there.
typedef struct Edit {
  Range range;
  EditKind kind;
  int index; // into the statements or definitions it is about
  int sequence;
} Edit;

// Code of the origin in the composed text.
typedef struct Placement {
  size_t offset;  // of the "(" before the parameters
  int definition; // of the origin
} Placement;

// A statement of the origin in the composed text; also a field's, as the
// assignment that it becomes.
typedef struct StatementPlacement {
  size_t offset;
  int statement; // of the origin, or -1 for a field's
  int field;     // a definition of the origin
} StatementPlacement;

typedef struct Compose {
  const ComposeDesc *desc;
  const GraftUnit *present;
  const GraftUnit *origin;
  Diff *diff; // from `present` to `origin`
  // By the origin's definitions, for those directly in the file.
  bool *function_kept;
  int *partner; // in `present`, or -1
  // By the origin's statements.
  bool *statement_kept;
  bool *rendered; // stands in the composed text as a whole
  int *place;     // the present statement to be put before
  bool *replaced; // by present statement
  bool *covered;  // by present definition: has its place in the result
  int inserted;   // statements
  int sequence;
  ARRAY(Edit) edits;
  ARRAY(Placement) placements;
  ARRAY(StatementPlacement) statements;
  Buffer text;
  GraftError *error;
} Compose;

// compose_text.c. Puts the edits into order and the text into `text`, which has
// failed when out of memory.
void compose_text(Compose *self);

// Whether the unit of that text is what it was to be.
GraftStatus compose_check(Compose *self, const GraftUnit *unit);

#endif
