// The switch by itself: two contexts on one thread, no scheduler.
#include <unwind.h>

#include "../unit.hpp"
#include "arch/context.hpp"
#include "arch/sanitize.hpp"

using namespace unit;

// u64* pattern(void (*fn)(void*), void* arg, u64* out, u64 seed): fills every
// register that the ABI calls callee-saved with seed + its number, calls
// fn(arg), and stores what the registers then hold in out[].
extern "C" void thrum_test_pattern(void (*fn)(void*), void* arg, u64* out,
                                   u64 seed);
#if defined(__x86_64__)
constexpr u32 kSaved = 6;
asm(R"(
  .text
  .type thrum_test_pattern, @function
thrum_test_pattern:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $24, %rsp
  movq %rdx, (%rsp)
  movq %rdi, %rax
  movq %rsi, %rdi
  leaq 0(%rcx), %rbx
  leaq 1(%rcx), %rbp
  leaq 2(%rcx), %r12
  leaq 3(%rcx), %r13
  leaq 4(%rcx), %r14
  leaq 5(%rcx), %r15
  callq *%rax
  movq (%rsp), %rdx
  movq %rbx, 0(%rdx)
  movq %rbp, 8(%rdx)
  movq %r12, 16(%rdx)
  movq %r13, 24(%rdx)
  movq %r14, 32(%rdx)
  movq %r15, 40(%rdx)
  addq $24, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size thrum_test_pattern, .-thrum_test_pattern
)");
#elif defined(__aarch64__)
constexpr u32 kSaved = 19;  // x19-x28, x29, d8-d15
asm(R"(
  .text
  .type thrum_test_pattern, %function
thrum_test_pattern:
  sub sp, sp, #176
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  str x2, [sp, #160]
  mov x9, x0
  mov x0, x1
  add x19, x3, #0
  add x20, x3, #1
  add x21, x3, #2
  add x22, x3, #3
  add x23, x3, #4
  add x24, x3, #5
  add x25, x3, #6
  add x26, x3, #7
  add x27, x3, #8
  add x28, x3, #9
  add x29, x3, #10
  add x10, x3, #11
  fmov d8, x10
  add x10, x3, #12
  fmov d9, x10
  add x10, x3, #13
  fmov d10, x10
  add x10, x3, #14
  fmov d11, x10
  add x10, x3, #15
  fmov d12, x10
  add x10, x3, #16
  fmov d13, x10
  add x10, x3, #17
  fmov d14, x10
  add x10, x3, #18
  fmov d15, x10
  blr x9
  ldr x2, [sp, #160]
  stp x19, x20, [x2, #0]
  stp x21, x22, [x2, #16]
  stp x23, x24, [x2, #32]
  stp x25, x26, [x2, #48]
  stp x27, x28, [x2, #64]
  str x29, [x2, #80]
  str d8, [x2, #88]
  str d9, [x2, #96]
  str d10, [x2, #104]
  str d11, [x2, #112]
  str d12, [x2, #120]
  str d13, [x2, #128]
  str d14, [x2, #136]
  str d15, [x2, #144]
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #176
  ret
  .size thrum_test_pattern, .-thrum_test_pattern
)");
#endif

namespace {

constexpr size_t kStack = size_t{256} << 10;

// One of two contexts; the other side is always the one that hops here.
struct Ctx {
  void* sp = nullptr;
  StackNote note;
  char* stack = nullptr;
  Ctx* peer = nullptr;
  void (*fn)(Ctx*) = nullptr;
  u64 value = 0;
  u32 bad = 0;
  bool over = false;
};

Ctx* g_native;  // the bounds of its stack become known at the first arrival

void arrive(Ctx* self) { note_arrive(self->note, &g_native->note); }

// Leaves self for its peer; returns what the peer carries over.
THRUM_NOINLINE void* hop(Ctx* self, void* carry = nullptr) {
  note_leave(self->note, self->peer->note, false);
  void* got = context_switch(&self->sp, self->peer->sp, carry);
  arrive(self);
  return got;
}

void entry(void* carry) {
  Ctx* self = static_cast<Ctx*>(carry);
  arrive(self);
  self->fn(self);
  self->over = true;
  note_leave(self->note, self->peer->note, true);
  context_switch(&self->sp, self->peer->sp, nullptr);
  abort();
}

// The test's own context and one that runs fn. The first hop of native() starts
// it; carry is then the new context.
struct Pair {
  Ctx native, other;

  explicit Pair(void (*fn)(Ctx*), size_t below = 0) {
    g_native = &native;
    note_native(native.note);
    native.peer = &other;
    other.peer = &native;
    other.fn = fn;
    other.stack = static_cast<char*>(calloc(1, kStack));
    note_stack(other.note, other.stack, kStack);
    other.sp = context_make(other.stack + kStack - below, entry);
  }
  ~Pair() {
    CHECK(other.over);
    note_forget(other.note);
    free(other.stack);
  }
  void start() { hop(&native, &other); }
  void finish() {
    while (!other.over) {
      hop(&native);
    }
  }
};

u32 wrong(const u64* got, u64 seed) {
  u32 n = 0;
  for (u32 i = 0; i < kSaved; ++i) {
    n += got[i] != seed + i;
  }
  return n;
}

void hop_often(void* arg) {
  for (int i = 0; i < 100; ++i) {
    hop(static_cast<Ctx*>(arg));
  }
}

}  // namespace

TEST_CASE("context: there, back, and the carried word") {
  Pair pair([](Ctx* self) {
    for (u64 i = 1; i <= 10; ++i) {
      self->value +=
          reinterpret_cast<u64>(hop(self, reinterpret_cast<void*>(i)));
    }
  });
  void* got = hop(&pair.native, &pair.other);
  for (u64 i = 1; i <= 10; ++i) {
    CHECK(got == reinterpret_cast<void*>(i));
    CHECK(pair.other.over == false);
    got = hop(&pair.native, reinterpret_cast<void*>(100 * i));
  }
  CHECK(got == nullptr);
  CHECK(pair.other.value == 5500);
}

TEST_CASE("context: callee-saved registers are each side's own") {
  Pair pair([](Ctx* self) {
    for (u64 round = 0; round < 50; ++round) {
      u64 got[kSaved] = {}, seed = 0x5151'0000'0000'1000u + (round << 16);
      thrum_test_pattern(hop_often, self, got, seed);
      self->bad += wrong(got, seed);
    }
  });
  pair.start();
  u32 bad = 0;
  for (u64 round = 0; round < 50; ++round) {
    u64 got[kSaved] = {}, seed = 0xa2a2'0000'0000'7000u + (round << 16);
    thrum_test_pattern(hop_often, &pair.native, got, seed);
    bad += wrong(got, seed);
  }
  pair.finish();
  CHECK(bad == 0);
  CHECK(pair.other.bad == 0);
}

namespace {

#if defined(__x86_64__)
struct Fp {
  u32 mxcsr;
  u16 cw;
  bool operator==(const Fp& o) const {
    return (mxcsr & ~63u) == (o.mxcsr & ~63u) && cw == o.cw;  // less the flags
  }
};
Fp fp_get() {
  Fp f;
  asm volatile("stmxcsr %0; fnstcw %1" : "=m"(f.mxcsr), "=m"(f.cw));
  return f;
}
void fp_set(Fp f) {
  asm volatile("ldmxcsr %0; fldcw %1" ::"m"(f.mxcsr), "m"(f.cw));
}
const Fp kUp{0x1f80 | 0x4000, 0x037f | 0x0800};
const Fp kDownFlush{0x1f80 | 0x2000 | 0x8000, 0x027f | 0x0400};
const Fp kDefault{0x1f80, 0x037f};
// Only one of the two words differs from the default.
const Fp kOnlySse{0x1f80 | 0x6000, 0x037f};
const Fp kOnlyX87{0x1f80, 0x037f | 0x0c00};
#else
struct Fp {
  u64 fpcr;
  bool operator==(const Fp& o) const { return fpcr == o.fpcr; }
};
Fp fp_get() {
  Fp f;
  asm volatile("mrs %0, fpcr" : "=r"(f.fpcr));
  return f;
}
void fp_set(Fp f) { asm volatile("msr fpcr, %0" ::"r"(f.fpcr)); }
const Fp kUp{1u << 22};
const Fp kDownFlush{(2u << 22) | (1u << 24)};
const Fp kDefault{0};
const Fp kOnlySse{3u << 22};
const Fp kOnlyX87{1u << 24};
#endif

double third() {
  double one = 1, three = 3;
  asm volatile("" : "+m"(one), "+m"(three));
  return one / three;
}

}  // namespace

TEST_CASE("context: floating-point control is each side's own") {
  double plain = third();
  fp_set(kUp);
  double up = third();
  Pair pair([](Ctx* self) {
    double start = third();
    self->bad += !(fp_get() == kDefault);  // at the start: the default
    for (Fp mine :
         {kDownFlush, kDefault, kOnlySse, kOnlyX87, kUp, kDownFlush}) {
      fp_set(mine);
      double before = third();
      hop(self);
      self->bad += !(fp_get() == mine);
      self->bad += third() != before;
    }
    memcpy(&self->value, &start, sizeof start);
  });
  pair.start();
  u32 bad = 0;
  for (Fp mine : {kUp, kUp, kDefault, kUp, kOnlyX87, kOnlySse}) {
    fp_set(mine);
    hop(&pair.native);
    bad += !(fp_get() == mine);
  }
  fp_set(kUp);
  pair.finish();
  bad += !(fp_get() == kUp);
  fp_set(kDefault);
  CHECK(up != plain);
  CHECK(bad == 0);
  CHECK(pair.other.bad == 0);
  double other;
  memcpy(&other, &pair.other.value, sizeof other);
  CHECK(other == plain);
}

TEST_CASE("fp_reset: back to the default, from any of them") {
  for (Fp from : {kUp, kDownFlush, kOnlySse, kOnlyX87, kDefault}) {
    fp_set(from);
    fp_reset();
    bool back = fp_get() == kDefault;
    fp_set(kDefault);
    CHECK(back);
  }
}

TEST_CASE("context: the stack is aligned at entry, wherever its top lies") {
  for (size_t below : {0, 1, 8, 15, 16, 64, 960, 1000}) {
    Pair pair(
        [](Ctx* self) {
          uintptr_t frame =
              reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
          alignas(16) char local[32];
          char* at = local;
          asm volatile("" : "+r"(frame), "+r"(at));  // may not be known
          self->bad += frame % 16 != 0;
          self->bad += reinterpret_cast<uintptr_t>(at) % 16 != 0;
#if defined(__x86_64__)
          asm volatile("movaps %%xmm0, (%0)" ::"r"(at) : "memory");
#endif
        },
        below);
    pair.start();
    CHECK(pair.other.bad == 0);
    CHECK(pair.other.over);
  }
}

// ---- where backtraces end -----------------------------------------------------

namespace {

struct Trace {
  void* last = nullptr;
  u32 frames = 0;
  int how = -1;
};

_Unwind_Reason_Code step(_Unwind_Context* context, void* arg) {
  Trace* t = static_cast<Trace*>(arg);
  t->last = reinterpret_cast<void*>(_Unwind_GetRegionStart(context));
  return ++t->frames > 100 ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

Trace g_trace;

THRUM_NOINLINE void trace_deep(Ctx* self, int depth) {
  if (depth) {
    trace_deep(self, depth - 1);
    asm volatile("");  // no tail call
    return;
  }
  g_trace = Trace{};
  g_trace.how = _Unwind_Backtrace(step, &g_trace);
}

}  // namespace

TEST_CASE("context: unwinding ends at thrum_entry") {
  for (int depth : {0, 20}) {
    static int s_depth;
    s_depth = depth;
    Pair pair([](Ctx* self) { trace_deep(self, s_depth); });
    pair.start();
    CHECK(g_trace.how == _URC_END_OF_STACK);
    CHECK(g_trace.last == reinterpret_cast<void*>(&thrum_entry));
    CHECK(g_trace.frames >= static_cast<u32>(depth + 4));
    CHECK(g_trace.frames <= static_cast<u32>(depth + 6));
  }
}

namespace {

// Frame pointers from here up: how many, and whether the chain ended with a 0.
struct Chain {
  u32 frames = 0;
  bool ended = false;
};
Chain g_chain;

__attribute__((noinline, no_sanitize("address"))) void walk(char* lo,
                                                            char* hi) {
  g_chain = Chain{};
  void** fp = static_cast<void**>(__builtin_frame_address(0));
  for (; g_chain.frames < 100; ++g_chain.frames) {
    if (!fp) {
      g_chain.ended = true;
      return;
    }
    char* at = reinterpret_cast<char*>(fp);
    if (at < lo || at >= hi) {
      return;  // led astray
    }
    fp = static_cast<void**>(*fp);
  }
}

// An entry of its own, for its caller must be thrum_entry.
THRUM_NOINLINE void walking_entry(void* carry) {
  void* frame = __builtin_frame_address(0);  // makes it keep a frame pointer
  asm volatile("" ::"r"(frame));
  Ctx* self = static_cast<Ctx*>(carry);
  arrive(self);
  walk(self->stack, self->stack + kStack);
  self->over = true;
  note_leave(self->note, self->peer->note, true);
  context_switch(&self->sp, self->peer->sp, nullptr);
  abort();
}

}  // namespace

TEST_CASE("context: the chain of frame pointers ends with 0") {
  Pair pair(nullptr);
  pair.other.sp = context_make(pair.other.stack + kStack, walking_entry);
  // What the switching side holds in its frame pointer must not show.
  u64 got[kSaved];
  thrum_test_pattern(
      [](void* arg) {
        hop(static_cast<Ctx*>(arg), static_cast<Ctx*>(arg)->peer);
      },
      &pair.native, got, reinterpret_cast<u64>(pair.other.stack) + 4096);
  CHECK(g_chain.ended);
  CHECK(g_chain.frames == 2);
}

// ---- many ------------------------------------------------------------------------

TEST_CASE("context: a million switches") {
  constexpr u64 kSwitches = rounds(1'000'000) / 2;
  Pair pair([](Ctx* self) {
    for (u64 i = 0; i < kSwitches; ++i) {
      ++self->value;
      hop(self);
    }
  });
  pair.start();
  u64 mine = 0;
  while (!pair.other.over) {
    ++mine;
    hop(&pair.native);
  }
  CHECK(mine == kSwitches);
  CHECK(pair.other.value == kSwitches);
}

namespace {

// Hops at every depth on the way down and up; the frames keep their contents.
THRUM_NOINLINE u32 dive(Ctx* self, u32 depth, u64 seed) {
  volatile u64 mine[16];
  for (u32 i = 0; i < 16; ++i) {
    mine[i] = seed ^ (u64{depth} << 8) ^ i;
  }
  hop(self);
  u32 bad = depth ? dive(self, depth - 1, seed) : 0;
  hop(self);
  for (u32 i = 0; i < 16; ++i) {
    bad += mine[i] != (seed ^ (u64{depth} << 8) ^ i);
  }
  return bad;
}

}  // namespace

TEST_CASE("context: deep stacks keep their frames") {
  Pair pair([](Ctx* self) { self->bad += dive(self, 200, 0x1111'0000); });
  pair.start();
  u32 bad = dive(&pair.native, 150, 0x2222'0000);
  pair.finish();
  CHECK(bad == 0);
  CHECK(pair.other.bad == 0);
}
