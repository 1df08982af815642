// SPDX-License-Identifier: MIT

#include "stop.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static volatile sig_atomic_t mode = STOP_SCRIPT;
static GraftEngine *volatile running;

static bool interrupts(bool again) {
  switch ((StopMode)mode) {
  case STOP_SCRIPT:
  case STOP_EVALUATION:
    return true;
  case STOP_FRAMES:
    return again;
  case STOP_ASKS:
    break;
  }
  return false;
}

static void on_signal(int signal_number) {
  bool again = asked > 0;
  bool ends = mode != STOP_EVALUATION || signal_number != SIGINT;
  if (asked > 1) _exit(128 + signal_number);
  if (ends) asked = again ? 2 : 1;
  if (running != NULL && interrupts(again)) graft_engine_interrupt(running);
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

StopMode stop_set_mode(StopMode wanted) {
  StopMode before = (StopMode)mode;
  mode = wanted;
  return before;
}

bool stop_asked(void) {
  return asked > 0;
}
