// SPDX-License-Identifier: MIT

#include "repl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What is known of a slot, a line each.
static void show_info(GraftEngine *engine, const char *name) {
  char text[1024];
  snprintf(text, sizeof text,
           "local info, message = require('graft').info('%.200s')\n"
           "if not info then print(message) return end\n"
           "local function show(key, value)\n"
           "  if value then print(('%%-10s %%s'):format(key, value)) end\n"
           "end\n"
           "show('name', info.name) show('backing', info.backing)\n"
           "show('layer', info.layer) show('version', info.version)\n"
           "show('place', info.file and info.file .. ':' .. (info.line or 0))\n"
           "show('signature', info.signature) show('calls', info.calls)\n"
           "show('pin', info.pin) show('removed', info.removed)\n"
           "show('old code', ('%%d calls run it, %%d closures hold it')\n"
           "  :format(info.old.running, info.old.closures))\n",
           name);
  GraftError error;
  if (graft_engine_run_text(engine, text, "=info", &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
  }
}

static void show_names(GraftEngine *engine, const char *pattern) {
  char text[512];
  snprintf(text, sizeof text,
           "for _, name in ipairs(require('graft').names('%.200s')) do\n"
           "  print(name)\n"
           "end\n",
           pattern);
  GraftError error;
  if (graft_engine_run_text(engine, text, "=names", &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
  }
}

// NAME or NAME@VERSION.
static void roll_back(GraftEngine *engine, char *name) {
  char *at = strchr(name, '@');
  long version = 0;
  if (at != NULL) {
    version = strtol(at + 1, NULL, 10);
    *at = '\0';
  }
  GraftError error;
  if (graft_engine_rollback(engine, name, (uint32_t)version, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
  }
}

// Names and patterns go into Lua strings, so these may not be in them.
static bool is_plain(const char *text) {
  return strpbrk(text, "'\\\n\r") == NULL;
}

// `info NAME`, `swap NAME BACKING`, `names [PATTERN]`, `help`. False when the
// line is none of them, but Lua.
static bool run_command(GraftEngine *engine, const char *line) {
  char verb[16] = "";
  char first[256] = "";
  char second[64] = "";
  char rest[2] = "";
  int count = sscanf(line, "%15s %255s %63s %1s", verb, first, second, rest);
  if (!is_plain(first) || strpbrk(first, "=(") != NULL) return false;
  GraftError error;
  if (strcmp(verb, "help") == 0 && count == 1) {
    fputs("info NAME          what is known of a function\n"
          "swap NAME BACKING  native, script, a version, or auto\n"
          "rollback NAME[@N]  the version before, or version N\n"
          "names [PATTERN]    the functions in the registry\n"
          "anything else      is run as Lua; values are shown\n",
          stdout);
  } else if (strcmp(verb, "info") == 0 && count == 2) {
    show_info(engine, first);
  } else if (strcmp(verb, "names") == 0 && count <= 2) {
    show_names(engine, first);
  } else if (strcmp(verb, "rollback") == 0 && count == 2) {
    roll_back(engine, first);
  } else if (strcmp(verb, "swap") == 0 && count == 3) {
    if (graft_engine_swap(engine, first, second, &error) < 0) {
      fprintf(stderr, "%s\n", error.message);
    }
  } else {
    return false;
  }
  return true;
}

static GraftStatus run_expression(GraftEngine *engine, const char *line,
                                  GraftError *error) {
  static const char format[] = "(function(...) if select('#', ...) > 0 then "
                               "print(...) end end)((function() return %s\n"
                               "end)())";
  size_t size = strlen(line) + sizeof format;
  char *text = malloc(size);
  if (text == NULL) {
    *error = (GraftError){.status = GRAFT_ENOMEM, .message = "out of memory"};
    return GRAFT_ENOMEM;
  }
  snprintf(text, size, format, line[0] == '=' ? line + 1 : line);
  GraftStatus status = graft_engine_run_text(engine, text, "=stdin", error);
  free(text);
  return status;
}

// An expression is shown; what is none runs as statements.
static void run_line(GraftEngine *engine, const char *line) {
  GraftError error;
  if (run_command(engine, line)) return;
  GraftStatus status = run_expression(engine, line, &error);
  if (status == GRAFT_ESYNTAX) {
    status = graft_engine_run_text(engine, line, "=stdin", &error);
  }
  // What was reverted has been shown.
  if (status < 0 && status != GRAFT_EREVERTED) {
    fprintf(stderr, "%s\n", error.message);
  }
}

void repl_begin(Program *program) {
  if (isatty(STDIN_FILENO)) fputs("> ", stdout);
  fflush(stdout);
  program->at_repl = true;
  lines_ask(program->lines);
}

void repl_run(Program *program) {
  char *line = lines_take(program->lines);
  if (line == NULL) return;
  program->at_repl = false;
  if (line[strspn(line, " \t\r\n")] != '\0') run_line(program->engine, line);
  free(line);
  repl_begin(program);
}
