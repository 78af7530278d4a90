// The table for debuggers: names of facts, and no logic. What a name says stays;
// what is no longer there is left out, and thrum.py says what it cannot tell.
// SPDX-License-Identifier: MIT
#include <stddef.h>

#include "arch/context.hpp"
#include "sched/table.hpp"
#include "thrum/observe.h"
#include "translate.hpp"

namespace thrum::capi {

namespace {

#define FIELD(name, type, member) \
  { name, offsetof(type, member) }
#define REGISTER(name, offset) {"frame." #name, offset},

constexpr thrum_debug_fact kFacts[] = {
    {"tags", kTags},
    {"chunk.bytes", kChunkBytes},
    {"G.bytes", sizeof(G)},
    {"Body.bytes", sizeof(Body)},
    {"frame.bytes", kFrameBytes},
    {"frame.entry", kFrameEntry * sizeof(u64)},

    FIELD("Runtime.tag", Runtime, tag),
    FIELD("Runtime.epoch", Runtime, epoch),
    {"Runtime.chunks", offsetof(Runtime, table) + offsetof(Table, chunks)},
    {"Runtime.slots", offsetof(Runtime, table) + offsetof(Table, end)},
    FIELD("Runtime.ms", Runtime, ms),

    FIELD("M.next", M, next_m),
    FIELD("M.cur", M, cur),
    FIELD("M.p", M, p),
    FIELD("M.id", M, id),
    FIELD("M.tid", M, tid),
    FIELD("P.id", P, id),

    FIELD("G.word", G, word),
    FIELD("G.fn", G, fn),
    FIELD("G.away", G, away),
    FIELD("G.arg", G, arg),
    FIELD("G.slot", G, slot),
    FIELD("G.state", G, state),
    FIELD("G.flags", G, flags),
    FIELD("G.body", G, body),
    FIELD("G.ext", G, ext),
    FIELD("Ext.name", Ext, name),
    {"Ext.name.bytes", sizeof(Ext::name)},

    FIELD("Body.sp", Body, sp),
    FIELD("Body.why", Body, why),
    FIELD("Body.on", Body, on),
    FIELD("Body.since", Body, since),
    {"Body.hi", offsetof(Body, stack) + offsetof(mem::Stack, hi)},
    {"Body.stack_bytes", offsetof(Body, stack) + offsetof(mem::Stack, bytes)},

    {"word.live", kLive},
    {"word.phase", kPhase},
    {"word.generation", kGenShift},
    {"flag.started", kStarted},
    {"reason.park", static_cast<u64>(Why::park)},

    THRUM_FRAME_REGISTERS(REGISTER)};

#define NAME(name) #name " "
constexpr char kReasons[] = THRUM_WAIT_REASONS(NAME);
constexpr char kStates[] = THRUM_STATES(NAME);

}  // namespace

}  // namespace thrum::capi

using namespace thrum::capi;

extern "C" const thrum_debug thrum_debug_table
    [[gnu::used]] = {THRUM_DEBUG_MAGIC,
                     sizeof(thrum_debug),
                     sizeof kFacts / sizeof *kFacts,
                     kFacts,
                     reinterpret_cast<const void* const*>(thrum::g_runtimes),
                     kStates,
                     kReasons};
