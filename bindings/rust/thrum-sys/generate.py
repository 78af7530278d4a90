#!/usr/bin/env python3
"""Writes src/ffi.rs: the externs of thrum, from the one SWIG interface.

usage: generate.py [--check]

SWIG parses bindings/thrum.i (`swig -xml`), this writes what it finds as Rust.
--check compares with the committed file instead, so that users need no SWIG. The
layouts that the C compiler gave (tests/abi/layout.txt, a golden file of the
suite) become assertions, which each build of the crate proves.

SPDX-License-Identifier: MIT
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[2]
INCLUDE = TOP / "capi/include"
LAYOUT = TOP / "tests/abi/layout.txt"
OUT = HERE / "src/ffi.rs"

HEAD = """\
// Written by generate.py from bindings/thrum.i; see <thrum/*.h> for what each does.
// SPDX-License-Identifier: MIT
use core::ffi::{c_char, c_int, c_void};
"""

TYPES = {
    "void": "c_void", "char": "c_char", "int": "c_int", "size_t": "usize",
    "int32_t": "i32", "int64_t": "i64", "uint16_t": "u16", "uint32_t": "u32",
    "uint64_t": "u64", "unsigned int": "u32", "long long": "i64",
}
KEYWORDS = {"fn", "in", "type", "ref", "move", "match", "loop", "use", "where"}
# Macros that are no values: linkage, and initialisers, which are Default here.
NO_VALUE = re.compile(r"THRUM_(API|STATIC|BUILDING|\w+_INIT|\w+_H)")
# Nodes that hold no declaration of thrum's.
PLUMBING = {
    "attribute", "attributelist", "fragment", "insert", "kwargs", "kwargsitem",
    "module", "typemap", "typemapitem", "typescope", "typescopesitem", "typetab",
    "typetabsitem", "kwargssitem", "parm", "parmlist",
}


def fail(why):
    sys.exit(f"generate.py: {why}")


# ---- types -------------------------------------------------------------------

def split(text):
    """The parts of a list between commas, those in parentheses left whole."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in parts + [text[start:]] if part not in ("", "void")]


