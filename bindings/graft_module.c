// SPDX-License-Identifier: MIT

#include "engine.h"
#include "vm/state.h"

GraftStatus bindings_open(GraftEngine *engine, GraftError *error) {
  (void)engine;
  (void)error;
  return GRAFT_OK;
}
