/* Where a preempted G goes on, AAPCS64. It was stopped between two instructions,
 * and A64 has no jump that changes no register: the way back must be the
 * kernel's. So nothing is saved here. os::detour has copied the frame that the
 * kernel had made for the signal (all registers, NZCV, vectors, FPSR, FPCR and
 * whatever a later CPU adds) to the G's stack; sp points to it, and rt_sigreturn
 * goes on from there, on whichever thread.
 *
 * There is no CFI on purpose: unwinders and gdb know a signal's frame by the two
 * instructions that the call below returns to, with no FDE around them.
 * SPDX-License-Identifier: MIT */
    .hidden thrum_preempt_then
    .text
    .globl  thrum_preempt_entry
    .hidden thrum_preempt_entry
    .type   thrum_preempt_entry, %function
    .p2align 4
thrum_preempt_entry:
    hint    #38                     /* bti jc */
    mov     x0, sp
    adrp    x16, thrum_preempt_then
    ldr     x16, [x16, #:lo12:thrum_preempt_then]
    blr     x16
    mov     x8, #139                /* rt_sigreturn */
    svc     #0
    brk     #1
    .size   thrum_preempt_entry, .-thrum_preempt_entry

    .section .note.GNU-stack,"",%progbits
