/* Where a preempted G goes on, x86-64. It was stopped between two instructions,
 * so nothing may change but memory below its red zone. os::detour has stored the
 * address to return to there: 136 bytes below the G's stack pointer.
 *
 * Frame, downwards from there: flags, rbp, 14 registers, the XSAVE area (aligned
 * to 64). After the save the FPU is made as an ABI call expects it: without
 * fninit the x87 stack of this G would leak into the next one's, and dirty upper
 * halves make every SSE instruction slow.
 *
 * The frame is a signal's to unwinders: its caller was stopped at, not after, an
 * instruction. SPDX-License-Identifier: MIT */
    .hidden thrum_preempt_cpu
    .set    CPU_THEN, 0
    .set    CPU_MASK, 8
    .set    CPU_BYTES, 16
    .set    CPU_HOW, 20
    .set    CPU_AVX, 24
    .set    CPU_MXCSR, 28

    .macro  save reg, number
    pushq   \reg
    .cfi_rel_offset \number, SAVED
    .set    SAVED, SAVED - 8
    .endm

    .macro  load reg, number
    popq    \reg
    .cfi_restore \number
    .endm

    .text
    .globl  thrum_preempt_entry
    .hidden thrum_preempt_entry
    .type   thrum_preempt_entry, @function
    .p2align 4
thrum_preempt_entry:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_def_cfa rsp, 136
    .cfi_offset rip, -136
    endbr64
    pushfq
    .cfi_adjust_cfa_offset 8
    .cfi_offset 49, -144            /* rflags */
    cld
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_offset rbp, -152
    movq    %rsp, %rbp
    .cfi_def_cfa_register rbp
    .set    SAVED, -8               /* from rbp */
    save    %rax, rax
    save    %rbx, rbx
    save    %rcx, rcx
    save    %rdx, rdx
    save    %rsi, rsi
    save    %rdi, rdi
    save    %r8, r8
    save    %r9, r9
    save    %r10, r10
    save    %r11, r11
    save    %r12, r12
    save    %r13, r13
    save    %r14, r14
    save    %r15, r15
    movl    thrum_preempt_cpu+CPU_BYTES(%rip), %eax
    subq    %rax, %rsp
    andq    $-64, %rsp
    movl    thrum_preempt_cpu+CPU_MASK(%rip), %eax
    movl    thrum_preempt_cpu+CPU_MASK+4(%rip), %edx
    cmpl    $1, thrum_preempt_cpu+CPU_HOW(%rip)
    jb      .Lfxsave
    /* Neither instruction writes all of the header, and XRSTOR reads all. (A
     * store keeps the flags of the comparison.) */
    movq    $0, 512(%rsp)
    movq    $0, 520(%rsp)
    movq    $0, 528(%rsp)
    movq    $0, 536(%rsp)
    movq    $0, 544(%rsp)
    movq    $0, 552(%rsp)
    movq    $0, 560(%rsp)
    movq    $0, 568(%rsp)
    je      .Lxsave
    xsavec64 (%rsp)
    jmp     .Lsaved
.Lxsave:
    xsave64 (%rsp)
    jmp     .Lsaved
.Lfxsave:
    fxsave64 (%rsp)
.Lsaved:
    fninit
    cmpl    $0, thrum_preempt_cpu+CPU_AVX(%rip)
    je      .Lclean
    vzeroupper
.Lclean:
    ldmxcsr thrum_preempt_cpu+CPU_MXCSR(%rip)
    movq    %rbp, %rdi
    callq   *thrum_preempt_cpu+CPU_THEN(%rip)

    movl    thrum_preempt_cpu+CPU_MASK(%rip), %eax
    movl    thrum_preempt_cpu+CPU_MASK+4(%rip), %edx
    cmpl    $1, thrum_preempt_cpu+CPU_HOW(%rip)
    jb      .Lfxrstor
    xrstor64 (%rsp)
    jmp     .Lloaded
.Lfxrstor:
    fxrstor64 (%rsp)
.Lloaded:
    leaq    -112(%rbp), %rsp
    load    %r15, r15
    load    %r14, r14
    load    %r13, r13
    load    %r12, r12
    load    %r11, r11
    load    %r10, r10
    load    %r9, r9
    load    %r8, r8
    load    %rdi, rdi
    load    %rsi, rsi
    load    %rdx, rdx
    load    %rcx, rcx
    load    %rbx, rbx
    load    %rax, rax
    load    %rbp, rbp
    .cfi_def_cfa rsp, 144
    popfq
    .cfi_def_cfa_offset 136
    .cfi_restore 49
    ret     $128                    /* over the red zone; no flag is touched */
    .cfi_endproc
    .size   thrum_preempt_entry, .-thrum_preempt_entry

    .section .note.GNU-stack,"",@progbits
