// SPDX-License-Identifier: MIT
//
// Placing objects: fixture_link.c and fixture_other.c, by each compiler and at
// each level, and a later version of the former. FIXTURES is the folder of the
// objects; the arguments, if any, are the names to try.

#include <dirent.h>
#include <execinfo.h>
#include <pthread.h>
#include <unistd.h>

#include "native_support.h"

// Expected values follow from fixture_link.c by the rules of C.

typedef int (*IntFunction)(int value);
typedef int (*PlainFunction)(void);
typedef const char *(*TextFunction)(int value);
typedef double (*DoubleFunction)(double value);
typedef void *(*AddressFunction)(int which);
typedef IntFunction (*PointerFunction)(void);

static const char *object_name;

static void check(const char *what, bool passed) {
  char name[200];
  snprintf(name, sizeof name, "%s: %s", object_name, what);
  check_report(name, passed, "not as the rule says");
}

static void check_int(const char *what, long got, long expected) {
  char name[200], why[80];
  snprintf(name, sizeof name, "%s: %s", object_name, what);
  snprintf(why, sizeof why, "got %ld, expected %ld", got, expected);
  check_report(name, got == expected, why);
}

static int call(World *world, const char *symbol, int value) {
  IntFunction function = (IntFunction)(uintptr_t)world_function(world, symbol);
  if (function == NULL) {
    check(symbol, false);
    return 0;
  }
  return function(value);
}

static double call_double(World *world, const char *symbol, double value) {
  return ((DoubleFunction)(uintptr_t)world_function(world, symbol))(value);
}

static const char *call_text(World *world, const char *symbol, int value) {
  return ((TextFunction)(uintptr_t)world_function(world, symbol))(value);
}

static bool is_tcc(void) {
  return strncmp(object_name, "tcc", 3) == 0;
}

// --- What the first version does ---------------------------------------------

static void check_variables(World *world) {
  check_int("a static counts", call(world, "fixture_count", 0), 41);
  check_int("a static counts on", call(world, "fixture_count", 0), 42);
  check_int("a function's static", call(world, "fixture_inner", 0), 101);
  check_int("globals of two files", call(world, "fixture_set", 5), 1005);
  double (*body)(int) =
      (double (*)(int))(uintptr_t)world_function(world, "fixture_body");
  check("structs and pointers to them", body(2) == 6.0 + 4.5);
  AddressFunction address =
      (AddressFunction)(uintptr_t)world_function(world, "fixture_address");
  check("a static is in its storage",
        address(0) == map_find(&world->storage, "calls"));
  check("a global is in its storage",
        address(1) == map_find(&world->storage, "fixture_global"));
  check("another file's is in its storage",
        address(6) == map_find(&world->storage, "fixture_shared"));
  char *bodies = map_find(&world->storage, "bodies");
  check("a member of an element", address(3) == bodies + 2 * 24 + 8);
}

// Another version may have written it. clang is called without the pragmas of
// compiler_source.c here, and may make it a constant.
static void check_unwritten(World *world) {
  int *unwritten = map_find(&world->storage, "unwritten");
  if (strncmp(object_name, "clang", 5) == 0 && unwritten == NULL) return;
  check_int("a static's first value", call(world, "fixture_unwritten", 0), 3);
  if (unwritten != NULL) *unwritten = 9;
  check_int("a static that is only read", call(world, "fixture_unwritten", 0),
            9);
}

static void check_constants(World *world) {
  check("a table of literals",
        strcmp(call_text(world, "fixture_name", 2), "gamma") == 0);
  check("a switch of literals",
        strcmp(call_text(world, "fixture_word", 3), "three") == 0 &&
            strcmp(call_text(world, "fixture_word", 9), "many") == 0);
  check_int("a wide string", call(world, "fixture_wide", 6), 0x4e00);
  check_int("a table of constants", call(world, "fixture_prime", 5), 13);
  check("constants of numbers", call_double(world, "fixture_number", 2) == 8.0);
  check("__func__", strcmp(call_text(world, "fixture_function", 0),
                           "fixture_function") == 0);
  check_int("an array's values", call(world, "fixture_compound", 4), 35);
}

