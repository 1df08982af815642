// SPDX-License-Identifier: MIT
//
// Units of hostile sources: deep nesting, huge lines, bytes that are no text,
// unfinished things, and memory that runs out. Each gives an error or a unit,
// and the memory taken is proportional to the source.

#include "unit_support.h"

// Counts bytes alive and the most there ever were.
typedef struct Meter {
  GraftAllocator allocator;
  size_t alive;
  size_t most;
} Meter;

static void *meter_resize(void *context, void *block, size_t size) {
  Meter *meter = context;
  size_t *head = block != NULL ? (size_t *)block - 2 : NULL;
  if (head != NULL) meter->alive -= *head;
  if (size == 0) {
    free(head);
    return NULL;
  }
  size_t *moved = realloc(head, size + 2 * sizeof *head);
  if (moved == NULL) {
    if (head != NULL) meter->alive += *head;
    return NULL;
  }
  *moved = size;
  meter->alive += size;
  if (meter->alive > meter->most) meter->most = meter->alive;
  return moved + 2;
}

// Compiles `source`, checks that memory stays below `factor` times its size
// (and 64 KB), and leaves the error's message in `message`.
static bool compile(const char *name, const Buffer *source, size_t factor,
                    char message[1100]) {
  Meter meter = {.alive = 0};
  meter.allocator = (GraftAllocator){meter_resize, &meter};
  GraftUnit *unit = NULL;
  GraftError error = {0};
  GraftUnitDesc desc = {.source = buffer_text(source),
                        .size = source->size,
                        .module = "m",
                        .allocator = &meter.allocator};
  GraftStatus status = graft_unit_compile(&desc, &unit, &error);
  snprintf(message, 1100, "%d:%d: %s", error.line, error.column, error.message);
  if (unit != NULL) {
    Diff *diff = diff_new(&meter.allocator, unit, unit);
    if (diff == NULL || !diff_is_empty(diff)) check_report(name, false, "diff");
    diff_free(diff);
  }
  graft_unit_free(unit);
  char why[100];
  snprintf(why, sizeof why, "%zu bytes for a source of %zu, %zu not freed",
           meter.most, source->size, meter.alive);
  bool bounded = meter.most < factor * source->size + (1 << 16);
  check_report(name, bounded && meter.alive == 0, why);
  return status == GRAFT_OK;
}

static void repeat(Buffer *buffer, const char *text, size_t count) {
  for (size_t i = 0; i < count; i++) buffer_add_text(buffer, text);
}

typedef struct Nesting {
  const char *name;
  const char *open;
  const char *middle;
  const char *close;
  bool flat; // no nesting after all
} Nesting;

static const Nesting nestings[] = {
    {"100,000 parentheses", "x = (", "1", ")", false},
    {"100,000 open parentheses", "(", "", "", false},
    {"100,000 tables", "{", "", "}", false},
    {"100,000 functions", "function f() ", "", " end ", false},
    {"100,000 blocks", "do ", "", " end ", false},
    {"100,000 conditions", "if x then ", "", " end ", false},
    {"100,000 loops", "while x do ", "", " end ", false},
    {"100,000 unary operators", "- ", "x", "", false},
    {"100,000 nots", "not ", "x", "", false},
    {"100,000 powers", "x ^ ", "x", "", false},
    {"100,000 concatenations", "x .. ", "x", "", false},
    {"100,000 sums", "x + ", "x", "", true},
    {"100,000 calls", "", "f", "()", true},
    {"100,000 indexes", "", "f()", ".x", true},
    {"100,000 brackets", "a[", "1", "]", false},
    {"100,000 elseifs", "elseif x then ", "", "", true},
    {"100,000 listeners", "on(function() ", "", " end)", false},
};

static void check_nesting(const Nesting *nesting) {
  Buffer source;
  char message[1100];
  buffer_init(&source, &memory_default);
  bool expression = nesting->middle[0] != '\0' || nesting->open[0] == '{' ||
                    nesting->open[0] == '(';
  if (nesting->open[0] == 'e') buffer_add_text(&source, "if x then ");
  if (expression) buffer_add_text(&source, "return ");
  repeat(&source, nesting->open, 100000);
  buffer_add_text(&source, nesting->middle);
  repeat(&source, nesting->close, 100000);
  if (nesting->open[0] == 'e') buffer_add_text(&source, "end");
  bool taken = compile(nesting->name, &source, 64, message);
  check_report(nesting->name, taken == nesting->flat, message);
  buffer_clear(&source);
}

