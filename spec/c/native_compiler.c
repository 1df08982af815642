// SPDX-License-Identifier: MIT
//
// One source file → one object: by real compilers, and by made-up ones that
// fail, hang, crash or are not there.

#include "native/compiler.h"
#include "native/object.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "base/buffer.h"
#include "compile_support.h"

static const char *const fine =
    "int speed = 3;\n"
    "int physics_step(int n) { return n + speed; }\n";

// --- One compilation ---------------------------------------------------------

typedef struct Outcome {
  GraftStatus status;
  GraftError error;
  CompilerKind kind;
  CompilerOutput output;
} Outcome;

static Outcome compile_with(const CompilerDesc *desc, const char *path,
                            const char *root, const ProcessStop *stop) {
  Outcome outcome = {.output.allocator = &memory_default};
  Compiler *compiler;
  outcome.status = compiler_new(desc, &compiler, &outcome.error);
  if (outcome.status < 0) return outcome;
  Flags flags;
  flags_init(&flags, &memory_default);
  outcome.status = compiler_flags(compiler, path, root, &flags, &outcome.error);
  if (outcome.status == GRAFT_OK) {
    CompilerRun run = {path, &flags, stop};
    outcome.status =
        compiler_run(compiler, &run, &outcome.output, &outcome.error);
    outcome.kind = compiler_kind(compiler);
  }
  flags_clear(&flags);
  compiler_free(compiler);
  return outcome;
}

static Outcome compile(const char *cc, const char *path) {
  return compile_with(&(CompilerDesc){.cc = cc, .cflags = "-O2"}, path, NULL,
                      NULL);
}

static bool is_elf(const CompilerOutput *output) {
  return output->object_size > 64 && memcmp(output->object, "\177ELF", 4) == 0;
}

static bool contains(const CompilerOutput *output, const char *text) {
  return output->object != NULL && memmem(output->object, output->object_size,
                                          text, strlen(text)) != NULL;
}

static bool says(const Outcome *outcome, const char *text) {
  return strstr(outcome->error.message, text) != NULL;
}

// --- Real compilers ----------------------------------------------------------

static void check_name(const char *what, const char *cc, bool passed,
                       const char *why) {
  char name[128];
  snprintf(name, sizeof name, "%s: %s", cc, what);
  check_report(name, passed, why);
}

static void check_compiler(const Folder *folder, const char *cc,
                           CompilerKind kind) {
  if (!has_program(cc)) {
    printf("# %s is not installed: left out\n", cc);
    return;
  }
  folder_write(folder, "x y.h", "#define THREE 3\n");
  // tcc cannot read a file with a quote in its name.
  const char *name = kind != COMPILER_TCC ? "a 'b\" $c#.c" : "a 'b $c#.c";
  const char *path = folder_write(folder, name,
                                  "#include <stddef.h>\n#include \"x "
                                  "y.h\"\nint f_g(void) { return THREE; }\n");
  Outcome outcome = compile(cc, path);
  check_name("an object from a path with blanks and quotes", cc,
             outcome.status == GRAFT_OK && is_elf(&outcome.output),
             outcome.error.message);
  check_name("its kind is known", cc, outcome.kind == kind, "another kind");
  char header[600];
  snprintf(header, sizeof header, "%s/x y.h", folder->path);
  bool found = false;
  for (size_t i = 0; i < outcome.output.headers.count; i++) {
    found = found || strcmp(outcome.output.headers.items[i], header) == 0;
  }
  // tcc does not mark blanks in names.
  check_name("headers are listed by absolute path", cc,
             found || kind == COMPILER_TCC, header);
  check_name("debug information but from tcc", cc,
             contains(&outcome.output, ".debug_info") == (kind != COMPILER_TCC),
             "the other way round");
  compiler_output_clear(&outcome.output);

  path = folder_write(folder, "wrong.c", "int a;\nint f(void) { return b; }\n");
  outcome = compile(cc, path);
  check_name("errors are errors", cc, outcome.status == GRAFT_ESYNTAX,
             outcome.error.message);
  check_name("with file and line", cc,
             strcmp(outcome.error.file, path) == 0 && outcome.error.line == 2,
             outcome.error.file);
  check_name("shown as written", cc,
             outcome.output.text != NULL &&
                 strstr(outcome.output.text, "error:") != NULL,
             "no text");
  check_name("and no object", cc, outcome.output.object == NULL, "an object");
  compiler_output_clear(&outcome.output);

  path = folder_write(folder, "odd.c",
                      "#warning look here\nint f(void) { return 1; }\n");
  outcome = compile(cc, path);
  check_name("warnings come with the object", cc,
             outcome.status == GRAFT_OK && outcome.output.text != NULL &&
                 strstr(outcome.output.text, "look here") != NULL,
             outcome.error.message);
  compiler_output_clear(&outcome.output);
}

