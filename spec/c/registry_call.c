// SPDX-License-Identifier: MIT
//
// Calls with values: every type, every shape, exact conversions, messages.

#include <float.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>

#include "check.h"
#include "registry/convert.h"
#include "registry/slot.h"

typedef struct Body {
  int id;
} Body;

static int8_t as_int8(int8_t x) {
  return x;
}
static uint8_t as_uint8(uint8_t x) {
  return x;
}
static int16_t as_int16(int16_t x) {
  return x;
}
static uint16_t as_uint16(uint16_t x) {
  return x;
}
static int32_t as_int32(int32_t x) {
  return x;
}
static uint32_t as_uint32(uint32_t x) {
  return x;
}
static int64_t as_int64(int64_t x) {
  return x;
}
static uint64_t as_uint64(uint64_t x) {
  return x;
}
static float as_float(float x) {
  return x;
}
static double as_double(double x) {
  return x;
}
static bool as_bool(bool x) {
  return x;
}
static const char *as_string(const char *x) {
  return x;
}
static Body *as_body(Body *x) {
  return x;
}
static const char *no_string(void) {
  return NULL;
}
static int seen;
static void set_seen(int x) {
  seen = x;
}
static int forty_two(void) {
  return 42;
}

// Each argument has a digit of its own, so that none can stand for another.
static double all_registers(int a, double b, float c, long d, double e, char f,
                            float g, double h, short i, double j, double k,
                            float l, int m, double n) {
  (void)n;
  return a + b * 2 + c * 3 + (double)d * 4 + e * 5 + f * 6 + g * 7 + h * 8 +
         i * 9 + j * 10 + k * 11 + l * 12 + m * 13;
}
static int six_integers(int a, int b, int c, int d, int e, int f) {
  return a + b * 10 + c * 100 + d * 1000 + e * 10000 + f * 100000;
}
static int64_t eight_integers(int8_t a, int16_t b, int c, int64_t d, uint8_t e,
                              uint16_t f, uint32_t g, bool h) {
  return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + (int64_t)g * 7 + h * 8;
}
static float nine_floats(float a, float b, float c, float d, float e, float f,
                         float g, float h, float i) {
  return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8 + i * 9;
}
static float two_two(float a, int b, double c, uint8_t d) {
  return a + (float)b * 10 + (float)c * 100 + (float)d * 1000;
}

static Registry *registry;

static GraftFn *add(const char *name, GraftNative code, const char *text) {
  Signature *signature;
  GraftError error;
  if (signature_parse(&memory_default, text, &signature, &error) < 0) {
    printf("FAIL %s: %s\n", name, error.message);
    exit(1);
  }
  GraftFn *fn = registry_add(registry, name);
  slot_set(fn,
           &(BackingDesc){
               .layer = LAYER_BUILTIN, .code = code, .signature = signature},
           &error);
  signature_free(&memory_default, signature);
  return fn;
}

static GraftValue integer(int64_t value) {
  return (GraftValue){.type = GRAFT_INTEGER, .as.integer = value};
}
static GraftValue number(double value) {
  return (GraftValue){.type = GRAFT_NUMBER, .as.number = value};
}
static GraftValue boolean(bool value) {
  return (GraftValue){.type = GRAFT_BOOLEAN, .as.boolean = value};
}
static GraftValue string(const char *text, size_t size) {
  GraftValue value = {.type = GRAFT_STRING};
  value.as.string.text = text;
  value.as.string.size = size;
  return value;
}
static GraftValue pointer(void *address, const char *type) {
  GraftValue value = {.type = GRAFT_POINTER};
  value.as.pointer.address = address;
  value.as.pointer.type = type;
  return value;
}
static const GraftValue nil = {.type = GRAFT_NIL};

// Calls with one argument; an OTHER with the message when it fails.
static char message[1100];
static GraftValue call(GraftFn *fn, GraftValue argument) {
  GraftValue result = nil;
  GraftError error = {.message = ""};
  GraftCall made = {.args = &argument,
                    .arg_count = 1,
                    .results = &result,
                    .result_capacity = 1};
  message[0] = '\0';
  if (graft_fn_call(fn, &made, &error) < 0) {
    snprintf(message, sizeof message, "%s", error.message);
    return (GraftValue){.type = GRAFT_OTHER, .as.other = message};
  }
  return result;
}

