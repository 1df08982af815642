// SPDX-License-Identifier: MIT
//
// Which compiler it is: found on the PATH, asked once for its macros and for
// the folders of the system's headers.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "native/compiler_inner.h"

static const char *const candidates[] = {"cc", "gcc", "clang"};

// What else has a say in which headers are found and what is compiled.
static const char *const variables[] = {"CPATH", "C_INCLUDE_PATH",
                                        "GCC_EXEC_PREFIX", "COMPILER_PATH",
                                        "SOURCE_DATE_EPOCH"};

// --- Finding -----------------------------------------------------------------

static bool is_program(const char *path) {
  struct stat state;
  return stat(path, &state) == 0 && S_ISREG(state.st_mode) &&
         access(path, X_OK) == 0;
}

// Sets self->program to the program that a shell would run. False when there
// is none, or no memory; relative names count from the compiler's directory.
static bool find_program(Compiler *self, const char *name) {
  const char *path = compiler_variable(self, "PATH");
  if (path == NULL) path = "/usr/local/bin:/usr/bin:/bin";
  if (strchr(name, '/') != NULL) path = "";
  bool found = false;
  Buffer candidate;
  buffer_init(&candidate, self->allocator);
  for (bool more = true; more && !found;) {
    size_t size = strcspn(path, ":");
    candidate.size = 0;
    if (*name != '/' && (size == 0 || *path != '/')) {
      buffer_format(&candidate, "%s/", self->directory);
    }
    if (*name != '/' && size > 0) {
      buffer_add(&candidate, path, size);
      buffer_add_text(&candidate, "/");
    }
    buffer_add_text(&candidate, name);
    found = !candidate.failed && is_program(buffer_text(&candidate));
    more = path[size] == ':';
    path += size + 1;
  }
  if (found) {
    memory_free(self->allocator, self->program);
    self->program = memory_copy_string(self->allocator, buffer_text(&candidate),
                                       candidate.size);
    found = self->program != NULL;
  }
  buffer_clear(&candidate);
  return found;
}

static GraftStatus find(Compiler *self, GraftError *error) {
  if (self->command.words.count > 0) {
    const char *name = self->command.words.items[0];
    if (find_program(self, name)) return GRAFT_OK;
    return error_set(error, GRAFT_ENOTFOUND,
                     "CC is %s, and there is no such program: .c files are "
                     "not compiled, prebuilt natives run",
                     name);
  }
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
    if (find_program(self, candidates[i])) return GRAFT_OK;
  }
  return error_set(error, GRAFT_ENOTFOUND,
                   "no C compiler (cc, gcc or clang): .c files are not "
                   "compiled, prebuilt natives run; install one, or name one "
                   "in CC");
}

// --- Asking ------------------------------------------------------------------

// What "#define __GNUC__ 12" in `text` gives; NULL: there is none.
static const char *find_macro(const char *text, const char *macro) {
  size_t size = strlen(macro);
  static const char define[] = "#define ";
  for (; (text = strstr(text, define)) != NULL; text++) {
    const char *name = text + sizeof define - 1;
    if (strncmp(name, macro, size) == 0 && name[size] == ' ') {
      return name + size + 1;
    }
  }
  return NULL;
}

static bool defines(const char *text, const char *macro) {
  return find_macro(text, macro) != NULL;
}

static int version_of(const char *macros, CompilerKind kind) {
  bool is_clang = kind == COMPILER_CLANG;
  const char *value =
      find_macro(macros, is_clang ? "__clang_major__" : "__GNUC__");
  return value != NULL ? (int)strtol(value, NULL, 10) : 0;
}

static CompilerKind kind_of(const char *macros) {
  if (defines(macros, "__clang__")) return COMPILER_CLANG;
  if (defines(macros, "__TINYC__")) return COMPILER_TCC;
  if (defines(macros, "__INTEL_COMPILER")) return COMPILER_OTHER;
  return defines(macros, "__GNUC__") ? COMPILER_GCC : COMPILER_OTHER;
}

static bool is_for_this_processor(const char *macros) {
#if defined(__x86_64__)
  return defines(macros, "__x86_64__") && !defines(macros, "__ILP32__");
#elif defined(__aarch64__)
  return defines(macros, "__aarch64__") && !defines(macros, "__ILP32__");
#else
  (void)macros;
  return true;
#endif
}

// The same compiler says the same, whatever it is called; of what it says only
// the macros are sure to be the same the next time.
static uint64_t identity_of(const Compiler *self, const char *text) {
  uint64_t hash = hash_bytes(HASH_EMPTY, self->program, strlen(self->program));
  struct stat state;
  if (stat(self->program, &state) == 0) {
    hash = hash_mix(hash, (uint64_t)state.st_size);
    hash = hash_mix(hash, (uint64_t)state.st_mtim.tv_sec);
    hash = hash_mix(hash, (uint64_t)state.st_mtim.tv_nsec);
  }
  for (const char *line = text; *line != '\0';) {
    size_t size = strcspn(line, "\n");
    if (*line == '#') hash = hash_bytes(hash, line, size);
    line += size + (line[size] == '\n');
  }
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    const char *value = compiler_variable(self, variables[i]);
    if (value != NULL) hash = hash_bytes(hash + i, value, strlen(value));
  }
  return hash;
}

