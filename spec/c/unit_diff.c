// SPDX-License-Identifier: MIT
//
// The difference of two units, case by case (D1-D3, P7, S1).

#include "unit_support.h"

typedef struct Case {
  const char *name;
  const char *old_source;
  const char *new_source;
  const char *expected;
} Case;

static const Case cases[] = {
    {"the same text is no difference", "local x = 1\nfunction f() end",
     "local x = 1\nfunction f() end", ""},
    {"comments and white space are none",
     "function f(a)   return a\nend -- one",
     "function f(a) return a --[[x]]\nend", ""},
    {"quotes and escapes of a string are none",
     "function f() return \"a\\65'\" end", "function f() return 'aA\\'' end",
     ""},
    {"a body is an update of its function", "function f() return 1 end",
     "function f() return 2 end", "update m.f"},
    {"a parameter is too", "function f(a) end", "function f(b) end",
     "update m.f"},
    {"a function further down has moved", "function f() end",
     "\nfunction f() end", "move m.f"},
    {"a line inside moves it", "function f()\n\nreturn 1\nend",
     "function f()\nreturn 1\n\nend", "move m.f"},
    {"moved functions do not make statements run",
     "local x = 1\nlocal function f() end",
     "\n\nlocal x = 1\nlocal function "
     "f() end",
     "move m:f"},
    {"reordering updates nothing",
     "function f() return 1 end\nfunction g() return 2 end",
     "function g() return 2 end\nfunction f() return 1 end",
     "move m.g, move m.f"},
    {"a statement that moved does not run", "a = 1\nb = 2\nc = f()",
     "c = f()\na = 1\nb = 2", ""},
    {"an initial value that changed runs for the old one",
     "local hp = 40\nlocal x = 1", "local hp = 150\nlocal x = 1",
     "run 1 for 1"},
    {"values change and move at once", "local a = 1\nlocal b = 2",
     "local b = 3\nlocal a = 4", "run 1 for 2, run 2 for 1"},
    {"a new statement runs", "local a = 1", "local a = 1\nprint(a)", "run 2"},
    {"a removed one is told", "local a = 1\nprint(a)", "local a = 1",
     "remove 2"},
    {"a body in a call is not its statement", "bus.on(function() return 1 end)",
     "bus.on(function() return 2 end)", "update m:bus.on/1"},
    {"anonymous functions keep their bodies when one is inserted",
     "on(function() return 1 end)\non(function() return 2 end)",
     "on(function() return 0 end)\non(function() return 1 end)\non(function() "
     "return 2 end)",
     "add m:on/1, move m:on/2, move m:on/3, run 1"},
    {"and when they are reordered",
     "on(function() return 1 end)\non(function() return 2 end)",
     "on(function() return 2 end)\non(function() return 1 end)",
     "move m:on/1, move m:on/2"},
    {"and when one is reordered, one inserted, one edited",
     "on(function() return 1 end)\non(function() log('hit') return 2 end)\n"
     "on(function() return 3 end)",
     "on(function() return 3 end)\non(function() return 1 end)\n"
     "on(function() return 0 end)\non(function() log('hit') return 22 end)",
     "move m:on/1, move m:on/2, add m:on/3, update m:on/4 from m:on/2, "
     "run 3"},
    {"what is rewritten goes by order, whatever words it shares",
     "t = {function() return hp + 12 end, function() return mana * 34 end}",
     "t = {function() return 34 - mana end, function() return 77 + hp end}",
     "update m:t/1, update m:t/2"},
    {"two that swap places and are edited keep their bodies",
     "t = {function() local a = near(me) if a then hit(a, 1) end end,\n"
     "function() for i = 1, 9 do spark(i) end return rest end}",
     "t = {function() for i = 1, 9 do spark(i) end return nil end,\n"
     "function() local a = near(me) if a then hit(a, 2) end end}",
     "update m:t/1 from m:t/2, update m:t/2 from m:t/1"},
    {"one of three rewritten ones goes: the others align",
     "t = {function() return a.x + 1 end, function() log(b) end, function() "
     "return c.y * 3 end}",
     "t = {function() return a.x + 10 end, function() return c.z * 30 end}",
     "update m:t/1, update m:t/2 from m:t/3, delete m:t/2, run 1 for 1"},
    {"one comes among two rewritten ones",
     "t = {function() return a.x + 1 end, function() return c.y * 3 end}",
     "t = {function() return a.x + 10 end, function() log(b) end, function() "
     "return c.z * 30 end}",
     "update m:t/1, add m:t/2, update m:t/3 from m:t/2, run 1 for 1"},
    {"inside one statement too",
     "t = {function() return 1 end, function() return 2 end}",
     "t = {function() return 2 end, function() return 1 end}", ""},
    {"the arguments before tell listeners apart",
     "on('a', function() return 1 end) on('b', function() return 2 end)",
     "on('b', function() return 3 end) on('a', function() return 4 end)",
     "update m:on/1 from m:on/2, update m:on/2 from m:on/1"},
    {"a nested anonymous function changes",
     "function f() on(function() return 1 end) end",
     "function f() on(function() return 2 end) end",
     "touch m.f, update m:f.on/1"},
    {"nested ones swap places",
     "function f() on(function() return 1 end, function() return 2 end) end",
     "function f() on(function() return 2 end, function() return 1 end) end",
     "touch m.f"},
    {"a deleted function", "function f() end\nfunction g() return 1 end",
     "function g() return 1 end", "move m.g, delete m.f, remove 1"},
    {"an added function", "function g() return 1 end",
     "function g() return 1 end\nfunction f() end", "add m.f, run 2"},
    {"a rename", "function f() return 1 end", "function g() return 1 end",
     "rename m.f m.g, run 1, remove 1"},
    {"a rename of the table is none",
     "local M = {}\nfunction M.f() return 1 end\nreturn M",
     "local N = {}\nfunction N.f() return 1 end\nreturn N",
     "run 1, run 2, run 3 for 3, remove 1, remove 2"},
    {"a method and a function are one statement", "function a.f(self) end",
     "function a:f() end", "update m.a.f"},
    {"a global becomes a local", "function f() return x end",
     "local x\nfunction f() return x end", "update m.f, run 1"},
    {"another variable of the same name above is no update",
     "local x = 1\nfunction f() return x end",
     "local x = 0\nlocal x = 1\nfunction f() return x end", "move m.f, run 1"},
    {"another variable of the same name between is one",
     "local x = 1\nfunction f() return x end",
     "local x = 1\nlocal x = 2\nfunction f() return x end",
     "update m.f, run 2"},
    {"a compile-time constant is part of the function",
     "local X <const> = 1\nfunction f() return X end",
     "local X <const> = 2\nfunction f() return X end",
     "update m.f, run 1 for 1"},
    {"a constant that the run gives is not",
     "local X <const> = g(1)\nfunction f() return X end",
     "local X <const> = g(2)\nfunction f() return X end", "run 1 for 1"},
    {"a nested function that captures more touches the outer one",
     "local x\nfunction f() return function() end end",
     "local x\nfunction f() return function() return x end end",
     "touch m.f, update m:f/1"},
    {"statements in a block are one statement",
     "do\n  local x = 1\n  function f() return x end\nend",
     "do\n  local x = 2\n  function f() return x end\nend", "run 1 for 1"},
    {"calls of the same thing replace each other", "init('a')\nlocal x",
     "init('b')\nlocal x", "run 1 for 1"},
    {"calls of something else do not", "init('a')\nlocal x",
     "quit('a')\nlocal x", "run 1, remove 1"},
    {"a local function made a field keeps its body",
     "local function f() return 1 end\nreturn {f = f}",
     "local M = {}\nfunction M.f() return 1 end\nreturn M",
     "move m.f, run 1, run 2, run 3 for 2, remove 1"},
    {"one of two equal statements goes", "f()\nf()\ng()", "f()\ng()",
     "remove 2"},
    {"everything is new", "", "local x\nfunction f() end",
     "add m.f, run 1, run 2"},
    {"everything went", "local x\nfunction f() end", "",
     "delete m.f, remove 1, remove 2"},
};

static void check_case(const Case *one) {
  GraftUnit *old_unit = unit_from(one->old_source);
  GraftUnit *new_unit = unit_from(one->new_source);
  Buffer text;
  buffer_init(&text, &memory_default);
  if (old_unit != NULL && new_unit != NULL) {
    Diff *diff = diff_new(&memory_default, old_unit, new_unit);
    describe_diff(diff, &text);
    check_text(one->name, buffer_text(&text), one->expected);
    diff_free(diff);
  }
  buffer_clear(&text);
  graft_unit_free(old_unit);
  graft_unit_free(new_unit);
}

static void check_no_old(void) {
  GraftUnit *unit = unit_from("local x\nfunction f() end");
  Buffer text;
  buffer_init(&text, &memory_default);
  Diff *diff = diff_new(&memory_default, NULL, unit);
  describe_diff(diff, &text);
  check_text("without an old unit all is new", buffer_text(&text),
             "add m.f, run 1, run 2");
  diff_free(diff);
  buffer_clear(&text);
  graft_unit_free(unit);
}

int main(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_case(&cases[i]);
  }
  check_no_old();
  return check_status();
}
