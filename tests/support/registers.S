/* The kernels of registers.h. Assembly, because only so every register is live at
 * every instruction. Offsets: struct registers. */
#if defined(__x86_64__)
    .set    FLAGS, 120
    .set    ZONE, 128
    .set    MXCSR, 240
    .set    CW, 244
    .set    SW, 246
    .set    X87, 256
    .set    K, 384
    .set    VEC, 448

/* After it: state and rounds in the red zone at -16 and -8, 14 words of the state
 * below. The vectors come first: they need rdi. */
    .macro  enter
    endbr64
    pushq   %rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    subq    $8, %rsp
    stmxcsr (%rsp)
    fnstcw  4(%rsp)
    movq    %rdi, -16(%rsp)
    movq    %rsi, -8(%rsp)
    .set    AT, 0
    .rept   14
    movq    ZONE+8*AT(%rdi), %rax
    movq    %rax, -24-8*AT(%rsp)
    .set    AT, AT + 1
    .endr
    ldmxcsr MXCSR(%rdi)
    fninit
    fldcw   CW(%rdi)
    .set    AT, 7
    .rept   8
    fldt    X87+16*AT(%rdi)
    .set    AT, AT - 1
    .endr
    .endm

    .macro  load_words
    movq    (%rdi), %rax
    movq    8(%rdi), %rbx
    movq    16(%rdi), %rcx
    movq    24(%rdi), %rdx
    movq    32(%rdi), %rsi
    movq    48(%rdi), %rbp
    movq    56(%rdi), %r8
    movq    64(%rdi), %r9
    movq    72(%rdi), %r10
    movq    80(%rdi), %r11
    movq    88(%rdi), %r12
    movq    96(%rdi), %r13
    movq    104(%rdi), %r14
    movq    112(%rdi), %r15
    movq    40(%rdi), %rdi
    std
    stc
    .endm

/* One carry runs through all of it, from round to round. */
    .macro  mix_words
    adcq    %rbx, %rax
    adcq    %rcx, %rbx
    adcq    %rdx, %rcx
    adcq    %rsi, %rdx
    adcq    %rdi, %rsi
    adcq    %rbp, %rdi
    adcq    %r8, %rbp
    adcq    %r9, %r8
    adcq    %r10, %r9
    adcq    %r11, %r10
    adcq    %r12, %r11
    adcq    %r13, %r12
    adcq    %r14, %r13
    adcq    %r15, %r14
    adcq    %rax, %r15
    adcq    %rax, -24(%rsp)
    adcq    %rbx, -32(%rsp)
    adcq    %rcx, -40(%rsp)
    adcq    %rdx, -48(%rsp)
    adcq    %rsi, -56(%rsp)
    adcq    %rdi, -64(%rsp)
    adcq    %rbp, -72(%rsp)
    adcq    %r8, -80(%rsp)
    adcq    %r9, -88(%rsp)
    adcq    %r10, -96(%rsp)
    adcq    %r11, -104(%rsp)
    adcq    %r12, -112(%rsp)
    adcq    %r13, -120(%rsp)
    adcq    -128(%rsp), %rax
    .endm

    .macro  mix_x87
    fadd    %st(3), %st
    fxch    %st(5)
    fsub    %st(1), %st
    fabs
    fsqrt
    fadd    %st(6), %st
    fincstp
    .endm

    .macro  again label
    rolq    $13, %rax
    adcq    %r9, %r10
    decq    -8(%rsp)                /* leaves the carry alone */
    jnz     \label
    .endm

/* Back to rdi = state, with all words, flags and the zone stored. */
    .macro  store_words
    movq    %rdi, -8(%rsp)
    movq    -16(%rsp), %rdi
    movq    %rax, (%rdi)
    movq    %rbx, 8(%rdi)
    movq    %rcx, 16(%rdi)
    movq    %rdx, 24(%rdi)
    movq    %rsi, 32(%rdi)
    movq    -8(%rsp), %rax
    movq    %rax, 40(%rdi)
    movq    %rbp, 48(%rdi)
    movq    %r8, 56(%rdi)
    movq    %r9, 64(%rdi)
    movq    %r10, 72(%rdi)
    movq    %r11, 80(%rdi)
    movq    %r12, 88(%rdi)
    movq    %r13, 96(%rdi)
    movq    %r14, 104(%rdi)
    movq    %r15, 112(%rdi)
    .set    AT, 0
    .rept   14
    movq    -24-8*AT(%rsp), %rax
    movq    %rax, ZONE+8*AT(%rdi)
    .set    AT, AT + 1
    .endr
    pushfq
    popq    %rax
    movq    %rax, FLAGS(%rdi)
    cld
    .endm

    .macro  leave_all
    stmxcsr MXCSR(%rdi)
    fnstcw  CW(%rdi)
    fnstsw  SW(%rdi)
    .set    AT, 0
    .rept   8
    fstpt   X87+16*AT(%rdi)
    .set    AT, AT + 1
    .endr
    fninit
    fldcw   4(%rsp)
    ldmxcsr (%rsp)
    addq    $8, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    ret
    .endm

    .text
    .globl  thrum_test_kernels_begin, thrum_test_kernels_end
    .p2align 4
