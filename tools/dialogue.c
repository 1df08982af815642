// SPDX-License-Identifier: MIT

#include "dialogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "repl.h"
#include "stop.h"

enum {
  LOOK_MS = 50,      // how often it looks for saves and signals
  FRAMES_SHOWN = 12, // of a deep stack, at either end
  LINES_AROUND = 5,
};

typedef struct Dialogue {
  Program *program;
  GraftBreak *at;
  size_t frame; // that is selected
  int waiting;  // saved files that can be taken, as they were told last
  bool done;
  GraftRestart restart;
} Dialogue;

// ---------------------------------------------------------------------------
// Showing
// ---------------------------------------------------------------------------

static void show_frame(Dialogue *self, size_t index) {
  GraftFrame frame;
  if (!graft_break_frame(self->at, index, &frame)) return;
  printf("%c %2zu  %s", index == self->frame ? '>' : ' ', index, frame.file);
  if (frame.line > 0) printf(":%d", frame.line);
  if (*frame.name != '\0') printf("  %s", frame.name);
  puts(frame.is_new ? "  (new)" : "");
}

static void show_frames(Dialogue *self) {
  size_t count = graft_break_frame_count(self->at);
  for (size_t i = 0; i < count; i++) {
    if (i == FRAMES_SHOWN && count > 2 * FRAMES_SHOWN + 1) {
      size_t left_out = count - 2 * FRAMES_SHOWN;
      printf("     … %zu frames\n", left_out);
      i += left_out;
    }
    show_frame(self, i);
  }
}

static void show_source(Dialogue *self, int around) {
  GraftFrame frame;
  if (!graft_break_frame(self->at, self->frame, &frame) || frame.line == 0) {
    puts("no source: a C function");
    return;
  }
  int line = frame.line;
  bool shown = false;
  for (int i = line - around; i <= line + around; i++) {
    const char *text = graft_break_line(self->at, self->frame, i);
    if (text == NULL) continue;
    printf("%c %4d  %s\n", i == line ? '>' : ' ', i, text);
    shown = true;
  }
  if (!shown) puts("the source of this function is not known");
}

static void show_locals(Dialogue *self) {
  static const char *const kinds[] = {"local", "upvalue", "..."};
  GraftVariable variable;
  size_t i = 0;
  while (graft_break_variable(self->at, self->frame, i, &variable)) {
    printf("  %-8s %s = %s\n", kinds[variable.kind], variable.name,
           variable.value);
    i++;
  }
  if (i == 0) puts("no variables");
}

static void show_help(void) {
  fputs("EXPRESSION         its values; names are what the frame sees\n"
        "STATEMENTS         run as if they stood there: x = 5 sets its x\n"
        "=EXPRESSION        the same where it is the name of a command\n"
        "locals             the variables that the frame sees\n"
        "source             the lines around\n"
        "frames             all frames, the innermost first\n"
        "up, down, frame N  selects the caller, the called, or frame N\n"
        "\n"
        "revert             puts the version before back (also Ctrl-D)\n"
        "continue           leaves the new version; the error goes its way\n"
        "retry              takes what was saved and makes the call of the\n"
        "                   program again from its start, with its arguments\n"
        "Ctrl-C             ends an evaluation; at the prompt, the program\n",
        stdout);
}

// ---------------------------------------------------------------------------
// Commands
// ---------------------------------------------------------------------------

static void finish(Dialogue *self, GraftRestart restart) {
  self->done = true;
  self->restart = restart;
}

static void select_frame(Dialogue *self, size_t index) {
  if (index >= graft_break_frame_count(self->at)) {
    puts("there is no such frame");
    return;
  }
  self->frame = index;
  show_frame(self, index);
  GraftFrame frame;
  if (graft_break_frame(self->at, index, &frame) && frame.line > 0) {
    show_source(self, 0);
  }
}

static void retry(Dialogue *self) {
  int broken = 0;
  graft_break_poll(self->at, &broken);
  if (broken > 0) {
    puts("what was saved cannot be taken; mend it first");
  } else if (!graft_break_can_retry(self->at)) {
    puts("no call to make again: the script itself, or a text, is what runs; "
         "there are revert and continue");
  } else {
    finish(self, GRAFT_RESTART_RETRY);
  }
}