static bool gives_integer(GraftFn *fn, GraftValue argument, int64_t expected) {
  GraftValue result = call(fn, argument);
  return result.type == GRAFT_INTEGER && result.as.integer == expected;
}
static bool gives_number(GraftFn *fn, GraftValue argument, double expected) {
  GraftValue result = call(fn, argument);
  return result.type == GRAFT_NUMBER && result.as.number == expected;
}
static void refuses(GraftFn *fn, GraftValue argument, const char *expected,
                    const char *got) {
  char name[200], text[200];
  call(fn, argument);
  snprintf(name, sizeof name, "%s refuses %s", fn->name, got);
  snprintf(text, sizeof text, "bad argument #1 to '%s' (%s expected, got %s)",
           fn->name, expected, got);
  check_text(name, message, text);
}

static void integer_type(const char *text, GraftNative code, int64_t least,
                         int64_t most) {
  char signature[100], name[100], got[60];
  snprintf(signature, sizeof signature, "%s(%s)", text, text);
  snprintf(name, sizeof name, "value.%s", text);
  GraftFn *fn = add(name, code, signature);
  CHECK(name, gives_integer(fn, integer(least), least));
  CHECK(name, gives_integer(fn, integer(most), most));
  CHECK(name, gives_integer(fn, integer(1), 1));
  CHECK(name, gives_integer(fn, number(3.0), 3));
  CHECK(name, gives_integer(fn, number(-0.0), 0));
  if (most < INT64_MAX) {
    snprintf(got, sizeof got, "%lld, which is out of range",
             (long long)most + 1);
    refuses(fn, integer(most + 1), text, got);
    refuses(fn, number((double)most + 1), text, got);
  }
  if (least > INT64_MIN) {
    snprintf(got, sizeof got, "%lld, which is out of range",
             (long long)least - 1);
    refuses(fn, integer(least - 1), text, got);
  }
  refuses(fn, number(1e300), text, "1e+300, which is out of range");
  refuses(fn, number(-1e300), text, "-1e+300, which is out of range");
  refuses(fn, number(2.5), text, "2.5, which is not an integer");
  refuses(fn, number(INFINITY), text, "inf, which is not an integer");
  refuses(fn, nil, text, "nil");
  refuses(fn, boolean(true), text, "boolean");
  refuses(fn, string("3", 1), text, "string");
  refuses(fn, pointer(&seen, "int *"), text, "int *");
  refuses(fn, pointer(&seen, NULL), text, "pointer");
  refuses(fn, (GraftValue){.type = GRAFT_OTHER, .as.other = "table"}, text,
          "table");
  refuses(fn, (GraftValue){.type = GRAFT_OTHER}, text, "unknown value");
  GraftValue result = call(fn, number(NAN));
  CHECK("NaN is no integer",
        result.type == GRAFT_OTHER && strstr(message, "nan, which is not an "
                                                      "integer") != NULL);
}

static void integers(void) {
  integer_type("int8_t", (GraftNative)as_int8, INT8_MIN, INT8_MAX);
  integer_type("uint8_t", (GraftNative)as_uint8, 0, UINT8_MAX);
  integer_type("int16_t", (GraftNative)as_int16, INT16_MIN, INT16_MAX);
  integer_type("uint16_t", (GraftNative)as_uint16, 0, UINT16_MAX);
  integer_type("int", (GraftNative)as_int32, INT32_MIN, INT32_MAX);
  integer_type("unsigned int", (GraftNative)as_uint32, 0, UINT32_MAX);
  integer_type("int64_t", (GraftNative)as_int64, INT64_MIN, INT64_MAX);
  integer_type("uint64_t", (GraftNative)as_uint64, 0, INT64_MAX);
  GraftFn *wide = registry_find(registry, "value.uint64_t");
  CHECK(
      "uint64_t beyond int64_t is a number",
      gives_number(wide, number(9223372036854775808.0), 9223372036854775808.0));
  refuses(wide, number(18446744073709551616.0), "uint64_t",
          "1.844674407371e+19, which is out of range");
  GraftFn *narrow = registry_find(registry, "value.int64_t");
  refuses(narrow, number(9223372036854775808.0), "int64_t",
          "9.2233720368548e+18, which is out of range");
  CHECK("least int64_t as a number",
        gives_integer(narrow, number(-9223372036854775808.0), INT64_MIN));
}

