// SPDX-License-Identifier: MIT
//
// graft.h as strict C11 with nothing in front, twice.

#include "graft.h"
#include "graft.h"

#include <stdio.h>

int main(void) {
  GraftEngine *engine = NULL;
  GraftError error;
  bool passed =
      graft_engine_open(&(GraftEngineDesc){0}, &engine, &error) == GRAFT_OK;
  graft_engine_close(engine);
  puts(passed ? "ok graft.h as C11" : "FAIL graft.h as C11");
  return !passed;
}