// Adds a folder, in the form that the list of headers has it: as the compiler
// names it. False when out of memory.
static bool add_folder(Compiler *self, const char *path, size_t size) {
  Buffer folder;
  buffer_init(&folder, self->allocator);
  buffer_add(&folder, path, size);
  buffer_add_text(&folder, "/");
  bool added = !folder.failed && flags_add(&self->system, buffer_text(&folder));
  buffer_clear(&folder);
  return added;
}

// What gcc's and clang's -v list; of compilers that list nothing, the usual.
static bool read_folders(Compiler *self, const char *text) {
  static const char start[] = "#include <...> search starts here:\n";
  const char *line = strstr(text, start);
  if (line == NULL) {
    return add_folder(self, "/usr/include", 12) &&
           add_folder(self, "/usr/local/include", 18) &&
           add_folder(self, "/usr/lib", 8);
  }
  for (line += sizeof start - 1; *line == ' ';) {
    size_t size = strcspn(line, "\n");
    if (!add_folder(self, line + 1, size - 1)) return false;
    line += size + (line[size] == '\n');
  }
  return true;
}

static bool add_question(const Compiler *self, Flags *arguments) {
  static const char *const question[] = {"-v", "-dM", "-E",
                                         "-x", "c",   "/dev/null"};
  const Flags *command = &self->command;
  bool added = command->words.count > 0 || flags_add(arguments, self->program);
  for (size_t i = 0; i < command->words.count && added; i++) {
    added = flags_add(arguments, command->words.items[i]);
  }
  for (size_t i = 0; i < sizeof question / sizeof *question && added; i++) {
    added = flags_add(arguments, question[i]);
  }
  return added && ARRAY_PUSH(self->allocator, &arguments->words) != NULL;
}

static GraftStatus judge(const Compiler *self, const ProcessResult *result,
                         const char *text, GraftError *error) {
  const char *command = compiler_command(self);
  char line[256];
  compiler_first_line(text, line, sizeof line);
  switch (result->end) {
  case PROCESS_UNKNOWN:
    return GRAFT_OK;
  case PROCESS_OVERDUE:
  case PROCESS_STOPPED:
    return error_set(error, GRAFT_EARG, "%s does not answer", command);
  case PROCESS_SIGNALLED:
    return error_set(error, GRAFT_EARG,
                     "%s does not work as a C compiler: it was killed: %s",
                     command, strsignal(result->code));
  case PROCESS_EXITED:
    break;
  }
  if (result->code == 0) return GRAFT_OK;
  return error_set(error, GRAFT_EARG,
                   "%s does not work as a C compiler, it fails with status "
                   "%d%s%s",
                   command, result->code, *line != '\0' ? ": " : "", line);
}

static GraftStatus ask(const Compiler *self, const ProcessStop *stop,
                       Buffer *text, GraftError *error) {
  Flags arguments;
  flags_init(&arguments, self->allocator);
  if (!add_question(self, &arguments)) {
    flags_clear(&arguments);
    return error_memory(error);
  }
  ProcessDesc desc = {.program = self->program,
                      .arguments = arguments.words.items,
                      .environment = self->environment.words.items,
                      .directory = self->directory,
                      .stop = stop,
                      .time_limit_ms = self->time_limit_ms};
  ProcessResult result;
  GraftStatus status = process_run(&desc, text, &result, error);
  flags_clear(&arguments);
  return status < 0 ? status : judge(self, &result, buffer_text(text), error);
}

static GraftStatus learn(Compiler *self, const char *text, GraftError *error) {
  if (!is_for_this_processor(text)) {
    return error_set(error, GRAFT_EARG,
                     "%s does not compile for the processor that this program "
                     "runs on",
                     compiler_command(self));
  }
  flags_clear(&self->system);
  if (!read_folders(self, text)) return error_memory(error);
  self->kind = kind_of(text);
  self->version = version_of(text, self->kind);
  self->identity = identity_of(self, text);
  self->known = true;
  return GRAFT_OK;
}

GraftStatus compiler_probe(Compiler *self, const ProcessStop *stop,
                           GraftError *error) {
  pthread_mutex_lock(&self->lock);
  GraftStatus status = GRAFT_OK;
  if (!self->known) {
    Buffer text;
    buffer_init(&text, self->allocator);
    status = find(self, error);
    if (status == GRAFT_OK) status = ask(self, stop, &text, error);
    if (status == GRAFT_OK) status = learn(self, buffer_text(&text), error);
    buffer_clear(&text);
  }
  pthread_mutex_unlock(&self->lock);
  return status;
}
