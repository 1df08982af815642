// SPDX-License-Identifier: MIT
//
// The fast tier: what tcc is asked for, what it gives, and that its result
// comes before the compiler's or not at all.

#include "native/tier.h"

#include <dlfcn.h>
#include <pthread.h>

#include "base/error.h"
#include "compile_support.h"
#include "native/worker.h"

// --- tcc alone ---------------------------------------------------------------

static GraftStatus compile_with(const char *path, const char *text,
                                const char *cflags, const char *checks,
                                GraftError *error) {
  Flags flags;
  flags_init(&flags, &memory_default);
  flags_add_user(&flags, cflags, NULL);
  TierDesc desc = {.allocator = &memory_default,
                   .path = path,
                   .text = text,
                   .checks = checks,
                   .flags = &flags,
                   .directory = "/"};
  char *object = NULL;
  size_t size = 0;
  *error = (GraftError){0};
  GraftStatus status = tier_compile(&desc, &object, &size, error);
  if (status == GRAFT_OK && (size < 64 || memcmp(object, "\177ELF", 4) != 0)) {
    status = error_set(error, GRAFT_EIO, "no object");
  }
  memory_free(&memory_default, object);
  flags_clear(&flags);
  return status;
}

static void check_fine(const char *name, const char *text) {
  GraftError error;
  GraftStatus status = compile_with("/tmp/a.c", text, "", NULL, &error);
  check_report(name, status == GRAFT_OK, error.message);
}

// That tcc is not asked, or does not like it.
static void check_left(const char *name, const char *text, const char *why) {
  GraftError error;
  GraftStatus status = compile_with("/tmp/a.c", text, "", NULL, &error);
  check_report(name,
               status == GRAFT_ENOTFOUND && strstr(error.message, why) != NULL,
               error.message);
}

static void check_texts(void) {
  check_fine("plain C",
             "#include <stdio.h>\n#include <math.h>\n"
             "struct v { float x, y; };\nstatic int counter = 5;\n"
             "static double half(double a) { return a / 2; }\n"
             "double f(struct v a) { static int calls; calls++;\n"
             "  printf(\"%d\", counter); return sqrt(half(a.x)) + calls; }\n");
  check_fine("harmless attributes and pragmas",
             "#pragma once\n#pragma GCC diagnostic ignored \"-Wunused\"\n"
             "__attribute__((noinline, __unused__)) static int f(void) "
             "{ return 1; }\n");
  check_fine("structs of the system that are packed",
             "#define _GNU_SOURCE\n#include <stdlib.h>\n"
             "#include <sys/epoll.h>\n"
             "#ifdef __x86_64__\n"
             "_Static_assert(sizeof(struct epoll_event) == 12, \"\");\n"
             "#endif\n"
             "char *f(void) { return secure_getenv(\"x\"); }\n");
  check_left("an error", "int f(void) { return x; }\n", "error");
  check_left("a warning", "int f(void) { return g(); }\n", "implicit");
  check_left("packed", "struct s { int a; } __attribute__((packed));\n",
             "packed");
  check_left("aligned, in a macro",
             "#define WIDE __attribute__((__aligned__(16)))\n", "aligned");
  check_left("a pragma", "#pragma pack(1)\nint x;\n", "pragma");
  check_left("what depends on the compiler",
             "#if defined(__GNUC__)\ntypedef long number;\n#else\n"
             "typedef int number;\n#endif\nnumber f(void) { return 1; }\n",
             "__GNUC__");
  check_left("vectors", "typedef float v __attribute__((vector_size(16)));\n",
             "vector");
  check_left("long double", "long double f(void) { return 1; }\n",
             "long double");
  check_left("assembler", "void f(void) { __asm__(\"nop\"); }\n", "__asm__");
  check_left("what Lua's errors pass through",
             "struct lua_State;\nint f(struct lua_State *L) { return 0; }\n",
             "unwind");
  check_left("code that needs tcc's own library",
             "unsigned long f(double a) { return (unsigned long)a; }\n",
             "own library");
  check_left("variable arguments",
             "#include <stdarg.h>\nint f(int n, ...) { va_list a; "
             "va_start(a, n); n = va_arg(a, int); va_end(a); return n; }\n",
             "va_start");
  check_left("a comment that does not end", "int x; /* ", "cut short");
}

