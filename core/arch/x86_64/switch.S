/* First frame of a G, x86-64: rbx = entry, rax = carry. Nothing lies above it:
 * rbp is 0 for walkers of frame pointers, rip is undefined for walkers of CFI.
 * The switch itself is inline, see context.hpp.
 * SPDX-License-Identifier: MIT */
    .text
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

/* Calls rsi(rdi) with rbp 0: the core is built without frame pointers, and whoever
 * walks those of the guest must not go on into what rbp is used for there. */
    .globl  thrum_guest
    .hidden thrum_guest
    .type   thrum_guest, @function
    .p2align 4
thrum_guest:
    .cfi_startproc
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    xorl    %ebp, %ebp
    callq   *%rsi
    popq    %rbp
    .cfi_restore rbp
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
    .size   thrum_guest, .-thrum_guest

    .section .note.GNU-stack,"",@progbits