static void evaluate(Dialogue *self, const char *text) {
  const char *shown = "";
  GraftError error;
  fflush(stdout);
  StopMode mode = stop_set_mode(STOP_EVALUATION);
  GraftStatus status =
      graft_break_evaluate(self->at, self->frame, text, &shown, &error);
  stop_set_mode(mode);
  if (status == GRAFT_OK) {
    if (*shown != '\0') puts(shown);
  } else if (error.line > 0 && strcmp(error.file, "break") != 0) {
    printf("%s:%d: %s\n", error.file, error.line, error.message);
  } else {
    puts(error.message);
  }
}

static void run_command(Dialogue *self, const char *line) {
  char verb[16] = "";
  size_t number = 0;
  char rest[2] = "";
  int numbered = sscanf(line, " frame %zu %1s", &number, rest);
  int words = sscanf(line, "%15s %1s", verb, rest);
  bool single = words == 1;
  if (words <= 0) return;
  if (numbered == 1) {
    select_frame(self, number);
  } else if (single && strcmp(verb, "up") == 0) {
    select_frame(self, self->frame + 1);
  } else if (single && strcmp(verb, "down") == 0) {
    select_frame(self, self->frame - 1); // which wraps where there is none
  } else if (single && strcmp(verb, "frames") == 0) {
    show_frames(self);
  } else if (single && strcmp(verb, "locals") == 0) {
    show_locals(self);
  } else if (single && strcmp(verb, "source") == 0) {
    show_source(self, LINES_AROUND);
  } else if (single && strcmp(verb, "help") == 0) {
    show_help();
  } else if (single && strcmp(verb, "revert") == 0) {
    finish(self, GRAFT_RESTART_REVERT);
  } else if (single && strcmp(verb, "continue") == 0) {
    finish(self, GRAFT_RESTART_CONTINUE);
  } else if (single && strcmp(verb, "retry") == 0) {
    retry(self);
  } else {
    evaluate(self, line);
  }
}

// ---------------------------------------------------------------------------
// The dialogue
// ---------------------------------------------------------------------------

static void prompt(Dialogue *self) {
  if (isatty(STDIN_FILENO)) fputs("break> ", stdout);
  fflush(stdout);
  self->program->prompted = true;
  lines_ask(self->program->lines);
}

// What is saved meanwhile waits; what is broken is rejected at once.
static void look_for_saves(Dialogue *self) {
  int broken = 0;
  bool prompted = self->program->prompted;
  int waiting = graft_break_poll(self->at, &broken) - broken;
  if (waiting != self->waiting && waiting > 0) {
    if (self->program->prompted && isatty(STDIN_FILENO)) putchar('\n');
    printf("%d changed file%s saved; retry takes %s\n", waiting,
           waiting == 1 ? " was" : "s were", waiting == 1 ? "it" : "them");
    self->program->prompted = false;
  }
  self->waiting = waiting;
  if (prompted && !self->program->prompted) prompt(self);
}

// The next line, or NULL when there will be none.
static char *wait_for_line(Dialogue *self) {
  Lines *lines = self->program->lines;
  char *line;
  while ((line = lines_take(lines)) == NULL) {
    if (lines_ended(lines) || stop_asked()) return NULL;
    look_for_saves(self);
    lines_wait(lines, LOOK_MS);
  }
  self->program->prompted = false;
  return line;
}

static void end_of_input(Dialogue *self) {
  if (isatty(STDIN_FILENO)) putchar('\n');
  if (stop_asked()) {
    finish(self, GRAFT_RESTART_CONTINUE); // the program ends
    return;
  }
  puts("end of input: the version before is put back");
  finish(self, GRAFT_RESTART_REVERT);
}

static void talk(Dialogue *self) {
  show_frames(self);
  show_source(self, 2);
  if (isatty(STDIN_FILENO)) puts("help lists the commands");
  while (!self->done) {
    prompt(self);
    char *line = wait_for_line(self);
    if (line == NULL) {
      end_of_input(self);
    } else {
      run_command(self, line);
    }
    free(line);
  }
  self->program->prompted = false;
  fflush(stdout);
}

GraftRestart dialogue_ask(void *context, GraftBreak *at) {
  Program *program = context;
  if (program->lines == NULL) program->lines = lines_open();
  // Who has asked the program to end is not asked anything any more.
  if (program->lines == NULL || stop_asked()) return GRAFT_RESTART_REVERT;
  double start = clock_now();
  StopMode mode = stop_set_mode(STOP_ASKS);
  Dialogue self = {
      .program = program, .at = at, .frame = graft_break_place(at)};
  talk(&self);
  stop_set_mode(mode);
  program->paused += clock_now() - start;
  if (program->at_repl) repl_begin(program);
  return self.restart;
}