// As many as the VMs allow are fine.
static void check_allowed_nesting(void) {
  Buffer source;
  char message[1100];
  buffer_init(&source, &memory_default);
  buffer_add_text(&source, "return ");
  repeat(&source, "(", 190);
  buffer_add_text(&source, "1");
  repeat(&source, ")", 190);
  bool taken = compile("190 parentheses", &source, 64, message);
  check_report("190 parentheses", taken, message);
  buffer_clear(&source);
}

// How large a line of many small things is, in MB: 50 takes a minute under the
// sanitizers, so the short form makes do with less.
static size_t dense_size = 4;

static void check_huge_line(const char *name, const char *part,
                            const char *start, const char *end, bool taken) {
  Buffer source;
  char message[1100];
  buffer_init(&source, &memory_default);
  buffer_add_text(&source, start);
  bool dense = strlen(part) != 8;
  size_t size = (dense ? dense_size : 50) << 20;
  size_t count = size / strlen(part);
  buffer_add_repeated(&source, ' ', count * strlen(part));
  for (size_t i = 0; i < count; i++) {
    memcpy(source.text + strlen(start) + i * strlen(part), part, strlen(part));
  }
  buffer_add_text(&source, end);
  check_report(name, compile(name, &source, 100, message) == taken, message);
  buffer_clear(&source);
}

typedef struct Broken {
  const char *name;
  const char *source;
  size_t size;
  const char *message; // NULL: a unit
} Broken;

#define SOURCE(text) text, sizeof(text) - 1

static const Broken broken[] = {
    {"empty", SOURCE("\n"), NULL},
    {"a byte order mark", SOURCE("\xef\xbb\xbfx = 1"), NULL},
    {"a # line", SOURCE("#!/usr/bin/lua\nx = 1"), NULL},
    {"a # line and nothing else", SOURCE("#!/usr/bin/lua"), NULL},
    {"both, and an error behind", SOURCE("\xef\xbb\xbf# \n  x = = 1"),
     "2:7: unexpected symbol near '='"},
    {"a zero byte", SOURCE("x = 1\0y = 2"), "1:6: unexpected symbol near '"},
    {"zero bytes in a string", SOURCE("x = 'a\0b'"), NULL},
    {"zero bytes in a comment", SOURCE("--a\0b\nx = 1"), NULL},
    {"invalid UTF-8 in a string", SOURCE("x = '\xff\xc0'"), NULL},
    {"invalid UTF-8 in a name", SOURCE("\xff\xc0 = 1"), NULL},
    {"a control character", SOURCE("x = \x01"),
     "1:5: unexpected symbol near '\x01'"},
    {"an unfinished string", SOURCE("x = 'abc\ny = 1"),
     "1:5: unfinished string near ''abc'"},
    {"an unfinished string at the end", SOURCE("x = \"abc"),
     "1:5: unfinished string near <eof>"},
    {"a backslash at the end", SOURCE("x = \"abc\\"),
     "1:5: unfinished string near <eof>"},
    {"an unfinished long string", SOURCE("x = [==[abc\n]=]"),
     "2:5: unfinished long string (starting at line 1) near <eof>"},
    {"an unfinished comment", SOURCE("--[[abc\n\n"),
     "3:1: unfinished long comment (starting at line 1) near <eof>"},
    {"a wrong long bracket", SOURCE("x = [==abc"),
     "1:5: invalid long string delimiter near '['"},
    {"a wrong numeral", SOURCE("x = 3x"), "1:5: malformed number near '3x'"},
    {"a wrong numeral with dots", SOURCE("x = 1..2"),
     "1:5: malformed number near '1..2'"},
    {"a wrong escape", SOURCE("x = '\\300'"),
     "1:5: decimal escape too large near ''\\300'"},
    {"a missing end", SOURCE("function f()\n  x = 1\n"),
     "3:1: 'end' expected (to close 'function' at line 1) near <eof>"},
    {"a missing end on the line", SOURCE("if x then"),
     "1:10: 'end' expected near <eof>"},
    {"an end too many", SOURCE("x = 1\nend"),
     "2:1: '<eof>' expected near 'end'"},
    {"a missing value", SOURCE("local x =\n\nlocal y"),
     "3:1: unexpected symbol near 'local'"},
    {"no statement", SOURCE("x"), "1:2: syntax error near <eof>"},
    {"a call that is assigned to", SOURCE("f() = 1"),
     "1:5: syntax error near '='"},
    {"something behind return", SOURCE("return 1 x = 2"),
     "1:10: '<eof>' expected near 'x'"},
    {"a wrong attribute", SOURCE("local x <konst> = 1"),
     "1:10: unknown attribute 'konst'"},
    {"a keyword for a name", SOURCE("local end = 1"),
     "1:7: <name> expected near 'end'"},
    {"300 parameters are too many", SOURCE("f(function(...) end"),
     "1:20: ')' expected near <eof>"},
};

