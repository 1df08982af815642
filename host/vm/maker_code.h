// SPDX-License-Identifier: MIT
//
// Maker code: the functions that a difference needs, compiled beforehand by a
// checker, on its thread. The VM takes a tenth of the time to load them that
// it takes to compile them, and the host does not wait for the latter.

#ifndef GRAFT_VM_MAKER_CODE_H
#define GRAFT_VM_MAKER_CODE_H

#include "vm/maker_text.h"
#include "vm/vm.h"

typedef struct MakerCode {
  GraftAllocator allocator;
  int definition_count;
  bool *rework;            // by new definition: what is in it
  ARRAY(MakerText) pieces; // each with the VM's code in the place of its text
} MakerCode;

// NULL when out of memory, or when the VM refuses something, which it will do
// again where that is told. `path` is the script's.
MakerCode *maker_code_new(const GraftAllocator *allocator, VmChecker *checker,
                          const Diff *diff, const char *path);
void maker_code_free(MakerCode *self); // NULL-safe

// Whether it has what is needed by now: functions that are behind (P4) may
// have come since.
bool maker_code_fits(const MakerCode *self, const bool *rework);

#endif
