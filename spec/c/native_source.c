// SPDX-License-Identifier: MIT
//
// Which edits of a C file leave all but bodies as they were, and which
// functions are to be replaced then.

#include "native/source.h"

#include "check.h"

// "step helper: caller" for functions that changed and those that come along,
// "more" when more than bodies changed.
static const char *compare(const char *old, const char *changed) {
  static char text[512];
  SourceDifference difference;
  GraftStatus status =
      source_compare(&memory_default, (SourceText){old, strlen(old)},
                     (SourceText){changed, strlen(changed)}, &difference);
  text[0] = '\0';
  if (status < 0) return "error";
  if (!difference.bodies_only) return "more";
  for (size_t i = 0; i < difference.functions.count; i++) {
    size_t size = strlen(text);
    snprintf(text + size, sizeof text - size, "%s%s%s",
             i == difference.changed ? ":" : "", size > 0 ? " " : "",
             difference.functions.items[i]);
  }
  source_difference_clear(&difference);
  return text;
}

#define PLAIN "int f(int a) { return a; }\nint g(void) { return 1; }\n"

static void check_bodies(void) {
  check_text("nothing", compare(PLAIN, PLAIN), "");
  check_text("one body",
             compare(PLAIN, "int f(int a) { return a + 1; }\n"
                            "int g(void) { return 1; }\n"),
             "f");
  check_text("two bodies, in source order",
             compare(PLAIN, "int f(int a) { return -a; }\n"
                            "int g(void) { return 2; }\n"),
             "f g");
  check_text("blanks and comments",
             compare(PLAIN, "// hello\nint f(int a)\n{\n  return /* { */ a;\n}"
                            "int g(void) { return 1; } /* } */"),
             "");
  check_text(
      "names do not run together",
      compare("int f(void) { return a b; }", "int f(void) { return ab; }"),
      "f");
  check_text(
      "a continued line",
      compare("int f(void) { return 1 \\\n; }", "int f(void) { return 1; }"),
      "");
  check_text(
      "braces in texts",
      compare("char *f(void) { return \"}\\\"{\"; }\nint g(int a) { return "
              "a == '{'; }",
              "char *f(void) { return \"}\\\"}\"; }\nint g(int a) { return "
              "a == '\\''; }"),
      "f g");
  check_text(
      "digraphs are braces",
      compare("int f(void) <% return 1; %>", "int f(void) { return 2; }"), "f");
}

static void check_heads(void) {
  check_text("a parameter",
             compare(PLAIN, "int f(long a) { return a; }\n"
                            "int g(void) { return 1; }\n"),
             "more");
  check_text("a new function",
             compare(PLAIN, PLAIN "int h(void) { return 1; }"), "more");
  check_text("another order",
             compare(PLAIN, "int g(void) { return 1; }\n"
                            "int f(int a) { return a; }\n"),
             "more");
  check_text("a new variable", compare(PLAIN, "int x;\n" PLAIN), "more");
  check_text("an initial value",
             compare("int x = 1;\n" PLAIN, "int x = 2;\n" PLAIN), "more");
  check_text("a table", compare("int x[] = {1, 2};\n", "int x[] = {1, 3};\n"),
             "more");
  check_text("a structure",
             compare("struct s { int a; };\n", "struct s { long a; };\n"),
             "more");
  check_text("one with attributes",
             compare("struct __attribute__((packed)) { int a; } s;",
                     "struct __attribute__((packed)) { long a; } s;"),
             "more");
  check_text("an enumeration", compare("enum { A, B };", "enum { B, A };"),
             "more");
  check_text("a directive",
             compare("#define N 1\n" PLAIN, "#define N 2\n" PLAIN), "more");
  check_text("a continued directive",
             compare("#define N \\\n  1\n" PLAIN, "#define N \\\n  2\n" PLAIN),
             "more");
  check_text("attributes around a function",
             compare("__attribute__((noinline)) static int f(int a) "
                     "__attribute__((cold)) { return a; }",
                     "__attribute__((noinline)) static int f(int a) "
                     "__attribute__((cold)) { return 2; }"),
             "f");
  check_text("a function that returns a structure",
             compare("struct s { int a; } f(void) { return x; }",
                     "struct s { int a; } f(void) { return y; }"),
             "f");
  check_text("a function that returns a function pointer is none of ours",
             compare("int (*f(int a))(int) { return x; }",
                     "int (*f(int a))(int) { return y; }"),
             "more");
  check_text(
      "an old parameter list",
      compare("int f(a) int a; { return x; }", "int f(a) int a; { return y; }"),
      "more");
  check_text("a statement expression at the top",
             compare("int x = sizeof(({ int y = 1; y; }));",
                     "int x = sizeof(({ int y = 2; y; }));"),
             "more");
}

