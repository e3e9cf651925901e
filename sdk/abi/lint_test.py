"""The lint of the ABI (lint), the header itself, and what was released of it. The tests change a copy of the header."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
HEADER = HERE.parent / "include" / "hawser" / "plugin.h"
RELEASED = HERE / "released"
ROOT = HERE.parents[1]
PLUGINS = Path(os.environ.get("HAWSER_TEST_PLUGINS", ROOT / "build" / "release" / "core" / "host" / "test_plugins"))

sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import header  # noqa: E402

RUN = """  hws_status (*run)(hws_ctx *, hws_str name,
                    void (*done)(void *user, int32_t exit_code, hws_str output, hws_str reason), void *user) HWS_SVC;
"""


def lint(*arguments):
    return subprocess.run([HERE / "lint", *map(str, arguments)], capture_output=True, text=True)


def changed(folder, *changes, minor=1):
    """The released 1.0 with these changes, as a header of minor 1, which may have more."""
    text = (RELEASED / "plugin-1.0.h").read_text()
    for before, after in [("HWS_ABI_MINOR 0u", f"HWS_ABI_MINOR {minor}u"), *changes]:
        assert text.count(before) == 1, f"{text.count(before)} times: {before}"
        text = text.replace(before, after)
    path = folder / "plugin.h"
    path.write_text(text)
    return path


def sentences_about(folder, *changes, minor=1):
    result = lint(changed(folder, *changes, minor=minor), RELEASED / "plugin-1.0.h")
    assert result.returncode in (0, 1), result.stderr
    assert (result.returncode == 1) == bool(result.stdout)
    return [line.removeprefix("plugin.h: ") for line in result.stdout.splitlines()]


def test_the_present_header_keeps_all_that_was_released():
    """[sdk-2] a machine check stops any change to a released struct"""
    assert list(RELEASED.glob("plugin-*.h"))
    result = lint()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_each_released_header_is_kept_under_its_version():
    for path in RELEASED.glob("plugin-*.h"):
        assert f"plugin-{'.'.join(map(str, header.read(path).version))}.h" == path.name


REFUSED = {
    "inserted": (("  hws_status (*timer_cancel)", "  void (*later)(hws_ctx *) HWS_ANY;\n  hws_status (*timer_cancel)"),
                 "R2: hws_host.timer_cancel was moved: a field was inserted, later stands in its place"),
    "inserted before a value": (("  uint32_t outbox_bytes;", "  uint32_t new_bytes;\n  uint32_t outbox_bytes;"),
                                "R3: hws_subconn_params.outbox_bytes was moved: a field was inserted, new_bytes stands in its place"),
    "resized": (("  uint16_t abi_major, abi_minor;", "  uint32_t abi_major;\n  uint16_t abi_minor;"),
                "R2: hws_host.abi_major was resized from 2 to 4 bytes"),
    "reordered": (("  const char *id, *version;  ", "  const char *version, *id;  "),
                  "R2: hws_plugin.id was reordered, version stands in its place"),
    "removed": (("  void (*destroy)(void *self) HWS_SVC;\n", ""), "R2: hws_plugin.destroy was removed"),
    "retyped": (("  void (*stop)(void *self, uint32_t deadline_ms) HWS_SVC;",
                 "  void (*stop)(void *self, uint64_t deadline_ms) HWS_SVC;"),
                "R2: hws_plugin.stop was `void (*)(void*, unsigned int)` and is `void (*)(void*, long unsigned int)`"),
    "a value changed": (("HWS_E_DENIED = -4,", "HWS_E_DENIED = -14,"), "R2: HWS_E_DENIED was -4 and is -14"),
    "a value inserted": (("HWS_LOG_DEBUG, HWS_LOG_INFO", "HWS_LOG_DEBUG, HWS_LOG_TRACE, HWS_LOG_INFO"),
                         "R2: HWS_LOG_INFO was 1 and is 2"),
    "a value removed": (("  HWS_PENDING = 2, ", "  "), "R2: the value HWS_PENDING was removed"),
    "a tag changed": (("(*info)(hws_ctx *, hws_str key, const hws_sink *out) HWS_ANY;",
                       "(*info)(hws_ctx *, hws_str key, const hws_sink *out) HWS_SVC;"),
                      "R6: hws_host.info had the thread tag any and has svc"),
    "a tag missing": (("(*info)(hws_ctx *, hws_str key, const hws_sink *out) HWS_ANY;",
                       "(*info)(hws_ctx *, hws_str key, const hws_sink *out);"),
                      "R6: hws_host.info needs one thread tag, HWS_SVC or HWS_ANY; it has none"),
    "two tags": (("(*info)(hws_ctx *, hws_str key, const hws_sink *out) HWS_ANY;",
                  "(*info)(hws_ctx *, hws_str key, const hws_sink *out) HWS_ANY HWS_SVC;"),
                 "R6: hws_host.info needs one thread tag, HWS_SVC or HWS_ANY; it has any and svc"),
    "an extension's function edited": ((RUN, RUN.replace("int32_t exit_code", "int64_t exit_code")),
                                       "R3: hws_host_action.run was `int (*)(hws_ctx*, hws_str, void (*)(void*, int, "
                                       "hws_str, hws_str), void*)` and is"),
    "an extension's function removed": (("  hws_status (*get)(hws_ctx *, hws_str key, const hws_sink *out) HWS_SVC;\n", ""),
                                        "R3: hws_host_state.get was removed; what is released of hws.state/1 is not "
                                        "edited: make a new extension"),
    "an extension's id changed": (('"hws.state/1"', '"hws.state/2"'),
                                  'R3: HWS_EXT_STATE was "hws.state/1" and is "hws.state/2"'),
    "an id without number": (('"hws.state/1"', '"hws.state"'), 'R3: HWS_EXT_STATE is "hws.state"'),
    "a frozen type grew": (("  hws_str key, value;\n", "  hws_str key, value;\n  uint32_t kind;\n"),
                           "R2: hws_kv is handed over by value and frozen, yet kind was appended"),
    "the entry changed": (("HWS_EXPORT const hws_plugin *hawser_plugin_v1(const hws_host *host);",
                           "HWS_EXPORT const hws_plugin *hawser_plugin_v1(const hws_host *host, int more);"),
                          "R2: hawser_plugin_v1 was"),
    "a new struct without size": (("#ifdef __cplusplus\n}", "typedef struct hws_new {\n  uint64_t a;\n} hws_new;\n\n"
                                   "#ifdef __cplusplus\n}"), "R1: hws_new does not start with `uint32_t size`"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_illegal_change_is_refused_with_rule_struct_and_field(tmp_path, what):
    """[sdk-2]"""
    change, sentence = REFUSED[what]
    found = sentences_about(tmp_path, change)
    assert any(one.startswith(sentence) for one in found), found


def test_what_is_appended_is_accepted(tmp_path):
    """[sdk-2]"""
    assert not sentences_about(
        tmp_path, ("} hws_host;", "  void (*later)(hws_ctx *) HWS_ANY;\n} hws_host;"),
        ("} hws_plugin;", "  void (*later)(void *self) HWS_SVC;\n} hws_plugin;"),
        ("} hws_subconn_params;", "  uint32_t new_bytes, other_bytes;\n} hws_subconn_params;"),
        ("} hws_host_action;", "  void (*later)(hws_ctx *) HWS_SVC;\n} hws_host_action;"),
        ("  HWS_E_NOT_FOUND = -10\n", "  HWS_E_NOT_FOUND = -10,\n  HWS_E_NEW = -11\n"),
        ("#ifdef __cplusplus\n}", '#define HWS_EXT_NEW "acme.new/1"\ntypedef struct hws_host_new {\n  uint32_t size;\n'
         "  hws_status (*ask)(hws_ctx *) HWS_ANY;\n} hws_host_new;\n\n#ifdef __cplusplus\n}"))


def test_what_is_appended_needs_another_minor(tmp_path):
    [sentence] = sentences_about(tmp_path, ("} hws_host;", "  void (*later)(hws_ctx *) HWS_ANY;\n} hws_host;"), minor=0)
    assert sentence.startswith("R2: hws_host.later is not in the released 1.0: raise HWS_ABI_MINOR")


def test_a_minor_that_falls_is_refused(tmp_path):
    later = changed(tmp_path, ("} hws_host;", "  void (*later)(hws_ctx *) HWS_ANY;\n} hws_host;"), minor=2)
    result = lint(changed_copy(tmp_path, "now.h", 1), later)
    assert "R2: HWS_ABI_MINOR was 2 and is 1: it only rises" in result.stdout
    assert "R2: hws_host.later was removed" in result.stdout


def changed_copy(folder, name, minor):
    (folder / "copy").mkdir()
    return Path(shutil.move(changed(folder / "copy", minor=minor), folder / name))


def test_a_field_in_the_padding_of_a_released_struct_is_refused(tmp_path):
    """Its presence could not be told from the size."""
    padded = changed(tmp_path, ("} hws_subconn_params;", "  uint8_t odd;\n} hws_subconn_params;"))
    later = tmp_path / "later.h"
    later.write_text(padded.read_text().replace("  uint8_t odd;\n", "  uint8_t odd;\n  uint8_t even;\n")
                     .replace("MINOR 1u", "MINOR 2u"))
    result = lint(later, padded)
    assert result.returncode == 1
    assert "R2: hws_subconn_params.even lies in the padding of the released struct" in result.stdout


def test_a_header_that_cannot_be_read_is_an_error_of_its_own(tmp_path):
    for change in (("} hws_host;", "  int broken(;\n} hws_host;"),
                   ("} hws_host;", "  union { int a; } u;\n} hws_host;")):
        result = lint(changed(tmp_path, change), RELEASED / "plugin-1.0.h")
        assert result.returncode == 2 and result.stderr.startswith("abi/lint: "), result
    assert lint(tmp_path / "none.h").returncode == 2


COMPILERS = {"gcc, C11": ["gcc", "-std=c11", "-x", "c"], "g++, C++11": ["g++", "-std=c++11", "-x", "c++"],
             "clang, C11": ["clang", "-std=c11", "-x", "c"], "clang++, C++11": ["clang++", "-std=c++11", "-x", "c++"]}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("path", [HEADER, *RELEASED.glob("plugin-*.h")], ids=lambda path: path.name)
def test_the_header_alone_compiles_without_a_warning(compiler, path):
    """[sdk-1]"""
    done = subprocess.run([*COMPILERS[compiler], "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-"],
                          input=f'#include "{path}"\nint main(void) {{ return HWS_ABI_MAJOR != 1u; }}\n',
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_the_cpp_face_compiles_without_a_warning(compiler):
    flags = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-fsyntax-only"]
    done = subprocess.run([compiler, *flags, f"-I{HERE.parent / 'include'}", "-x", "c++", "-"], capture_output=True, text=True,
                          input="#include <hawser/plugin.hpp>\n#include <hawser/state_file.hpp>\nint main() {}\n")
    assert done.returncode == 0, done.stderr


def test_a_c_plugin_exports_one_symbol_and_needs_nothing_of_hawsers():
    """[sdk-1]"""
    plugin = PLUGINS / "released_1_0.so"
    exported = subprocess.run(["nm", "-D", "--defined-only", plugin], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in exported.splitlines()] == ["hawser_plugin_v1"]
    needed = re.findall(r"NEEDED.*\[(.*)\]", subprocess.run(["readelf", "-d", plugin], capture_output=True, text=True,
                                                            check=True).stdout)
    assert [name for name in needed if not name.startswith(("libc.", "libasan", "libubsan", "libtsan"))] == []


def test_every_function_of_the_service_thread_is_tried_on_another_one():
    """[sdk-6] what is appended later is not forgotten in core/host/abi_test.cpp"""
    tried = (ROOT / "core" / "host" / "abi_test.cpp").read_text()
    functions = [f"{struct.name}.{field.name}" for struct in header.read(HEADER).structs.values()
                 if struct.name.startswith("hws_host") for field in struct.fields if field.tags == ["svc"]]
    assert len(functions) >= 11
    assert [name for name in functions if f'"{name}"' not in tried] == []


def test_every_function_of_the_header_is_described():
    """[sdk-6] a comment stands at each function of a table"""
    without, last = [], ""
    for line in HEADER.read_text().splitlines():
        function = re.match(r"  (?:hws_status|void|const void \*) ?\(\*(\w+)\)\(", line)
        if function and not last.endswith("*/") and "/*" not in line:
            without.append(function.group(1))
        last = line.rstrip()
    assert without == []
