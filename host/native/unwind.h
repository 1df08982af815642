// SPDX-License-Identifier: MIT
//
// Unwind: tables (.eh_frame) that tell errors, exceptions and backtraces how to
// pass through code that no loader knows of, given to the compiler's runtime.

#ifndef GRAFT_NATIVE_UNWIND_H
#define GRAFT_NATIVE_UNWIND_H

// A table that ends with four bytes of zeroes and stays until unwind_remove.
// Any thread.
void unwind_add(const void *table);
void unwind_remove(const void *table);

#endif
