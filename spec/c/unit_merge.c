// SPDX-License-Identifier: MIT
//
// Units as sets of functions (U2-U4), and what a unit knows of its functions:
// names (R1), order, sources.

#include "unit_support.h"

// The kept functions' names, and the number of statements behind a bar.
static void describe(const GraftUnit *unit, Buffer *text) {
  GraftUnitFunction function;
  text->size = 0;
  for (size_t i = 0; graft_unit_function(unit, i, &function); i++) {
    add_part(text, function.name);
  }
  buffer_format(text, " | %zu", graft_unit_statement_count(unit));
}

static void check_unit(const char *name, const GraftUnit *unit,
                       const char *expected) {
  Buffer text;
  buffer_init(&text, &memory_default);
  describe(unit, &text);
  check_text(name, buffer_text(&text), expected);
  buffer_clear(&text);
}

static void check_names(const char *name, const char *source,
                        const char *expected) {
  GraftUnit *unit = unit_from(source);
  Buffer text;
  buffer_init(&text, &memory_default);
  for (int i = 0; i < unit->definition_count; i++) {
    add_part(&text, unit->definitions[i].name);
  }
  check_text(name, buffer_text(&text), expected);
  buffer_clear(&text);
  graft_unit_free(unit);
}

typedef struct NameCase {
  const char *name;
  const char *source;
  const char *expected;
} NameCase;

static const NameCase name_cases[] = {
    {"fields of the returned table",
     "local M = {}\nfunction M.f() end\nfunction M.a.b:c() end\nM.g = "
     "function() end\nreturn M",
     "m.f, m.a.b.c, m.g"},
    {"a table that becomes a field of it",
     "local M, Brain = {}, {}\nfunction Brain:tick() end\nM.Brain = "
     "Brain\nreturn M",
     "m.Brain.tick"},
    {"a field that becomes a local",
     "local M = {}\nM.Brain = {}\nlocal Brain = M.Brain\nfunction "
     "Brain.tick() end\nreturn M",
     "m.Brain.tick"},
    {"a class",
     "local Goblin = class('Goblin')\nfunction Goblin:hit() "
     "end\nreturn Goblin",
     "m.hit"},
    {"a constructor that is returned",
     "local function think() end\nreturn {think = think, run = function() "
     "end, ['x'] = {y = function() end}}",
     "m.think, m.run, m.x.y"},
    {"setmetatable",
     "local M = {}\nfunction M.f() end\nreturn setmetatable(M, {__index = "
     "function() end})",
     "m.f, m:setmetatable.__index/1"},
    {"setmetatable around a constructor",
     "local M = setmetatable({f = function() end}, {})\nreturn M", "m.f"},
    {"globals",
     "function update() end\nG = {tick = function() end}\nfunction "
     "G.tock() end",
     "m.update, m.G.tick, m.G.tock"},
    {"globals by way of _G", "function _G.update() end", "m.update"},
    {"a function that is returned", "return function() end", "m"},
    {"hidden functions", "local function f() end\nlocal g = function() end",
     "m:f, m:g"},
    {"nested functions",
     "local M = {}\nfunction M.f()\nlocal function g() end\nreturn function() "
     "end, function() end\nend\nreturn M",
     "m.f, m:f.g, m:f/1, m:f/2"},
    {"anonymous functions",
     "bus.on(function() end)\nbus.on('x', function() end)\nlocal t = "
     "memo(function() end)",
     "m:bus.on/1, m:bus.on/2, m:t/1"},
    {"a function that is called at once",
     "local x = (function() return 1 end)()", "m:x/1"},
    {"two of one name", "local function f() end\nlocal function f() end",
     "m:f, m:f~2"},
    {"the later of two shown ones keeps the name",
     "function f() end\nfunction f() return 1 end", "m:f~1, m.f"},
    {"the first of a choice",
     "local f = x and function() end or function() end", "m:f, m:f~2"},
    {"a cycle", "local M = {}\nM.M = M\nfunction M.f() end\nreturn M", "m.f"},
    {"keys that are no names",
     "local M = {['a.b'] = function() end, a = {b = function() end}}\nreturn M",
     "m:a.b~1, m.a.b"},
};

static bool is_named(void *context, const GraftUnitFunction *function) {
  return strcmp(function->name, context) == 0;
}

static const char source_a[] =
    "local M = {}\nfunction M.f() return 1 end\nfunction M.g() end\n"
    "M.x = 1\nreturn M";
static const char source_b[] =
    "local M = {}\nfunction M.h() end\nfunction M.f() return 2 end\nreturn M";

