// SPDX-License-Identifier: MIT
//
// The thread of the fast tier.

#include "native/worker_inner.h"

void *worker_run_fast(void *worker) {
  (void)worker;
  return NULL;
}
