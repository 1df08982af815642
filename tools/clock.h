// SPDX-License-Identifier: MIT
//
// Clock: seconds that nobody sets back.

#ifndef GRAFT_TOOLS_CLOCK_H
#define GRAFT_TOOLS_CLOCK_H

#include <time.h>

static inline double clock_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

#endif
