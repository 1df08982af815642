// SPDX-License-Identifier: MIT
//
// One run of the compiler: its arguments, its output, its end.

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "native/compiler_inner.h"

// --- Arguments ---------------------------------------------------------------

// Before the user's, so that theirs hold: -g3, -ggdb.
static const char *const first_flags[] = {"-g", NULL};

// One section for each function and variable; every call and access by name
// through a relocation, since any function may be replaced alone.
static const char *const common_flags[] = {"-fPIC",
                                           "-ffunction-sections",
                                           "-fdata-sections",
                                           "-fno-common",
                                           "-fno-lto",
                                           "-fsemantic-interposition",
                                           "-fvisibility=default",
                                           NULL};

// Functions do not rely on each other's code: neither on what registers a
// callee leaves alone nor on two being the same, nor on nobody else writing a
// static that the file only reads: an older version of it may have written it.
// String literals stand apart even at -O0. -pipe: no temporary files.
static const char *const gcc_flags[] = {"-fno-ipa-icf",
                                        "-fno-ipa-ra",
                                        "-fmerge-constants",
                                        "-fno-reorder-blocks-and-partition",
#if defined(__aarch64__)
                                        "-fno-section-anchors",
#endif
                                        "-pipe",
                                        NULL};
// What gcc knows from version 10 on, and what it knew before.
enum { GCC_NEWER = 10 };
static const char *const newer_gcc_flags[] = {"-fno-ipa-reference-addressable",
#if defined(__aarch64__)
                                              "-mno-outline-atomics",
#endif
                                              NULL};
static const char *const older_gcc_flags[] = {"-fno-ipa-reference", NULL};
static const char *const clang_flags[] = {
    "-fno-addrsig",
#if defined(__aarch64__)
    "-mno-global-merge",
    "-mno-outline-atomics",
#endif
    "-Wno-unused-command-line-argument",
    NULL,
};

// What the rule is for; tcc has a name of its own.
static const char *const target_flags[] = {"-MT", "graft", NULL};
static const char *const file_flags[] = {
    "-c", "-MD", "-MF", "/proc/self/fd/4", "-o", "/proc/self/fd/3", NULL};
static const char *const no_flags[] = {NULL};

static bool add_list(Flags *self, const char *const *list) {
  for (; *list != NULL; list++) {
    if (!flags_add(self, *list)) return false;
  }
  return true;
}

static bool add_words(Flags *self, const Flags *words) {
  for (size_t i = 0; i < words->words.count; i++) {
    if (!flags_add(self, words->words.items[i])) return false;
  }
  return true;
}

static const char *const *own_flags(const Compiler *self) {
  return self->kind == COMPILER_GCC     ? gcc_flags
         : self->kind == COMPILER_CLANG ? clang_flags
                                        : no_flags;
}

static const char *const *version_flags(const Compiler *self) {
  if (self->kind != COMPILER_GCC) return no_flags;
  return self->version >= GCC_NEWER ? newer_gcc_flags : older_gcc_flags;
}

static bool add_own(const Compiler *self, Flags *arguments) {
  bool known = self->kind == COMPILER_GCC || self->kind == COMPILER_CLANG;
  const char *colour = self->colours ? "-fdiagnostics-color=always"
                                     : "-fdiagnostics-color=never";
  return add_list(arguments, common_flags) &&
         add_list(arguments, own_flags(self)) &&
         add_list(arguments, version_flags(self)) &&
         (!known || (flags_add(arguments, colour) &&
                     add_list(arguments, target_flags))) &&
         add_list(arguments, file_flags);
}

// All but CC's. A path that starts with a hyphen is no flag.
static bool add_arguments(const Compiler *self, const CompilerRun *run,
                          const ProcessFile *source, Flags *arguments) {
  bool wrapped = source->descriptor >= 0;
  if (!add_list(arguments, first_flags) ||
      (wrapped && !compiler_add_folder(self, run, arguments)) ||
      !add_words(arguments, run->flags) || !add_own(self, arguments)) {
    return false;
  }
  if (wrapped) return compiler_add_wrapped(self, run, source, arguments);
  if (run->path[0] != '-') return flags_add(arguments, run->path);
  Buffer path;
  buffer_init(&path, self->allocator);
  buffer_format(&path, "./%s", run->path);
  bool added = !path.failed && flags_add(arguments, buffer_text(&path));
  buffer_clear(&path);
  return added;
}

// Another version of Graft may give other flags.
static uint64_t hash_list(uint64_t hash, const char *const *list) {
  for (; *list != NULL; list++) {
    hash = hash_bytes(hash, *list, strlen(*list));
  }
  return hash;
}

uint64_t compiler_key(const Compiler *self, const CompilerRun *run,
                      const char *text, size_t size) {
  uint64_t hash = hash_mix(self->identity, size);
  hash = hash_bytes(hash, text, size);
  hash = hash_bytes(hash, self->directory, strlen(self->directory));
  hash = hash_bytes(hash, run->path, strlen(run->path));
  hash = hash_mix(hash, self->colours);
  hash = hash_list(hash, common_flags);
  hash = hash_list(hash, own_flags(self));
  hash = hash_list(hash, version_flags(self));
  for (size_t i = 1; i < self->command.words.count; i++) {
    const char *word = self->command.words.items[i];
    hash = hash_bytes(hash_mix(hash, i), word, strlen(word));
  }
  for (size_t i = 0; i < run->flags->words.count; i++) {
    const char *word = run->flags->words.items[i];
    hash = hash_bytes(hash_mix(hash, i), word, strlen(word));
  }
  return hash;
}

// --- The run -----------------------------------------------------------------

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

