// SPDX-License-Identifier: MIT
//
// Signatures: what text is taken, how it is printed, what errors say.

#include "registry/signature.h"

#include "check.h"

static void check_canonical(const char *text, const char *expected) {
  Signature *signature;
  GraftError error = {.message = ""};
  char name[200];
  snprintf(name, sizeof name, "signature %s", text);
  if (signature_parse(&memory_default, text, &signature, &error) < 0) {
    check_text(name, error.message, expected);
    return;
  }
  check_text(name, signature->text, expected);
  signature_free(&memory_default, signature);
}

static void check_error(const char *text, int column, const char *expected) {
  Signature *signature;
  GraftError error = {.message = ""};
  char name[200], message[400];
  snprintf(name, sizeof name, "signature error %.150s", text);
  GraftStatus status =
      signature_parse(&memory_default, text, &signature, &error);
  CHECK(name, status == GRAFT_ESIGNATURE && signature == NULL);
  snprintf(message, sizeof message, "bad signature '%.200s': %s", text,
           expected);
  check_text(name, error.message, message);
  snprintf(name, sizeof name, "signature column %.150s: %d", text,
           error.column);
  CHECK(name, error.column == column);
}

static void canonical(void) {
  check_canonical("double(double, int)", "double(double, int)");
  check_canonical("void step(double dt)", "void(double)");
  check_canonical("void f(void);", "void(void)");
  check_canonical("void()", "void(void)");
  check_canonical(" int\t( ) ", "int(void)");
  check_canonical("const char *(const char *, bool)",
                  "const char *(const char *, bool)");
  check_canonical("char const*name(char const * const s)",
                  "const char *(const char *)");
  check_canonical("char *(char *, const char **)", "char *(char *, char **)");
  check_canonical("_Bool(signed char, unsigned char)", "bool(int8_t, uint8_t)");
  check_canonical("short(unsigned short, short int, int unsigned short)",
                  "int16_t(uint16_t, int16_t, uint16_t)");
  check_canonical("unsigned(unsigned int, signed, int32_t, uint32_t)",
                  "unsigned int(unsigned int, int, int, unsigned int)");
  check_canonical("long(long long, unsigned long, long unsigned int long)",
                  "int64_t(int64_t, uint64_t, uint64_t)");
  check_canonical("int8_t(uint8_t, int16_t, uint16_t, int64_t, uint64_t)",
                  "int8_t(uint8_t, int16_t, uint16_t, int64_t, uint64_t)");
  check_canonical("size_t(intptr_t, uintptr_t, ptrdiff_t)",
                  "uint64_t(int64_t, uint64_t, int64_t)");
  check_canonical("float(float x, double y)", "float(float, double)");
  check_canonical("void *(void *, const void *)", "void *(void *, void *)");
  check_canonical("struct Body *(Body *, const Body *b, Body **)",
                  "Body *(Body *, Body *, Body **)");
  check_canonical("int(double *values, const size_t *, unsigned char *)",
                  "int(double *, uint64_t *, uint8_t *)");
  check_canonical("enum Mood(enum Mood m)", "int(int)");
  check_canonical("int (lua_State *)", "int(lua_State *)");
  check_canonical("void(double v[3], const char text[], Body *list[])",
                  "void(double *, const char *, Body **)");
  check_canonical("void f(void (*done)(void), long (*get)(const char *s, int))",
                  "void(void (*)(void), int64_t (*)(const char *, int))");
  check_canonical("int(int (**)(struct Body *, int (*)(int)))",
                  "int(int (**)(Body *, int (*)(int)))");
}

static void errors(void) {
  check_error("", 1, "expected a type");
  check_error("double", 7, "expected '('");
  check_error("double(dubble)", 8, "unknown type 'dubble'");
  check_error("Body(int)", 1, "unknown type 'Body'");
  check_error("void(struct Body b)", 13,
              "only pointers to structs can be passed, not 'Body'");
  check_error("void(double", 12, "expected ',' or ')'");
  check_error("void(double,)", 13, "expected a type");
  check_error("void(int, void)", 11, "a parameter cannot be void");
  check_error("void(int, ...)", 11, "variable arguments are not supported");
  check_error("void(void (*f(int))", 14, "expected ')'");
  check_error("void(void (f)(int))", 12, "expected '*'");
  check_error("void(void (*f))", 15, "expected '('");
  check_error("int (*f)(int)", 6, "a result cannot be a function pointer");
  check_error("void(double v[3)", 17, "expected ']'");
  check_error("void(double v[3][3])", 17, "only one dimension is supported");
  check_error("long double(void)", 1, "unsupported type 'long double'");
  check_error("void(float int)", 6, "unsupported type 'float int'");
  check_error("void(unsigned signed)", 6, "unsupported type 'unsigned signed'");
  check_error("void(long long long)", 6, "unsupported type 'long long long'");
  check_error("int(int) x", 10, "unexpected text behind the ')'");
  check_error("int(struct)", 11, "expected a name");
  check_error("int(3)", 5, "expected a type");
  Signature *signature;
  CHECK("signature NULL", signature_parse(&memory_default, NULL, &signature,
                                          NULL) == GRAFT_ESIGNATURE);
}

