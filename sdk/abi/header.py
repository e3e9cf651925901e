"""What a version of hawser/plugin.h declares, and how a compiler lays it out.

The text is read after the preprocessor, for names, order and thread tags; sizes, offsets, values and types are asked of
the compiler. The header keeps to a form that this can read (no nested structs, one declaration a line), and what is in
another form is an error, not overlooked.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

COMPILER = ["g++", "-std=c++11", "-w"]
TAG = re.compile(r'HWS_TAG\("(\w+)"\)')


class Unreadable(Exception):
    """The header does not compile, or holds something in a form that is not known here."""


@dataclass
class Field:
    name: str
    is_function: bool
    tags: list
    offset: int = 0
    size: int = 0
    type: str = ""


@dataclass
class Struct:
    name: str
    fields: list
    extension: str = ""  # the id of the extension that it belongs to
    size: int = 0

    @property
    def is_versioned(self):
        return self.fields[0].name == "size"

    def named(self, name):
        return next((one for one in self.fields if one.name == name), None)


@dataclass
class Header:
    path: Path
    macros: dict = field(default_factory=dict)  # HWS_ macros without arguments: their text
    structs: dict = field(default_factory=dict)
    enumerators: dict = field(default_factory=dict)  # name: value
    others: dict = field(default_factory=dict)  # typedefs and functions: type

    @property
    def version(self):
        return tuple(int(self.macros[f"HWS_ABI_{part}"].rstrip("u")) for part in ("MAJOR", "MINOR"))

    @property
    def extensions(self):
        return {name: text.strip('"') for name, text in self.macros.items() if name.startswith("HWS_EXT_")}


def read(path):
    header = Header(Path(path))
    lines = _preprocess(header.path)
    text = _take_macros(lines, header)
    _take_declarations(text, header)
    _ask_compiler(header)
    return header


def _run(command, text):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unreadable(f"{' '.join(command[:2])} refuses the header:\n{done.stderr.strip()}")
    return done.stdout


def _preprocess(path):
    """The header's own lines, macros expanded, #define lines kept where they stand."""
    if not path.is_file():
        raise Unreadable(f"{path}: no such file")
    tag = '-DHWS_TAG_(t)=HWS_TAG(t)'
    own, inside = [], False
    for line in _run([*COMPILER, "-E", "-dD", tag, str(path)], "").splitlines():
        marker = re.match(r'# \d+ "(.*)"', line)
        if marker:
            inside = marker.group(1) == str(path)
        elif inside:
            own.append(line)
    return own


def _take_macros(lines, header):
    """Notes the macros, and gives the rest as one text in which `@EXT id` begins each extension."""
    text = []
    for line in lines:
        define = re.match(r"#define (HWS_\w+)(?: (.*))?$", line)
        if not line.startswith("#"):
            text.append(line)
        elif define and define.group(1) not in ("HWS_EXPORT", "HWS_SVC", "HWS_ANY", "HWS_TAG_"):
            name, value = define.group(1), (define.group(2) or "").strip()
            header.macros[name] = value
            if name.startswith("HWS_EXT_"):
                text.append(f'@EXT {value.strip(chr(34))} ;')
    for needed in ("HWS_ABI_MAJOR", "HWS_ABI_MINOR"):
        if not re.fullmatch(r"\d+u", header.macros.get(needed, "")):
            raise Unreadable(f"{header.path}: no {needed}")
    return " ".join(" ".join(text).split())


def _statements(text):
    """Splits at every semicolon outside of braces."""
    depth, begin = 0, 0
    for at, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == ";" and depth == 0:
            yield text[begin:at].strip()
            begin = at + 1
    if text[begin:].strip():
        raise Unreadable(f"something is left at the end: {text[begin:].strip()[:80]}")


def _take_declarations(text, header):
    text = re.sub(r'extern "C" \{(.*)\}', r"\1", text)
    extension = ""
    for statement in _statements(text):
        struct = re.fullmatch(r"typedef struct (hws_\w+) \{(.*)\} (hws_\w+)", statement)
        enum = re.fullmatch(r"enum \{(.*)\}", statement)
        handle = re.fullmatch(r"typedef struct (hws_\w+) \1", statement)
        typedef = re.fullmatch(r"typedef .*?\(\*(hws_\w+)\)\(.*\)|typedef \w+ (hws_\w+)", statement)
        function = re.fullmatch(r"(?:__attribute__\(\(.*?\)\) )?const hws_plugin \*(\w+)\(.*\)", statement)
        if statement.startswith("@EXT "):
            extension = statement.split()[1]
        elif struct and struct.group(1) == struct.group(3):
            header.structs[struct.group(1)] = Struct(struct.group(1), list(_fields(struct.group(2))), extension)
        elif enum:
            for one in enum.group(1).split(","):
                header.enumerators[one.split("=")[0].strip()] = 0
        elif typedef:
            header.others[typedef.group(1) or typedef.group(2)] = ""
        elif function:
            header.others[function.group(1)] = ""
        elif not handle:
            raise Unreadable(f"{header.path}: not in a form that the lint reads: {statement[:100]}")


def _fields(body):
    for member in filter(None, (part.strip() for part in body.split(";"))):
        tags = TAG.findall(member)
        member = TAG.sub("", member).strip()
        function = re.match(r"[\w *]+\(\*(\w+)\)\(", member)
        if function:
            yield Field(function.group(1), True, tags)
            continue
        if not re.fullmatch(r"(const )?\w+ \*?\w+(, \*?\w+)*", member):
            raise Unreadable(f"not in a form that the lint reads: {member[:100]}")
        names = member.split(",")
        for name in [names[0].split()[-1], *names[1:]]:
            yield Field(name.strip().lstrip("*"), False, tags)


def _ask_compiler(header):
    """Compiles and runs a program that prints what the compiler makes of each name."""
    lines = ["#include <cstdio>", f'#include "{header.path.resolve()}"',
             "template <class T> const char *type() { return __PRETTY_FUNCTION__; }", "int main() {"]
    for struct in header.structs.values():
        lines.append(f'std::printf("%zu\\n", sizeof({struct.name}));')
        for one in struct.fields:
            member = f"{struct.name}::{one.name}"
            lines.append(f'std::printf("%zu %zu %s\\n", offsetof({struct.name}, {one.name}), sizeof({member}), '
                         f"type<decltype({member})>());")
    lines += [f'std::printf("%lld\\n", static_cast<long long>({name}));' for name in header.enumerators]
    for name in header.others:
        # A function is no type: its address has one.
        of = name if name.startswith("hws_") else f"decltype(&{name})"
        lines.append(f'std::printf("%s\\n", type<{of}>());')
    lines.append("}")
    answers = iter(_run_program("\n".join(lines)).splitlines())
    for struct in header.structs.values():
        struct.size = int(next(answers))
        for one in struct.fields:
            offset, size, text = next(answers).split(" ", 2)
            one.offset, one.size, one.type = int(offset), int(size), _type(text)
    for name in header.enumerators:
        header.enumerators[name] = int(next(answers))
    for name in header.others:
        header.others[name] = _type(next(answers))


def _run_program(text):
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/layout"
        _run([*COMPILER, "-x", "c++", "-", "-o", program], text)
        return _run([program], "")


def _type(text):
    """Of "const char* type() [with T = int (*)(void*)]" what stands for T."""
    return re.search(r"T = (.*)\]$", text).group(1)
