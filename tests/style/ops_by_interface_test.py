"""Nobody asks an op for its name: what holds for many ops is a question of Op (compiler/graph/op.h), what holds for one
is asked of its class (op_as, anchor_as).

A file of NAMELESS compares no kind with a name. A file of GENERAL includes no header of one op either; a rewrite of one
op may: it stands in REWRITES with the ops that it knows. Sources (inputs, parameters, constants) are the graph's own.
"""
import re
from pathlib import Path

from sources import ROOT, report, sources

GENERAL = ["compiler/passes", "compiler/plan"]
NAMELESS = [*GENERAL, "compiler/autodiff", "compiler/codegen", "compiler/recipe", "schedules", "dsl"]
SHARED = {"expect", "lowering", "registry", "sources"}
REWRITES = {
    "compiler/passes/choose_winograd.cpp": {"conv2d", "winograd"},  # writes one as the other
    "compiler/passes/expand_batch_norm.cpp": {"batch_norm"},  # writes it as its parts
    "compiler/passes/expand_group_norm.cpp": {"group_norm"},  # writes it as its parts
    "compiler/passes/expand_squared_distance.cpp": {"squared_distance"},  # writes it as its parts
    "compiler/passes/freeze_batch_norm.cpp": {"batch_norm"},  # gives it its inference form
    "compiler/passes/inference_form.cpp": {"arithmetic", "batch_norm"},  # folds it; a bias is an add
    "compiler/passes/keep_old_values.cpp": {"keep_old"},  # puts it behind updates
    "compiler/passes/pool_first.cpp": {"max_pool"},  # moves it
    # turns a data gradient round; moves work above unflatten, but what names its shape; leaves plain orders out
    "compiler/passes/simplify.cpp": {"conv2d", "expand", "flatten", "unfactor"},
    # writes those with windows, and the norms, over lines and volumes as those over maps
    "compiler/passes/two_axes.cpp": {"average_pool", "batch_norm", "concatenate", "conv2d", "crop", "expand", "group_norm",
                                     "max_pool", "pad"},
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"compiler/ops/(\w+)\.h"', re.MULTILINE)
KIND = re.compile(r'kind(?:\(\))?\s*[=!]=\s*"|"\s*[=!]=\s*[\w.>()-]*kind\(\)')


def faults_of(path, text):
    """The faults of one file whose text is given; path is relative to the root."""
    known = REWRITES.get(str(path), set())
    is_general = any(path.is_relative_to(folder) for folder in GENERAL)
    for match in INCLUDE.finditer(text) if is_general else ():
        if match.group(1) not in SHARED | known:
            yield f"{path} includes the op {match.group(1)}; fix: ask through a function of Op, or list the rewrite here"
    for match in KIND.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield f"{path}:{line}: an op is asked for its name; fix: ask through a function of Op, or its class with op_as"


planted = {"compiler/plan/x.cpp": '#include "compiler/ops/relu.h"', "compiler/passes/x.cpp": 'if (kind == "add") return;',
           "compiler/plan/y.cpp": 'if (node.op->kind() != "dense") f();',
           "compiler/passes/pool_first.cpp": '#include "compiler/ops/conv2d.h"',
           "schedules/x.cpp": 'return node.kind() == "conv2d";', "dsl/x.cpp": 'if ("dense" == node.op->kind()) f();'}
faults = [f"planted fault not found: {path}" for path, text in planted.items() if not list(faults_of(Path(path), text))]
files = sources(".h", ".cpp", folders=NAMELESS)
for file in files:
    faults += faults_of(file, (ROOT / file).read_text())
for path, ops in REWRITES.items():
    text = (ROOT / path).read_text() if (ROOT / path).is_file() else ""
    unused = ops - set(INCLUDE.findall(text))
    faults += [f"{path} is listed for {op}, which it does not include; fix: take it off the list" for op in sorted(unused)]
report("ops by interface", faults, len(files))
