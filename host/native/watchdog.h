// SPDX-License-Identifier: MIT
//
// Watchdog: a thread that is told when calls begin and end, and speaks up
// about those that take too long. It sleeps while there are none. It knows
// neither natives nor guards: what to do about a late call is the owner's.

#ifndef GRAFT_NATIVE_WATCHDOG_H
#define GRAFT_NATIVE_WATCHDOG_H

#include <stdint.h>

#include "base/memory.h"

typedef struct Watchdog Watchdog;

// In the caller's memory, from watchdog_begin to watchdog_end.
typedef struct WatchdogCall {
  struct WatchdogCall *next, *previous;
  uint64_t deadline_ns;
  uint64_t begun_ns;
} WatchdogCall;

// What to do about a late call: when to ask again, in ms, or 0 for never. On
// the watchdog's thread, with its lock held: calls neither end nor begin, so
// it must be quick, and call nothing of this header.
typedef int WatchdogLate(void *context, WatchdogCall *call, int elapsed_ms);

// The thread starts with the first call. NULL when out of memory.
Watchdog *watchdog_new(const GraftAllocator *allocator, int limit_ms,
                       WatchdogLate *late, void *context);
void watchdog_free(Watchdog *self); // no call is under way; NULL-safe

// Any thread. False when the thread cannot be started.
bool watchdog_begin(Watchdog *self, WatchdogCall *call);
void watchdog_end(Watchdog *self, WatchdogCall *call);

#endif
