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

    .section .note.GNU-stack,"",@progbits
