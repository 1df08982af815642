// SPDX-License-Identifier: MIT
//
// Debugger: objects that gdb and lldb shall know, by the interface that they
// share with just-in-time compilers: a list that a debugger reads, and a
// function that it breaks on to hear of changes. Both are known by their names
// in the process, so they are the one piece of state here that belongs to no
// engine. Traded away: telling which engine an object is of.

#ifndef GRAFT_NATIVE_DEBUGGER_H
#define GRAFT_NATIVE_DEBUGGER_H

#include <stddef.h>

#include "base/memory.h"

typedef struct DebuggerEntry DebuggerEntry;

// Shows an ELF image with addresses, which is borrowed until
// debugger_remove. NULL when out of memory. Any thread.
DebuggerEntry *debugger_add(const GraftAllocator *allocator, const void *image,
                            size_t size);
void debugger_remove(const GraftAllocator *allocator,
                     DebuggerEntry *entry); // NULL-safe

#endif
