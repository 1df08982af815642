// SPDX-License-Identifier: MIT

#include "native/tier.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"

#ifndef GRAFT_HAVE_TCC

bool tier_available(void) {
  return false;
}

GraftStatus tier_compile(const TierDesc *desc, char **object, size_t *size,
                         GraftError *error) {
  (void)desc;
  *object = NULL;
  *size = 0;
  return error_set(error, GRAFT_ENOTFOUND, "this build has no libtcc");
}

#else

#include <pthread.h>

// The build gives libtcc's names a prefix of ours, and hides all others, which
// are as common as `load` and `next`.
#define tcc_new graft_tcc_new
#define tcc_delete graft_tcc_delete
#define tcc_set_error_func graft_tcc_set_error_func
#define tcc_set_options graft_tcc_set_options
#define tcc_add_include_path graft_tcc_add_include_path
#define tcc_add_sysinclude_path graft_tcc_add_sysinclude_path
#define tcc_define_symbol graft_tcc_define_symbol
#define tcc_undefine_symbol graft_tcc_undefine_symbol
#define tcc_set_output_type graft_tcc_set_output_type
#define tcc_compile_string graft_tcc_compile_string
#define tcc_output_file graft_tcc_output_file
#include <libtcc.h>

#include "native/process.h"
#include "native/source_token.h"

// After an error libtcc leaks a few bytes.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TIER_LEAKS
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define TIER_LEAKS
#endif
#ifdef TIER_LEAKS
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() ((void)0)
#define __lsan_enable() ((void)0)
#endif

// libtcc has global state, whatever engine it works for.
static pthread_mutex_t tcc_lock = PTHREAD_MUTEX_INITIALIZER;

// What it calls stdout, stderr and environ. They stay NULL: it uses them for
// messages that note_message gets, and to run programs.
FILE *graft_tcc_stdout, *graft_tcc_stderr;
char **graft_tcc_environ;

bool tier_available(void) {
  return true;
}

// --- One compilation ---------------------------------------------------------

typedef struct Run {
  const TierDesc *desc;
  TCCState *state;
  Buffer text;      // what is compiled
  Buffer word;      // for paths
  GraftError error; // the first thing that is wrong, GRAFT_OK for none
} Run;

// tcc tells of errors and warnings alike; either is reason to leave it.
static void note_message(void *context, const char *message) {
  Run *self = context;
  if (self->error.status < 0) return;
  error_set(&self->error, GRAFT_ENOTFOUND, "tcc: %s", message);
}

// `path`, absolute. Borrowed until the next one.
static const char *absolute(Run *self, const char *path, size_t size) {
  self->word.size = 0;
  if (*path != '/' || size == 0) {
    buffer_format(&self->word, "%s/", self->desc->directory);
  }
  buffer_add(&self->word, path, size);
  if (self->word.failed) error_memory(&self->error);
  return buffer_text(&self->word);
}

// "NAME" or "NAME=VALUE", behind -D.
static void define(Run *self, const char *text) {
  const char *equals = strchr(text, '=');
  self->word.size = 0;
  buffer_add(&self->word, text,
             equals != NULL ? (size_t)(equals - text) : strlen(text));
  if (self->word.failed) {
    error_memory(&self->error);
    return;
  }
  tcc_define_symbol(self->state, buffer_text(&self->word),
                    equals != NULL ? equals + 1 : "1");
}

static void include(Run *self, const char *path) {
  buffer_format(&self->text, "#include \"%s\"\n", path);
}

// The argument of `flag` at word `*index`: joined to it, or the next word.
// NULL when the word is another flag.
static const char *argument(Run *self, size_t *index, const char *flag) {
  const char *word = self->desc->flags->words.items[*index];
  assert(word != NULL);
  size_t size = strlen(flag);
  if (strncmp(word, flag, size) != 0) return NULL;
  if (word[size] != '\0') return word + size;
  if (*index + 1 >= self->desc->flags->words.count) return NULL;
  return self->desc->flags->words.items[++*index];
}

static void follow_flag(Run *self, size_t *index) {
  const char *text;
  if ((text = argument(self, index, "-include")) != NULL) {
    include(self, text);
  } else if ((text = argument(self, index, "-isystem")) != NULL ||
             (text = argument(self, index, "-idirafter")) != NULL) {
    tcc_add_sysinclude_path(self->state, absolute(self, text, strlen(text)));
  } else if ((text = argument(self, index, "-iquote")) != NULL ||
             (text = argument(self, index, "-I")) != NULL) {
    tcc_add_include_path(self->state, absolute(self, text, strlen(text)));
  } else if ((text = argument(self, index, "-D")) != NULL) {
    define(self, text);
  } else if ((text = argument(self, index, "-U")) != NULL) {
    tcc_undefine_symbol(self->state, text);
  } else {
    text = self->desc->flags->words.items[*index];
    assert(text != NULL);
    if (strcmp(text, "-funsigned-char") == 0) {
      tcc_set_options(self->state, text);
    }
    tier_trust_flag(text, self->error.status < 0 ? NULL : &self->error);
  }
}