static bool has_variable(const ObjectFile *object, const char *name,
                         uint64_t size) {
  int index = object_find_data(object, name);
  return index >= 0 && object_data(object, (size_t)index)->size == size;
}

// What natives' state is read from: each variable as it is written, whatever
// the functions of this version do with it.
static void check_variables(const Folder *folder, const char *cc) {
  if (!has_program(cc)) return;
  const char *path =
      folder_write(folder, "state.c",
                   "static struct Game { int a, b; } game;\n"
                   "static int only_read = 3, two_values;\n"
                   "int state_f(int k) {\n"
                   "  static struct Game inner;\n"
                   "  game.a += k, inner.b -= k;\n"
                   "  if (k) two_values = 7;\n"
                   "  return game.b + only_read + two_values + inner.a;\n"
                   "}\n");
  Outcome outcome = compile(cc, path);
  ObjectFile *object = NULL;
  GraftError error = {0};
  if (outcome.status == GRAFT_OK) {
    object_read(&memory_default, path, outcome.output.object,
                outcome.output.object_size, &object, &error);
  }
  check_name("an object with variables", cc, object != NULL, error.message);
  if (object == NULL) return;
  check_name("a static struct is whole", cc, has_variable(object, "game", 8),
             "split");
  check_name("a static that is only read is there", cc,
             has_variable(object, "only_read", 4), "a constant");
  check_name("a static of two values is as wide as written", cc,
             has_variable(object, "two_values", 4), "narrowed");
  bool inner = has_variable(object, "state_f.inner", 8); // clang's name
  for (size_t i = 0; i < object_data_count(object); i++) {
    const ObjectData *data = object_data(object, i);
    if (strcmp(data->name, "inner") == 0 && data->size == 8) inner = true;
  }
  check_name("a function's static is whole", cc, inner, "split");
  check_name("the source is named by its path", cc,
             contains(&outcome.output, path) &&
                 !contains(&outcome.output, "/proc/self"),
             path);
  object_free(object);
  compiler_output_clear(&outcome.output);

  path = folder_write(folder, "open.c", "int a;\n/* without an end\n");
  outcome = compile(cc, path);
  check_name("an open comment's place", cc,
             outcome.status == GRAFT_ESYNTAX && outcome.error.line == 2 &&
                 strcmp(outcome.error.file, path) == 0 &&
                 strstr(outcome.output.text, "/proc/self") == NULL,
             outcome.output.text);
  compiler_output_clear(&outcome.output);
}

// --- Which compiler ----------------------------------------------------------

// With this PATH and CC in the environment.
static Outcome compile_in(const char *path, const char *cc,
                          const char *source) {
  char before[4096];
  snprintf(before, sizeof before, "%s", getenv("PATH"));
  setenv("PATH", path, 1);
  if (cc != NULL) setenv("CC", cc, 1);
  Outcome outcome = compile_with(&(CompilerDesc){0}, source, NULL, NULL);
  unsetenv("CC");
  setenv("PATH", before, 1);
  return outcome;
}

static void check_choice(const Folder *folder) {
  const char *path = folder_write(folder, "fine.c", fine);
  Outcome outcome = compile_in("/nowhere", NULL, path);
  CHECK("no compiler is told as that", outcome.status == GRAFT_ENOTFOUND &&
                                           says(&outcome, "no C compiler") &&
                                           says(&outcome, "CC"));
  outcome = compile_in("/nowhere", "tinker", path);
  CHECK("one that CC names and is not there is named",
        outcome.status == GRAFT_ENOTFOUND && says(&outcome, "CC is tinker"));
  outcome = compile_in("/usr/bin:/bin", "false", path);
  CHECK("a program that is no compiler is told",
        outcome.status == GRAFT_EARG && says(&outcome, "false does not work"));
  folder_program(folder, "bin/gcc", "PATH=/usr/bin:/bin exec gcc \"$@\"");
  outcome = compile_in(folder_path(folder, "bin"), NULL, path);
  CHECK("gcc is taken when there is no cc", outcome.status == GRAFT_OK);
  compiler_output_clear(&outcome.output);
  outcome = compile_in("/usr/bin:/bin", "env  GRAFT='a b' gcc -DX=1", path);
  CHECK("CC may have words", outcome.status == GRAFT_OK);
  compiler_output_clear(&outcome.output);
  outcome = compile_in("/usr/bin:/bin", "gcc 'x", path);
  CHECK("a quote in CC that is not closed",
        outcome.status == GRAFT_EARG && says(&outcome, "quote"));
  outcome = compile("gcc -m32", path);
  CHECK("a compiler for another processor",
        outcome.status == GRAFT_EARG && says(&outcome, "processor"));
}

