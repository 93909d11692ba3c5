"""Every #include keeps the order of the layers: runtime <- compiler <- schedules <- dsl <- examples, tests.

Each layer includes only itself and what stands left of it; examples and tests do not include each other. Includes
between quotes are paths from the root of the project. The runtime knows neither Halide nor LLVM, its abi knows nothing
but libc, and what dsl/emulsion.h reaches includes neither Halide nor LLVM, so that a model compiles in a moment.
"""
import re
import sys

from sources import LAYERS, ROOT, report, sources

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
HEAVY = re.compile(r"^(Halide|llvm|lld)")
LIBC = {"assert.h", "cpuid.h", "dlfcn.h", "errno.h", "fcntl.h", "fenv.h", "float.h", "immintrin.h", "limits.h", "linux/futex.h", "math.h",
        "pthread.h", "sched.h", "signal.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h",
        "sys/auxv.h", "sys/syscall.h", "time.h", "unistd.h", "xmmintrin.h"}
# Types of a driver, whose functions are looked up where it is there.
DRIVERS = {"vulkan/vulkan_core.h"}
# The C header of a generated library lies in a build folder, so it has no path from the root.
GENERATED = re.compile(r"^[a-z0-9_]+_(train|infer)\.h$")


def faults_of(path, text):
    """The faults of one file whose text is given; path is relative to the root."""
    layer = path.parts[0]
    allowed = LAYERS[:LAYERS.index(layer) + 1]
    if layer == "tests":
        allowed = [name for name in allowed if name != "examples"]
    for match in INCLUDE.finditer(text):
        bracket, name = match.groups()
        where = f"{path}:{text.count(chr(10), 0, match.start()) + 1}: "
        if bracket == "<":
            if layer == "runtime" and HEAVY.match(name):
                yield where + f"the runtime includes <{name}>; fix: keep Halide and LLVM in the compiler"
            elif path.parts[:2] == ("runtime", "abi") and name not in LIBC | DRIVERS:
                yield where + f"runtime/abi includes <{name}>, not of libc; fix: move the code to another folder"
            continue
        if GENERATED.match(name) and layer in ("examples", "tests"):
            continue
        top = name.split("/")[0]
        if top not in LAYERS:
            yield where + f"'{name}' is no path from the root; fix: write it as it is found from there"
        elif top not in allowed:
            yield where + f"{layer} includes '{name}' of {top}; fix: {layer} may include {', '.join(allowed)} only"
        elif path.parts[:2] == ("runtime", "abi") and not name.startswith("runtime/abi/"):
            yield where + f"runtime/abi includes '{name}'; fix: it stands alone, move the code to another folder"
        elif not (ROOT / name).is_file():
            yield where + f"'{name}' does not exist; fix: correct the path"


def heavy_includes_of(header):
    """Which Halide or LLVM headers the given header reaches, with the file that includes each."""
    seen, queue = set(), [header]
    while queue:
        name = queue.pop()
        if name in seen or not (ROOT / name).is_file():
            continue
        seen.add(name)
        for bracket, included in INCLUDE.findall((ROOT / name).read_text()):
            if bracket == '"':
                queue.append(included)
            elif HEAVY.match(included):
                yield f"{name}: includes <{included}> and is reached from {header}; fix: forward declare instead"


def check_the_check():
    """The rules find planted faults: without this a broken expression would pass everything."""
    from pathlib import Path
    planted = {"runtime/data/x.cpp": '#include "compiler/pipeline.h"',
               "compiler/x.cpp": '#include "schedules/library.h"',
               "schedules/x.cpp": '#include "dsl/emulsion.h"', "runtime/x.cpp": "#include <Halide.h>",
               "runtime/abi/x.c": '#include "runtime/data/idx.h"', "compiler/y.cpp": '#  include "graph.h"',
               "runtime/abi/y.c": "#include <vector>", "tests/x.cpp": '#include "compiler/no_such_file.h"'}
    return [f"planted fault not found: {path}: {line}" for path, line in planted.items()
            if not list(faults_of(Path(path), line))]


faults = check_the_check()
files = sources(".h", ".cpp", ".c")
for file in files:
    faults += faults_of(file, (ROOT / file).read_text())
if (ROOT / "dsl/emulsion.h").is_file():
    faults += heavy_includes_of("dsl/emulsion.h")
report("layers", faults, len(files))