static void check_doubts(void) {
  check_text("a body with directives",
             compare("int f(void) {\n#if A\n return 1;\n#endif\n}",
                     "int f(void) {\n#if A\n return 2;\n#endif\n}"),
             "more");
  check_text("which leaves the others",
             compare("int f(void) {\n#if A\n return 1;\n#endif\n}\n" PLAIN,
                     "int f(void) {\n#if A\n return 1;\n#endif\n}\n"
                     "int f(int a) { return 2; }\nint g(void) { return 1; }\n"),
             "f");
  check_text(
      "a brace in two branches",
      compare("#if A\nint f(int a) {\n#else\nint f(long a) {\n#endif\n}\n"
              "struct s { int a; };\n",
              "#if A\nint f(int a) {\n#else\nint f(long a) {\n#endif\n}\n"
              "struct s { long a; };\n"),
      "more");
  check_text("a new static variable",
             compare("int f(void) { return 1; }",
                     "int f(void) { static int n; return n++; }"),
             "more");
  check_text("another first value of one",
             compare("int f(void) { static int n = 1; return n++; }",
                     "int f(void) { static int n = 2; return n++; }"),
             "more");
  check_text(
      "static variables as they were",
      compare("int f(void) { static int n = 1, m[2] = {1, 2}, *k; return "
              "n++; }",
              "int f(void) { static int n = 1, m[2] = {1, 2}, *k; return "
              "n--; }"),
      "f");
  check_text("two of one name",
             compare("int f(void) { { static int n; } { static long n; } "
                     "return 1; }",
                     "int f(void) { { static int n; } { static long n; } "
                     "return 2; }"),
             "more");
  check_text("one that is a function pointer",
             compare("int f(void) { static int (*n)(int); return 1; }",
                     "int f(void) { static int (*n)(int); return 2; }"),
             "more");
  check_text("a text that does not end", compare(PLAIN "int h(void) {", PLAIN),
             "more");
  check_text("a comment that does not end", compare(PLAIN "/* x", PLAIN "/* y"),
             "more");
  check_text("a string that does not end",
             compare("char *f(void) { return \"a; }", "char *f(void) { return "
                                                      "\"b; }"),
             "more");
}

#define USERS                                                                  \
  "int one(int a) { return help(a); }\n"                                       \
  "static int mid(int a) { return help(a); }\n"                                \
  "int two(int a) { return mid(a); }\n"                                        \
  "int three(int a) { return two(a); }\n"

static void check_callers(void) {
  check_text("callers of a static function come along, and theirs",
             compare("static int help(int a) { return a; }\n" USERS,
                     "static int help(int a) { return -a; }\n" USERS),
             "help: one mid two");
  check_text("of one with an address of its own they do not",
             compare("int help(int a) { return a; }\n" USERS,
                     "int help(int a) { return -a; }\n" USERS),
             "help");
  check_text("inline is static",
             compare("inline int help(int a) { return a; }\n" USERS,
                     "inline int help(int a) { return -a; }\n" USERS),
             "help: one mid two");
  check_text("a prototype is no caller",
             compare("static int help(int);\n" USERS
                     "static int help(int a) { return a; }\n",
                     "static int help(int);\n" USERS
                     "static int help(int a) { return -a; }\n"),
             "help: one mid two");
  check_text("who uses a table of it may know what is in it",
             compare("static int help(int a) { return a; }\n"
                     "static int (*const table[])(int) = {help, 0};\n"
                     "typedef struct Op { int (*f)(int); } Op;\n"
                     "static const Op ops[] = {{help}};\n"
                     "int use(int a) { return ops[0].f(a); }\n"
                     "void other(void) {}\n",
                     "static int help(int a) { return -a; }\n"
                     "static int (*const table[])(int) = {help, 0};\n"
                     "typedef struct Op { int (*f)(int); } Op;\n"
                     "static const Op ops[] = {{help}};\n"
                     "int use(int a) { return ops[0].f(a); }\n"
                     "void other(void) {}\n"),
             "help: use");
  check_text("a macro may call it anywhere",
             compare("static int help(int a) { return a; }\n"
                     "#define HELP(x) help(x)\n",
                     "static int help(int a) { return -a; }\n"
                     "#define HELP(x) help(x)\n"),
             "more");
}

static void check_garbage(void) {
  unsigned state = 1;
  char text[200];
  static const char alphabet[] = "{}()[];=,\"'\\#/*\n <%:ab1.e+";
  for (int i = 0; i < 20000; i++) {
    size_t size = 0;
    for (; size < sizeof text - 1; size++) {
      state = state * 1103515245 + 12345;
      text[size] = alphabet[(state >> 16) % sizeof alphabet];
    }
    SourceDifference difference;
    char *copy = malloc(size); // so that a byte too far is noticed
    memcpy(copy, text, size);
    SourceText source = {copy, size - (size_t)i % 100};
    source_compare(&memory_default, source, source, &difference);
    source_difference_clear(&difference);
    free(copy);
  }
  CHECK("any bytes are survived", true);
}

static void check_no_memory(void) {
  const char *old =
      "static int help(int a) { static int n; return a; }\n" USERS;
  const char *new =
      "static int help(int a) { static int n; return n; }\n" USERS;
  bool clean = true;
  long n = 1;
  for (;; n++) {
    CheckMemory memory;
    check_memory_init(&memory, n);
    SourceDifference difference;
    GraftStatus status =
        source_compare(&memory.allocator, (SourceText){old, strlen(old)},
                       (SourceText){new, strlen(new)}, &difference);
    bool failed = memory.calls >= n;
    clean = clean && status == (failed ? GRAFT_ENOMEM : GRAFT_OK) &&
            difference.bodies_only == !failed;
    source_difference_clear(&difference);
    clean = clean && memory.alive == 0;
    if (!failed) break;
  }
  CHECK("the n-th request for memory fails, for every n", clean && n > 5);
}

int main(void) {
  check_bodies();
  check_heads();
  check_doubts();
  check_callers();
  check_garbage();
  check_no_memory();
  return check_status();
}
