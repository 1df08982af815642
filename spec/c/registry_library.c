// SPDX-License-Identifier: MIT
//
// Libraries: R2 and C types, as read from the DWARF of fixture_natives.c in
// each way it was built. FIXTURES is the folder of the objects.

#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "native/library.h"
#include "registry/call.h"
#include "registry/slot.h"

typedef struct Expected {
  const char *name;
  const char *text; // the signature, or why not
} Expected;

static const Expected expected[] = {
    {"add", "double(double, int)"},
    {"step_all", "void(double)"},
    {"name", "const char *(const char *, bool)"},
    {"buffer", "char *(char *, char **)"},
    {"body", "Body *(Body *, Bird *, void *)"},
    {"mood", "int(int, int)"},
    {"sizes", "uint64_t(int8_t, uint8_t, int16_t, uint16_t, int, unsigned "
              "int, int64_t, uint64_t, int64_t, uint64_t, float, int)"},
    {"lua", "int(lua_State *)"},
    {"values", "double(double *, uint8_t *)"},
    {"make", "Body(void)"},
    {"take", "void(int, Bird)"},
    {"either", "parameter 1 is Either by value"},
    {"each", "int(int (*)(int))"},
    {"print", "it takes variable arguments"},
    {"long", "its result is long double"},
    {"scale", "Body(Body, double)"},
    {"mix", "Mixed(int, Mixed)"},
    {"tight", "parameter 1 is struct Tight by value"},
    {"flags", "int(int)"},
    {"twice", "int(int)"},
    {"four", "int(int)"},
};

enum { EXPECTED = sizeof expected / sizeof *expected };

static const LibraryEntry *find(const Library *library, const char *name) {
  for (size_t i = 0; i < library_count(library); i++) {
    const LibraryEntry *entry = library_entry(library, i);
    if (strcmp(entry->name, name) == 0) return entry;
  }
  return NULL;
}

static void check_entry(const Library *library, const char *object,
                        const Expected *wanted) {
  char name[200], check[300];
  snprintf(name, sizeof name, "fixture_natives.%s", wanted->name);
  snprintf(check, sizeof check, "%s: %s", object, wanted->name);
  const LibraryEntry *entry = find(library, name);
  if (entry == NULL) {
    check_report(check, false, "not listed");
    return;
  }
  check_text(check,
             entry->signature != NULL ? entry->signature->text : entry->why_not,
             wanted->text);
  const char *file = strrchr(entry->file, '/');
  bool placed = entry->file[0] == '/' && file != NULL &&
                strcmp(file, "/fixture_natives.c") == 0 && entry->line > 20;
  snprintf(name, sizeof name, "fixture_natives_%s", wanted->name);
  check_report(check, placed && strcmp(entry->symbol, name) == 0,
               "wrong place or symbol");
}

// --- Calls with values -------------------------------------------------------

typedef struct Mixed {
  float real;
  int numbers[3];
  char letter;
  int bird;
} Mixed;

static GraftFn *add_slot(Registry *registry, const Library *library,
                         const char *name) {
  const LibraryEntry *entry = find(library, name);
  GraftFn *fn = registry_add(registry, name);
  slot_set(fn,
           &(BackingDesc){.layer = LAYER_NATIVE,
                          .code = entry->code,
                          .signature = entry->signature},
           NULL);
  return fn;
}

static GraftValue struct_value(void *address, const char *type) {
  GraftValue value = {.type = GRAFT_POINTER};
  value.as.pointer.address = address;
  value.as.pointer.type = type;
  return value;
}