def closing(text):
    """Where the parenthesis that opens at text[1] is closed."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == ")" and depth == 0:
            return at
    return fail(f"no end: {text}")


def signature(text):
    """'f(a,b).result' as '(A, B) -> Result'."""
    end = closing(text)
    arguments = ", ".join(map(rust, split(text[2:end])))
    result = text[end + 2:]
    return f"({arguments})" + ("" if result == "void" else f" -> {rust(result)}")


def rust(text):
    """SWIG's 'p.q(const).char' as Rust's '*const c_char'."""
    if text.startswith("p.f("):
        return f'Option<unsafe extern "C" fn{signature(text[2:])}>'
    if text.startswith("p.q(const)."):
        return "*const " + rust(text[len("p.q(const)."):])
    if text.startswith("p."):
        return "*mut " + rust(text[2:])
    if text.startswith("q(const)."):
        return rust(text[len("q(const)."):])
    array = re.fullmatch(r"a\((\d+)\)\.(.*)", text)
    if array:
        return f"[{rust(array[2])}; {array[1]}]"
    name = text.removeprefix("struct ")
    if name in TYPES:
        return TYPES[name]
    if re.fullmatch(r"thrum_\w+", name):
        return name
    return fail(f"unknown type {text}")


# ---- the tree ----------------------------------------------------------------

def attributes(node):
    return {a.get("name"): a.get("value")
            for a in node.findall("attributelist/attribute")}


def full_type(given):
    # In front stands what the declarator adds: 'p.' of `char* name`.
    return given["decl"] + given["type"]


def name_of(given):
    name = given["name"]
    return name + "_" if name in KEYWORDS else name


class Found:
    """What the headers declare, in their order."""

    def __init__(self):
        self.constants, self.opaque, self.aliases = [], [], []
        self.structs, self.functions, self.statics = [], [], []

    def visit(self, node):
        if node.tag == "include":
            # What SWIG brings along declares nothing of thrum's.
            if not attributes(node)["name"].startswith(str(TOP)):
                return
        given = attributes(node)
        if node.tag == "constant":
            self.constant(given)
        elif node.tag == "class":
            self.struct(node, given)
        elif node.tag == "cdecl":
            self.declaration(node, given)
        elif node.tag in PLUMBING:
            pass
        elif node.tag in ("top", "include"):
            for child in node:
                self.visit(child)
        else:
            fail(f"the tree has a {node.tag}, which is not known here")

    def constant(self, given):
        if given["type"] == "p.q(const).char":
            # SWIG writes a backslash twice, and what is no letter in octal.
            text = given["rawval"].replace("\\\\", "\\")
            text = re.sub(r"\\([0-7]{3})", lambda octal: f"\\x{int(octal[1], 8):02x}", text)
            self.constants.append((given["name"], "&core::ffi::CStr", "c" + text))
            return
        # Brackets, shifts and numbers are the same in both languages.
        value = re.sub(r"(?i)(?<=\d)(u|l)+\b", "", given["value"])
        if not re.fullmatch(r"[-()\d<>| ]+", value):
            fail(f"{given['name']}: {value} is no number")
        value = re.fullmatch(r"\((.*)\)|(.*)", value)
        value = value[1] if value[1] and is_whole(value[1]) else value[0]
        self.constants.append((given["name"], rust(given["type"]), value))

    def declaration(self, node, given):
        if given["kind"] == "function":
            names = [name_of(attributes(parm)) if "name" in attributes(parm)
                     else "" for parm in node.findall("attributelist/parmlist/parm")]
            self.functions.append((given["name"], names, full_type(given)))
        elif given["kind"] == "typedef":
            self.typedef(given)
        elif given["kind"] == "variable" and given.get("storage") == "extern":
            self.statics.append((given["name"], rust(full_type(given))))
        else:
            fail(f"{given['name']}: a {given['kind']} is not known here")

    def typedef(self, given):
        name, is_struct = given["name"], given["type"] == f"struct {given['name']}"
        if not is_struct:
            self.aliases.append((name, rust(full_type(given))))
        elif name not in self.opaque:
            self.opaque.append(name)

    def struct(self, node, given):
        if given["kind"] != "struct":
            fail(f"{given['name']}: a {given['kind']} is not known here")
        fields = []
        for member in node:
            if member.tag in PLUMBING:
                continue
            if member.tag != "cdecl":
                fail(f"{given['name']}: has a {member.tag}")
            inner = attributes(member)
            if inner["kind"] != "variable":
                fail(f"{given['name']}: has a {inner['kind']}")
            fields.append((name_of(inner), rust(full_type(inner))))
        self.structs.append((given["name"], fields))


def is_whole(text):
    """Whether the outer brackets of '(text)' belong together."""
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return True


def parse():
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch, "tree.xml")
        subprocess.run(["swig", "-xml", f"-I{INCLUDE}", "-o", tree,
                        TOP / "bindings/thrum.i"], check=True)
        root = xml.etree.ElementTree.parse(tree).getroot()
    found = Found()
    found.visit(root)
    whole = {name for name, _ in found.structs}
    found.opaque = [name for name in found.opaque if name not in whole]
    return found


# ---- what is written -----------------------------------------------------------

def check_macros(found):
    """No macro of a header may be missing from the tree."""
    known = {name for name, _, _ in found.constants}
    for header in sorted(INCLUDE.glob("thrum/*.h")):
        for name in re.findall(r"^# *define +(\w+)", header.read_text(), re.M):
            if name not in known and not NO_VALUE.fullmatch(name):
                fail(f"{header.name}: {name} is not in SWIG's tree")


def layout(found):
    """Assertions from the C compiler's table; every struct must be in it."""
    members = {f"{name}.{field.rstrip('_')}"
               for name, fields in found.structs for field, _ in fields}
    wanted = members | {name for name, _ in found.structs}
    # The pointer's width decides; the table is of 64 bits.
    yield '#[cfg(target_pointer_width = "64")]'
    yield "const _: () = {"
    yield "    use core::mem::{align_of, offset_of, size_of};"
    for line in LAYOUT.read_text().splitlines():
        label, numbers = line.split(": ")
        first, second = re.findall(r"\d+", numbers)
        if label not in wanted:
            fail(f"{label} is in {LAYOUT.name} and not in SWIG's tree")
        wanted.remove(label)
        if "." in label:
            name, field = label.split(".")
            yield f"    assert!(offset_of!({name}, {field}) == {first});"
        else:
            yield f"    assert!(size_of::<{label}>() == {first});"
            yield f"    assert!(align_of::<{label}>() == {second});"
    yield "};"
    if wanted:
        fail(f"not in {LAYOUT.name}: {' '.join(sorted(wanted))}")


def function(name, names, text):
    end = closing(text)
    types = map(rust, split(text[2:end]))
    arguments = ", ".join(f"{one}: {kind}" for one, kind in zip(names, types))
    result = text[end + 2:]
    tail = "" if result == "void" else f" -> {rust(result)}"
    return f"    pub fn {name}({arguments}){tail};"


def lines(found):
    yield HEAD
    for name, kind, value in found.constants:
        yield f"pub const {name}: {kind} = {value};"
    for name, kind in found.aliases:
        yield f"pub type {name} = {kind};"
    for name in found.opaque:
        yield ("\n#[repr(C)]\n"
               f"pub struct {name} {{\n    _opaque: [u8; 0],\n"
               "    _marker: core::marker::PhantomData<"
               "(*mut u8, core::marker::PhantomPinned)>,\n}")
    for name, fields in found.structs:
        yield "\n#[repr(C)]\n#[derive(Clone, Copy)]"
        yield f"pub struct {name} {{"
        for field, kind in fields:
            yield f"    pub {field}: {kind},"
        yield "}"
    yield '\nextern "C" {'
    for one in found.functions:
        yield function(*one)
    for name, kind in found.statics:
        yield f"    pub static {name}: {kind};"
    yield "}\n"
    yield from layout(found)


def main(arguments):
    found = parse()
    check_macros(found)
    text = "\n".join(lines(found)) + "\n"
    if "--check" not in arguments:
        OUT.write_text(text)
    elif OUT.read_text() != text:
        fail(f"{OUT.name} is not what the headers say; run generate.py")
    print(f"{len(found.functions)} functions, {len(found.structs)} structs, "
          f"{len(found.constants)} constants")


if __name__ == "__main__":
    main(sys.argv[1:])
