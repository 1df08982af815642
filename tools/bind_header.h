// SPDX-License-Identifier: MIT
//
// Header: what a C header declares, read from the preprocessor's output with
// its macros (`cc -E -dD`): functions, enumerators and #defined constants of
// the header itself, or of all headers in its folder where that is the
// library's own. Only as much of C is understood as declarations need; the
// compiler has the last word on what is made of it.

#ifndef GRAFT_TOOLS_BIND_HEADER_H
#define GRAFT_TOOLS_BIND_HEADER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct HeaderFunction {
  char *name;
  char *result;     // C text in front of the name: "const char *"
  char *parameters; // "Bytef *dest, uLong n"; "void" for none
  char *arguments;  // "dest, n"
  char *why_not;    // why it cannot be bound; else NULL
  bool is_inline;   // the header has its code
} HeaderFunction;

typedef struct HeaderConstant {
  char *name;
  char *text;      // as Lua has it: 42, 1.5, "1.2"
  bool is_integer; // and then:
  long long value;
} HeaderConstant;

typedef struct Header {
  HeaderFunction *functions;
  size_t function_count;
  HeaderConstant *constants;
  size_t constant_count;
  bool found;  // the header is in the text
  bool failed; // out of memory
} Header;

// `name` is the header as it was named: "zlib.h", "include/my.h".
void header_read(Header *self, const char *text, const char *name);
void header_clear(Header *self);

// bind_constant.c: an integer constant expression over the constants that are
// known; false when it is none.
bool header_evaluate(const Header *self, const char *text, long long *value);

#endif
