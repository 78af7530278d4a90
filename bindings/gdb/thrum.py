# gdb commands for thrum's green threads, on live processes and on cores, also of
# stripped programs.
#
#   source thrum.py
#   info gs          every G: state, what it waits for, name, where
#   g N              makes G N what bt, frame, up, info locals ... speak of
#   g N COMMAND      the same for one command: g 17 bt
#   g all COMMAND    for each G
#   g off            back to threads
#
# N is the number that thrum's reports print, TAG:NUMBER if there are several
# runtimes, or a thrum_g. Nothing of the process is written: frames of a G that waits
# are shown above those of the selected thread, by an unwinder.
#
# All that is known of thrum's insides comes from its table (thrum_debug_table in
# <thrum/observe.h>), so that this file fits libraries older and newer than itself.
# SPDX-License-Identifier: MIT

import re
import struct

import gdb
import gdb.unwinder

MAGIC = b"\x7fthrum debug 1\n\0"
FACT = struct.Struct("24sQ")


def read(address, size):
    return gdb.selected_inferior().read_memory(address, size).tobytes()


def word(data, at, size=8):
    return int.from_bytes(data[at:at + size], "little")


def text(data):
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")


def read_text(address, most=256):
    try:
        return text(read(address, most))
    except gdb.MemoryError:
        try:
            return text(read(address, -address % 4096 or 4096))
        except gdb.MemoryError:
            return "?"


def printable(name):
    """A host's name for a terminal: nothing that moves a cursor."""
    return "".join(c if c.isprintable() else "?" for c in name)


# ---- the table ---------------------------------------------------------------------


class Library:
    """One copy of thrum in the process: what its table says."""

    def __init__(self, address):
        head = read(address, 56)
        count = word(head, 20, 4)
        facts, runtimes, states, reasons = struct.unpack_from("4Q", head, 24)
        data = read(facts, count * FACT.size)
        self.address = address
        self.facts = {text(name): value
                      for name, value in FACT.iter_unpack(data)}
        self.states = read_text(states).split()
        self.reasons = read_text(reasons, 1024).split()
        tags = read(runtimes, self["tags"] * 8)
        self.runtimes = [Runtime(self, a) for a, in struct.iter_unpack("Q", tags)
                         if a]

    def __getitem__(self, fact):
        return self.facts[fact]

    def name(self, names, number):
        return names[number] if number < len(names) else f"?{number}"

    def registers(self):
        return [(fact[6:], at) for fact, at in self.facts.items()
                if fact.startswith("frame.")
                and fact[6:] not in ("bytes", "entry")]


def sections():
    """(from, to) of the places where a table may lie, of all files loaded."""
    listed = gdb.execute("info files", to_string=True)
    for line in listed.splitlines():
        found = re.match(r"\s*(0x\w+) - (0x\w+) is (\S+)", line)
        if found and found.group(3) in (".data.rel.ro", ".rodata"):
            yield int(found.group(1), 16), int(found.group(2), 16)


def tables():
    """Addresses of the tables: of several copies of the library each."""
    inferior = gdb.selected_inferior()
    for low, high in sections():
        while low < high:
            try:
                at = inferior.search_memory(low, high - low, MAGIC)
            except gdb.error:
                break
            if at is None:
                break
            # The magic word alone may be anything's.
            if word(read(at, 24), 16, 4) >= 56 and at % 8 == 0:
                yield at
            low = at + 1


def libraries():
    found = [Library(at) for at in tables()]
    if not found:
        raise gdb.GdbError("no thrum in this process, or its file is not at hand")
    return found