// --- Compilers that do not behave --------------------------------------------

// A compiler that answers the probe like gcc, and then does `script`.
static const char *trick(const Folder *folder, const char *script) {
  char text[1024];
  snprintf(text, sizeof text,
           "case \"$*\" in *-dM*) exec gcc \"$@\";; esac\n%s", script);
  return folder_program(folder, "trick", text);
}

static void check_tricks(const Folder *folder) {
  const char *path = folder_write(folder, "fine.c", fine);
  Outcome outcome =
      compile(trick(folder, "echo out of coffee >&2; exit 3"), path);
  CHECK("a failure without an error line",
        outcome.status == GRAFT_ESYNTAX && says(&outcome, "out of coffee") &&
            strcmp(outcome.output.text, "out of coffee\n") == 0);
  compiler_output_clear(&outcome.output);
  outcome = compile(trick(folder, "exit 0"), path);
  CHECK("a success without an object",
        outcome.status == GRAFT_EIO && says(&outcome, "gave no object"));
  compiler_output_clear(&outcome.output);
  outcome = compile(trick(folder, "kill -SEGV $$"), path);
  CHECK("a crash is told by its signal",
        outcome.status == GRAFT_EIO && says(&outcome, "Segmentation"));
  compiler_output_clear(&outcome.output);
  outcome = compile(trick(folder, "gcc \"$@\"; exit 1"), path);
  CHECK("an object of a failed run is not taken",
        outcome.status == GRAFT_ESYNTAX && outcome.output.object == NULL);
  compiler_output_clear(&outcome.output);
  outcome = compile(
      trick(folder, "i=0; while [ $i -lt 40000 ]; do echo \"line $i is long "
                    "enough to fill a pipe, and then some\"; i=$((i+1)); done; "
                    "exit 1"),
      path);
  CHECK("what it writes without end is cut",
        outcome.status == GRAFT_ESYNTAX &&
            strlen(outcome.output.text) == 1 << 20);
  compiler_output_clear(&outcome.output);
}

// What says that it is gcc 9, and takes the flags that that one took.
static void check_older_gcc(const Folder *folder) {
  const char *cc = folder_program(
      folder, "older",
      "case \"$*\" in\n"
      "*-dM*) gcc \"$@\" | sed 's/__GNUC__ .*/__GNUC__ 9/'; exit;;\n"
      "*-fno-ipa-reference-addressable*|*outline-atomics*)\n"
      "echo \"gcc: error: unrecognized command line option\"; exit 1;;\n"
      "esac\nexec gcc \"$@\"");
  const char *path = folder_write(folder, "fine.c", fine);
  Outcome outcome = compile(cc, path);
  CHECK("an older gcc is given the flags that it knows",
        outcome.status == GRAFT_OK);
  compiler_output_clear(&outcome.output);
}

// Hangs, and so does a child of it; both write their numbers.
static const char hang[] = "sleep 1000 & echo $! >'%s/child'; "
                           "echo $$ >'%s/parent'; wait";

typedef struct Stopper {
  const Folder *folder;
  ProcessStop *stop;
} Stopper;

static void *ask_to_stop(void *context) {
  Stopper *self = context;
  folder_wait(folder_path(self->folder, "parent"));
  process_stop_ask(self->stop);
  return NULL;
}

static void check_gone(const Folder *folder, const char *name) {
  CHECK(name, process_gone(folder_read_pid(folder_path(folder, "parent"))) &&
                  process_gone(folder_read_pid(folder_path(folder, "child"))));
  unlink(folder_path(folder, "parent"));
  unlink(folder_path(folder, "child"));
}

