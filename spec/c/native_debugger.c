// SPDX-License-Identifier: MIT
//
// gdb and natives: breakpoints on a function and on a line, in the newest
// version; frames, arguments and variables there; a program that is attached
// to. Without arguments it runs gdb on itself, `child` is what gdb looks at.
// FIXTURES is the folder of native_link.c's objects, SOURCE their source.

#include <unistd.h>

#include "native_support.h"

// --- What gdb looks at -------------------------------------------------------

static bool load(World *world, const char *folder, const char *file,
                 Loaded *loaded) {
  char path[600];
  GraftError error = {0};
  snprintf(path, sizeof path, "%s/%s/%s", FIXTURES, folder, file);
  if (world_load(world, path, loaded, &error) == GRAFT_OK) return true;
  fprintf(stderr, "%s\n", error.message);
  return false;
}

static int call(World *world, const char *symbol, int value) {
  return ((int (*)(int))(uintptr_t)world_function(world, symbol))(value);
}

static int child(const char *folder) {
  World world;
  Loaded other, first, second;
  if (!world_open(&world, &memory_default) ||
      !load(&world, folder, "other.o", &other)) {
    return 1;
  }
  world_switch(&world, &other, true);
  if (!load(&world, folder, "first.o", &first)) return 1;
  world_switch(&world, &first, true);
  int results = call(&world, "fixture_across", 1);
  if (!load(&world, folder, "second.o", &second)) return 1;
  world_switch(&world, &second, false);
  link_show_debugger(first.link, false);
  results += call(&world, "fixture_across", 2);
  loaded_clear(&first);
  results += call(&world, "fixture_across", 3);
  printf("results %d\n", results);
  loaded_clear(&second);
  loaded_clear(&other);
  world_close(&world);
  return 0;
}

// --- Running gdb -------------------------------------------------------------

static char output[1 << 16];

static bool run_gdb(const char *self, const char *folder,
                    const char *commands) {
  char line[2000];
  snprintf(line, sizeof line,
           "gdb --batch -nx -q -ex 'set breakpoint pending on' "
           "-ex 'set debuginfod enabled off' %s --args '%s' child %s 2>&1 "
           "</dev/null",
           commands, self, folder);
  FILE *pipe = popen(line, "r");
  if (pipe == NULL) return false;
  size_t size = fread(output, 1, sizeof output - 1, pipe);
  output[size] = '\0';
  return pclose(pipe) == 0;
}

static void check_output(const char *name, const char *wanted) {
  bool found = strstr(output, wanted) != NULL;
  char why[300];
  snprintf(why, sizeof why, "gdb did not print \"%s\"", wanted);
  check_report(name, found, why);
  if (!found) fprintf(stderr, "%s\n", output);
}

static int count_output(const char *wanted) {
  int count = 0;
  for (const char *at = output; (at = strstr(at, wanted)) != NULL; at++) {
    count++;
  }
  return count;
}

// The line of fixture_callee's `return`, in the source.
static int callee_line(void) {
  FILE *file = fopen(SOURCE, "r");
  char text[400];
  int line = 0, found = 0;
  while (file != NULL && fgets(text, sizeof text, file) != NULL) {
    line++;
    if (strncmp(text, "int fixture_callee(", 19) == 0) found = line + 1;
  }
  if (file != NULL) fclose(file);
  return found;
}

static void try_function(const char *self, const char *folder) {
  run_gdb(self, folder,
          "-ex 'break fixture_callee' -ex run -ex 'bt 3' -ex continue "
          "-ex 'bt 3' -ex 'print calls' -ex continue -ex 'bt 3' "
          "-ex continue");
  char frame[100];
  snprintf(frame, sizeof frame, "fixture_link.c:%d", callee_line());
  check_output("a breakpoint on a function", "Breakpoint 1, fixture_callee");
  check_output("its line", frame);
  check_output("its argument", "value=1");
  check_output("the newest version's", "value=2");
  check_output("when the old one is gone", "value=3");
  check_output("the caller, in another file", "in fixture_other (value=");
  check_output("and that one's", "in fixture_across (value=");
  check_output("a static variable", "= 40");
  check_output("the program ends well", "exited normally");
  CHECK("it stopped thrice", count_output(", fixture_callee (value=") == 3);
}

static void try_line(const char *self, const char *folder) {
  char commands[300];
  snprintf(commands, sizeof commands,
           "-ex 'break fixture_link.c:%d' -ex run -ex 'info symbol $pc' "
           "-ex continue -ex 'print value' -ex finish",
           callee_line());
  run_gdb(self, folder, commands);
  check_output("a breakpoint on a line", "Breakpoint 1, fixture_callee");
  check_output("the symbol there", "fixture_callee");
  check_output("a value", "= 2");
  check_output("up to the end of the function", "Value returned is $2 = 1002");
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc > 2 && strcmp(argv[1], "child") == 0) return child(argv[2]);
  // Leaks cannot be looked for in what a debugger runs.
  const char *options = getenv("ASAN_OPTIONS");
  char without_leaks[256];
  snprintf(without_leaks, sizeof without_leaks, "%s:detect_leaks=0",
           options != NULL ? options : "");
  setenv("ASAN_OPTIONS", without_leaks, 1);
  static const char *const folders[] = {"gcc-O0", "gcc-O2", "clang-O0"};
  if (system("gdb --version >/dev/null 2>&1") != 0) {
    check_report("gdb", false, "it is not installed: tools/setup test");
    return check_status();
  }
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    printf("ok (with %s)\n", folders[i]);
    try_function(argv[0], folders[i]);
    try_line(argv[0], folders[i]);
  }
  return check_status();
}
