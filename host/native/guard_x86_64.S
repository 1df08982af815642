// SPDX-License-Identifier: MIT
//
// The guard's frame on x86-64. A gate comes to guard_entry with its cell in
// r11 and everything else as its caller left it: all argument registers are
// kept in a GuardCall on the stack, with the vector registers as XSAVE writes
// them, and arguments on the stack are copied, since the callee may write to
// its own. So nothing needs to be known about the native's C type.
//
//   rbx  the GuardCall, also the end of the copied arguments
//   r12  the GuardFn
//   r13  the code to call

#if defined(__x86_64__)

#include "native/guard_frame.h"

#if defined(__CET__)
#include <cet.h>
#else
#define _CET_ENDBR
#endif

// The first word of a GuardFn says what XSAVE shall save; 0: there is none.
.macro save_vectors
  movl (%r12), %eax
  testl %eax, %eax
  jz 1f
  xorl %edx, %edx
  xsave64 (%rbx)
  jmp 2f
1:fxsave64 (%rbx)
2:
.endm

.macro load_vectors
  movl (%r12), %eax
  testl %eax, %eax
  jz 1f
  xorl %edx, %edx
  xrstor64 (%rbx)
  jmp 2f
1:fxrstor64 (%rbx)
2:
.endm

.macro load_arguments
  movq GUARD_REGISTERS(%rbx), %rdi
  movq GUARD_REGISTERS+8(%rbx), %rsi
  movq GUARD_REGISTERS+16(%rbx), %rdx
  movq GUARD_REGISTERS+24(%rbx), %rcx
  movq GUARD_REGISTERS+32(%rbx), %r8
  movq GUARD_REGISTERS+40(%rbx), %r9
  movq GUARD_REGISTERS+48(%rbx), %rax
  movq GUARD_REGISTERS+56(%rbx), %r10
.endm

  .text
  .globl guard_entry, guard_returned, guard_resume
  .hidden guard_entry, guard_returned, guard_resume
  .type guard_entry, @function
  .p2align 4
guard_entry:
  .cfi_startproc
  _CET_ENDBR
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, %rbp
  .cfi_def_cfa_register %rbp
  pushq %rbx
  .cfi_offset %rbx, -24
  pushq %r12
  .cfi_offset %r12, -32
  pushq %r13
  .cfi_offset %r13, -40
  pushq %r14 // so that the number is even; it is not used
  .cfi_offset %r14, -48
  subq $GUARD_CALL_SIZE, %rsp
  andq $-64, %rsp
  movq %rsp, %rbx
  movq 8(%r11), %r12
  movq %rdi, GUARD_REGISTERS(%rbx)
  movq %rsi, GUARD_REGISTERS+8(%rbx)
  movq %rdx, GUARD_REGISTERS+16(%rbx)
  movq %rcx, GUARD_REGISTERS+24(%rbx)
  movq %r8, GUARD_REGISTERS+32(%rbx)
  movq %r9, GUARD_REGISTERS+40(%rbx)
  movq %rax, GUARD_REGISTERS+48(%rbx)
  movq %r10, GUARD_REGISTERS+56(%rbx)
  movq %rbp, GUARD_FRAME_POINTER(%rbx)
  leaq 16(%rbp), %rax
  movq %rax, GUARD_ARGUMENTS(%rbx)
  movq %r12, GUARD_FN(%rbx)
  // XSAVE wants its header to be zero.
  leaq 512(%rbx), %rdi
  xorl %eax, %eax
  movl $8, %ecx
  rep stosq
  save_vectors
  movq %rbx, %rdi
  movq %r12, %rsi
  call guard_enter
  movq %rax, %r13

again:
  load_vectors
  testq %r13, %r13
  jz zero
  cmpq $0, GUARD_DIRECT(%rbx)
  jne direct
  movq GUARD_STACK_SIZE(%rbx), %rcx
  subq %rcx, %rsp
  shrq $3, %rcx
  movq GUARD_ARGUMENTS(%rbx), %rsi
  movq %rsp, %rdi
  rep movsq
  load_arguments
  call *%r13
guard_returned:
  movq %rbx, %rsp
  movq %rax, GUARD_RESULTS(%rbx)
  movq %rdx, GUARD_RESULTS+8(%rbx)
  save_vectors
  movq %rbx, %rdi
  call guard_leave
  load_vectors
  movq GUARD_RESULTS(%rbx), %rax
  movq GUARD_RESULTS+8(%rbx), %rdx
done:
  leaq -32(%rbp), %rsp
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  .cfi_remember_state
  .cfi_def_cfa %rsp, 8
  ret
  .cfi_restore_state

// Not guarded: as if the caller had come to the code itself.
direct:
  movq %r13, %r11
  load_arguments
  leaq -32(%rbp), %rsp
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  .cfi_remember_state
  .cfi_def_cfa %rsp, 8
  jmp *%r11
  .cfi_restore_state

zero:
  movq GUARD_RESULTS(%rbx), %rax
  movq GUARD_RESULTS+8(%rbx), %rdx
  pxor %xmm0, %xmm0
  pxor %xmm1, %xmm1
  jmp done

// From a signal handler, which has set rbx, rbp and rsp. The vector registers
// bring back the floating-point modes of the call as well.
guard_resume:
  cld
  movq GUARD_FN(%rbx), %r12
  load_vectors
  movq %rbx, %rdi
  call guard_recover
  movq %rax, %r13
  jmp again
  .cfi_endproc
  .size guard_entry, . - guard_entry

#endif

  .section .note.GNU-stack, "", @progbits