static void floats(void) {
  GraftFn *f = add("value.float", (GraftNative)as_float, "float(float)");
  GraftFn *d = add("value.double", (GraftNative)as_double, "double(double)");
  CHECK("float takes a number", gives_number(f, number(0.5), 0.5));
  CHECK("float rounds", gives_number(f, number(0.1), (double)0.1f));
  CHECK("float takes an integer", gives_number(f, integer(7), 7));
  CHECK("float takes infinity", gives_number(f, number(INFINITY), INFINITY));
  CHECK("double takes a number", gives_number(d, number(0.1), 0.1));
  CHECK("double takes an integer", gives_number(d, integer(-7), -7));
  GraftValue result = call(d, number(NAN));
  CHECK("double takes NaN",
        result.type == GRAFT_NUMBER && isnan(result.as.number));
  refuses(f, string("1", 1), "float", "string");
  refuses(d, nil, "double", "nil");
  refuses(d, boolean(false), "double", "boolean");
}

static void others(void) {
  GraftFn *b = add("value.bool", (GraftNative)as_bool, "bool(bool)");
  GraftValue result = call(b, boolean(true));
  CHECK("bool true", result.type == GRAFT_BOOLEAN && result.as.boolean);
  result = call(b, boolean(false));
  CHECK("bool false", result.type == GRAFT_BOOLEAN && !result.as.boolean);
  refuses(b, integer(1), "bool", "number");
  refuses(b, nil, "bool", "nil");

  GraftFn *s =
      add("value.string", (GraftNative)as_string, "const char *(const char *)");
  result = call(s, string("firefly", 7));
  CHECK("string", result.type == GRAFT_STRING && result.as.string.size == 7 &&
                      strcmp(result.as.string.text, "firefly") == 0);
  CHECK("empty string", call(s, string("", 0)).as.string.size == 0);
  refuses(s, string("a\0b", 3), "string", "a string with a zero byte inside");
  refuses(s, nil, "string", "nil");
  refuses(s, integer(3), "string", "number");
  GraftFn *none =
      add("value.none", (GraftNative)no_string, "const char *(void)");
  GraftCall empty = {.results = &result, .result_capacity = 1};
  CHECK("NULL string is nil",
        graft_fn_call(none, &empty, NULL) == 0 && result.type == GRAFT_NIL);

  Body body = {3};
  GraftFn *p = add("value.body", (GraftNative)as_body, "Body *(Body *)");
  result = call(p, pointer(&body, "Body *"));
  CHECK("pointer", result.type == GRAFT_POINTER &&
                       result.as.pointer.address == &body &&
                       strcmp(result.as.pointer.type, "Body *") == 0);
  CHECK("pointer of no type",
        call(p, pointer(&body, NULL)).type == GRAFT_POINTER);
  CHECK("pointer to void",
        call(p, pointer(&body, "void *")).type == GRAFT_POINTER);
  CHECK("nil is NULL", call(p, nil).type == GRAFT_NIL && message[0] == '\0');
  refuses(p, pointer(&body, "Bird *"), "Body *", "Bird *");
  refuses(p, string("x", 1), "Body *", "string");
}

static void shapes(void) {
  GraftFn *fn = add("shape.all", (GraftNative)all_registers,
                    "double(int, double, float, long, double, char, float, "
                    "double, short, double, double, float, int, double)");
  // 14 arguments: 5 + 1 integers, 8 floats.
  GraftValue args[14];
  double expected = 0;
  for (int i = 0; i < 14; i++) {
    args[i] = integer(i + 1);
    if (i < 13) expected += (i + 1) * (i + 1);
  }
  GraftValue result;
  GraftCall made = {
      .args = args, .arg_count = 14, .results = &result, .result_capacity = 1};
  CHECK("call in all registers",
        graft_fn_call(fn, &made, NULL) == 0 && result.as.number == expected);
  GraftValue digits[9];
  for (int i = 0; i < 9; i++) digits[i] = integer(i + 1);
  made.args = digits;
  made.arg_count = 6;
  fn = add("shape.six", (GraftNative)six_integers,
           "int(int, int, int, int, int, int)");
  CHECK("call of six integers",
        graft_fn_call(fn, &made, NULL) == 0 && result.as.integer == 654321);
  made.arg_count = 4;
  fn = add("shape.two_two", (GraftNative)two_two,
           "float(float, int, double, uint8_t)");
  CHECK("call of two and two",
        graft_fn_call(fn, &made, NULL) == 0 && result.as.number == 4321);
  made.arg_count = 9;
  fn = add("shape.floats", (GraftNative)nine_floats,
           "float(float, float, float, float, float, float, float, float, "
           "float)");
  CHECK("call with a float on the stack",
        graft_fn_call(fn, &made, NULL) == 0 && result.as.number == 285);
  made.arg_count = 8;
  GraftValue mixed[8] = {integer(-1), integer(-2),  integer(-3),
                         integer(-4), integer(255), integer(65535),
                         number(4e9), boolean(true)};
  made.args = mixed;
  fn = add("shape.integers", (GraftNative)eight_integers,
           "int64_t(int8_t, int16_t, int, int64_t, uint8_t, uint16_t, "
           "uint32_t, bool)");
  CHECK("call with integers on the stack",
        graft_fn_call(fn, &made, NULL) == 0 &&
            result.as.integer ==
                -30 + 5 * 255 + 6 * 65535 + 7 * INT64_C(4000000000) + 8);
}