thrum_test_kernels_begin:

    .globl  thrum_test_kernel_avx512
    .type   thrum_test_kernel_avx512, @function
thrum_test_kernel_avx512:
    enter
    .irp    i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vmovdqu64 VEC+64*\i(%rdi), %zmm\i
    .endr
    .irp    i, 0,1,2,3,4,5,6,7
    kmovq   K+8*\i(%rdi), %k\i
    .endr
    load_words
    .p2align 4
1:
    mix_words
    .irp    i, 0,2,4,6,8,10,12,16,18,20,22,24,26,28
    vpaddq  %zmm13, %zmm\i, %zmm\i
    vprolq  $7, %zmm\i, %zmm\i
    .endr
    .irp    i, 1,3,5,7,9,11,17,19,21,23,25,27,29
    vpxorq  %zmm12, %zmm\i, %zmm\i
    vpaddq  %zmm28, %zmm\i, %zmm\i{%k3}
    .endr
    vpxorq  %zmm2, %zmm13, %zmm13
    vpxorq  %zmm0, %zmm12, %zmm12{%k5}
    vpaddq  %zmm11, %zmm0, %zmm0
    vpaddq  %zmm27, %zmm16, %zmm16
    vpaddq  %zmm17, %zmm28, %zmm28
    vaddpd  %zmm31, %zmm30, %zmm30
    vaddpd  %ymm15, %ymm14, %ymm14
    kaddq   %k1, %k0, %k0
    kaddq   %k2, %k1, %k1
    kxorq   %k3, %k2, %k2
    kaddq   %k4, %k3, %k3
    kxorq   %k5, %k4, %k4
    kaddq   %k6, %k5, %k5
    kxorq   %k7, %k6, %k6
    kaddq   %k0, %k7, %k7
    mix_x87
    again   1b
    store_words
    .irp    i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vmovdqu64 %zmm\i, VEC+64*\i(%rdi)
    .endr
    .irp    i, 0,1,2,3,4,5,6,7
    kmovq   %k\i, K+8*\i(%rdi)
    .endr
    vzeroupper
    leave_all
    .size   thrum_test_kernel_avx512, .-thrum_test_kernel_avx512

    .globl  thrum_test_kernel_avx2
    .type   thrum_test_kernel_avx2, @function
thrum_test_kernel_avx2:
    enter
    .irp    i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqu VEC+64*\i(%rdi), %ymm\i
    .endr
    load_words
    .p2align 4
1:
    mix_words
    .irp    i, 0,2,4,6,8,10
    vpaddq  %ymm13, %ymm\i, %ymm\i
    .endr
    .irp    i, 1,3,5,7,9,11
    vpxor   %ymm12, %ymm\i, %ymm\i
    vpaddq  %ymm0, %ymm\i, %ymm\i
    .endr
    vpxor   %ymm2, %ymm13, %ymm13
    vpaddq  %ymm11, %ymm12, %ymm12
    vaddpd  %ymm15, %ymm14, %ymm14
    mix_x87
    again   1b
    store_words
    .irp    i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqu %ymm\i, VEC+64*\i(%rdi)
    .endr
    vzeroupper
    leave_all
    .size   thrum_test_kernel_avx2, .-thrum_test_kernel_avx2

    .globl  thrum_test_kernel_sse2
    .type   thrum_test_kernel_sse2, @function
thrum_test_kernel_sse2:
    enter
    .irp    i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    movdqu  VEC+64*\i(%rdi), %xmm\i
    .endr
    load_words
    .p2align 4
1:
    mix_words
    .irp    i, 0,2,4,6,8,10
    paddq   %xmm13, %xmm\i
    .endr
    .irp    i, 1,3,5,7,9,11
    pxor    %xmm12, %xmm\i
    paddq   %xmm0, %xmm\i
    .endr
    pxor    %xmm2, %xmm13
    paddq   %xmm11, %xmm12
    addpd   %xmm15, %xmm14
    mix_x87
    again   1b
    store_words
    .irp    i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    movdqu  %xmm\i, VEC+64*\i(%rdi)
    .endr
    leave_all
    .size   thrum_test_kernel_sse2, .-thrum_test_kernel_sse2

