/* Context switch and first frame of a G, AAPCS64. See x86_64/switch.S.
 * Frame, upwards: x19..x28, x29, x30, d8..d15, fpcr, pad: 176 bytes.
 * SPDX-License-Identifier: MIT */
    .text
    .globl  thrum_switch
    .hidden thrum_switch
    .type   thrum_switch, %function
    .p2align 4
thrum_switch:
    .cfi_startproc
    hint    #34                     /* bti c */
    sub     sp, sp, #176
    .cfi_adjust_cfa_offset 176
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mrs     x9, fpcr
    str     x9, [sp, #160]
    mov     x10, sp
    str     x10, [x0]
    mov     sp, x1
    ldr     x10, [sp, #160]
    cmp     x9, x10
    b.eq    1f
    msr     fpcr, x10
1:
    ldp     x19, x20, [sp, #0]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #176
    .cfi_adjust_cfa_offset -176
    mov     x0, x2
    mov     x16, x30
    br      x16                     /* an indirect jump through x16: bti c */
    .cfi_endproc
    .size   thrum_switch, .-thrum_switch

/* First frame of a G: x19 = entry, x0 = carry. */
    .globl  thrum_entry
    .hidden thrum_entry
    .type   thrum_entry, %function
    .p2align 4
thrum_entry:
    .cfi_startproc
    .cfi_undefined x30
    hint    #34
    mov     x29, xzr
    mov     x30, xzr
    blr     x19
    brk     #1
    .cfi_endproc
    .size   thrum_entry, .-thrum_entry

/* Calls x1(x0) with x29 0, see x86_64/switch.S. */
    .globl  thrum_guest
    .hidden thrum_guest
    .type   thrum_guest, %function
    .p2align 4
thrum_guest:
    .cfi_startproc
    hint    #34                     /* bti c */
    stp     x29, x30, [sp, #-16]!
    .cfi_adjust_cfa_offset 16
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    mov     x29, xzr
    blr     x1
    ldp     x29, x30, [sp], #16
    .cfi_restore x29
    .cfi_restore x30
    .cfi_adjust_cfa_offset -16
    ret
    .cfi_endproc
    .size   thrum_guest, .-thrum_guest

    .section .note.GNU-stack,"",%progbits