static void check_structs(Registry *registry, const Library *library) {
  GraftFn *fn = add_slot(registry, library, "fixture_natives.scale");
  double body[2] = {1.5, -2}, made[2] = {0};
  GraftValue args[2] = {struct_value(body, "Body *"), {.type = GRAFT_NUMBER}};
  args[1].as.number = 4;
  GraftValue result;
  GraftError error;
  GraftCall call = {.args = args,
                    .arg_count = 2,
                    .results = &result,
                    .result_capacity = 1,
                    .bytes = made,
                    .byte_count = sizeof made};
  CHECK("a struct by value in registers",
        graft_fn_call(fn, &call, &error) == GRAFT_OK && made[0] == 6 &&
            made[1] == -8 && result.as.pointer.address == made &&
            strcmp(result.as.pointer.type, "Body *") == 0);
  call.byte_count = 8;
  CHECK("no room", graft_fn_call(fn, &call, &error) == GRAFT_EARG);
  check_text("no room", error.message,
             "fixture_natives.scale returns a struct of 16 bytes, and "
             "GraftCall.bytes has room for 8");
  args[0] = struct_value(body, "Bird *");
  CHECK("another struct", graft_fn_call(fn, &call, &error) == GRAFT_EARG);
  check_text("another struct", error.message,
             "bad argument #1 to 'fixture_natives.scale' (Body expected, got "
             "Bird *)");
  args[0] = (GraftValue){.type = GRAFT_NIL};
  CHECK("no struct", graft_fn_call(fn, &call, &error) == GRAFT_EARG);
  fn = add_slot(registry, library, "fixture_natives.mix");
  Mixed mixed = {1.5f, {1, 2, 3}, 'a', 10}, mixed_result;
  args[0] = (GraftValue){.type = GRAFT_INTEGER, .as.integer = 5};
  args[1] = struct_value(&mixed, "Mixed *");
  call.bytes = &mixed_result;
  call.byte_count = sizeof mixed_result;
  CHECK("a struct by value in memory",
        graft_fn_call(fn, &call, &error) == GRAFT_OK &&
            mixed_result.real == 6.5f && mixed_result.numbers[0] == 1 &&
            mixed_result.numbers[2] == 8 && mixed_result.letter == 'b' &&
            mixed_result.bird == 5 && mixed.bird == 10);
}

static void check_enums(Registry *registry, const Library *library) {
  GraftFn *fn = add_slot(registry, library, "fixture_natives.mood");
  GraftValue args[2] = {{.type = GRAFT_INTEGER, .as.integer = 1},
                        {.type = GRAFT_INTEGER, .as.integer = 0}};
  GraftValue result;
  GraftError error;
  GraftCall call = {
      .args = args, .arg_count = 2, .results = &result, .result_capacity = 1};
  CHECK("an enumerator",
        graft_fn_call(fn, &call, &error) == GRAFT_OK && result.as.integer == 1);
  args[0].as.integer = 2;
  CHECK("beyond the enumerators",
        graft_fn_call(fn, &call, &error) == GRAFT_EARG);
  check_text("beyond the enumerators", error.message,
             "bad argument #1 to 'fixture_natives.mood' (Mood expected, got 2, "
             "which is out of range)");
  fn = add_slot(registry, library, "fixture_natives.flags");
  call.arg_count = 1;
  args[0].as.integer = 7;
  CHECK("flags are joined",
        graft_fn_call(fn, &call, &error) == GRAFT_OK && result.as.integer == 7);
  args[0].as.integer = 8;
  CHECK("beyond the flags", graft_fn_call(fn, &call, &error) == GRAFT_EARG);
}

static int tripled(int value) {
  return 3 * value;
}

static void check_calls(const Library *library) {
  Registry *registry = registry_new(&(RegistryDesc){0});
  check_structs(registry, library);
  check_enums(registry, library);
  GraftFn *fn = add_slot(registry, library, "fixture_natives.each");
  GraftValue argument =
      struct_value((void *)(uintptr_t)tripled, "int (*)(int)");
  GraftValue result;
  GraftError error;
  GraftCall call = {.args = &argument,
                    .arg_count = 1,
                    .results = &result,
                    .result_capacity = 1};
  CHECK("a function pointer",
        graft_fn_call(fn, &call, &error) == GRAFT_OK && result.as.integer == 3);
  argument.as.pointer.type = "int (*)(float)";
  CHECK("another function pointer",
        graft_fn_call(fn, &call, &error) == GRAFT_EARG);
  check_text("another function pointer", error.message,
             "bad argument #1 to 'fixture_natives.each' (int (*)(int) "
             "expected, got int (*)(float))");
  registry_free(registry);
}