static void follow_flags(Run *self) {
  const char *path = self->desc->path;
  const char *slash = strrchr(path, '/');
  tcc_add_include_path(
      self->state,
      absolute(self, path, slash != NULL ? (size_t)(slash - path) : 0));
  for (size_t i = 0; i < self->desc->flags->words.count; i++) {
    follow_flag(self, &i);
  }
}

// Adds the text's "#define _GNU_SOURCE" and the like.
static void add_feature_macros(Run *self) {
  SourceLexer lexer;
  source_lexer_init(&lexer, self->desc->text, strlen(self->desc->text));
  for (;;) {
    SourceToken token = source_lexer_next(&lexer);
    if (token.kind == SOURCE_END || token.kind == SOURCE_BROKEN) return;
    if (token.kind != SOURCE_DIRECTIVE) continue;
    SourceLexer inner;
    source_lexer_init(&inner, token.start + 1, token.size - 1);
    inner.at_line_start = false;
    SourceToken word = source_lexer_next(&inner);
    SourceToken name = source_lexer_next(&inner);
    static const char ending[] = "_SOURCE";
    size_t size = sizeof ending - 1;
    if (source_token_is(&word, "define") && name.size > size &&
        *name.start == '_' &&
        memcmp(name.start + name.size - size, ending, size) == 0) {
      buffer_add(&self->text, token.start, token.size);
      buffer_add_text(&self->text, "\n");
    }
  }
}

// To a compiler that is not gcc's like, the C library defines __attribute__ as
// nothing, and packed structs, its own too, would not be. That happens once,
// in a header that is included here; it heeds the feature macros.
static void add_prelude(Run *self) {
#ifdef __GLIBC__
  add_feature_macros(self);
  buffer_add_text(&self->text, "#include <sys/cdefs.h>\n"
                               "#undef __attribute__\n");
#else
  (void)self;
#endif
}

static void make_text(Run *self) {
  const TierDesc *desc = self->desc;
  if (strpbrk(desc->path, "\"\\\n") != NULL) {
    error_set(&self->error, GRAFT_ENOTFOUND, "tcc cannot name %s", desc->path);
    return;
  }
  buffer_format(&self->text, "# 1 \"%s\"\n%s\n", desc->path, desc->text);
  if (desc->checks != NULL) buffer_add_text(&self->text, desc->checks);
  if (self->text.failed) error_memory(&self->error);
}

// What tcc calls for, and its own library has: no program has them.
static bool needs_runtime(const char *object, size_t size) {
  static const char *const names[] = {
      "__fixunsdfdi",  "__fixunssfdi", "__fixunsxfdi",  "__fixdfdi",
      "__fixsfdi",     "__fixxfdi",    "__floatundidf", "__floatundisf",
      "__floatundixf", "__va_arg",     "alloca",        "__bound_alloca"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    // With both zeroes around it, as in a table of names.
    char name[20] = {0};
    size_t length = (size_t)snprintf(name + 1, sizeof name - 1, "%s", names[i]);
    if (memmem(object, size, name, length + 2) != NULL) return true;
  }
  return false;
}

static void write_object(Run *self, char **object, size_t *size) {
  ProcessFile file = {.descriptor = -1};
  if (process_file_open(&file, 3, &self->error) < 0) return;
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file.descriptor);
  if (tcc_output_file(self->state, path) != 0) {
    note_message(self, "no object");
  } else {
    process_file_read(&file, self->desc->allocator, object, size, &self->error);
  }
  process_file_close(&file);
  if (*object != NULL && needs_runtime(*object, *size)) {
    note_message(self, "the code needs tcc's own library");
  }
}

static void run(Run *self, char **object, size_t *size) {
  self->state = tcc_new();
  if (self->state == NULL) {
    error_memory(&self->error);
    return;
  }
  tcc_set_error_func(self->state, self, note_message);
  tcc_set_output_type(self->state, TCC_OUTPUT_OBJ);
  add_prelude(self);
  follow_flags(self);
  if (self->error.status == GRAFT_OK) make_text(self);
  if (self->error.status == GRAFT_OK &&
      tcc_compile_string(self->state, buffer_text(&self->text)) != 0) {
    note_message(self, "no reason given");
  }
  if (self->error.status == GRAFT_OK) write_object(self, object, size);
  tcc_delete(self->state);
}

GraftStatus tier_compile(const TierDesc *desc, char **object, size_t *size,
                         GraftError *error) {
  *object = NULL;
  *size = 0;
  Run self = {.desc = desc};
  buffer_init(&self.text, desc->allocator);
  buffer_init(&self.word, desc->allocator);
  GraftStatus trusted =
      tier_trust_text(desc->text, strlen(desc->text), &self.error);
  if (trusted == GRAFT_OK) {
    pthread_mutex_lock(&tcc_lock);
    __lsan_disable();
    run(&self, object, size);
    __lsan_enable();
    pthread_mutex_unlock(&tcc_lock);
  }
  buffer_clear(&self.text);
  buffer_clear(&self.word);
  if (self.error.status == GRAFT_OK) return GRAFT_OK;
  memory_free(desc->allocator, *object);
  *object = NULL;
  *size = 0;
  if (error != NULL) *error = self.error;
  return self.error.status;
}

#endif