static void check_hanging(const Folder *folder) {
  const char *path = folder_write(folder, "fine.c", fine);
  char script[512];
  snprintf(script, sizeof script, hang, folder->path, folder->path);
  const char *cc = trick(folder, script);
  CompilerDesc desc = {.cc = cc, .time_limit_ms = 1000};
  Outcome outcome = compile_with(&desc, path, NULL, NULL);
  CHECK("one that hangs is stopped at its time limit",
        outcome.status == GRAFT_EIO && says(&outcome, "stopped after 1 s"));
  compiler_output_clear(&outcome.output);
  check_gone(folder, "with its children");

  ProcessStop stop;
  process_stop_open(&stop, NULL);
  Stopper stopper = {folder, &stop};
  pthread_t thread;
  pthread_create(&thread, NULL, ask_to_stop, &stopper);
  desc.time_limit_ms = 0;
  outcome = compile_with(&desc, path, NULL, &stop);
  pthread_join(thread, NULL);
  CHECK("one that hangs stops when asked to", outcome.status == GRAFT_ERUN);
  compiler_output_clear(&outcome.output);
  check_gone(folder, "with its children, too");

  snprintf(script, sizeof script,
           "trap '' TERM; sleep 1000 & echo $! >'%s/child'; "
           "echo $$ >'%s/parent'; while :; do wait; done",
           folder->path, folder->path);
  pthread_create(&thread, NULL, ask_to_stop, &stopper);
  desc.cc = trick(folder, script);
  process_stop_close(&stop);
  process_stop_open(&stop, NULL);
  outcome = compile_with(&desc, path, NULL, &stop);
  pthread_join(thread, NULL);
  CHECK("one that will not end is killed", outcome.status == GRAFT_ERUN);
  compiler_output_clear(&outcome.output);
  check_gone(folder, "with its children, as well");
  process_stop_close(&stop);
}

// --- The program around it ---------------------------------------------------