thrum_test_kernels_end:

    .section .note.GNU-stack,"",@progbits

#elif defined(__aarch64__)
    .set    FLAGS, 248
    .set    FPCR, 256
    .set    FPSR, 264
    .set    VEC, 288

    .text
    .globl  thrum_test_kernels_begin, thrum_test_kernels_end
    .p2align 4
thrum_test_kernels_begin:

    .globl  thrum_test_kernel_a64
    .type   thrum_test_kernel_a64, %function
thrum_test_kernel_a64:
    hint    #34                     /* bti c */
    sub     sp, sp, #208
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     x29, x30, [sp, #96]
    stp     d8, d9, [sp, #112]
    stp     d10, d11, [sp, #128]
    stp     d12, d13, [sp, #144]
    stp     d14, d15, [sp, #160]
    mrs     x9, fpcr
    mrs     x10, fpsr
    stp     x9, x10, [sp, #176]
    stp     x0, x1, [sp]            /* state, rounds */
    ldr     x9, [x0, #FPCR]
    msr     fpcr, x9
    ldr     x9, [x0, #FPSR]
    msr     fpsr, x9
    add     x9, x0, #VEC
    .irp    i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ldr     q\i, [x9, #16*\i]
    .endr
    .irp    i, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    ldr     x\i, [x0, #8*\i]
    .endr
    ldr     x0, [x0]
    cmp     x0, x0                  /* a carry to begin with */
1:
    adcs    x0, x0, x1
    adcs    x1, x1, x2
    adcs    x2, x2, x3
    adcs    x3, x3, x4
    adcs    x4, x4, x5
    adcs    x5, x5, x6
    adcs    x6, x6, x7
    adcs    x7, x7, x8
    adcs    x8, x8, x9
    adcs    x9, x9, x10
    adcs    x10, x10, x11
    adcs    x11, x11, x12
    adcs    x12, x12, x13
    adcs    x13, x13, x14
    adcs    x14, x14, x15
    adcs    x15, x15, x16
    adcs    x16, x16, x17
    adcs    x17, x17, x18
    adcs    x18, x18, x19
    adcs    x19, x19, x20
    adcs    x20, x20, x21
    adcs    x21, x21, x22
    adcs    x22, x22, x23
    adcs    x23, x23, x24
    adcs    x24, x24, x25
    adcs    x25, x25, x26
    adcs    x26, x26, x27
    adcs    x27, x27, x28
    adcs    x28, x28, x29
    adcs    x29, x29, x30
    adcs    x30, x30, x0
    ror     x0, x0, #13
    .irp    i, 0,2,4,6,8,10,12,14,16,18,20,22,24,26
    add     v\i\().2d, v\i\().2d, v29.2d
    .endr
    .irp    i, 1,3,5,7,9,11,13,15,17,19,21,23,25,27
    eor     v\i\().16b, v\i\().16b, v28.16b
    add     v\i\().2d, v\i\().2d, v0.2d
    .endr
    eor     v29.16b, v29.16b, v2.16b
    add     v28.2d, v28.2d, v27.2d
    fadd    v30.2d, v30.2d, v31.2d
    /* The counter borrows x9, and no flag is touched. */
    str     x9, [sp, #192]
    ldr     x9, [sp, #8]
    sub     x9, x9, #1
    str     x9, [sp, #8]
    cbz     x9, 2f
    ldr     x9, [sp, #192]
    b       1b
2:
    ldr     x9, [sp, #192]
    str     x0, [sp, #8]
    ldr     x0, [sp]
    .irp    i, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    str     x\i, [x0, #8*\i]
    .endr
    ldr     x9, [sp, #8]
    str     x9, [x0]
    mrs     x9, nzcv
    str     x9, [x0, #FLAGS]
    mrs     x9, fpcr
    str     x9, [x0, #FPCR]
    mrs     x9, fpsr
    str     x9, [x0, #FPSR]
    add     x9, x0, #VEC
    .irp    i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    str     q\i, [x9, #16*\i]
    .endr
    ldp     x9, x10, [sp, #176]
    msr     fpcr, x9
    msr     fpsr, x10
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp, #96]
    ldp     d8, d9, [sp, #112]
    ldp     d10, d11, [sp, #128]
    ldp     d12, d13, [sp, #144]
    ldp     d14, d15, [sp, #160]
    add     sp, sp, #208
    ret
    .size   thrum_test_kernel_a64, .-thrum_test_kernel_a64

thrum_test_kernels_end:

    .section .note.GNU-stack,"",%progbits
#endif