static void check_object(const char *path) {
  const char *object = strrchr(path, '/') + 1;
  Library *library;
  GraftError error;
  if (library_open(&memory_default, path, &library, &error) < 0) {
    check_report(object, false, error.message);
    return;
  }
  check_text(object, library_path(library), path);
  CHECK(object, library_count(library) == EXPECTED);
  for (int i = 0; i < EXPECTED; i++) {
    check_entry(library, object, &expected[i]);
  }
  const LibraryEntry *add = find(library, "fixture_natives.add");
  CallWord words[2] = {{.number = 2.5}, {.integer = 4}};
  CallWord result;
  call_native(add->signature, add->code, words, &result);
  CHECK("a native from a library can be called", result.number == 6.5);
  check_calls(library);
  bool rising = true;
  for (size_t i = 1; i < library_count(library); i++) {
    rising &=
        library_entry(library, i - 1)->line < library_entry(library, i)->line;
  }
  CHECK("natives are in the order of the source", rising);
  library_close(library);
}

static void check_error(const char *path, GraftStatus status,
                        const char *message) {
  Library *library = (Library *)&status;
  GraftError error = {.message = ""};
  GraftStatus given = library_open(&memory_default, path, &library, &error);
  CHECK(message, given == status && library == NULL && error.status == status);
  check_text(message, error.message, message);
}

static void errors(void) {
  check_error("no/such.so", GRAFT_EIO,
              "cannot open no/such.so: No such file or directory");
  char path[] = "/tmp/graft-spec-XXXXXX";
  int descriptor = mkstemp(path);
  char message[200];
  snprintf(message, sizeof message, "%s is not a shared object", path);
  check_error(path, GRAFT_EIO, message);
  CHECK("a text file is written", write(descriptor, "not elf\n", 8) == 8);
  check_error(path, GRAFT_EIO, message);
  CHECK("a broken file is written",
        pwrite(descriptor, "\177ELF\2\1\1", 7, 0) == 7);
  Library *library;
  GraftError error;
  CHECK("a broken object",
        library_open(&memory_default, path, &library, &error) < 0 &&
            strstr(error.message, path) != NULL);
  close(descriptor);
  unlink(path);
  Library *bare;
  CHECK("an object without -g",
        library_open(&memory_default, FIXTURES "/bare/bare.so", &bare,
                     &error) == GRAFT_ENOTFOUND);
  CHECK("says to compile with -g",
        strstr(error.message, "has no debug information") != NULL &&
            strstr(error.message, "compile with -g") != NULL);
}

static void folders(void) {
  LibraryPaths paths;
  GraftError error;
  CHECK("a folder",
        library_find(&memory_default, FIXTURES, &paths, &error) == 0 &&
            paths.count >= 3);
  bool sorted = true;
  for (size_t i = 0; i < paths.count; i++) {
    check_object(paths.items[i]);
    if (i > 0) sorted &= strcmp(paths.items[i - 1], paths.items[i]) < 0;
  }
  CHECK("a folder's objects are in order", sorted);
  char first[400];
  snprintf(first, sizeof first, "%s", paths.items[0]);
  library_paths_clear(&memory_default, &paths);
  CHECK("one object",
        library_find(&memory_default, first, &paths, &error) == 0 &&
            paths.count == 1);
  check_text("one object", paths.items[0], first);
  library_paths_clear(&memory_default, &paths);
  CHECK("no such folder",
        library_find(&memory_default, "no/such", &paths, &error) == GRAFT_EIO &&
            paths.count == 0);
  check_text("no such folder", error.message,
             "cannot open no/such: No such file or directory");
}

static void out_of_memory(void) {
  LibraryPaths paths;
  library_find(&memory_default, FIXTURES, &paths, NULL);
  bool clean = true;
  for (long at = 1, done = 0; !done; at++) {
    CheckMemory memory;
    check_memory_init(&memory, at);
    LibraryPaths found;
    Library *library = NULL;
    GraftStatus status =
        library_find(&memory.allocator, FIXTURES, &found, NULL);
    if (status == GRAFT_OK) {
      status = library_open(&memory.allocator, found.items[0], &library, NULL);
    }
    done = status == GRAFT_OK;
    clean = clean && (done || status == GRAFT_ENOMEM || status == GRAFT_EIO);
    library_close(library);
    library_paths_clear(&memory.allocator, &found);
    clean = clean && memory.alive == 0;
  }
  library_paths_clear(&memory_default, &paths);
  CHECK("library out of memory leaks nothing", clean);
}

int main(void) {
  folders();
  errors();
  out_of_memory();
  return check_status();
}
