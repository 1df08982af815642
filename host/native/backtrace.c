// SPDX-License-Identifier: MIT

#include "native/backtrace.h"

#include <unwind.h>

#include "native/machine.h"

typedef struct Walk {
  BacktraceVisit *visit;
  void *context;
  uintptr_t pc; // where it begins; what comes before is the handler's own
  bool begun;
} Walk;

static _Unwind_Reason_Code step(struct _Unwind_Context *context,
                                void *argument) {
  Walk *walk = argument;
  int is_exact = 0;
  BacktraceFrame frame = {
      .address = (uintptr_t)_Unwind_GetIPInfo(context, &is_exact),
      .sp = (uintptr_t)_Unwind_GetCFA(context),
  };
  frame.is_return = is_exact == 0;
  if (!walk->begun && (frame.is_return || frame.address != walk->pc)) {
    return _URC_NO_REASON;
  }
  walk->begun = true;
  return walk->visit(walk->context, &frame) ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

void backtrace_walk_here(BacktraceVisit *visit, void *context) {
  Walk walk = {visit, context, 0, true};
  _Unwind_Backtrace(step, &walk);
}

void backtrace_walk(const void *machine, BacktraceVisit *visit, void *context) {
  Walk walk = {visit, context, machine_pc(machine), false};
  _Unwind_Backtrace(step, &walk);
}
