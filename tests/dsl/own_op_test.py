"""The lesson on an op of one's own, and what becomes of its kernels when the op changes."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tuning import EMULSION, ROOT, check, faults

LESSON = ROOT / "examples" / "lesson_04_own_op.cpp"
OP = ROOT / "examples" / "softsign.h"


# The layer of the header in words of the DSL, to compare with.
COMPOSITE = """#pragma once
#include "dsl/emulsion.h"
inline emulsion::Tensor softsign(const emulsion::Tensor& x, double sharpness = 1) {
    return x / (1.0 + sharpness * abs(x));
}
"""


def loss_of(text):
    """Of the last epoch that a trainer has reported."""
    return [event["loss"] for event in map(json.loads, text.splitlines()) if event.get("event") == "epoch"][-1]


def main():
    commands = [line[len("//     "):].split() for line in LESSON.read_text().splitlines() if line.startswith("//     ")]
    check(len(commands) == 3, f"the lesson has {len(commands)} commands")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))
        op = OP.read_text()
        (folder / "softsign.h").write_text(op)
        (folder / LESSON.name).write_text(LESSON.read_text().replace('"examples/softsign.h"', '"softsign.h"'))

        def run(words):
            if words[0] == "emulsion":
                words = [str(EMULSION), *words[1:]]
            elif "train" in words[0]:
                words = [*words, "--json"]
            return subprocess.run(words, cwd=folder, env=environment, text=True, capture_output=True, timeout=300)

        # The lesson, as it stands
        for words in commands:
            result = run(words)
            what = " ".join(words)
            check(result.returncode == 0, f"{what} ends with {result.returncode}: {result.stderr}")
            if "--checkpoint" in words:
                loss = loss_of(result.stdout)
        before = (folder / "out" / "own_op_infer.a").read_bytes()

        # Another formula by the same name: new kernels.
        build = ["emulsion", "build", LESSON.name, "--batch", "32", "-o", "other"]
        (folder / "softsign.h").write_text(op.replace("Halide::abs(x)", "Halide::abs(x * 2)"))
        check(run(build).returncode == 0, "the changed op does not build")
        check((folder / "other" / "own_op_infer.a").read_bytes() != before, "a changed op is served from the cache")

        # The same network in words of the DSL learns the same: the gradient is right.
        (folder / "softsign.h").write_text(COMPOSITE)
        check(run(build).returncode == 0, "the composite does not build")
        check(loss < 1.2, f"the lesson learns nothing: loss {loss}")
        other = loss_of(run(["other/own-op-train", *commands[1][1:-1], "other_run"]).stdout)
        check(abs(loss - other) < 1e-4, f"losses of the op and of its composite: {loss} and {other}")
    return 1 if faults else 0


sys.exit(main())
