// SPDX-License-Identifier: MIT
//
// The guard's frame on aarch64; see guard_x86_64.S. A gate leaves its cell in
// x16.
//
//   x19  the GuardCall, also the end of the copied arguments
//   x21  the code to call

#if defined(__aarch64__)

#include "native/guard_frame.h"

.macro load_arguments
  ldp q0, q1, [x19]
  ldp q2, q3, [x19, #32]
  ldp q4, q5, [x19, #64]
  ldp q6, q7, [x19, #96]
  ldp x0, x1, [x19, #GUARD_REGISTERS]
  ldp x2, x3, [x19, #GUARD_REGISTERS + 16]
  ldp x4, x5, [x19, #GUARD_REGISTERS + 32]
  ldp x6, x7, [x19, #GUARD_REGISTERS + 48]
  ldr x8, [x19, #GUARD_REGISTERS + 64]
.endm

.macro restore_frame
  ldp x19, x20, [x29, #-16]
  ldp x21, x22, [x29, #-32]
  ldp x23, x24, [x29, #-48]
  ldp x25, x26, [x29, #-64]
  ldp x27, x28, [x29, #-80]
  ldp d8, d9, [x29, #-96]
  ldp d10, d11, [x29, #-112]
  ldp d12, d13, [x29, #-128]
  ldp d14, d15, [x29, #-144]
  mov sp, x29
  ldp x29, x30, [sp], #16
.endm

  .text
  .globl guard_entry, guard_returned, guard_resume
  .hidden guard_entry, guard_returned, guard_resume
  .type guard_entry, %function
  .p2align 4
guard_entry:
  .cfi_startproc
  hint #34 // bti c
  stp x29, x30, [sp, #-16]!
  .cfi_def_cfa_offset 16
  .cfi_offset x29, -16
  .cfi_offset x30, -8
  mov x29, sp
  .cfi_def_cfa x29, 16
  sub sp, sp, #144
  stp x19, x20, [x29, #-16]
  stp x21, x22, [x29, #-32]
  stp x23, x24, [x29, #-48]
  stp x25, x26, [x29, #-64]
  stp x27, x28, [x29, #-80]
  stp d8, d9, [x29, #-96]
  stp d10, d11, [x29, #-112]
  stp d12, d13, [x29, #-128]
  stp d14, d15, [x29, #-144]
  .cfi_offset x19, -32
  .cfi_offset x20, -24
  .cfi_offset x21, -48
  .cfi_offset x22, -40
  .cfi_offset x23, -64
  .cfi_offset x24, -56
  .cfi_offset x25, -80
  .cfi_offset x26, -72
  .cfi_offset x27, -96
  .cfi_offset x28, -88
  .cfi_offset d8, -112
  .cfi_offset d9, -104
  .cfi_offset d10, -128
  .cfi_offset d11, -120
  .cfi_offset d12, -144
  .cfi_offset d13, -136
  .cfi_offset d14, -160
  .cfi_offset d15, -152
  sub x9, sp, #GUARD_CALL_SIZE
  and x9, x9, #-64
  mov sp, x9
  mov x19, x9
  stp q0, q1, [x19]
  stp q2, q3, [x19, #32]
  stp q4, q5, [x19, #64]
  stp q6, q7, [x19, #96]
  stp x0, x1, [x19, #GUARD_REGISTERS]
  stp x2, x3, [x19, #GUARD_REGISTERS + 16]
  stp x4, x5, [x19, #GUARD_REGISTERS + 32]
  stp x6, x7, [x19, #GUARD_REGISTERS + 48]
  mrs x9, fpcr
  stp x8, x9, [x19, #GUARD_REGISTERS + 64]
  add x9, x29, #16
  stp x29, x9, [x19, #GUARD_FRAME_POINTER]
  ldr x1, [x16, #8]
  str x1, [x19, #GUARD_FN]
  mov x0, x19
  bl guard_enter
  mov x21, x0

again:
  cbz x21, zero
  ldr x9, [x19, #GUARD_DIRECT]
  cbnz x9, direct
  ldp x10, x9, [x19, #GUARD_ARGUMENTS] // where they are, how many bytes
  sub sp, sp, x9
  mov x11, sp
  cbz x9, 2f
1:ldp x12, x13, [x10], #16
  stp x12, x13, [x11], #16
  subs x9, x9, #16
  b.ne 1b
2:load_arguments
  blr x21
guard_returned:
  mov sp, x19
  stp q0, q1, [x19]
  stp q2, q3, [x19, #32]
  stp x0, x1, [x19, #GUARD_RESULTS]
  mov x0, x19
  bl guard_leave
  ldp q0, q1, [x19]
  ldp q2, q3, [x19, #32]
  ldp x0, x1, [x19, #GUARD_RESULTS]
done:
  .cfi_remember_state
  restore_frame
  .cfi_def_cfa sp, 0
  .cfi_restore x29
  .cfi_restore x30
  ret
  .cfi_restore_state

// Not guarded: as if the caller had come to the code itself.
direct:
  .cfi_remember_state
  mov x16, x21
  load_arguments
  restore_frame
  .cfi_def_cfa sp, 0
  .cfi_restore x29
  .cfi_restore x30
  br x16
  .cfi_restore_state

zero:
  movi v0.2d, #0
  movi v1.2d, #0
  movi v2.2d, #0
  movi v3.2d, #0
  ldp x0, x1, [x19, #GUARD_RESULTS]
  b done

// From a signal handler, which has set x19, x29 and sp.
guard_resume:
  ldr x9, [x19, #GUARD_REGISTERS + 72]
  msr fpcr, x9
  mov x0, x19
  bl guard_recover
  mov x21, x0
  b again
  .cfi_endproc
  .size guard_entry, . - guard_entry

#endif

  .section .note.GNU-stack, "", %progbits
