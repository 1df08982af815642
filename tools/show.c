// SPDX-License-Identifier: MIT

#include "show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void show_colour(const GraftEvent *event, const char *text) {
  const char *colour = "";
  switch (event->kind) {
  case GRAFT_EVENT_REJECT:
  case GRAFT_EVENT_CRASH:
  case GRAFT_EVENT_REVERT:
  case GRAFT_EVENT_BREAK:
  case GRAFT_EVENT_ERROR:
    colour = "\033[31m";
    break;
  case GRAFT_EVENT_KEEP:
  case GRAFT_EVENT_STALE:
  case GRAFT_EVENT_ORPHAN:
  case GRAFT_EVENT_DEPENDS:
    colour = "\033[33m";
    break;
  case GRAFT_EVENT_PATCH:
  case GRAFT_EVENT_SWEEP:
    colour = "\033[2m";
    break;
  default:
    colour = "\033[32m";
  }
  size_t word = strcspn(text, " ");
  fprintf(stderr, "%s%.*s\033[0m%s\n", colour, (int)word, text, text + word);
}

// What comes while a prompt waits begins a line of its own.
static void leave_prompt(Program *program) {
  if (program->prompted && isatty(STDIN_FILENO)) {
    putchar('\n');
    fflush(stdout);
  }
  program->prompted = false;
}

// A program that draws may have left the cursor anywhere: the dialogue that
// follows gets what is below it.
static void clear_below(const GraftEvent *event) {
  if (event->kind != GRAFT_EVENT_BREAK || !isatty(STDERR_FILENO)) return;
  fflush(stdout);
  fputs("\033[0m\r\033[J", stderr);
}

bool show_has_colours(const Options *options) {
  return !options->json && isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
}

void show_event(void *context, const GraftEvent *event) {
  Program *program = context;
  const Options *options = program->options;
  program->failed |= event->kind == GRAFT_EVENT_REJECT;
  if (event->kind == GRAFT_EVENT_MOVE) return; // no change to a user (D2)
  bool quiet = !options->verbose && event->kind == GRAFT_EVENT_WATCH;
  if (quiet && !options->json) return;
  char text[4096];
  if (options->json) {
    graft_event_json(event, text, sizeof text);
  } else {
    graft_event_text(event, text, sizeof text);
  }
  leave_prompt(program);
  clear_below(event);
  if (show_has_colours(options)) {
    show_colour(event, text);
  } else {
    fprintf(stderr, "%s\n", text);
  }
}

void show_error(Program *program, const GraftError *error) {
  if (program->options->json) {
    GraftEvent event = {.kind = GRAFT_EVENT_ERROR,
                        .name = "",
                        .file = error->file,
                        .line = error->line,
                        .column = error->column,
                        .from = "",
                        .to = "",
                        .message = error->message,
                        .source = ""};
    show_event(program, &event);
  } else if (error->line > 0) {
    fprintf(stderr, "engine: %s:%d: %s\n", error->file, error->line,
            error->message);
  } else {
    fprintf(stderr, "engine: %s\n", error->message);
  }
}
