// SPDX-License-Identifier: MIT

#include "native/tls.h"

#if defined(__aarch64__)

// Compiled code passes a descriptor's address in x0 and wants the variable's
// distance from the thread pointer there; it counts on every other register
// but x1 and x30. The upper parts of SVE registers are not kept.
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden tls_resolve_aarch64\n"
        ".globl tls_resolve_aarch64\n"
        ".type tls_resolve_aarch64, %function\n"
        "tls_resolve_aarch64:\n"
        ".cfi_startproc\n"
        "hint #34\n" // bti c
        "stp x29, x30, [sp, #-176]!\n"
        ".cfi_def_cfa_offset 176\n"
        ".cfi_offset x29, -176\n"
        ".cfi_offset x30, -168\n"
        "mov x29, sp\n"
        "stp x1, x2, [sp, #16]\n"
        "stp x3, x4, [sp, #32]\n"
        "stp x5, x6, [sp, #48]\n"
        "stp x7, x8, [sp, #64]\n"
        "stp x9, x10, [sp, #80]\n"
        "stp x11, x12, [sp, #96]\n"
        "stp x13, x14, [sp, #112]\n"
        "stp x15, x16, [sp, #128]\n"
        "stp x17, x18, [sp, #144]\n"
        "mrs x1, nzcv\n"
        "str x1, [sp, #160]\n"
        "sub sp, sp, #512\n"
        ".cfi_def_cfa x29, 176\n"
        "stp q0, q1, [sp, #0]\n"
        "stp q2, q3, [sp, #32]\n"
        "stp q4, q5, [sp, #64]\n"
        "stp q6, q7, [sp, #96]\n"
        "stp q8, q9, [sp, #128]\n"
        "stp q10, q11, [sp, #160]\n"
        "stp q12, q13, [sp, #192]\n"
        "stp q14, q15, [sp, #224]\n"
        "stp q16, q17, [sp, #256]\n"
        "stp q18, q19, [sp, #288]\n"
        "stp q20, q21, [sp, #320]\n"
        "stp q22, q23, [sp, #352]\n"
        "stp q24, q25, [sp, #384]\n"
        "stp q26, q27, [sp, #416]\n"
        "stp q28, q29, [sp, #448]\n"
        "stp q30, q31, [sp, #480]\n"
        "ldr x0, [x0, #8]\n"
        "bl tls_address\n"
        "mrs x1, tpidr_el0\n"
        "sub x0, x0, x1\n"
        "ldp q0, q1, [sp, #0]\n"
        "ldp q2, q3, [sp, #32]\n"
        "ldp q4, q5, [sp, #64]\n"
        "ldp q6, q7, [sp, #96]\n"
        "ldp q8, q9, [sp, #128]\n"
        "ldp q10, q11, [sp, #160]\n"
        "ldp q12, q13, [sp, #192]\n"
        "ldp q14, q15, [sp, #224]\n"
        "ldp q16, q17, [sp, #256]\n"
        "ldp q18, q19, [sp, #288]\n"
        "ldp q20, q21, [sp, #320]\n"
        "ldp q22, q23, [sp, #352]\n"
        "ldp q24, q25, [sp, #384]\n"
        "ldp q26, q27, [sp, #416]\n"
        "ldp q28, q29, [sp, #448]\n"
        "ldp q30, q31, [sp, #480]\n"
        "add sp, sp, #512\n"
        "ldr x1, [sp, #160]\n"
        "msr nzcv, x1\n"
        "ldp x1, x2, [sp, #16]\n"
        "ldp x3, x4, [sp, #32]\n"
        "ldp x5, x6, [sp, #48]\n"
        "ldp x7, x8, [sp, #64]\n"
        "ldp x9, x10, [sp, #80]\n"
        "ldp x11, x12, [sp, #96]\n"
        "ldp x13, x14, [sp, #112]\n"
        "ldp x15, x16, [sp, #128]\n"
        "ldp x17, x18, [sp, #144]\n"
        "ldp x29, x30, [sp], #176\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size tls_resolve_aarch64, . - tls_resolve_aarch64\n");

void tls_resolve_aarch64(void);

void *tls_descriptor(void) {
  return (void *)(uintptr_t)tls_resolve_aarch64;
}

#else

void *tls_descriptor(void) {
  return NULL;
}

#endif
