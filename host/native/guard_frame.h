// SPDX-License-Identifier: MIT
//
// Guard frame: where the parts of a GuardCall (guard_inner.h) lie, for
// guard_*.S; guard_call.c checks that they do.

#ifndef GRAFT_NATIVE_GUARD_FRAME_H
#define GRAFT_NATIVE_GUARD_FRAME_H

#if defined(__x86_64__)
// As much as XSAVE writes of the x87, SSE, AVX and AVX-512 registers.
#define GUARD_VECTORS 2752
#else
#define GUARD_VECTORS 128
#endif

#define GUARD_REGISTERS GUARD_VECTORS
#define GUARD_RESULTS (GUARD_VECTORS + 80)
#define GUARD_FRAME_POINTER (GUARD_VECTORS + 96)
#define GUARD_ARGUMENTS (GUARD_VECTORS + 104)
#define GUARD_STACK_SIZE (GUARD_VECTORS + 112)
#define GUARD_DIRECT (GUARD_VECTORS + 120)
#define GUARD_FN (GUARD_VECTORS + 128)
#define GUARD_SERIAL (GUARD_VECTORS + 136)
#define GUARD_CALL_SIZE (GUARD_VECTORS + 192)

#endif