static void check_flags(const Folder *folder) {
  GraftError error;
  char flags[512];
  folder_write(folder, "in clude/x y.h", "#define X 4\n");
  folder_write(folder, "near.h", "#define NEAR 5\n");
  snprintf(flags, sizeof flags,
           "'-I%s/in clude' -D FOUR=4 -DONE -UNONE -O3 -Wall -g3 -std=c11",
           folder->path);
  GraftStatus status = compile_with(
      folder_path(folder, "a.c"),
      "#include \"x y.h\"\n#include \"near.h\"\n"
      "_Static_assert(X == 4 && FOUR == 4 && ONE == 1 && NEAR == 5, \"\");\n"
      "_Static_assert(sizeof __FILE__ > 10, \"\");\n",
      flags, NULL, &error);
  check_report("flags of preprocessing are followed", status == GRAFT_OK,
               error.message);
  status = compile_with("tmp/a.c", "int x;\n", "-fshort-enums", NULL, &error);
  check_report("flags that lay out data are not trusted",
               status == GRAFT_ENOTFOUND &&
                   strstr(error.message, "-fshort-enums") != NULL,
               error.message);
  const char *text = "struct s { char a; int b; };\n";
  status =
      compile_with("tmp/a.c", text, "",
                   "_Static_assert(sizeof(struct s) == 8, \"s\");\n", &error);
  check_report("checks that hold", status == GRAFT_OK, error.message);
  status =
      compile_with("tmp/a.c", text, "",
                   "_Static_assert(sizeof(struct s) == 5, \"s\");\n", &error);
  check_report("checks that do not", status == GRAFT_ENOTFOUND, error.message);
  status = compile_with("tmp/a\".c", text, "", NULL, &error);
  check_report("a name that tcc cannot read", status == GRAFT_ENOTFOUND,
               error.message);
}

typedef struct Racer {
  int number;
  int good;
} Racer;

static void *race(void *context) {
  Racer *self = context;
  for (int i = 0; i < 50; i++) {
    char text[200];
    snprintf(text, sizeof text, "int f%d(int n) { return n + %d; }\n%s",
             self->number, i, i % 5 == 0 ? "int g(void) { return }" : "");
    GraftError error;
    GraftStatus status = compile_with("/tmp/a.c", text, "", NULL, &error);
    self->good += status == (i % 5 == 0 ? GRAFT_ENOTFOUND : GRAFT_OK);
  }
  return NULL;
}

static void check_threads(void) {
  pthread_t threads[4];
  Racer racers[4] = {0};
  int good = 0;
  for (int i = 0; i < 4; i++) {
    racers[i].number = i;
    pthread_create(&threads[i], NULL, race, &racers[i]);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    good += racers[i].good;
  }
  CHECK("threads do not disturb each other", good == 200);
  CHECK("libtcc's names are hidden",
        dlsym(RTLD_DEFAULT, "tcc_new") == NULL &&
            dlsym(RTLD_DEFAULT, "gen_opi") == NULL);
}

// --- In a worker -------------------------------------------------------------

enum { RESULTS = 16 };

typedef struct Told {
  Folder folder;
  Worker *worker;
  WorkerResult *results[RESULTS];
  int count;
  pthread_mutex_t lock;
} Told;

static void take(void *context, WorkerResult *result) {
  Told *self = context;
  pthread_mutex_lock(&self->lock);
  self->results[self->count++] = result;
  pthread_mutex_unlock(&self->lock);
  if (result->tier == WORKER_FAST) folder_write(&self->folder, "go", "");
}

// A compiler that waits for the fast tier, or runs at once.
static void told_open(Told *self, bool patient) {
  *self = (Told){0};
  folder_open(&self->folder);
  pthread_mutex_init(&self->lock, NULL);
  char script[512];
  snprintf(script, sizeof script,
           "case \"$*\" in *-dM*) exec gcc \"$@\";; esac\n"
           "while [ ! -e '%s/go' ]; do sleep 0.01; done\nexec gcc \"$@\"",
           self->folder.path);
  folder_program(&self->folder, "patient", script);
  if (!patient) folder_write(&self->folder, "go", "");
  char cc[512];
  snprintf(cc, sizeof cc, "%s", folder_path(&self->folder, "patient"));
  WorkerDesc desc = {.on_result = take,
                     .context = self,
                     .cache_folder = "",
                     .compiler = {.cc = cc, .cflags = "-O2"}};
  worker_open(&desc, &self->worker, NULL);
}

static void told_close(Told *self) {
  worker_close(self->worker);
  for (int i = 0; i < self->count; i++) worker_result_free(self->results[i]);
  folder_close(&self->folder);
}