static void check_calls(World *world) {
  check_int("a static as an argument", call(world, "fixture_sort", 0), 123);
  check_int("a static called", call(world, "fixture_helped", 10), 44);
  check_int("a global called", call(world, "fixture_caller", 1), 20);
  check_int("to another file and back", call(world, "fixture_across", 1), 1003);
  check_int("the host's function", call(world, "fixture_outside", 1), 502);
  if (!is_tcc()) { // it knows no weak symbols
    check_int("a weak symbol that nobody has", call(world, "fixture_weak", 0),
              0);
  }
  check("libm", call_double(world, "fixture_math", 3.5) == 13.0);
  check_int("a recursion", call(world, "fixture_depth", 500), 500);
  const char *(*print)(int, double) = (const char *(*)(int, double))(
      uintptr_t)world_function(world, "fixture_print");
  check("libc, with variable arguments",
        strcmp(print(7, 2.5), "7 and 2.50") == 0);
  PointerFunction pointer =
      (PointerFunction)(uintptr_t)world_function(world, "fixture_pointer");
  check("a function's address is its entry",
        (void *)(uintptr_t)pointer() ==
            world_function(world, "fixture_callee"));
  PointerFunction order =
      (PointerFunction)(uintptr_t)world_function(world, "fixture_order");
  check("a static's address is its entry",
        (void *)(uintptr_t)order() == world_function(world, "compare"));
}

static void check_control(World *world) {
  static const int expected[] = {7, 11, 1002, 13, 14, 15, 16, -1};
  for (int i = 0; i < 8; i++) {
    check_int("a switch", call(world, "fixture_switch", i), expected[i]);
  }
  check_int("computed goto", call(world, "fixture_goto", 0), 1);
  check_int("computed goto", call(world, "fixture_goto", 2), 3);
  check_int("a cold function", call(world, "fixture_cold", 2000000), -1999990);
  check_int("which wrote", call(world, "fixture_count", 0), 1);
}

// --- Thread-locals -----------------------------------------------------------

static void *other_thread(void *argument) {
  World *world = argument;
  return (void *)(intptr_t)call(world, "fixture_local", 1);
}

static void check_locals(World *world) {
  if (is_tcc()) return; // it has none
  check_int("thread-locals", call(world, "fixture_local", 3), 20);
  check_int("thread-locals keep", call(world, "fixture_local", 0), 30);
  pthread_t thread;
  void *result = NULL;
  pthread_create(&thread, NULL, other_thread, world);
  pthread_join(thread, &result);
  check_int("another thread has its own", (intptr_t)result, 16);
  AddressFunction address =
      (AddressFunction)(uintptr_t)world_function(world, "fixture_address");
  check("their addresses differ", address(4) != address(5));
}

// --- A later version ---------------------------------------------------------

static uint64_t hash_of(const Loaded *loaded, const char *symbol) {
  int index = object_find_function(loaded->object, symbol);
  return index >= 0 ? object_function(loaded->object, (size_t)index)->hash : 0;
}

static void check_hashes(const Loaded *first, const Loaded *second) {
  static const char *const same[] = {
      "fixture_set",      "fixture_name",  "fixture_text",  "fixture_word",
      "fixture_number",   "fixture_order", "fixture_print", "fixture_depth",
      "fixture_goto",     "fixture_cold",  "fixture_sort",  "fixture_local",
      "fixture_compound", "fixture_across"};
  static const char *const changed[] = {"fixture_count", "fixture_inner",
                                        "fixture_callee", "compare"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    check(same[i], hash_of(first, same[i]) != 0 &&
                       hash_of(first, same[i]) == hash_of(second, same[i]));
  }
  for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
    check(changed[i],
          hash_of(first, changed[i]) != hash_of(second, changed[i]));
  }
}

// A version in which everything stands elsewhere.
static void check_shifted(const Loaded *first, const Loaded *shifted) {
  for (size_t i = 0; i < object_function_count(first->object); i++) {
    const ObjectFunction *function = object_function(first->object, i);
    if (function->part || strcmp(function->name, "fixture_line") == 0) continue;
    char what[100];
    snprintf(what, sizeof what, "%s stands elsewhere", function->name);
    check(what, function->hash == hash_of(shifted, function->symbol));
  }
}

// What the first version handed out is used again after the switch.
typedef struct Kept {
  PlainFunction count;
  IntFunction pointer;
  const char *text, *word;
} Kept;

static Kept keep(World *world) {
  Kept kept = {
      .count = (PlainFunction)(uintptr_t)world_function(world, "fixture_count"),
      .text = call_text(world, "fixture_text", 0),
      .word = call_text(world, "fixture_word", 4),
  };
  kept.pointer =
      ((PointerFunction)(uintptr_t)world_function(world, "fixture_pointer"))();
  return kept;
}

static void check_second(World *world, const Kept *kept) {
  check_int("state stays", kept->count(), 1001);
  check_int("a function's static stays", call(world, "fixture_inner", 0), 1101);
  check_int("a kept pointer reaches the new code", kept->pointer(1), 1001);
  check_int("a caller too", call(world, "fixture_caller", 1), 10010);
  check_int("another file too", call(world, "fixture_other", 1), 2001);
  check_int("a static's entry too", call(world, "fixture_sort", 0), 321);
  check("literals stay where they are",
        call_text(world, "fixture_text", 0) == kept->text &&
            strcmp(kept->text, "a text to keep") == 0 &&
            strcmp(kept->word, "four") == 0);
  check_int("a switch of the new code", call(world, "fixture_switch", 0), 7);
  check_int("its computed goto", call(world, "fixture_goto", 1), 2);
}