class Runtime:
    def __init__(self, library, address):
        self.library, self.address = library, address
        self.tag = self.number("Runtime.tag")
        self.running = self.find_running()

    def number(self, fact, size=4):
        return word(read(self.address + self.library[fact], size), 0, size)

    def find_running(self):
        """G address -> thread id of the M that says it runs it."""
        running, f = {}, self.library
        m = self.number("Runtime.ms", 8)
        while m:
            cur = word(read(m + f["M.cur"], 8), 0)
            if cur:
                running[cur] = word(read(m + f["M.tid"], 4), 0, 4)
            m = word(read(m + f["M.next"], 8), 0)
        return running

    def gs(self):
        f = self.library
        size, bulk = f["G.bytes"], f["chunk.bytes"]
        per_chunk = bulk // size
        slots = self.number("Runtime.slots")
        for first in range(0, slots, per_chunk):
            chunk = self.number_at("Runtime.chunks", first // per_chunk)
            n = min(per_chunk, slots - first)
            data = read(chunk, n * size) if chunk else b""
            # The first record of a chunk is its head.
            for at in range(size, len(data), size):
                record = data[at:at + size]
                if word(record, f["G.word"]) & f["word.live"]:
                    yield G(self, chunk + at, record)

    def number_at(self, fact, index):
        return word(read(self.address + self.library[fact] + 8 * index, 8), 0)

    def g(self, slot):
        f = self.library
        per_chunk = f["chunk.bytes"] // f["G.bytes"]
        if 0 < slot < self.number("Runtime.slots") and slot % per_chunk:
            chunk = self.number_at("Runtime.chunks", slot // per_chunk)
            at = chunk + slot % per_chunk * f["G.bytes"]
            record = read(at, f["G.bytes"]) if chunk else b""
            if word(record, f["G.word"]) & f["word.live"]:
                return G(self, at, record)
        return None


# ---- one G ---------------------------------------------------------------------------


class G:
    def __init__(self, runtime, address, record):
        f = self.library = runtime.library
        self.runtime, self.address = runtime, address
        self.slot = word(record, f["G.slot"], 4)
        self.word = word(record, f["G.word"])
        self.state = f.name(f.states, record[f["G.state"]])
        self.fn = word(record, f["G.fn"])
        self.started = bool(record[f["G.flags"]] & f["flag.started"])
        body = word(record, f["G.body"])
        self.asleep = self.started and not body
        self.body = read(body or word(record, f["G.away"]),
                         f["Body.bytes"]) if self.started else None
        ext = word(record, f["G.ext"])
        self.name = printable(text(read(ext + f["Ext.name"],
                                        f["Ext.name.bytes"]))) if ext else ""

    def handle(self):
        generation = self.word >> self.library["word.generation"]
        return self.runtime.tag << 56 | self.slot << 30 | generation

    def field(self, fact, size=8):
        return word(self.body, self.library[fact], size)

    def reason(self):
        if not self.body or self.state not in ("waiting", "blocking"):
            return ""
        why = self.field("Body.why", 1)
        if why == self.library["reason.park"] and self.field("Body.on"):
            return printable(read_text(self.field("Body.on")))
        return self.library.name(self.library.reasons, why)

    def stack(self):
        hi = self.field("Body.hi")
        return hi - self.field("Body.stack_bytes", 4), hi + 64

    def thread(self, threads):
        """The gdb thread that is on its stack, if one is."""
        if not self.body:
            return None
        low, high = self.stack()
        for sp, thread in threads:
            if low <= sp < high:
                return thread
        # On a signal's stack, or a stack of the guest's own.
        tid = self.runtime.running.get(self.address)
        if self.state in ("running", "blocking") and tid:
            return next((t for _, t in threads if t.ptid[1] == tid), None)
        return None

    def context(self):
        """Registers as they will be when it goes on; None: there are none."""
        if not self.started or self.asleep:
            return None
        f, sp = self.library, self.field("Body.sp")
        low, high = self.stack()
        if not low <= sp < high:
            return None
        frame = read(sp, f["frame.bytes"])
        saved = {name: word(frame, at) for name, at in f.registers()}
        saved["sp" if "pc" in saved else "rsp"] = sp + f["frame.bytes"]
        return saved

    def label(self, many):
        return f"{self.runtime.tag}:{self.slot}" if many else str(self.slot)


def function_at(pc):
    found = re.match(r"(.*?) in section", gdb.execute(
        f"info symbol {pc:#x}", to_string=True))
    return found.group(1) if found else f"{pc:#x}"


# ---- frames --------------------------------------------------------------------------


class Unwinder(gdb.unwinder.Unwinder):
    """Puts a G's frames above the innermost frame of the selected thread."""

    def __init__(self):
        super().__init__("thrum")
        self.saved = self.pc = self.sp = None

    def select(self, saved):
        if self.saved or saved:
            self.saved = None
            gdb.invalidate_cached_frames()
        if saved:
            frame = gdb.newest_frame()
            self.pc = frame.pc()
            self.sp = int(frame.read_register("sp"))
            self.saved = saved
            gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if not self.saved:
            return None
        if (int(pending.read_register("pc")) != self.pc
                or int(pending.read_register("sp")) != self.sp):
            return None
        # Below the G's frames, as an inner frame must be.
        sp = self.saved.get("rsp") or self.saved["sp"]
        info = pending.create_unwind_info(FrameId(sp - 16, self.pc))
        for name, value in self.saved.items():
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info


class FrameId:
    def __init__(self, sp, pc):
        pointer = gdb.lookup_type("void").pointer()
        self.sp = gdb.Value(sp).cast(pointer)
        self.pc = gdb.Value(pc).cast(pointer)


class FrameFilter:
    """Leaves out the frame of the thread, from which the G's frames hang."""

    def __init__(self):
        self.name, self.priority, self.enabled = "thrum", 100, False
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        next(frames, None)
        return frames


unwinder = Unwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)
frame_filter = FrameFilter()


def deselect(*_):
    frame_filter.enabled = False
    unwinder.saved = None


gdb.events.cont.connect(deselect)


def threads():
    """(stack pointer, thread) of each thread; the selected one stays so."""
    was, found = gdb.selected_thread(), []
    for thread in gdb.selected_inferior().threads():
        try:
            thread.switch()
            found.append((int(gdb.newest_frame().read_register("sp")), thread))
        except gdb.error:
            pass
    if was:
        was.switch()
    return found


class NoStack(Exception):
    pass


def select(g, on_threads):
    """Makes g what frame commands speak of."""
    deselect()
    gdb.invalidate_cached_frames()
    thread = g.thread(on_threads)
    if thread:
        thread.switch()
        gdb.newest_frame().select()
        return
    if not g.started:
        raise NoStack(f"has not begun: it will run {function_at(g.fn)}")
    if g.asleep:
        raise NoStack("hibernates: its stack is packed away until it is woken")
    saved = g.context()
    if not saved:
        raise NoStack("has no saved context: its thread is not there")
    unwinder.select(saved)
    outer = gdb.newest_frame().older()
    if not outer:
        raise NoStack("its stack cannot be unwound")
    outer.select()
    frame_filter.enabled = True


def where(g, on_threads):
    """A line for the list: where in the guest's code it is."""
    try:
        select(g, on_threads)
    except (NoStack, gdb.error) as e:
        return str(e)
    frame, own = gdb.selected_frame(), gdb.solib_name(g.library.address)
    first = frame
    while frame:
        name = frame.name() or ""
        if (own and gdb.solib_name(frame.pc()) != own) or not (
                own or name.startswith("thrum")):
            break
        frame = frame.older()
    frame = frame or first
    return frame.name() or function_at(frame.pc())


# ---- commands ------------------------------------------------------------------------


def with_gs(fn):
    """fn(runtimes, threads); afterwards the selected thread is again."""
    runtimes = [rt for lib in libraries() for rt in lib.runtimes]
    if not runtimes:
        raise gdb.GdbError("there is no thrum runtime in this process")
    if not gdb.selected_thread():
        raise gdb.GdbError("there is no process, and no core")
    return fn(runtimes, threads())


def restore(thread):
    deselect()
    gdb.invalidate_cached_frames()
    thread.switch()
    gdb.newest_frame().select()


class InfoGs(gdb.Command):
    """All green threads: state, what they wait for, name, where."""

    def __init__(self):
        super().__init__("info gs", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        with_gs(self.show)

    def show(self, runtimes, on_threads):
        was = gdb.selected_thread()
        line = "{:>9}  {:9} {:14} {:20} {}"
        gdb.write(line.format("G", "state", "waits for", "name", "where") + "\n")
        for rt in runtimes:
            for g in rt.gs():
                gdb.write(line.format(
                    g.label(len(runtimes) > 1), g.state, g.reason(), g.name,
                    where(g, on_threads)) + "\n")
        restore(was)


class GCommand(gdb.Command):
    """g N: makes green thread N what frame commands speak of. g N COMMAND, g all
COMMAND: for one command. g off: back to threads."""

    def __init__(self):
        super().__init__("g", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split(None, 1)
        if not words:
            raise gdb.GdbError("g N [COMMAND] | g all COMMAND | g off")
        which, command = words[0], words[1] if len(words) > 1 else ""
        if which == "off":
            if gdb.selected_thread():
                restore(gdb.selected_thread())
        elif which == "all":
            with_gs(lambda rts, ts: self.run_all(rts, ts, command))
        else:
            with_gs(lambda rts, ts: self.run_one(rts, ts, which, command))

    def find(self, runtimes, which):
        try:
            tag, slot = 0, which
            if ":" in which:
                tag, slot = (int(part) for part in which.split(":"))
            slot = int(slot, 0) if isinstance(slot, str) else slot
        except ValueError:
            raise gdb.GdbError(f"{which} is no G") from None
        if slot >> 56:  # a handle
            tag, slot = slot >> 56, slot >> 30 & ((1 << 26) - 1)
        found = [g for rt in runtimes if not tag or rt.tag == tag
                 for g in [rt.g(slot)] if g]
        if not found:
            raise gdb.GdbError(f"G {which} is not alive")
        if len(found) > 1:
            raise gdb.GdbError("which runtime's? " + " ".join(
                g.label(True) for g in found))
        return found[0]

    def run_one(self, runtimes, on_threads, which, command):
        g, was = self.find(runtimes, which), gdb.selected_thread()
        try:
            select(g, on_threads)
        except NoStack as e:
            restore(was)
            raise gdb.GdbError(f"G {which} {e}") from None
        if command:
            try:
                gdb.execute(command)
            finally:
                restore(was)
        else:
            gdb.execute("frame")

    def run_all(self, runtimes, on_threads, command):
        was = gdb.selected_thread()
        many = len(runtimes) > 1
        try:
            for rt in runtimes:
                for g in rt.gs():
                    gdb.write(f"\nG {g.label(many)} \"{g.name}\" {g.state} "
                              f"{g.reason()}\n")
                    try:
                        select(g, on_threads)
                        gdb.execute(command or "frame")
                    except (NoStack, gdb.error) as e:
                        gdb.write(f"  {e}\n")
        finally:
            restore(was)


InfoGs()
GCommand()
