// SPDX-License-Identifier: MIT
//
// Build: what turns the parser's records into a unit. build.c lays out the
// arrays, exports.c finds what the file shows, names.c names the definitions.

#ifndef GRAFT_UNIT_BUILD_H
#define GRAFT_UNIT_BUILD_H

#include "unit/parser.h"

enum {
  NAME_LIMIT = 300
}; // bytes of a path or name; a hash follows longer ones

typedef struct Builder {
  GraftUnit *unit;
  Parser *parser;
  Definition *definitions; // the unit's, still to be written
  const char **keys;       // of all paths
} Builder;

// Both return false when out of memory.
bool exports_resolve(Builder *self);
bool names_assign(Builder *self);

// `left` + `separator` + `right` in the unit's arena, or NULL. A long result
// is cut and ends in a hash of the whole.
const char *name_join(GraftUnit *unit, const char *left, const char *separator,
                      const char *right);

#endif