// --- Looking at places -------------------------------------------------------

static int innermost(int value) {
  void *frames[32];
  int count = backtrace(frames, 32);
  return count > 3 ? value + 1 : -1000; // this, fixture_through, run, main
}

static void check_places(World *world, const Loaded *loaded) {
  int (*through)(IntFunction, int) = (int (*)(IntFunction, int))(
      uintptr_t)world_function(world, "fixture_through");
  if (!is_tcc()) { // it writes no unwind tables
    check_int("a backtrace passes through", through(innermost, 1), 3);
  }
  int index = object_find_function(loaded->object, "fixture_callee");
  char *code = link_function(loaded->link, (size_t)index);
  LinkPlace place;
  check("an address in a function",
        link_find(loaded->link, code + 2, &place) && place.function != NULL &&
            strcmp(place.function->name, "fixture_callee") == 0 &&
            place.offset == 2);
  if (loaded->lines != NULL) {
    check("its file",
          place.file != NULL && strstr(place.file, "/fixture_link.c") != NULL);
    int line = call(world, "fixture_line", 0);
    check("its line", place.line >= line && place.line <= line + 2);
  }
  check("an address elsewhere", !link_find(loaded->link, &place, &place));
}

static void check_constructors(World *world, const Loaded *loaded) {
  if (is_tcc()) return;
  check_int("no constructor runs by itself",
            call(world, "fixture_constructed", 0), 0);
  link_construct(loaded->link);
  check_int("constructors", call(world, "fixture_constructed", 0), 5);
  link_destruct(loaded->link);
  check_int("destructors", call(world, "fixture_constructed", 0), 105);
}

static void check_redirect(World *world, const Loaded *loaded,
                           const Loaded *other) {
  int *moved = region_take(world->region, sizeof *moved);
  *moved = 77;
  void *old = map_find(&world->storage, "fixture_shared");
  link_redirect(loaded->link, old, sizeof *moved, moved);
  link_redirect(other->link, old, sizeof *moved, moved);
  check_int("a moved variable", call(world, "fixture_set", 3), 80);
  region_give(world->region, moved, sizeof *moved);
}

// --- One compiler ------------------------------------------------------------

static bool load(World *world, const char *file, Loaded *loaded) {
  char path[600];
  GraftError error = {0};
  snprintf(path, sizeof path, "%s/%s/%s", FIXTURES, object_name, file);
  if (world_load(world, path, loaded, &error) == GRAFT_OK) return true;
  check_report(path, false, error.message);
  return false;
}

static void run(World *world) {
  Loaded other = {0}, first = {0}, second = {0}, shifted = {0};
  if (load(world, "other.o", &other)) world_switch(world, &other, true);
  if (other.link != NULL && load(world, "first.o", &first)) {
    world_switch(world, &first, true);
    check_variables(world);
    check_unwritten(world);
    check_constants(world);
    check_calls(world);
    check_control(world);
    check_locals(world);
    check_places(world, &first);
    check_constructors(world, &first);
    Kept kept = keep(world);
    if (!is_tcc() && load(world, "shifted.o", &shifted)) {
      check_shifted(&first, &shifted);
      loaded_clear(&shifted);
    }
    if (load(world, "second.o", &second)) {
      if (!is_tcc()) check_hashes(&first, &second);
      world_switch(world, &second, false);
      loaded_clear(&first);
      check_second(world, &kept);
      check_redirect(world, &second, &other);
    }
  }
  loaded_clear(&first);
  loaded_clear(&second);
  loaded_clear(&other);
}

static void run_compiler(const char *name) {
  object_name = name;
  CheckMemory memory;
  check_memory_init(&memory, 0);
  World world;
  if (!world_open(&world, &memory.allocator)) {
    check("a region", false);
    return;
  }
  run(&world);
  world_close(&world);
  check_int("all memory is given back", memory.alive, 0);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 1; i < argc; i++) run_compiler(argv[i]);
  if (argc > 1) return check_status();
  DIR *folder = opendir(FIXTURES);
  if (folder == NULL) return 1;
  int count = 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (strchr(entry->d_name, '-') == NULL) continue;
    run_compiler(entry->d_name);
    count++;
  }
  closedir(folder);
  object_name = "fixtures";
  check("there are some", count >= 3);
  return check_status();
}