// What a run that gave no object says.
static GraftStatus failure(const Compiler *self, const CompilerRun *run,
                           const ProcessResult *result, const char *text,
                           GraftError *error) {
  const char *command = base_name(compiler_command(self));
  GraftStatus status = GRAFT_EIO;
  switch (result->end) {
  case PROCESS_STOPPED:
    return error_set(error, GRAFT_ERUN, "%s was stopped", command);
  case PROCESS_OVERDUE:
    error_set(error, status, "%s was stopped after %d s", command,
              self->time_limit_ms / 1000);
    break;
  case PROCESS_SIGNALLED:
    error_set(error, status, "%s was killed: %s", command,
              strsignal(result->code));
    break;
  case PROCESS_EXITED:
  case PROCESS_UNKNOWN:
    if (result->code == 0 && result->end == PROCESS_EXITED) {
      error_set(error, status, "%s gave no object", command);
      break;
    }
    status = error_set(error, GRAFT_ESYNTAX, "%s failed with status %d",
                       command, result->code);
    if (text != NULL) compiler_read_error(text, error);
    if (error != NULL && error->file[0] != '\0') return status;
    break;
  }
  error_at(error, run->path, 0, 0);
  return status;
}

// The files that a run writes to.
typedef struct RunFiles {
  ProcessFile object;
  ProcessFile rule; // what make would read: the source and its headers
} RunFiles;

static GraftStatus open_files(RunFiles *self, GraftError *error) {
  *self = (RunFiles){{.descriptor = -1}, {.descriptor = -1}};
  GraftStatus status = process_file_open(&self->object, COMPILER_OBJECT, error);
  if (status < 0) return status;
  return process_file_open(&self->rule, COMPILER_RULE, error);
}

static GraftStatus read_files(const Compiler *self, const RunFiles *files,
                              CompilerOutput *output, GraftError *error) {
  char *rule = NULL;
  size_t size;
  GraftStatus status =
      process_file_read(&files->object, self->allocator, &output->object,
                        &output->object_size, error);
  if (status == GRAFT_OK) {
    status =
        process_file_read(&files->rule, self->allocator, &rule, &size, error);
  }
  if (status == GRAFT_OK && !compiler_read_rule(self, rule, output)) {
    status = error_memory(error);
  }
  memory_free(self->allocator, rule);
  return status;
}

// Somebody who waits for all children takes the exit status away; then an
// object is taken for a success.
static bool has_succeeded(const ProcessResult *result,
                          const CompilerOutput *output) {
  return output->object_size > 0 &&
         (result->end == PROCESS_UNKNOWN ||
          (result->end == PROCESS_EXITED && result->code == 0));
}

static void drop_object(CompilerOutput *output) {
  CompilerOutput kept = {.allocator = output->allocator,
                         .text = output->text,
                         .nanoseconds = output->nanoseconds};
  output->text = NULL;
  compiler_output_clear(output);
  *output = kept;
}

// What is run, and what it may read.
typedef struct RunCommand {
  char **arguments;
  const ProcessFile *source; // or NULL
} RunCommand;

static GraftStatus run_command(const Compiler *self, const CompilerRun *run,
                               const RunCommand *command,
                               CompilerOutput *output, GraftError *error) {
  RunFiles files;
  Buffer text;
  buffer_init(&text, self->allocator);
  GraftStatus status = open_files(&files, error);
  ProcessDesc desc = {.program = self->program,
                      .arguments = command->arguments,
                      .environment = self->environment.words.items,
                      .directory = self->directory,
                      .files = {&files.object, &files.rule, command->source},
                      .stop = run->stop,
                      .time_limit_ms = self->time_limit_ms};
  ProcessResult result = {0};
  if (status == GRAFT_OK) status = process_run(&desc, &text, &result, error);
  output->nanoseconds = result.total_ns;
  output->text = text.text; // the caller's now
  if (status == GRAFT_OK) status = read_files(self, &files, output, error);
  if (status == GRAFT_OK && !has_succeeded(&result, output)) {
    status = failure(self, run, &result, output->text, error);
  }
  if (status < 0) drop_object(output);
  process_file_close(&files.object);
  process_file_close(&files.rule);
  return status;
}

static GraftStatus run_once(const Compiler *self, const CompilerRun *run,
                            const ProcessFile *source, CompilerOutput *output,
                            GraftError *error) {
  *output = (CompilerOutput){.allocator = self->allocator};
  GraftStatus status;
  Flags arguments;
  flags_init(&arguments, self->allocator);
  bool added = self->command.words.count > 0
                   ? add_words(&arguments, &self->command)
                   : flags_add(&arguments, self->program);
  if (added && add_arguments(self, run, source, &arguments) &&
      ARRAY_PUSH(self->allocator, &arguments.words) != NULL) {
    RunCommand command = {arguments.words.items,
                          source->descriptor >= 0 ? source : NULL};
    status = run_command(self, run, &command, output, error);
  } else {
    status = error_memory(error);
  }
  flags_clear(&arguments);
  return status;
}

GraftStatus compiler_run(Compiler *self, const CompilerRun *run,
                         CompilerOutput *output, GraftError *error) {
  *output = (CompilerOutput){.allocator = self->allocator};
  GraftStatus status = compiler_probe(self, run->stop, error);
  if (status < 0) return status;
  ProcessFile source;
  status = compiler_wrap(self, run, &source, error);
  if (status == GRAFT_OK) status = run_once(self, run, &source, output, error);
  bool wrapped = source.descriptor >= 0;
  process_file_close(&source);
  if (status != GRAFT_ESYNTAX || !wrapped) return status;
  // Errors of the file as it is: an open comment hides the last pragma.
  compiler_output_clear(output);
  return run_once(self, run, &source, output, error);
}
