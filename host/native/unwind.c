// SPDX-License-Identifier: MIT

#include "native/unwind.h"

// In libgcc, without a header.
void __register_frame(void *table);
void __deregister_frame(void *table);

void unwind_add(const void *table) {
  __register_frame((void *)table);
}

void unwind_remove(const void *table) {
  __deregister_frame((void *)table);
}