static void check_filters(void) {
  GraftUnit *unit = unit_from(source_a);
  check_unit("functions and statements", unit, "m.f, m.g | 5");
  graft_unit_clear_statements(unit);
  check_unit("clear statements", unit, "m.f, m.g | 0");
  graft_unit_retain_functions(unit, &(GraftUnitFilter){is_named, "m.g"});
  check_unit("retain functions", unit, "m.g | 0");
  graft_unit_clear_functions(unit);
  check_unit("clear functions", unit, " | 0");
  size_t size;
  const char *source = graft_unit_source(unit, &size);
  CHECK("the source is still there",
        size == strlen(source_a) && memcmp(source, source_a, size) == 0);
  graft_unit_free(unit);
}

static bool has_source(const GraftUnit *unit, size_t index,
                       const char *expected) {
  GraftUnitFunction function;
  return graft_unit_function(unit, index, &function) &&
         function.source_size == strlen(expected) &&
         memcmp(function.source, expected, function.source_size) == 0;
}

static void check_merge(void) {
  GraftUnit *a = unit_from(source_a), *b = unit_from(source_b);
  GraftUnit *merged = graft_unit_merge(a, b, NULL);
  check_unit("merge replaces in place and adds behind", merged,
             "m.f, m.g, m.h | 9");
  CHECK("the later wins", has_source(merged, 0, "function M.f() return 2 end"));
  check_unit("merge leaves the left side", a, "m.f, m.g | 5");
  check_unit("and the right side", b, "m.h, m.f | 4");
  graft_unit_free(a);
  graft_unit_free(b);
  CHECK("sources live on",
        has_source(merged, 0, "function M.f() return 2 end"));
  GraftUnit *again = graft_unit_merge(merged, merged, NULL);
  check_unit("merging with itself", again, "m.f, m.g, m.h | 18");
  graft_unit_free(merged);
  graft_unit_free(again);
}

static void check_filtered_merge(void) {
  GraftUnit *a = unit_from(source_a), *b = unit_from(source_b);
  GraftUnitFilter filter = {is_named, "m.h"};
  GraftUnit *merged = graft_unit_merge(a, b, &filter);
  check_unit("merge with a filter", merged, "m.f, m.g, m.h | 9");
  CHECK("what is filtered does not replace",
        has_source(merged, 0, "function M.f() return 1 end"));
  graft_unit_free(merged);
  graft_unit_clear_functions(a);
  merged = graft_unit_merge(a, b, &filter);
  check_unit("the filter holds for an empty receiver", merged, "m.h | 9");
  graft_unit_free(merged);
  graft_unit_free(a);
  graft_unit_free(b);
}

static void check_combine(void) {
  GraftUnit *a = unit_from(source_a), *b = unit_from(source_b);
  CHECK("combine", graft_unit_combine(a, b, NULL) == GRAFT_OK);
  check_unit("combine changes the left side", a, "m.f, m.g, m.h | 9");
  CHECK("combine with a filter",
        graft_unit_combine(b, a, &(GraftUnitFilter){is_named, "m.g"}) ==
            GRAFT_OK);
  check_unit("both ways round", b, "m.h, m.f, m.g | 13");
  CHECK("combine with itself", graft_unit_combine(a, a, NULL) == GRAFT_OK);
  check_unit("gives its functions once", a, "m.f, m.g, m.h | 18");
  graft_unit_free(b);
  CHECK("the other's source lives on",
        has_source(a, 0, "function M.f() return 2 end"));
  graft_unit_free(a);
}

static void check_function(void) {
  GraftUnit *unit = unit_from("local M = {}\n  function M:f(a, ...) end\n"
                              "return M");
  GraftUnitFunction function;
  CHECK("there is a function", graft_unit_function(unit, 0, &function));
  CHECK("its place",
        function.line == 2 && function.last_line == 2 && function.column == 3);
  CHECK("its parameters", function.parameter_count == 2 && function.vararg &&
                              function.method && function.shown);
  check_text("self comes first", function.parameters[0], "self");
  check_text("its path", function.path, "M.f");
  check_text("its file", function.file, "m.lua");
  CHECK("no more", !graft_unit_function(unit, 1, &function));
  graft_unit_free(unit);
}

int main(void) {
  for (size_t i = 0; i < sizeof name_cases / sizeof *name_cases; i++) {
    const NameCase *one = &name_cases[i];
    check_names(one->name, one->source, one->expected);
  }
  check_filters();
  check_merge();
  check_filtered_merge();
  check_combine();
  check_function();
  return check_status();
}
