"""Whatever ends `emulsion build`, at any moment: every product is wholly the former or the new one, nothing that the
build started goes on, and no temporary file stays.

Usage: kill_test.py [KILLS [SEED]]; 16 kills unless said otherwise.
"""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import processes_of

ROOT = Path(__file__).resolve().parents[2]
EMULSION = Path(os.environ.get("EMULSION_BINARY_DIR", ROOT / "build")) / "bin" / "emulsion"
MODEL = """#include "dsl/emulsion.h"
using namespace emulsion;
int main(int argc, char** argv) {
    Model m("tiny");
    m.classify(dense(flatten(relu(conv(m.input("x", {1, 6, 6}), FILTERS))), 10));
    return compile(m, argc, argv);
}
"""
# How the build is ended: a signal for its first process, or one for all of them at once.
WAYS = [(signal.SIGKILL, "first"), (signal.SIGTERM, "first"), (signal.SIGHUP, "first"), (signal.SIGINT, "first"),
        (signal.SIGKILL, "all"), (signal.SIGTERM, "all")]


class Work:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        self.environment = dict(os.environ, TMPDIR=str(self.temporary), XDG_CACHE_HOME=str(self.folder / "cache"))
        self.models = {}
        for version in (0, 1):
            path = self.folder / f"version{version}.cpp"
            path.write_text(MODEL.replace("FILTERS", str(4 + version)))
            self.models[version] = path
        self.seconds = 0
        self.expected = {version: self.reference(version) for version in (0, 1)}

    def command(self, version, output):
        return [EMULSION, "build", self.models[version], "-o", self.folder / output, "--no-cache", "--jobs", "2"]

    def build(self, version, output):
        start = time.monotonic()
        subprocess.run(self.command(version, output), env=self.environment, check=True, stdout=subprocess.DEVNULL)
        self.seconds = time.monotonic() - start

    def read(self, output):
        return {path.name: path.read_bytes() for path in (self.folder / output).iterdir()}

    def reference(self, version):
        self.build(version, "reference")
        return self.read("reference")

    def kill_one(self, version, way, moment):
        """Starts a build, ends it, and returns when all that it started has ended, with what is wrong."""
        number, whom = way
        # What an earlier KILL has left stays until a build makes its folder, or comes to its products.
        known = {*self.expected[0], *self.read("out")}
        folders = {*self.temporary.iterdir()}
        build = subprocess.Popen(self.command(version, "out"), env=self.environment, start_new_session=True,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(moment)
        for process in [build.pid] if whom == "first" else processes_of(build.pid):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass
        said = build.communicate()[1]
        faults = []
        if build.returncode not in (0, -number, 128 + number):
            faults.append(f"ended with {build.returncode}: {said}")
        for _ in range(600):
            if not (left := processes_of(build.pid)):
                break
            time.sleep(0.1)
        else:
            faults.append(f"still running: {left}")
        faults += self.faults_of_products()
        if number != signal.SIGKILL:
            faults += [f"left {path}" for path in self.temporary.iterdir() if path not in folders]
            faults += [f"left {name}" for name in self.read("out") if name not in known]
        return faults

    def faults_of_products(self):
        found = self.read("out")
        for name in self.expected[0]:
            if found.get(name) not in [expected[name] for expected in self.expected.values()]:
                yield f"{name} is neither the former nor the new product"
            elif name.endswith(("-train", "-infer")) and not os.access(self.folder / "out" / name, os.X_OK):
                yield f"{name} may not be run"


def main(kills, seed):
    choose = random.Random(seed)
    print(f"seed {seed}")
    folder = tempfile.mkdtemp()
    try:
        work = Work(folder)
        work.build(0, "out")
        faults = []
        for i in range(kills):
            way, moment = WAYS[i % len(WAYS)], choose.uniform(0, 1.1 * work.seconds)
            found = [*work.kill_one((i + 1) % 2, way, moment)]
            print(f"{i}: {way[0].name} for {way[1]} after {moment:.3f} s: {'; '.join(found) or 'good'}", flush=True)
            faults += found
        work.build(1, "out")
        if work.read("out") != work.expected[1]:
            faults.append("the build after the kills differs")
        faults += [f"left in the end: {path}" for path in work.temporary.iterdir()]
    finally:
        shutil.rmtree(folder)
    print(f"{kills} kills of a build of {work.seconds:.2f} s: {len(faults)} faults", *faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = [int(word) for word in sys.argv[1:]] + [0, 0]
    sys.exit(main(arguments[0] or 16, arguments[1] or random.randrange(1, 1 << 30)))
