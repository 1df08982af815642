// SPDX-License-Identifier: MIT
//
// The engine through graft.h alone: opening, registering natives, loading the
// demo's natives, and calls with values to C and to Lua.

#include "engine_support.h"

#include <math.h>
#include <stdint.h>

// --- Opening ---------------------------------------------------------------

static void opens(void) {
  GraftError error;
  int opened = 0;
  for (int i = 0; i < 100; i++) {
    GraftEngine *engine = NULL;
    if (graft_engine_open(&(GraftEngineDesc){0}, &engine, &error) < 0) break;
    opened += graft_engine_state(engine) != NULL;
    graft_engine_close(engine);
  }
  CHECK("open and close 100 times", opened == 100);
  graft_engine_close(NULL);
  check_text("the VM's name", graft_vm_name(), SPEC_VM);
  CHECK("versions", strchr(graft_version(), '.') != NULL &&
                        strstr(graft_vm_version(), "Lua") != NULL);
  GraftEngine *engine = NULL;
  CHECK("error may be NULL",
        graft_engine_open(&(GraftEngineDesc){0}, &engine, NULL) == GRAFT_OK);
  graft_engine_close(engine);
}

// --- Registering -----------------------------------------------------------

static double gravity(double height) {
  return height * 10;
}

static void good_signatures(Host *host) {
  static const struct {
    const char *text, *printed;
  } cases[] = {
      {"double(double)", "double(double)"},
      {"double gravity(double height);", "double(double)"},
      {"void (void)", "void(void)"},
      {"void()", "void(void)"},
      {"unsigned long long(signed char, unsigned)",
       "uint64_t(int8_t, unsigned int)"},
      {"const char *(const char *, bool)", "const char *(const char *, bool)"},
      {"struct Body *(Body const *)", "Body *(Body *)"},
      {"float(size_t, int64_t)", "float(uint64_t, int64_t)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char name[32];
    snprintf(name, sizeof name, "good.f%zu", i);
    host_register(host, name, (GraftNative)gravity, cases[i].text);
    check_text(cases[i].text, host_info(host, name).signature,
               cases[i].printed);
  }
}

static void bad_signatures(Host *host) {
  static const char *const texts[] = {
      "",
      "double",
      "double(",
      "double(double",
      "double(double,)",
      "double double(double)",
      "double(struct Body)",
      "Body(int)",
      "void(void, int)",
      "int(int, ...)",
      "int(void (*)(int)",
      "int(int[4)",
      "int (*(int))(int)",
      "int(int) int",
      "long double(int)",
      "int(\xff)",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    char name[100];
    snprintf(name, sizeof name, "bad signature '%s'", texts[i]);
    GraftStatus status = graft_engine_register(
        host->engine, "bad.f", (GraftNative)gravity, texts[i], &host->error);
    check_code(name, status, GRAFT_ESIGNATURE, &host->error);
    check_holds(name, host->error.message, texts[i], NULL);
  }
  CHECK("no signature",
        graft_engine_register(host->engine, "bad.f", (GraftNative)gravity, NULL,
                              &host->error) == GRAFT_ESIGNATURE);
  CHECK("no code",
        graft_engine_register(host->engine, "bad.f", NULL, "double(double)",
                              &host->error) == GRAFT_EARG);
  CHECK("no name",
        graft_engine_register(host->engine, "", (GraftNative)gravity,
                              "double(double)", &host->error) == GRAFT_EARG);
  CHECK("what failed left nothing",
        graft_engine_find(host->engine, "bad.f") == NULL);
}

static void registers(void) {
  Host host;
  host_open(&host, NULL);
  good_signatures(&host);
  bad_signatures(&host);
  host_register(&host, "physics.gravity", (GraftNative)gravity,
                "double(double)");
  GraftFn *fn = graft_engine_find(host.engine, "physics.gravity");
  CHECK("a native is found", fn != NULL);
  check_text("its name", graft_fn_name(fn), "physics.gravity");
  CHECK("and called", host_number(&host, fn, 2) == 20);
  GraftInfo info = host_info(&host, "physics.gravity");
  CHECK("its info", strcmp(info.kind, "native") == 0 &&
                        strcmp(info.layer, "built-in") == 0 &&
                        info.version == 1 && info.calls == 1 &&
                        info.pin == GRAFT_PIN_AUTO && info.removed == NULL &&
                        info.file == NULL && info.line == 0);
  host_close(&host);
}

// --- Natives of a shared object --------------------------------------------

static void natives(void) {
  Host host;
  host_open(&host, NULL);
  GraftStatus status =
      graft_engine_natives(host.engine, SPEC_NATIVES, &host.error);
  check_code("the demo's natives", status, GRAFT_OK, &host.error);
  GraftFn *resize = graft_engine_find(host.engine, "flock.resize");
  GraftFn *count = graft_engine_find(host.engine, "flock.count");
  CHECK("have names", resize != NULL && count != NULL);
  if (resize == NULL || count == NULL) exit(check_status());
  GraftValue got = host_call(&host, resize, integer_value(12));
  CHECK("are called", is_whole(&got, 12));
  GraftCall call = {.results = &got, .result_capacity = 1};
  CHECK("keep their state",
        graft_fn_call(count, &call, &host.error) == GRAFT_OK &&
            call.result_count == 1 && is_whole(&got, 12));
  GraftInfo info = host_info(&host, "flock.resize");
  check_text("have a C type", info.signature, "int(int)");
  check_text("are of the native layer", info.layer, "native");
  CHECK("have a place", info.file != NULL && info.line > 0 &&
                            strstr(info.file, "flock.c") != NULL);
  status = graft_engine_natives(host.engine, "/nowhere/x.so", &host.error);
  CHECK("a missing file", status < 0);
  check_holds("is named", host.error.message, "/nowhere/x.so", NULL);
  host_write(&host, "broken.so", "this is no shared object");
  status = graft_engine_natives(host.engine, host_path(&host, "broken.so"),
                                &host.error);
  check_code("a broken file", status, GRAFT_EIO, &host.error);
  check_holds("is named", host.error.message, "broken.so", NULL);
  host_close(&host);
}

// --- Calls of natives with values ------------------------------------------

typedef struct Body {
  double mass;
} Body;

static bool flip(bool value) {
  return !value;
}
static int8_t tiny(int8_t value) {
  return value;
}
static unsigned add(unsigned a, int b) {
  return a + (unsigned)b;
}
static uint64_t huge(uint64_t value) {
  return value;
}
static float half(float value) {
  return value / 2;
}
static const char *title(const char *name) {
  return strcmp(name, "none") == 0 ? NULL : name;
}
static Body *same(Body *body) {
  return body;
}
static double total;
static void sum(double a, double b, double c, double d, double e, double f,
                double g, double h, double i, double j) {
  total = a + b + c + d + e + f + g + h + i + j;
}

static void register_all(Host *host) {
  host_register(host, "n.flip", (GraftNative)flip, "bool(bool)");
  host_register(host, "n.tiny", (GraftNative)tiny, "int8_t(int8_t)");
  host_register(host, "n.add", (GraftNative)add, "unsigned(unsigned, int)");
  host_register(host, "n.huge", (GraftNative)huge, "uint64_t(uint64_t)");
  host_register(host, "n.half", (GraftNative)half, "float(float)");
  host_register(host, "n.title", (GraftNative)title,
                "const char *(const char *)");
  host_register(host, "n.same", (GraftNative)same, "Body *(Body *)");
  host_register(host, "n.sum", (GraftNative)sum,
                "void(double, double, double, double, double, double, double, "
                "double, double, double)");
}

static GraftValue call_named(Host *host, const char *name, GraftValue arg) {
  return host_call(host, graft_engine_fn(host->engine, name), arg);
}

static void native_values(Host *host) {
  GraftValue got = call_named(host, "n.flip", boolean_value(true));
  CHECK("bool", got.type == GRAFT_BOOLEAN && !got.as.boolean);
  got = call_named(host, "n.tiny", number_value(-128.0));
  CHECK("int8_t from -128.0", is_whole(&got, -128));
  got = call_named(host, "n.huge", number_value(18446744073709549568.0));
  CHECK("uint64_t beyond INT64_MAX",
        got.type == GRAFT_NUMBER && got.as.number == 18446744073709549568.0);
  got = call_named(host, "n.half", integer_value(5));
  CHECK("float", got.type == GRAFT_NUMBER && got.as.number == 2.5);
  got = call_named(host, "n.title", text_value("Sir"));
  CHECK("const char *", is_text(&got, "Sir"));
  got = call_named(host, "n.title", text_value("none"));
  CHECK("NULL is nil", got.type == GRAFT_NIL && host->error.status == GRAFT_OK);
  Body body = {1};
  got = call_named(host, "n.same", pointer_value(&body, "Body *"));
  CHECK("a pointer", got.type == GRAFT_POINTER &&
                         got.as.pointer.address == &body &&
                         strcmp(got.as.pointer.type, "Body *") == 0);
  got = call_named(host, "n.same", pointer_value(&body, NULL));
  CHECK("a pointer without a type", got.type == GRAFT_POINTER);
  got = call_named(host, "n.same", nil_value());
  CHECK("nil for NULL",
        got.type == GRAFT_NIL && host->error.status == GRAFT_OK);
  GraftValue ten[10];
  for (int i = 0; i < 10; i++) ten[i] = number_value(i);
  GraftCall call = {.args = ten, .arg_count = 10};
  CHECK("ten arguments, no result",
        graft_fn_call(graft_engine_fn(host->engine, "n.sum"), &call,
                      &host->error) == GRAFT_OK &&
            total == 45 && call.result_count == 0);
  GraftValue arg = boolean_value(true);
  call = (GraftCall){.args = &arg, .arg_count = 1, .result_count = 9};
  CHECK("no room for the result",
        graft_fn_call(graft_engine_fn(host->engine, "n.flip"), &call, NULL) ==
                GRAFT_OK &&
            call.result_count == 0);
}

static void native_refusals(Host *host) {
  int thing = 0;
  const struct {
    const char *name;
    GraftValue arg;
    const char *expected, *got;
  } cases[] = {
      {"n.flip", integer_value(1), "bool expected", "got number"},
      {"n.tiny", integer_value(128), "int8_t expected", "128"},
      {"n.tiny", number_value(0.5), "int8_t expected", "0.5"},
      {"n.tiny", number_value(NAN), "int8_t expected", "nan"},
      {"n.tiny", text_value("1"), "int8_t expected", "got string"},
      {"n.huge", integer_value(-1), "uint64_t expected", "-1"},
      {"n.huge", number_value(1e30), "uint64_t expected", "1e+30"},
      {"n.half", text_value("heavy"), "float expected", "got string"},
      {"n.half", nil_value(), "float expected", "got nil"},
      {"n.title", integer_value(1), "string expected", "got number"},
      {"n.title", nil_value(), "string expected", "got nil"},
      {"n.title", bytes_value("a\0b", 3), "string expected", "zero byte"},
      {"n.same", pointer_value(&thing, "Thing *"), "Body * expected",
       "got Thing *"},
      {"n.same", boolean_value(false), "Body * expected", "got boolean"},
      {"n.same",
       {.type = GRAFT_OTHER, .as.other = "table"},
       "Body * expected",
       "got table"},
      {"n.same", {.type = GRAFT_OTHER}, "Body * expected", "got"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char name[80];
    snprintf(name, sizeof name, "%s refuses %s", cases[i].name, cases[i].got);
    call_named(host, cases[i].name, cases[i].arg);
    check_code(name, host->error.status, GRAFT_EARG, &host->error);
    check_holds(name, host->error.message, cases[i].name, "#1",
                cases[i].expected, cases[i].got, NULL);
  }
}

static void native_counts(Host *host) {
  GraftFn *fn = graft_engine_fn(host->engine, "n.add");
  GraftValue args[3] = {integer_value(1), text_value("x"), nil_value()};
  GraftCall call = {.args = args, .arg_count = 2};
  check_code("the second argument", graft_fn_call(fn, &call, &host->error),
             GRAFT_EARG, &host->error);
  check_holds("is named", host->error.message, "n.add", "#2", "int expected",
              "got string", NULL);
  for (int count = 0; count <= 3; count += 3) {
    char got[16];
    snprintf(got, sizeof got, "got %d", count);
    call.arg_count = count;
    check_code(got, graft_fn_call(fn, &call, &host->error), GRAFT_EARG,
               &host->error);
    check_holds(got, host->error.message, "n.add", "expected 2 arguments", got,
                NULL);
  }
}

static void native_calls(void) {
  Host host;
  host_open(&host, NULL);
  register_all(&host);
  native_values(&host);
  native_refusals(&host);
  native_counts(&host);
  host_close(&host);
}

// --- Calls of scripts with values ------------------------------------------

static const char values_lua[] =
    "local M = {}\n"
    "function M.echo(...) return ... end\n"
    "function M.kind(x) return math.type and math.type(x) or type(x) end\n"
    "function M.count(...) return select('#', ...) end\n"
    "function M.three() return 1, 'two', true end\n"
    "function M.none() end\n"
    "function M.other() return {}, print, coroutine.create(print) end\n"
    "function M.size(s) return #s end\n"
    "function M.fail(x)\n"
    "  error('on purpose')\n"
    "end\n"
    "function M.raise(x) error(x) end\n"
    "function M.raise_table()\n"
    "  error(setmetatable({}, {__tostring = function() return 'told' end}))\n"
    "end\n"
    "function M.raise_odd() error(setmetatable({},\n"
    "  {__tostring = function() error 'again' end})) end\n"
    "function M.deep(x) return 1 + M.deep(x) end\n"
    "function M.wrong() local x = require('n').flip(1) return x end\n"
    "function M.many(n) local t = {} for i = 1, n do t[i] = i end\n"
    "  return (table.unpack or unpack)(t) end\n"
    "return M\n";

static void script_values(Host *host) {
  int thing = 0;
  GraftValue args[7] = {nil_value(),
                        boolean_value(false),
                        integer_value(42),
                        number_value(2.5),
                        text_value("hi"),
                        bytes_value("a\0b", 3),
                        pointer_value(&thing, "Thing *")};
  GraftValue got[7];
  GraftCall call = {
      .args = args, .arg_count = 7, .results = got, .result_capacity = 7};
  GraftFn *echo = graft_engine_fn(host->engine, "values.echo");
  check_code("all types", graft_fn_call(echo, &call, &host->error), GRAFT_OK,
             &host->error);
  CHECK("come back", call.result_count == 7);
  CHECK("nil", got[0].type == GRAFT_NIL);
  CHECK("boolean", got[1].type == GRAFT_BOOLEAN && !got[1].as.boolean);
  CHECK("integer", is_whole(&got[2], 42));
  CHECK("number", got[3].type == GRAFT_NUMBER && got[3].as.number == 2.5);
  CHECK("string", is_text(&got[4], "hi"));
  CHECK("a string with a zero",
        got[5].type == GRAFT_STRING && got[5].as.string.size == 3 &&
            memcmp(got[5].as.string.text, "a\0b", 4) == 0);
  CHECK("pointer",
        got[6].type == GRAFT_POINTER && got[6].as.pointer.address == &thing);
  GraftValue kind = call_named(host, "values.kind", integer_value(1));
  bool integers = strcmp(SPEC_VM, "lua54") == 0;
  CHECK("an integer is one where the VM has them",
        is_text(&kind, integers ? "integer" : "number"));
  CHECK("and when it comes back", (got[2].type == GRAFT_INTEGER) == integers);
  GraftValue other = {.type = GRAFT_OTHER, .as.other = "table"};
  kind = call_named(host, "values.kind", other);
  CHECK("what has no form is nil",
        is_text(&kind, "nil") || host->error.status == GRAFT_ERUN);
}

static void script_results(Host *host) {
  GraftValue got[5];
  GraftCall call = {.results = got, .result_capacity = 5};
  GraftFn *three = graft_engine_fn(host->engine, "values.three");
  CHECK("three results",
        graft_fn_call(three, &call, &host->error) == GRAFT_OK &&
            call.result_count == 3 && is_whole(&got[0], 1) &&
            is_text(&got[1], "two") && got[2].as.boolean);
  call.result_capacity = 2;
  CHECK("two fit", graft_fn_call(three, &call, &host->error) == GRAFT_OK &&
                       call.result_count == 2 && is_text(&got[1], "two"));
  call = (GraftCall){.result_count = 7};
  CHECK("none asked for",
        graft_fn_call(three, &call, &host->error) == GRAFT_OK &&
            call.result_count == 0);
  call = (GraftCall){.results = got, .result_capacity = 5};
  CHECK("none given",
        graft_fn_call(graft_engine_fn(host->engine, "values.none"), &call,
                      &host->error) == GRAFT_OK &&
            call.result_count == 0);
  CHECK("what has no C form",
        graft_fn_call(graft_engine_fn(host->engine, "values.other"), &call,
                      &host->error) == GRAFT_OK &&
            call.result_count == 3 && got[0].type == GRAFT_OTHER &&
            strcmp(got[0].as.other, "table") == 0 &&
            strcmp(got[1].as.other, "function") == 0 &&
            strcmp(got[2].as.other, "thread") == 0);
  GraftValue arg = integer_value(200);
  call = (GraftCall){
      .args = &arg, .arg_count = 1, .results = got, .result_capacity = 5};
  CHECK("200 results for 5",
        graft_fn_call(graft_engine_fn(host->engine, "values.many"), &call,
                      &host->error) == GRAFT_OK &&
            call.result_count == 5 && is_whole(&got[4], 5));
}

// More room than the VM's stack has by itself.
static void much_room(Host *host) {
  enum { ROOM = 20000 };
  GraftValue *got = calloc(ROOM, sizeof *got);
  GraftFn *three = graft_engine_fn(host->engine, "values.three");
  GraftCall call = {.results = got, .result_capacity = ROOM};
  CHECK("room for 20,000 results",
        graft_fn_call(three, &call, &host->error) == GRAFT_OK &&
            call.result_count == 3 && is_text(&got[1], "two"));
  GraftValue arg = integer_value(5000);
  call.args = &arg;
  call.arg_count = 1;
  CHECK("and 5,000 of them",
        graft_fn_call(graft_engine_fn(host->engine, "values.many"), &call,
                      &host->error) == GRAFT_OK &&
            call.result_count == 5000 && is_whole(&got[4999], 5000));
  free(got);
}

static void many_arguments(Host *host) {
  enum { MANY = 5000, TOO_MANY = 3000000 };
  GraftValue *args = calloc(TOO_MANY, sizeof *args);
  GraftValue got;
  GraftFn *count = graft_engine_fn(host->engine, "values.count");
  GraftCall call = {
      .args = args, .arg_count = MANY, .results = &got, .result_capacity = 1};
  CHECK("5,000 arguments",
        graft_fn_call(count, &call, &host->error) == GRAFT_OK &&
            is_whole(&got, MANY));
  call.arg_count = TOO_MANY;
  CHECK("more than the VM's stack can hold",
        graft_fn_call(count, &call, &host->error) < 0 &&
            call.result_count == 0);
  free(args);
}

static void script_errors(Host *host) {
  call_named(host, "values.fail", nil_value());
  check_code("a script raises", host->error.status, GRAFT_ERUN, &host->error);
  check_holds("with its message and a traceback", host->error.message,
              "on purpose", "stack traceback:", "values.lua:", NULL);
  check_text("and its file", host->error.file, host_path(host, "values.lua"));
  CHECK("and its line", host->error.line == 10);
  call_named(host, "values.raise", nil_value());
  check_holds("raises nil", host->error.message, "nil value", NULL);
  call_named(host, "values.raise", pointer_value(host, NULL));
  check_holds("raises userdata", host->error.message, "userdata", NULL);
  call_named(host, "values.raise_table", nil_value());
  check_holds("raises what has __tostring", host->error.message, "told", NULL);
  call_named(host, "values.raise_odd", nil_value());
  CHECK("raises what has a bad __tostring", host->error.status == GRAFT_ERUN);
  call_named(host, "values.deep", integer_value(1));
  check_code("endless recursion", host->error.status, GRAFT_ERUN, &host->error);
  check_holds("is told", host->error.message, "stack overflow", NULL);
  call_named(host, "values.wrong", nil_value());
  check_holds("a wrong argument from Lua", host->error.message, "n.flip", "#1",
              "bool expected", "got number", "values.lua:", NULL);
  static char text[5000];
  memset(text, 'x', sizeof text);
  call_named(host, "values.raise", bytes_value(text, sizeof text));
  CHECK("a long message is cut",
        strlen(host->error.message) < sizeof host->error.message &&
            host->error.status == GRAFT_ERUN);
  GraftValue got = call_named(host, "values.size", bytes_value(text, 5000));
  CHECK("the engine goes on", is_whole(&got, 5000));
}

// A native that calls a script, which calls the native.
static Host *nested_host;
static double nested(double depth) {
  if (depth <= 0) return 0;
  GraftFn *fn = graft_engine_fn(nested_host->engine, "nest.down");
  return host_number(nested_host, fn, depth - 1) + 1;
}

static void nesting(Host *host) {
  nested_host = host;
  host_register(host, "nest.native", (GraftNative)nested, "double(double)");
  host_write(host, "nest.lua",
             "local M = {}\n"
             "local nest\n"
             "function M.down(n) nest = nest or require 'nest'\n"
             "  return nest.native(n) end\n"
             "return M\n");
  CHECK("a module of both kinds", host_require(host, "nest"));
  CHECK("C and Lua call each other, 50 deep", nested(50) == 50);
}

static void missing(Host *host) {
  GraftFn *fn = graft_engine_fn(host->engine, "no.such");
  CHECK("a slot before its function", fn != NULL);
  host_call(host, fn, nil_value());
  check_code("a call of it", host->error.status, GRAFT_ENOTFOUND, &host->error);
  check_holds("names it", host->error.message, "no.such", NULL);
  CHECK("it is not found", graft_engine_find(host->engine, "no.such") == NULL);
  GraftInfo info = host_info(host, "no.such");
  CHECK("its info", strcmp(info.kind, "none") == 0 && info.version == 0 &&
                        strcmp(info.layer, "none") == 0);
  check_code("require of a missing module",
             graft_engine_require(host->engine, "no.such", &host->error),
             GRAFT_ENOTFOUND, &host->error);
  check_holds("names it", host->error.message, "no.such", NULL);
}

static void loading(Host *host) {
  host_write(host, "broken.lua", "local x = = 1\n");
  check_code("require of a broken module",
             graft_engine_require(host->engine, "broken", &host->error),
             GRAFT_ESYNTAX, &host->error);
  check_text("tells the file", host->error.file, host_path(host, "broken.lua"));
  CHECK("and the line", host->error.line == 1);
  host_write(host, "outer.lua", "\nrequire 'broken'\n");
  check_code("require of a module that requires it",
             graft_engine_require(host->engine, "outer", &host->error),
             GRAFT_ESYNTAX, &host->error);
  check_text("tells the broken file", host->error.file,
             host_path(host, "broken.lua"));
  host_write(host, "raises.lua", "\nerror 'no'\n");
  check_code("require of one that raises",
             graft_engine_require(host->engine, "raises", &host->error),
             GRAFT_ERUN, &host->error);
  check_code(
      "run of a missing file",
      graft_engine_run(host->engine, "/nowhere/x.lua", 0, NULL, &host->error),
      GRAFT_ENOTFOUND, &host->error);
  check_code("run of a broken file",
             graft_engine_run(host->engine, host_path(host, "broken.lua"), 0,
                              NULL, &host->error),
             GRAFT_ESYNTAX, &host->error);
  host_write(host, "prog.lua",
             "local a, b = ...\n"
             "function joined() return a .. b .. arg[1] .. arg[2] end\n");
  const char *const args[] = {"x", "y"};
  check_code("run with arguments",
             graft_engine_run(host->engine, host_path(host, "prog.lua"), 2,
                              args, &host->error),
             GRAFT_OK, &host->error);
  GraftValue got = call_named(host, "prog.joined", nil_value());
  CHECK("reach ... and arg", is_text(&got, "xyxy"));
  check_code(
      "a text",
      graft_engine_run_text(host->engine, "joined()", "=text", &host->error),
      GRAFT_OK, &host->error);
  check_code(
      "a broken text",
      graft_engine_run_text(host->engine, "x = = 1", "=text", &host->error),
      GRAFT_ESYNTAX, &host->error);
  check_code(
      "a text that raises",
      graft_engine_run_text(host->engine, "error 'no'", "=text", &host->error),
      GRAFT_ERUN, &host->error);
}

// `error` may be NULL, wherever there is one.
static void without_error(Host *host) {
  GraftEngine *engine = host->engine;
  GraftFn *fn = graft_engine_fn(engine, "values.fail");
  GraftCall call = {0};
  CHECK("call", graft_fn_call(fn, &call, NULL) == GRAFT_ERUN);
  CHECK("run", graft_engine_run(engine, "/nowhere", 0, NULL, NULL) < 0);
  CHECK("require", graft_engine_require(engine, "no.such", NULL) < 0);
  CHECK("require of a broken module",
        graft_engine_require(engine, "broken", NULL) < 0);
  CHECK("text", graft_engine_run_text(engine, "error()", "=t", NULL) < 0);
  CHECK("register", graft_engine_register(engine, "x.y", (GraftNative)gravity,
                                          "what", NULL) < 0);
  CHECK("natives", graft_engine_natives(engine, "/nowhere", NULL) < 0);
  CHECK("swap", graft_engine_swap(engine, "values.fail", "native", NULL) < 0);
  CHECK("rollback", graft_engine_rollback(engine, "no.such", 0, NULL) < 0);
  CHECK("typed", graft_fn_typed(fn, "what", NULL) == NULL);
}

static void script_calls(void) {
  Host host;
  host_open(&host, NULL);
  register_all(&host);
  host_write(&host, "values.lua", values_lua);
  CHECK("require", host_require(&host, "values"));
  script_values(&host);
  script_results(&host);
  much_room(&host);
  many_arguments(&host);
  script_errors(&host);
  nesting(&host);
  missing(&host);
  loading(&host);
  without_error(&host);
  host_close(&host);
}

int main(void) {
  opens();
  registers();
  natives();
  native_calls();
  script_calls();
  return check_status();
}
