"""What the tests of tuner and records share: a small model, a folder to run `emulsion` in, and the list of faults."""
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("EMULSION_BINARY_DIR", ROOT / "build"))
EMULSION = BINARY / "bin" / "emulsion"
MODEL = """#include "dsl/emulsion.h"
using namespace emulsion;
int main(int argc, char** argv) {
    Model m("tiny");
    m.classify(dense(flatten(relu(conv(m.input("x", {3, 12, 12}), 32, {.kernel = 3, .padding = same}))), 10));
    return compile(m, argc, argv);
}
"""
faults = []


def check(holds, text):
    if not holds:
        faults.append(text)
        print("FAULT:", text)


class Work:
    """A folder with the model, as tiny.cpp and as tiny.emu, and a cache of its own; `environment` is added."""

    def __init__(self, folder, **environment):
        self.folder = Path(folder)
        self.environment = dict(os.environ, XDG_CACHE_HOME=str(self.folder / "cache"), **environment)
        (self.folder / "tiny.cpp").write_text(MODEL)
        (self.folder / "tiny.emu").write_text(self.run("show", "tiny.cpp").stdout)

    def run(self, *words):
        return subprocess.run([str(EMULSION), *words], cwd=self.folder, env=self.environment, text=True,
                              capture_output=True, timeout=300)