static void counts(void) {
  GraftFn *fn = add("physics.step", (GraftNative)six_integers,
                    "int(int, int, int, int, int, int)");
  GraftFn *one = add("physics.set", (GraftNative)set_seen, "void(int)");
  GraftFn *none = add("physics.count", (GraftNative)forty_two, "int(void)");
  GraftValue args[2] = {integer(1), integer(5)};
  GraftValue results[2] = {nil, nil};
  GraftError error;
  GraftCall made = {.args = args, .arg_count = 2};
  CHECK("too few", graft_fn_call(fn, &made, &error) == GRAFT_EARG);
  check_text("too few", error.message,
             "physics.step: expected 6 arguments, got 2");
  CHECK("too many", graft_fn_call(one, &made, &error) == GRAFT_EARG);
  check_text("too many", error.message,
             "physics.set: expected 1 argument, got 2");
  CHECK("none wanted", graft_fn_call(none, &made, &error) == GRAFT_EARG);
  check_text("none wanted", error.message,
             "physics.count: expected 0 arguments, got 2");
  made = (GraftCall){.args = args, .arg_count = 1, .results = results};
  made.result_capacity = 2;
  made.result_count = 7;
  CHECK("void gives no result", graft_fn_call(one, &made, &error) == 0 &&
                                    made.result_count == 0 && seen == 1);
  made = (GraftCall){.results = results, .result_capacity = 2};
  CHECK("a result is counted",
        graft_fn_call(none, &made, &error) == 0 && made.result_count == 1);
  made.result_capacity = 0;
  CHECK("no room for a result",
        graft_fn_call(none, &made, NULL) == 0 && made.result_count == 0);
  GraftInfo info;
  graft_fn_info(none, &info);
  CHECK("calls are counted", info.calls == 3);
  GraftValue wrong[6] = {integer(1), integer(1), string("x", 1),
                         integer(1), integer(1), integer(1)};
  made = (GraftCall){.args = wrong, .arg_count = 6};
  graft_fn_call(fn, &made, &error);
  check_text("the third argument", error.message,
             "bad argument #3 to 'physics.step' (int expected, got string)");
  CHECK("errors may be left out", graft_fn_call(fn, &made, NULL) == GRAFT_EARG);
}

static void results(void) {
  Signature *signature;
  CallWord word;
  GraftError error;
  signature_parse(&memory_default, "float(void)", &signature, NULL);
  GraftValue value = string("x", 1);
  convert_result(signature, "f", &value, &word, &error);
  check_text("bad result", error.message,
             "bad result of 'f' (float expected, got string)");
  value = number(0.25);
  CHECK("float result",
        convert_result(signature, "f", &value, &word, NULL) == 0 &&
            word.number == 0.25);
  signature_free(&memory_default, signature);
  signature_parse(&memory_default, "void(void)", &signature, NULL);
  CHECK("void takes any result",
        convert_result(signature, "f", &value, &word, NULL) == 0);
  signature_free(&memory_default, signature);
}

static void no_signature(void) {
  GraftFn *fn = registry_add(registry, "physics.collide");
  slot_set(fn,
           &(BackingDesc){.layer = LAYER_NATIVE,
                          .code = (GraftNative)forty_two,
                          .why_not = "parameter 1 is struct Body by value"},
           NULL);
  GraftError error;
  GraftCall made = {0};
  CHECK("no C type", graft_fn_call(fn, &made, &error) == GRAFT_ESIGNATURE);
  check_text("no C type", error.message,
             "physics.collide cannot be called with values: parameter 1 is "
             "struct Body by value");
  CHECK("no typed handle", graft_fn_typed(fn, "int(void)", &error) == NULL);
  check_text("no typed handle", error.message,
             "physics.collide has no typed handles: parameter 1 is struct "
             "Body by value");
}

int main(void) {
  registry = registry_new(&(RegistryDesc){0});
  integers();
  floats();
  others();
  shapes();
  counts();
  results();
  no_signature();
  registry_free(registry);
  return check_status();
}