static void check_broken(const Broken *one) {
  GraftUnit *unit = NULL;
  GraftError error = {0};
  char got[1100] = "";
  GraftUnitDesc desc = {
      .source = one->source, .size = one->size, .module = "m"};
  if (graft_unit_compile(&desc, &unit, &error) < 0) {
    snprintf(got, sizeof got, "%d:%d: %s", error.line, error.column,
             error.message);
    if (one->message == NULL || one->size == 11) {
      check_report(one->name,
                   one->message != NULL &&
                       strncmp(got, one->message, strlen(one->message)) == 0,
                   got);
    } else {
      check_text(one->name, got, one->message);
    }
  } else {
    check_report(one->name, one->message == NULL, "no error");
  }
  graft_unit_free(unit);
}

static const char sample[] =
    "local M = {}\nlocal a <const>, b = 1, {x = 1, ['y z'] = {2}}\n"
    "function M.f(p, q) return function() return a, b, p, print end end\n"
    "bus.on('x\\n', function() local t = {} end)\n"
    "return setmetatable(M, {__index = function() end})\n";

// True when it went through without running out.
static bool run_with(CheckMemory *memory) {
  GraftUnit *unit = NULL, *merged = NULL;
  GraftError error = {0};
  GraftUnitDesc desc = {
      .source = sample, .module = "m", .allocator = &memory->allocator};
  GraftStatus status = graft_unit_compile(&desc, &unit, &error);
  if (status < 0) {
    CHECK("out of memory is told", status == GRAFT_ENOMEM);
    return false;
  }
  bool done = false;
  Diff *diff = diff_new(&memory->allocator, NULL, unit);
  if (diff != NULL) merged = graft_unit_merge(unit, unit, NULL);
  if (merged != NULL) {
    done = graft_unit_combine(merged, unit, NULL) == GRAFT_OK;
  }
  diff_free(diff);
  graft_unit_free(merged);
  graft_unit_free(unit);
  return done;
}

static void check_memory(void) {
  long leaks = 0, n = 1;
  for (;; n++) {
    CheckMemory memory;
    check_memory_init(&memory, n);
    bool done = run_with(&memory);
    leaks += memory.alive;
    if (done) break;
  }
  CHECK("no allocation that fails leaks", leaks == 0);
  CHECK("each allocation failed once", n > 20);
}

// With the argument `full` every line is 50 MB.
int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "full") == 0) dense_size = 50;
  for (size_t i = 0; i < sizeof nestings / sizeof *nestings; i++) {
    check_nesting(&nestings[i]);
  }
  check_allowed_nesting();
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    check_broken(&broken[i]);
  }
  check_memory();
  check_huge_line("a line of statements", "x = 1 ", "", "", true);
  check_huge_line("a line of functions", "function f()end ", "", "", true);
  check_huge_line("a line of fields", "a,1,", "return {", "}", true);
  check_huge_line("a string of 50 MB", "abcdefgh", "return '", "'", true);
  check_huge_line("a name of 50 MB", "abcdefgh", "", " = 1", true);
  check_huge_line("50 MB of a comment", "abcdefgh", "--", "", true);
  check_huge_line("50 MB of an unfinished string", "abcdefgh", "x = '", "",
                  false);
  return check_status();
}
