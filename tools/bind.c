// SPDX-License-Identifier: MIT
//
// What is written is plain C that the project keeps: a native for each
// function, which calls it. The engine compiles it like any native, so types,
// structs and conversions are what they are for those.

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bind_header.h"
#include "commands.h"

#define MARK "Written by engine bind"

typedef struct Bind {
  Program *program;
  GraftError *error;
  const char *named; // the header, as the user named it
  char include[PATH_MAX + 2];
  char module[128];
  char source[PATH_MAX];  // scripts/zlib.c
  char script[PATH_MAX];  // scripts/zlib.lua
  char library[PATH_MAX]; // libz.so.1; "": none was named
  void *handle;
  Header header;
  size_t bound;
} Bind;

static GraftStatus fail(const Bind *self, GraftStatus status,
                        const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static GraftStatus fail(const Bind *self, GraftStatus status,
                        const char *format, ...) {
  va_list args;
  va_start(args, format);
  *self->error = (GraftError){.status = status};
  vsnprintf(self->error->message, sizeof self->error->message, format, args);
  va_end(args);
  return status;
}

// ---------------------------------------------------------------------------
// Names
// ---------------------------------------------------------------------------

static bool ends_with(const char *text, const char *end) {
  size_t size = strlen(text);
  size_t tail = strlen(end);
  return size > tail && strcmp(text + size - tail, end) == 0;
}

static bool is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

// A header that is there goes by its place, one of the system by its name.
static GraftStatus name_include(Bind *self) {
  char path[PATH_MAX];
  if (strpbrk(self->named, "\"<>\n") != NULL) {
    return fail(self, GRAFT_EARG, "%s is no name of a header", self->named);
  }
  if (ends_with(self->named, ".so") || strstr(self->named, ".so.") != NULL) {
    return fail(self, GRAFT_EARG,
                "%s is a library: name its header, and the library with -l, as "
                "in engine bind NAME.h -l %s",
                self->named, self->named);
  }
  bool here = access(self->named, F_OK) == 0;
  if (here && realpath(self->named, path) == NULL) {
    return fail(self, GRAFT_EIO, "%s: %s", self->named, strerror(errno));
  }
  size_t size = sizeof self->include;
  if (here && strncmp(path, "/usr/include/", 13) == 0) {
    snprintf(self->include, size, "<%s>", path + 13);
  } else if (here) {
    snprintf(self->include, size, "\"%s\"", path);
  } else {
    snprintf(self->include, size, "<%s>", self->named);
  }
  return GRAFT_OK;
}

// The module is called as the file that is written.
static GraftStatus name_output(Bind *self) {
  const char *output = self->program->options->output;
  const char *slash = strrchr(self->named, '/');
  const char *stem = slash != NULL ? slash + 1 : self->named;
  int size = (int)strcspn(stem, ".");
  char folder[PATH_MAX] = "";
  if (output != NULL && ends_with(output, ".c")) {
    slash = strrchr(output, '/');
    stem = slash != NULL ? slash + 1 : output;
    size = (int)strcspn(stem, ".");
    snprintf(folder, sizeof folder, "%.*s", (int)(stem - output), output);
  } else if (output != NULL && !is_folder(output)) {
    return fail(self, GRAFT_EIO, "%s is not a folder, and no .c file", output);
  } else if (output != NULL) {
    snprintf(folder, sizeof folder, "%s%s", output,
             output[strlen(output) - 1] == '/' ? "" : "/");
  }
  snprintf(self->module, sizeof self->module, "%.*s", size, stem);
  for (char *at = self->module; *at != '\0'; at++) {
    if (!isalnum((unsigned char)*at)) *at = '_';
  }
  if (size == 0 || isdigit((unsigned char)self->module[0])) {
    return fail(self, GRAFT_EARG,
                "'%.*s' cannot be a module: name one with -o NAME.c", size,
                stem);
  }
  bool fits = strlen(folder) + sizeof self->module + 8 < PATH_MAX;
  if (!fits) return fail(self, GRAFT_EARG, "the path is too long");
  snprintf(self->source, PATH_MAX, "%.3900s%s.c", folder, self->module);
  snprintf(self->script, PATH_MAX, "%.3900s%s.lua", folder, self->module);
  return GRAFT_OK;
}

// The name that the library itself goes by, "libz.so.1": "libz.so" is only
// there for those who compile.
static void name_library(Bind *self, const char *name) {
  snprintf(self->library, sizeof self->library, "%s", name);
  if (strchr(name, '/') != NULL) {
    char path[PATH_MAX];
    if (realpath(name, path) != NULL) {
      snprintf(self->library, sizeof self->library, "%s", path);
    }
    return;
  }
  for (int version = 0; version < 100; version++) {
    char numbered[PATH_MAX];
    snprintf(numbered, sizeof numbered, "%.3900s.%d", name, version);
    void *handle = dlopen(numbered, RTLD_NOW | RTLD_NOLOAD);
    if (handle == NULL) continue;
    dlclose(handle);
    if (handle == self->handle) {
      snprintf(self->library, sizeof self->library, "%s", numbered);
    }
  }
}

static GraftStatus open_library(Bind *self) {
  const char *named = self->program->options->library;
  if (named == NULL) return GRAFT_OK;
  char name[PATH_MAX];
  bool is_name = strchr(named, '/') == NULL && strstr(named, ".so") == NULL;
  snprintf(name, sizeof name, is_name ? "lib%.3900s.so" : "%.3900s", named);
  self->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  for (int version = 0; is_name && self->handle == NULL && version < 100;
       version++) {
    snprintf(name, sizeof name, "lib%.3900s.so.%d", named, version);
    self->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (self->handle == NULL) continue;
    snprintf(self->library, sizeof self->library, "%s", name);
    return GRAFT_OK;
  }
  if (self->handle == NULL) {
    return fail(self, GRAFT_EIO, "cannot load the library: %s", dlerror());
  }
  name_library(self, name);
  return GRAFT_OK;
}

// ---------------------------------------------------------------------------
// Reading
// ---------------------------------------------------------------------------

static char *read_stream(FILE *stream) {
  char *text = NULL;
  size_t size = 0;
  size_t capacity = 0;
  for (;;) {
    if (capacity - size < 65536) {
      capacity = capacity * 2 + 262144;
      char *grown = realloc(text, capacity);
      if (grown == NULL) {
        free(text);
        return NULL;
      }
      text = grown;
    }
    size_t read = fread(text + size, 1, capacity - size - 1, stream);
    size += read;
    if (read == 0) break;
  }
  text[size] = '\0';
  return text;
}

// The compiler says itself what is wrong, on standard error.
static GraftStatus read_header(Bind *self) {
  char line[PATH_MAX + 32];
  snprintf(line, sizeof line, "#include %s", self->include);
  setenv("GRAFT_BIND", line, 1);
  fflush(stdout);
  FILE *stream = popen("printf '%s\\n' \"$GRAFT_BIND\" | "
                       "${CC:-cc} $CFLAGS -E -dD -x c -",
                       "r");
  if (stream == NULL) {
    return fail(self, GRAFT_EIO, "cannot run the compiler: %s",
                strerror(errno));
  }
  char *text = read_stream(stream);
  int status = pclose(stream);
  unsetenv("GRAFT_BIND");
  if (text == NULL) return fail(self, GRAFT_ENOMEM, "out of memory");
  if (status != 0) {
    free(text);
    return fail(self, GRAFT_EIO,
                "the compiler cannot read %s: install the library's -dev "
                "package, or say CFLAGS=-I FOLDER",
                self->include);
  }
  header_read(&self->header, text, self->named);
  free(text);
  if (self->header.failed) return fail(self, GRAFT_ENOMEM, "out of memory");
  return GRAFT_OK;
}

static GraftStatus leave_out(Bind *self, HeaderFunction *function,
                             const char *format, const char *detail) {
  char text[PATH_MAX + 64];
  snprintf(text, sizeof text, format, detail); // formats are all in this file
  function->why_not = strdup(text);
  if (function->why_not != NULL) return GRAFT_OK;
  return fail(self, GRAFT_ENOMEM, "out of memory");
}

// What the library lacks is left out.
static GraftStatus check_functions(Bind *self) {
  GraftStatus status = GRAFT_OK;
  self->bound = 0;
  for (size_t i = 0; i < self->header.function_count && status == GRAFT_OK;
       i++) {
    HeaderFunction *function = &self->header.functions[i];
    void *where = self->handle != NULL ? self->handle : RTLD_DEFAULT;
    if (function->why_not == NULL && !function->is_inline &&
        dlsym(where, function->name) == NULL) {
      status = leave_out(self, function, "%s does not have it",
                         self->handle != NULL ? self->library : "this program");
    }
    if (function->why_not == NULL) self->bound++;
  }
  if (status < 0 || self->bound > 0) return status;
  if (self->header.function_count == 0) {
    return fail(self, GRAFT_ENOTFOUND, "%s declares no function",
                self->include);
  }
  return fail(self, GRAFT_ENOTFOUND,
              "%s has none of the functions of %s: name the library with -l",
              self->handle != NULL ? self->library : "this program",
              self->include);
}

// ---------------------------------------------------------------------------
// Writing
// ---------------------------------------------------------------------------

// Only what this command wrote is replaced.
static GraftStatus check_file(const Bind *self, const char *path) {
  char first[256] = "";
  FILE *stream = fopen(path, "r");
  if (stream == NULL) return GRAFT_OK;
  bool ours =
      fgets(first, sizeof first, stream) != NULL && strstr(first, MARK) != NULL;
  fclose(stream);
  if (ours) return GRAFT_OK;
  return fail(self, GRAFT_EIO,
              "%s is there already, and not from engine bind: name another "
              "with -o NAME.c",
              path);
}

static void write_functions(const Bind *self, FILE *out) {
  for (size_t i = 0; i < self->header.function_count; i++) {
    const HeaderFunction *function = &self->header.functions[i];
    if (function->why_not != NULL) continue;
    bool is_void = strcmp(function->result, "void") == 0;
    size_t size = strlen(function->result);
    bool star = size > 0 && function->result[size - 1] == '*';
    fprintf(out, "\n%s%s%s_%s(%s) {\n  %s(%s)(%s);\n}\n", function->result,
            star ? "" : " ", self->module, function->name, function->parameters,
            is_void ? "" : "return ", function->name, function->arguments);
  }
}

static void write_left_out(const Bind *self, FILE *out, const char *before) {
  for (size_t i = 0; i < self->header.function_count; i++) {
    const HeaderFunction *function = &self->header.functions[i];
    if (function->why_not == NULL) continue;
    fprintf(out, "%s%s: %s\n", before, function->name, function->why_not);
  }
}

static void write_source(const Bind *self, FILE *out) {
  fprintf(out,
          "// " MARK " from %s: each function of the library is a native\n"
          "// of the module %s. Run it again when the library changes.\n\n"
          "#include %s\n",
          self->include, self->module, self->include);
  if (self->library[0] != '\0') {
    fprintf(out,
            "\n// Graft loads it before this file.\n"
            "__attribute__((used)) static const char graft_library[] = "
            "\"%s\";\n",
            self->library);
  }
  write_functions(self, out);
  if (self->bound < self->header.function_count) {
    fputs("\n// Left out:\n", out);
    write_left_out(self, out, "//   ");
  }
}

// What LuaJIT's numbers cannot hold is no constant there.
static bool is_exact(const HeaderConstant *constant) {
  const long long most = 9007199254740992;
  return !constant->is_integer ||
         (constant->value >= -most && constant->value <= most);
}

static bool is_last(const Header *header, size_t index) {
  for (size_t i = index + 1; i < header->constant_count; i++) {
    if (strcmp(header->constants[i].name, header->constants[index].name) == 0) {
      return false;
    }
  }
  return true;
}

static void write_script(const Bind *self, FILE *out) {
  fprintf(out,
          "-- " MARK " from %s: its constants, beside the natives of\n"
          "-- %s.c in the module %s.\n\nreturn {\n",
          self->include, self->module, self->module);
  for (size_t i = 0; i < self->header.constant_count; i++) {
    const HeaderConstant *constant = &self->header.constants[i];
    if (!is_exact(constant) || !is_last(&self->header, i)) continue;
    fprintf(out, "  [\"%s\"] = %s,\n", constant->name, constant->text);
  }
  fputs("}\n", out);
}

static GraftStatus write_file(const Bind *self, const char *path,
                              void (*write)(const Bind *self, FILE *out)) {
  GraftStatus status = check_file(self, path);
  if (status < 0) return status;
  char fresh[PATH_MAX + 8];
  snprintf(fresh, sizeof fresh, "%s.new~", path);
  FILE *out = fopen(fresh, "w");
  if (out != NULL) {
    write(self, out);
    bool written = ferror(out) == 0;
    if (fclose(out) == 0 && written && rename(fresh, path) == 0) {
      return GRAFT_OK;
    }
  }
  status = fail(self, GRAFT_EIO, "cannot write %s: %s", path, strerror(errno));
  unlink(fresh);
  return status;
}

// ---------------------------------------------------------------------------
// The command
// ---------------------------------------------------------------------------

// The engine takes what was written as it will later, and knows what Lua cannot
// call.
static GraftStatus try_natives(const Bind *self) {
  GraftEngine *engine = self->program->engine;
  GraftStatus status = graft_engine_natives(engine, self->source, self->error);
  if (status < 0) return status;
  for (size_t i = 0; i < self->header.function_count; i++) {
    const HeaderFunction *function = &self->header.functions[i];
    if (function->why_not != NULL) continue;
    char name[512];
    snprintf(name, sizeof name, "%s.%s", self->module, function->name);
    GraftFn *fn = graft_engine_find(engine, name);
    GraftInfo info = {0};
    if (fn != NULL) graft_fn_info(fn, &info);
    if (fn != NULL && info.signature == NULL) {
      printf("  %s: for C only, its type has no form in Lua\n", function->name);
    }
  }
  return GRAFT_OK;
}

static GraftStatus write_all(Bind *self) {
  bool has_constants = self->header.constant_count > 0;
  GraftStatus status = check_file(self, self->source);
  if (status == GRAFT_OK && has_constants) {
    status = write_file(self, self->script, write_script);
  }
  if (status == GRAFT_OK) {
    status = write_file(self, self->source, write_source);
  }
  if (status < 0) return status;
  printf("Bind %s: %zu functions, %zu left out\n", self->source, self->bound,
         self->header.function_count - self->bound);
  write_left_out(self, stdout, "  ");
  if (has_constants) printf("Bind %s: constants\n", self->script);
  return try_natives(self);
}

GraftStatus command_bind(Program *program, GraftError *error) {
  Bind *self = calloc(1, sizeof *self);
  if (self == NULL) {
    *error = (GraftError){.status = GRAFT_ENOMEM, .message = "out of memory"};
    return error->status;
  }
  self->program = program;
  self->error = error;
  self->named = program->options->script;
  GraftStatus status = name_include(self);
  if (status == GRAFT_OK) status = name_output(self);
  if (status == GRAFT_OK) status = open_library(self);
  if (status == GRAFT_OK) status = read_header(self);
  if (status == GRAFT_OK) status = check_functions(self);
  if (status == GRAFT_OK) status = write_all(self);
  header_clear(&self->header);
  if (self->handle != NULL) dlclose(self->handle);
  free(self);
  return status;
}
