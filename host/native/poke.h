// SPDX-License-Identifier: MIT
//
// Poke: makes another thread run a function at once, in a signal handler. The
// signal is a real-time one that nobody uses, chosen when the first user
// opens; like crash.c this has process-wide state. Traded away: pokes are made
// one after the other.

#ifndef GRAFT_NATIVE_POKE_H
#define GRAFT_NATIVE_POKE_H

#include <sys/types.h>

#include "graft.h"

// On the poked thread, in a signal handler, on its signal stack if it has one.
// `machine`: see machine.h.
typedef void PokeHandler(void *argument, void *machine);

// Finds a signal. GRAFT_EIO when all are taken. Any thread; users are counted.
GraftStatus poke_open(GraftError *error);
void poke_close(void);

typedef enum PokeAnswer {
  POKE_DONE,   // the handler has run
  POKE_SILENT, // it has not in `timeout_ms`, and will not any more
  POKE_GONE,   // there is no such thread
} PokeAnswer;

typedef struct PokeDesc {
  pid_t thread; // of this process
  PokeHandler *handler;
  void *argument; // valid until poke_thread returns
  int timeout_ms;
} PokeDesc;

PokeAnswer poke_thread(const PokeDesc *desc);

#endif