typedef struct Edit {
  const char *name, *old, *new;
} Edit;

static void save(Told *self, const Edit *edits, size_t count) {
  WorkerSource sources[4] = {0};
  for (size_t i = 0; i < count; i++) {
    const char *path = folder_write(&self->folder, edits[i].name, edits[i].new);
    sources[i] = (WorkerSource){.path = path,
                                .text = edits[i].new,
                                .size = strlen(edits[i].new),
                                .base = edits[i].old,
                                .base_size = strlen(edits[i].old)};
  }
  worker_submit(self->worker, sources, count, NULL, NULL);
}

#define HELP "static int help(int n) { return n; }\n"
#define STEP "int a_step(int n) { return help(n) + 1; }\n"

static void check_fast_first(void) {
  Told told;
  told_open(&told, true);
  Edit edits[] = {{"a.c", HELP STEP "int a_b(void) { return 1; }\n",
                   "static int help(int n) { return -n; }\n" STEP
                   "int a_b(void) { return 2; }\n"},
                  {"b.c", "int b;\n", "int b; // a comment\n"}};
  save(&told, edits, 2);
  worker_wait(told.worker, -1);
  CHECK("first the fast result, then the compiler's",
        told.count == 2 && told.results[0]->tier == WORKER_FAST &&
            told.results[1]->tier == WORKER_OPTIMISED &&
            told.results[0]->job == told.results[1]->job);
  const WorkerFile *file = &told.results[0]->files[0];
  CHECK("it names what changed, and who may contain it",
        file->changed_count == 2 && file->function_count == 3 &&
            strcmp(file->functions[0], "help") == 0 &&
            strcmp(file->functions[1], "a_b") == 0 &&
            strcmp(file->functions[2], "a_step") == 0);
  CHECK("and has an object and the text",
        file->object_size > 64 && strcmp(file->text, edits[0].new) == 0);
  CHECK("a file without a changed body needs none",
        told.results[0]->count == 2 &&
            told.results[0]->files[1].object == NULL &&
            told.results[0]->files[1].status == GRAFT_OK);
  told_close(&told);
}

// That these edits have only the compiler's result.
static void check_slow_only(const char *name, const Edit *edits, size_t count) {
  Told told;
  told_open(&told, false);
  save(&told, edits, count);
  worker_wait(told.worker, -1);
  check_report(name,
               told.count == 1 && told.results[0]->tier == WORKER_OPTIMISED,
               "there was a fast one");
  told_close(&told);
}

static void check_not_fast(void) {
  Edit declaration = {"a.c", "int a;\n", "long a;\n"};
  check_slow_only("a declaration changed", &declaration, 1);
  Edit comment = {"a.c", "int a;\n", "int a; // hm\n"};
  check_slow_only("nothing changed but a comment", &comment, 1);
  Edit both[] = {{"a.c", HELP, "static int help(int n) { return 2; }\n"},
                 {"b.c", "int a;\n", "long a;\n"}};
  check_slow_only("one file of two cannot be had", both, 2);
  Edit broken = {"a.c", HELP, "static int help(int n) { return n + ; }\n"};
  Told told;
  told_open(&told, false);
  save(&told, &broken, 1);
  worker_wait(told.worker, -1);
  CHECK("an error is the compiler's to tell",
        told.count == 1 && told.results[0]->status == GRAFT_ESYNTAX);
  told_close(&told);
}

// A header that the file is known to include.
static void check_headers(void) {
  Told told;
  told_open(&told, false);
  folder_write(&told.folder, "h.h",
               "struct s { char a; int b; } __attribute__((packed));\n");
  Edit edit = {"a.c", "", "#include \"h.h\"\nint a_b(void) { return 1; }\n"};
  save(&told, &edit, 1);
  worker_wait(told.worker, -1);
  edit.old = edit.new;
  edit.new = "#include \"h.h\"\nint a_b(void) { return 2; }\n";
  save(&told, &edit, 1);
  worker_wait(told.worker, -1);
  CHECK("a header that tcc would take otherwise",
        told.count == 2 && told.results[1]->tier == WORKER_OPTIMISED);
  told_close(&told);
}

int main(void) {
  if (!tier_available()) {
    puts("# built without libtcc: left out");
    return 0;
  }
  Folder folder;
  folder_open(&folder);
  check_texts();
  check_flags(&folder);
  check_threads();
  folder_close(&folder);
  check_fast_first();
  check_not_fast();
  check_headers();
  return check_status();
}
