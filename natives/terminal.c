// SPDX-License-Identifier: MIT
//
// What a script cannot ask Lua about the terminal on standard output.

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct termios before;
static bool changed;

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

// Whether a picture can be drawn: a terminal that can place its cursor.
bool terminal_interactive(void) {
  return isatty(STDOUT_FILENO) && strcmp(variable("TERM"), "dumb") != 0 &&
         *variable("TERM") != '\0';
}

int terminal_columns(void) {
  struct winsize size;
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return known && size.ws_col > 0 ? size.ws_col : 80;
}

int terminal_rows(void) {
  struct winsize size;
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return known && size.ws_row > 0 ? size.ws_row : 24;
}

// How many colours there are: 0, 256 or 16777216. NO_COLOR, when it is set to
// anything, wins: see no-color.org.
int terminal_colours(void) {
  const char *depth = variable("COLORTERM");
  if (*variable("NO_COLOR") != '\0') return 0;
  if (strcmp(variable("TERM"), "dumb") == 0) return 0;
  if (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0)
    return 16777216;
  return strstr(variable("TERM"), "256color") != NULL ? 256 : 0;
}

// Seconds on a clock that is never set.
double terminal_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// Shows what is typed again, if terminal_hush() hid it; also when the program
// ends.
__attribute__((destructor)) void terminal_unhush(void) {
  if (changed) tcsetattr(STDIN_FILENO, TCSANOW, &before);
  changed = false;
}

// Stops the terminal from showing what is typed: it would tear the picture.
// Ctrl-C works as ever.
void terminal_hush(void) {
  if (changed || tcgetattr(STDIN_FILENO, &before) != 0) return;
  struct termios hushed = before;
  hushed.c_lflag &= ~(tcflag_t)ECHO;
  changed = tcsetattr(STDIN_FILENO, TCSANOW, &hushed) == 0;
}
