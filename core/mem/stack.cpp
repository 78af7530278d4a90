// SPDX-License-Identifier: MIT
#include "mem/stack.hpp"

#include "arch/sanitize.hpp"
#include "mem/heap.hpp"
#include "os/os.hpp"

namespace thrum::mem {

namespace {
// The first arena of a class is small, later ones double up to 1 GiB: a host
// that runs ten Gs under a tight address-space limit must not reserve a
// gigabyte.
constexpr u32 kFirstSlots = 16;
constexpr size_t kArenaMax = size_t{1} << 30;
constexpr u32 kArenas = 1 << 15;  // of a class: as Stack counts them
constexpr u32 kColours = 16;      // steps of one cache line
constexpr u32 kGuardBatch = 16;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
u64 low_bits(u32 n) { return n >= 64 ? ~u64{0} : (u64{1} << n) - 1; }
}  // namespace

void Arenas::init(const Source* source, size_t body_bytes, bool narrow) {
  source_ = source;
  body_bytes_ = body_bytes;
  narrow_ = narrow;
  page_ = os::page_size();
}

u32 stack_class(size_t size) {
  u32 c = 0;
  while (c < kStackClasses && kStackSizes[c] < size) {
    ++c;
  }
  return c;
}

bool stack_whole(const Stack& s) {
  // What a frame that reached below would hardly miss.
  constexpr u32 kWords = 64;
  const u64* gap = reinterpret_cast<const u64*>(s.lo()) - kWords;
  u64 seen = 0;
  for (u32 i = 0; i < kWords; ++i) {
    seen |= gap[i];
  }
  return seen == 0;
}

// An odd number of pages, as all classes are an even one: tops do not share their
// cache sets.
size_t Arenas::guard_bytes(u32 size_class) const {
  size_t least = !narrow_ ? kGuardWide
                 : kStackSizes[size_class] <= size_t{64} << 10
                     ? kGuardNarrowSmall
                     : kGuardNarrow;
  return ((least + page_ - 1) / page_ | 1) * page_;
}

size_t Arenas::stride(u32 size_class) const {
  return round_up(kStackSizes[size_class], 2 * page_) + guard_bytes(size_class);
}

Slot Arenas::slot_of(Arena* a, u32 i) const {
  size_t step = stride(a->size_class);
  char* at = a->stacks + i * step;
  size_t colour = (i + a->index) % kColours * kCacheLine;
  Slot s;
  s.body = a->base + i * body_bytes_;
  s.stack.hi = at + step - colour - kCacheLine;
  s.stack.bytes =
      static_cast<u32>(s.stack.hi - (at + guard_bytes(a->size_class)));
  s.stack.arena = a->index & (kArenas - 1);
  s.stack.guarded = !(bits(a)[i / 64].unguarded >> i % 64 & 1);
  s.stack.size_class = a->size_class;
  s.stack.node = a->node;
  return s;
}

u32 Arenas::take(u32 size_class, Slot* out, u32 n, u32 node) {
  Class& c = classes_[node][size_class];
  for (;;) {
    u32 last = 0;
    {
      Locked held(lock_);
      u32 got = take_vacant(c, out, n);
      if (got || (got = cut(c, *out) ? 1 : 0)) {
        return got;
      }
      last = c.count ? c.arenas[c.count - 1]->slots : 0;
    }
    Arena* a = make_arena(size_class, node, last);
    if (!a || !add(a)) {
      return take_elsewhere(size_class, out, n);
    }
  }
}

// A stack far away is more than none.
u32 Arenas::take_elsewhere(u32 size_class, Slot* out, u32 n) {
  Locked held(lock_);
  u32 got = 0;
  for (u32 node = 0; node < kStackNodes && !got; ++node) {
    Class& c = classes_[node][size_class];
    got = take_vacant(c, out, n);
    got = got ? got : cut(c, *out) ? 1 : 0;
  }
  return got;
}

u32 Arenas::take_vacant(Class& c, Slot* out, u32 n) {
  u32 got = 0;
  for (u32 at = c.first; at < c.count && got < n;) {
    Arena* a = c.arenas[at];
    if (!a->vacant) {
      c.first = ++at;
      continue;
    }
    u32 w = a->first;
    while (!bits(a)[w].vacant) {
      a->first = ++w;
    }
    Bits& b = bits(a)[w];
    u32 i = static_cast<u32>(__builtin_ctzll(b.vacant));
    u64 bit = u64{1} << i;
    a->vacant--;
    a->warm -= (b.warm & bit) != 0;
    b.vacant &= ~bit;
    b.warm &= ~bit;
    b.aged &= ~bit;
    out[got++] = slot_of(a, w * 64 + i);
  }
  return got;
}

// Without the lock: the host's functions may take their time. `last`: how many
// slots the last one had. null: no memory, no address space.
Arenas::Arena* Arenas::make_arena(u32 size_class, u32 node, u32 last) {
  size_t each = stride(size_class) + body_bytes_;
  u32 slots = last ? last * 2 : kFirstSlots;
  while (slots > kFirstSlots && slots * each > kArenaMax) {
    slots /= 2;
  }
  u32 words = (slots + 63) / 64;
  auto* a =
      static_cast<Arena*>(mem::zalloc(1, sizeof(Arena) + words * sizeof(Bits)));
  if (!a) {
    return nullptr;
  }
  // A tight limit on address space may leave room for fewer.
  size_t bodies = 0;
  for (slots *= 2; !a->base && slots > 1;) {
    slots /= 2;
    bodies = round_up(slots * body_bytes_, page_);
    a->bytes = bodies + slots * stride(size_class);
    a->base = static_cast<char*>(source_->map(a->bytes));
  }
  if (!a->base) {
    mem::free(a);
    return nullptr;
  }
  // A huge page under a stack top would commit 2 MiB for one page. For all of
  // the arena, so that arenas side by side are one mapping to the kernel.
  os::vm_huge(a->base, a->bytes, false);
  a->stacks = a->base + bodies;
  a->slots = slots;
  a->size_class = static_cast<u8>(size_class);
  a->node = static_cast<u8>(node);
  place(a);
  return a;
}

// Before anything of it is touched.
void Arenas::place(Arena* a) const {
  const i32* memory = memory_.load(acquire);  // pairs with nodes
  if (memory && memory[a->node] >= 0) {
    a->place_error =
        os::vm_prefer(a->base, a->bytes, static_cast<u32>(memory[a->node]));
    a->placed = !a->place_error;
  }
}

bool Arenas::add(Arena* a) {
  {
    Locked held(lock_);
    Class& c = class_of(a);
    u32 room = c.room ? 2 * c.room : 8;
    void* p = c.arenas;
    if (c.count == c.room) {
      p = room <= kArenas ? mem::realloc(p, room * sizeof(Arena*)) : nullptr;
      c.room = p ? room : c.room;
    }
    if (p) {
      placed_ += a->placed;
      unplaced_ += a->place_error != 0;
      place_error_ = a->place_error ? a->place_error : place_error_;
      a->index = static_cast<u16>(c.count);
      c.arenas = static_cast<Arena**>(p);
      a->older = newest_;
      publish(newest_, a);
      c.arenas[c.count++] = a;
      return true;
    }
  }
  source_->unmap(a->base, a->bytes);
  mem::free(a);
  return false;
}

// The next slots get their guards, some at once.
void Arenas::guard(Arena* a) {
  u32 n = min(kGuardBatch, a->slots - a->guarded);
  size_t bytes = guard_bytes(a->size_class);
  os::Span spans[kGuardBatch] = {};
  for (u32 i = 0; i < n; ++i) {
    spans[i] = {a->stacks + (a->guarded + i) * stride(a->size_class), bytes};
  }
  if (os::vm_guard_all(spans, n) == 0) {
    a->guarded += n;
    return;
  }
  for (u32 i = 0; i < n; ++i, ++a->guarded) {
    int how = os::vm_guard(spans[i].p, bytes, split_guards_ < split_most_);
    if (how == 1 && ++split_guards_ == 1) {
      split_most_ = os::map_limit() / 4;  // two mappings each
    }
    if (how < 0) {
      bits(a)[a->guarded / 64].unguarded |= u64{1} << a->guarded % 64;
    }
  }
}

bool Arenas::cut(Class& c, Slot& out) {
  Arena* a = c.count ? c.arenas[c.count - 1] : nullptr;
  if (!a || a->cut == a->slots) {
    return false;
  }
  if (a->cut == a->guarded) {
    guard(a);
  }
  out = slot_of(a, a->cut);
  publish(a->cut, a->cut + 1);
  return true;
}

bool Arenas::find(const char* at, void*& body, bool& in_guard) const {
  for (const Arena* a = peek(newest_); a; a = a->older) {
    if (at < a->stacks || at >= a->base + a->bytes) {
      continue;
    }
    size_t step = stride(a->size_class);
    size_t offset = static_cast<size_t>(at - a->stacks);
    size_t i = offset / step;
    body = i < peek(a->cut) ? a->base + i * body_bytes_ : nullptr;
    in_guard = offset % step < guard_bytes(a->size_class);
    return true;
  }
  return false;
}

void Arenas::give(const Slot* slots, u32 n) {
  Locked held(lock_);
  for (const Slot* s = slots; s < slots + n; ++s) {
    Class& c = classes_[s->stack.node][s->stack.size_class];
    Arena* a = c.arenas[s->stack.arena];
    u32 i = static_cast<u32>((static_cast<char*>(s->body) - a->base) /
                             static_cast<ptrdiff_t>(body_bytes_));
    bits(a)[i / 64].vacant |= u64{1} << i % 64;
    bits(a)[i / 64].warm |= u64{1} << i % 64;
    a->vacant++;
    a->warm++;
    a->first = min(a->first, i / 64);
    c.first = min(c.first, u32{s->stack.arena});
  }
}

// The stacks of some slots of a word; neighbours in one call: guards survive it.
void Arenas::drop(Arena* a, u32 word, u64 mask) {
  while (mask) {
    u32 from = static_cast<u32>(__builtin_ctzll(mask));
    u64 rest = ~(mask >> from);
    u32 n = rest ? static_cast<u32>(__builtin_ctzll(rest)) : 64 - from;
    n = min(n, 64 - from);
    size_t step = stride(a->size_class);
    os::vm_drop(a->stacks + (word * 64 + from) * step, n * step);
    mask &= ~(low_bits(n) << from);
  }
}

// Returns how many slots gave their pages back.
u32 Arenas::trim_word(Arena* a, u32 word, bool now) {
  u64 mask;
  u32 n;
  {
    Locked held(lock_);
    Bits& b = bits(a)[word];
    mask = now ? b.warm : b.warm & b.aged;
    n = static_cast<u32>(__builtin_popcountll(mask));
    // They are nobody's while their pages go.
    b.vacant &= ~mask;
    b.warm &= ~mask;
    b.aged = b.warm;
    a->vacant -= n;
    a->warm -= n;
  }
  if (n) {
    drop(a, word, mask);
    Locked held(lock_);
    Class& c = class_of(a);
    bits(a)[word].vacant |= mask;
    a->vacant += n;
    a->first = min(a->first, word);
    c.first = min(c.first, u32{a->index});
  }
  return n;
}

void Arenas::trim_bodies(Arena* a) {
  Locked held(lock_);
  if (a->vacant == a->cut && !a->warm) {
    os::vm_drop(a->base, static_cast<size_t>(a->stacks - a->base));
  }
}

// From the newest arena on, which is filled last; all stay until release_all.
bool Arenas::trim(bool now, u32 most, const Atomic<u32>* stop) {
  bool left = false;
  Arena* a;
  {
    Locked held(lock_);
    a = newest_;
  }
  for (; a; a = a->older) {
    u32 words;
    {
      Locked held(lock_);
      if (!a->warm) {
        continue;
      }
      words = (a->cut + 63) / 64;
    }
    for (u32 w = 0; w < words; ++w) {
      if (!most || (stop && stop->load(relaxed))) {
        return true;
      }
      most -= min(most, trim_word(a, w, now));
    }
    trim_bodies(a);
    Locked held(lock_);
    left |= a->warm != 0;
  }
  return left;
}

ArenaCounts Arenas::counts(u32 size_class) {
  Locked held(lock_);
  ArenaCounts n{};
  for (const Arena* a = newest_; a; a = a->older) {
    if (a->size_class == size_class) {
      n.arenas++;
      n.slots += a->slots;
      n.bytes += a->bytes;
      n.cut += a->cut;
      n.vacant += a->vacant;
      n.warm += a->warm;
    }
  }
  n.split = split_guards_;
  n.placed = placed_;
  n.unplaced = unplaced_;
  n.place_error = place_error_;
  return n;
}

void Arenas::release_all() {
  Locked held(lock_);
  while (Arena* a = newest_) {
    newest_ = a->older;
    note_unmap(a->base, a->bytes);
    source_->unmap(a->base, a->bytes);
    mem::free(a);
  }
  for (auto& node : classes_) {
    for (Class& c : node) {
      mem::free(c.arenas);
      c = Class{};
    }
  }
  split_guards_ = placed_ = unplaced_ = 0;
  place_error_ = 0;
}

}  // namespace thrum::mem