static void many_parameters(void) {
  char text[400] = "void(int";
  for (int i = 1; i < SIGNATURE_PARAMS; i++) strcat(text, ", int");
  char longer[440];
  snprintf(longer, sizeof longer, "%s, int)", text);
  strcat(text, ")");
  Signature *signature;
  CHECK("signature of 32 parameters",
        signature_parse(&memory_default, text, &signature, NULL) == GRAFT_OK);
  CHECK("signature of 32 counts them",
        signature->param_count == SIGNATURE_PARAMS);
  CHECK("signature of 32 goes by libffi", signature->shape == CALL_LIBFFI);
  signature_free(&memory_default, signature);
  GraftError error;
  CHECK("signature of 33 parameters",
        signature_parse(&memory_default, longer, &signature, &error) ==
                GRAFT_ESIGNATURE &&
            strstr(error.message, "more than 32 parameters") != NULL);
  char *huge = malloc(1 << 20);
  memset(huge, 'x', (1 << 20) - 1);
  huge[(1 << 20) - 1] = '\0';
  CHECK("signature of a megabyte is an error",
        signature_parse(&memory_default, huge, &signature, &error) ==
            GRAFT_ESIGNATURE);
  memset(huge, '*', (1 << 20) - 1);
  memcpy(huge, "int ", 4);
  CHECK("signature of a megabyte of stars is an error",
        signature_parse(&memory_default, huge, &signature, &error) ==
            GRAFT_ESIGNATURE);
  for (int i = 4; i + 7 < 1 << 20; i += 7) memcpy(huge + i, "int(*)(", 7);
  memcpy(huge, "int(", 4);
  CHECK("signature of a megabyte of function pointers is an error",
        signature_parse(&memory_default, huge, &signature, &error) ==
            GRAFT_ESIGNATURE);
  free(huge);
}

static void equality(void) {
  Signature *a, *b, *c;
  signature_parse(&memory_default, "long f(struct Body *)", &a, NULL);
  signature_parse(&memory_default, "int64_t(Body *body)", &b, NULL);
  signature_parse(&memory_default, "int64_t(Bird *)", &c, NULL);
  CHECK("signatures of equal types are equal", signature_equal(a, b));
  CHECK("signatures of other pointers are not", !signature_equal(a, c));
  CHECK("no signature equals no signature", signature_equal(NULL, NULL));
  CHECK("no signature equals none", !signature_equal(a, NULL));
  Signature *copy = signature_copy(&memory_default, a);
  CHECK("a copy is equal", signature_equal(a, copy));
  CHECK("a copy shares nothing",
        copy->text != a->text && copy->param_names[0] != a->param_names[0] &&
            copy->interface != a->interface);
  signature_free(&memory_default, a);
  signature_free(&memory_default, b);
  signature_free(&memory_default, c);
  signature_free(&memory_default, copy);
}

static Signature *one_parameter(SignatureType type) {
  SignatureDesc desc = {.param_count = 1, .params = {type}};
  return signature_new(&memory_default, &desc);
}

static void details(void) {
  static const uint8_t doubles[] = {TYPE_DOUBLE, TYPE_DOUBLE};
  static const uint8_t mixed[] = {TYPE_INT8, TYPE_INT32, TYPE_DOUBLE};
  TypeDetail body = {.size = 16, .align = 8, .count = 2, .codes = doubles};
  TypeDetail other = {.size = 16, .align = 8, .count = 3, .codes = mixed};
  SignatureType type = {TYPE_STRUCT, "Body *", &body};
  Signature *a = one_parameter(type), *b = signature_copy(&memory_default, a);
  type.detail = &other;
  Signature *c = one_parameter(type);
  check_text("a struct by value", a->text, "void(Body)");
  CHECK("what is in a struct makes the type",
        signature_equal(a, b) && !signature_equal(a, c));
  CHECK("a copy has its own", a->param_details[0] != b->param_details[0] &&
                                  b->param_details[0]->codes[1] == TYPE_DOUBLE);
  CHECK("structs go by libffi", a->shape == CALL_LIBFFI);
  CHECK("numbers that stand where they are aligned",
        type_detail_fits(&body, (size_t[]){0, 8}) &&
            type_detail_fits(&other, (size_t[]){0, 4, 8}));
  CHECK("packed ones do not fit",
        !type_detail_fits(&other, (size_t[]){0, 1, 5}));
  other.size = 24;
  CHECK("nor does what has more behind",
        !type_detail_fits(&other, (size_t[]){0, 4, 8}));
  TypeDetail bounds = {.least = 0, .most = 2};
  TypeDetail wider = {.least = 0, .most = 3};
  Signature *d = one_parameter((SignatureType){TYPE_ENUM, "Mood", &bounds});
  Signature *e = one_parameter((SignatureType){TYPE_ENUM, "Mood", &wider});
  check_text("an enum", d->text, "void(int)");
  CHECK("bounds are no other type, but no other's either",
        signature_equal(d, e) && !signature_identical(d, e) &&
            signature_identical(a, b));
  Signature *all[] = {a, b, c, d, e};
  for (int i = 0; i < 5; i++) signature_free(&memory_default, all[i]);
}

static void out_of_memory(void) {
  bool done = false;
  bool clean = true;
  for (long at = 1; !done; at++) {
    CheckMemory memory;
    check_memory_init(&memory, at);
    Signature *signature;
    GraftStatus status = signature_parse(
        &memory.allocator, "Body *(Body *, const char *)", &signature, NULL);
    done = status == GRAFT_OK;
    if (done) signature_free(&memory.allocator, signature);
    clean = clean && (done || status == GRAFT_ENOMEM) && memory.alive == 0;
  }
  CHECK("signature out of memory leaks nothing", clean);
}

int main(void) {
  canonical();
  errors();
  many_parameters();
  equality();
  details();
  out_of_memory();
  return check_status();
}