static void ignore_signal(int number) {
  (void)number;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

static void check_surroundings(const Folder *folder) {
  const char *path = folder_write(folder, "fine.c", fine);
  int descriptors_before = folder_count("/proc/self/fd");
  signal(SIGCHLD, ignore_signal);
  bool good = true;
  for (int i = 0; i < 5; i++) {
    Outcome outcome = compile("gcc", path);
    good = good && outcome.status == GRAFT_OK && is_elf(&outcome.output);
    compiler_output_clear(&outcome.output);
  }
  signal(SIGCHLD, SIG_DFL);
  CHECK("a program that waits for all children takes no object away", good);

  // What the host has open without care does not reach compilers.
  int leaked = open("/dev/null", O_RDONLY);
  Outcome outcome =
      compile(trick(folder, "ls /proc/self/fd >&2; exit 1"), path);
  int descriptors = 0;
  for (const char *text = outcome.output.text; *text != '\0'; text++) {
    descriptors += *text == '\n';
  }
  // 0, 1, 2, the object, the rule, and the folder that ls reads.
  CHECK("compilers get their own descriptors alone", descriptors == 6);
  compiler_output_clear(&outcome.output);
  close(leaked);

  signal(SIGINT, SIG_IGN);
  outcome = compile(trick(folder, "kill -INT $$; sleep 1000"), path);
  CHECK("compilers do not inherit ignored signals",
        outcome.status == GRAFT_EIO && says(&outcome, "Interrupt"));
  compiler_output_clear(&outcome.output);
  signal(SIGINT, SIG_DFL);

  CHECK("compiling leaves no descriptor open",
        folder_count("/proc/self/fd") == descriptors_before);
}

// --- Flags -------------------------------------------------------------------

// The flags for FOLDER/sub/deep/a.c, as one text.
static const char *flags_of(const Folder *folder, const char *cflags,
                            const char *root, GraftError *error) {
  static char text[4096];
  Flags flags;
  flags_init(&flags, &memory_default);
  *error = (GraftError){0};
  if (flags_add_user(&flags, cflags, error) == GRAFT_OK) {
    flags_add_file(&flags, folder_path(folder, "sub/deep/a.c"), root, error);
  }
  text[0] = '\0';
  for (size_t i = 0; i < flags.words.count; i++) {
    size_t size = strlen(text);
    snprintf(text + size, sizeof text - size, "%s%s", i > 0 ? "|" : "",
             flags.words.items[i]);
  }
  flags_clear(&flags);
  return text;
}

static void check_flags(const Folder *folder) {
  GraftError error;
  check_text(
      "words as a shell splits them",
      flags_of(folder, " -DA='x y'  -DB=\"q\\\"\"\t-D\\ C '' ", NULL, &error),
      "-DA=x y|-DB=q\"|-D C|");
  check_text("what is for the linker, or names the output, is left out",
             flags_of(folder,
                      "-c -o x.o -ofoo -lm -l m -L /x -Wl,-s -flto=4 -shared "
                      "-MD -MF x.d -save-temps -g0 -gz -O1 -g3",
                      NULL, &error),
             "-O1|-g3");
  check_text("refused flags are named",
             (flags_of(folder, "-O2 -fsanitize=address", NULL, &error),
              strncmp(error.message, "CFLAGS: -fsanitize=address does not work",
                      40) == 0
                  ? "so it is"
                  : error.message),
             "so it is");
  folder_write(folder, "sub/include/x.h", "");
  folder_write(folder, "sub/compile_flags.txt",
               "-Iinclude\n\n  -I  \n../other\n# a comment\n-DTEXT=\"a b\"\n"
               "-I/usr/include\n-include\ninclude/x.h\n-include\nstdio.h\n");
  char expected[1024];
  snprintf(expected, sizeof expected,
           "-O2|-I%s/sub/include|-I|%s/sub/../other|-DTEXT=\"a b\"|"
           "-I/usr/include|-include|%s/sub/include/x.h|-include|stdio.h",
           folder->path, folder->path, folder->path);
  check_text("compile_flags.txt above the file, below the root",
             flags_of(folder, "-O2", folder->path, &error), expected);
  check_text("but not above the root",
             flags_of(folder, "-O2", folder_path(folder, "sub/deep"), &error),
             "-O2");
  check_text("nor without a root", flags_of(folder, "-O2", NULL, &error),
             "-O2");
  folder_write(folder, "sub/deep/compile_flags.txt", "-DNEAR\r\n");
  check_text("the nearest one alone",
             flags_of(folder, "-O2", folder->path, &error), "-O2|-DNEAR");
  folder_write(folder, "sub/deep/compile_flags.txt", "-DNEAR\n\n--coverage\n");
  flags_of(folder, "-O2", folder->path, &error);
  check_text("a refused flag in it is named with its place", error.file,
             folder_path(folder, "sub/deep/compile_flags.txt"));
  CHECK("and its line", error.status == GRAFT_EARG && error.line == 3);
  unlink(folder_path(folder, "sub/deep/compile_flags.txt"));
  mkdir(folder_path(folder, "sub/deep/compile_flags.txt"), 0700);
  flags_of(folder, "-O2", folder->path, &error);
  CHECK("one that cannot be read is told", error.status == GRAFT_EIO);
  rmdir(folder_path(folder, "sub/deep/compile_flags.txt"));

  folder_write(folder, "sub/include/value.h", "#define VALUE 1\n");
  const char *path =
      folder_write(folder, "sub/deep/a.c",
                   "#include \"value.h\"\nint a_b = VALUE + FROM;\n");
  folder_write(folder, "sub/compile_flags.txt", "-Iinclude\n-DFROM=2\n");
  CompilerDesc desc = {.cc = "gcc", .directory = "/"};
  Outcome outcome = compile_with(&desc, path, folder->path, NULL);
  check_report("they are followed, wherever the compiler runs",
               outcome.status == GRAFT_OK, outcome.error.message);
  compiler_output_clear(&outcome.output);
}

// --- No memory ---------------------------------------------------------------

static void check_memory(const Folder *folder) {
  const char *path =
      folder_write(folder, "fine.c", "#include <stddef.h>\nint x;\n");
  bool clean = true;
  long calls = 0;
  for (long n = 1; n < 400; n++) {
    CheckMemory memory;
    check_memory_init(&memory, n);
    Compiler *compiler = NULL;
    CompilerDesc desc = {.allocator = &memory.allocator, .cc = "true"};
    GraftError error = {0};
    GraftStatus status = compiler_new(&desc, &compiler, &error);
    if (status == GRAFT_OK) {
      Flags flags;
      flags_init(&flags, &memory.allocator);
      status = compiler_flags(compiler, path, NULL, &flags, &error);
      CompilerOutput output;
      CompilerRun run = {path, &flags, NULL};
      if (status == GRAFT_OK) {
        status = compiler_run(compiler, &run, &output, &error);
        compiler_output_clear(&output);
      }
      flags_clear(&flags);
    }
    compiler_free(compiler);
    clean = clean && memory.alive == 0 && status < 0;
    calls = memory.calls;
    if (memory.calls < n) break;
    clean = clean && (status == GRAFT_ENOMEM || status == GRAFT_ENOTFOUND ||
                      status == GRAFT_EARG);
  }
  CHECK("the n-th request for memory fails, for every n", clean && calls > 10);
}

int main(void) {
  Folder folder;
  folder_open(&folder);
  unsetenv("CC");
  unsetenv("CFLAGS");
  check_compiler(&folder, "gcc", COMPILER_GCC);
  check_compiler(&folder, "clang", COMPILER_CLANG);
  check_compiler(&folder, "tcc", COMPILER_TCC);
  check_variables(&folder, "gcc");
  check_variables(&folder, "clang");
  check_choice(&folder);
  check_tricks(&folder);
  check_older_gcc(&folder);
  check_hanging(&folder);
  check_surroundings(&folder);
  check_flags(&folder);
  check_memory(&folder);
  folder_close(&folder);
  return check_status();
}
