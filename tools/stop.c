// SPDX-License-Identifier: MIT

#include "stop.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static volatile sig_atomic_t in_frames;
static GraftEngine *volatile running;

static void on_signal(int signal_number) {
  bool again = asked > 0;
  if (asked > 1) _exit(128 + signal_number);
  asked = again ? 2 : 1;
  if (running != NULL && (again || !in_frames)) graft_engine_interrupt(running);
}

void stop_install(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

void stop_set_engine(GraftEngine *engine) {
  running = engine;
}

void stop_set_frames(bool frames) {
  in_frames = frames;
}

bool stop_asked(void) {
  return asked > 0;
}
