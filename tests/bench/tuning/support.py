"""What the rows of tests/bench/tune share: a row's verdict, runs of the tuner, models of one layer."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("EMULSION_BINARY_DIR", ROOT / "build"))
EMULSION = BUILD / "bin" / "emulsion"
NETWORKS = ROOT / "examples" / "networks"
TUNED = ROOT / "schedules" / "tuned"


share = 1.0  # of the minutes that rows take, by --share
TVM = ["apache-tvm==0.27.0.post1", "apache-tvm-ffi==0.1.14.post1", "cloudpickle==3.1.3", "numpy==2.4.6",
       "psutil==7.2.2", "scipy==1.17.1", "tornado==6.6.1", "xgboost==3.2.0"]


def tvm_python():
    """The interpreter of build/tvm-venv, which is made on the first use."""
    venv = BUILD / "tvm-venv"
    if not (venv / "done").exists():
        made = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True, text=True)
        if made.returncode == 0:
            made = subprocess.run([venv / "bin" / "pip", "install", "--quiet", *TVM], capture_output=True, text=True)
        if made.returncode:
            raise Missing(f"TVM cannot be installed in {venv}: {made.stderr[-300:]}")
        (venv / "done").touch()
    return venv / "bin" / "python"


def minutes(count):
    return count * share


class Missing(Exception):
    """What a row needs and this machine or this build does not have."""


class Row:
    def __init__(self, name, what):
        self.faults = []
        print(f"\n{name}: {what}\n  machine {machine_class()}, processors {sorted(os.sched_getaffinity(0))}", flush=True)

    def say(self, text):
        print(f"  {text}", flush=True)

    def fail(self, text):
        self.faults.append(text)
        print(f"  FAIL: {text}", flush=True)

    def check(self, holds, text):
        """True, or a failure in these words."""
        if not holds:
            self.fail(text)
        return holds

    def conclude(self):
        print(f"  {'pass' if not self.faults else f'FAIL ({len(self.faults)})'}", flush=True)
        return not self.faults


def run(*words, folder=None, check=True):
    """A finished `emulsion`; one that fails ends this program unless check is False."""
    if not EMULSION.exists():
        raise SystemExit(f"tune: {EMULSION} is missing\n  fix: build it with tests/run, or set EMULSION_BINARY_DIR")
    result = subprocess.run([EMULSION, *map(str, words)], cwd=folder, capture_output=True, text=True)
    if check and result.returncode:
        raise SystemExit(f"tune: emulsion {' '.join(map(str, words))} ended with {result.returncode}:\n{result.stderr[-2000:]}")
    return result


def machine_class():
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.records"
        empty.write_text("emulsion records 1\n")
        return run("records", "export", empty, "-o", Path(folder) / "own.records").stdout.split()[-1]


def events_of(text):
    """The events of `tune --json`; a line that a kill cut is none."""
    events = []
    for line in text.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            pass
    return events


def tune(model, *words, folder):
    return events_of(run("tune", model, "--json", *words, folder=folder).stdout)


def trials(events):
    return [(e["kernel"], e["recipe"], e["tiling"]) for e in events if e["event"] == "trial"]


class Layer:
    """A network of one layer; `kernel` is the one of its kernels that counts."""

    def __init__(self, name, channels, size, body, kernel, gflop, batch=1, trains=False):
        self.name, self.kernel, self.gflop, self.batch, self.trains = name, kernel, gflop, batch, trains
        end = f"m.mean_squared_error({body});" if trains else f'm.output("y", {body});'
        shape = f"{{{channels}, {size}, {size}}}" if size else f"{{{channels}}}"
        self.text = ('#include "dsl/emulsion.h"\nusing namespace emulsion;\nint main(int argc, char** argv) {\n'
                     f'    Model m("layer");\n    Tensor x = m.input("x", {shape});\n    {end}\n'
                     "    return compile(m, argc, argv);\n}\n")

    def write(self, folder):
        (folder / "layer.cpp").write_text(self.text)
        (folder / "layer.emu").write_text(run("show", "layer.cpp", folder=folder).stdout)
        batch = "--batch" if self.trains else "--infer-batch"
        return ["layer.emu", batch, str(self.batch), "--kernel", self.kernel]


def times_of(events):
    """Microseconds of the default and of the best record of the one kernel that was tuned; the default's alone, twice,
    where there is no record."""
    for kernel in events[-1]["kernels"]:
        if kernel["tuned"]:
            return kernel["default_us"], kernel["tuned_us"]
    timed = sorted(e["current_us"] for e in events if e["event"] == "trial" and e["pairs"] > 0)
    if not timed:
        raise Missing("no candidate was timed")
    return timed[len(timed) // 2], timed[len(timed) // 2]


def dropped(events):
    """Records that a measurement within the step has taken back."""
    return sum(e["event"] in ("step_check", "choice_check") and not e["accepted"] and not e["contended"] for e in events)


def program(net, mode, batch, threads, target, *options):
    """The command of a benchmark program (tests/bench/run), built with these options and moved to `target`."""
    made = subprocess.run([ROOT / "tests/bench/run", str(net), "--mode", mode, "--batch", str(batch), "--threads", str(threads),
                           "--build-only", "--", "--no-records", *map(str, options)], capture_output=True, text=True)
    if made.returncode:
        raise Missing(f"{net}: {made.stderr.strip()}")
    command = made.stdout.split()
    shutil.move(command[0], target)
    return [target, *command[1:]]


def output_of(command, threads):
    """Its lines, pinned to as many processors as it has threads."""
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
    result = subprocess.run(["taskset", "-c", cpus, *map(str, command)], capture_output=True, text=True)
    if result.returncode:
        raise Missing(f"{command[0]} ended with {result.returncode}: {result.stderr.strip()}")
    return result.stdout.strip().splitlines()


def kernel_times(command, threads):
    """Microseconds in the step by "STAGE NAME", with recipe and tiling."""
    times = {}
    for line in output_of([*command, "--kernels"], threads):
        stage, name, schedule = line.split(",", 1)[1].rsplit(",", 1)[0].split(" ", 2)
        times[f"{stage} {name}"] = (float(line.rsplit(",", 1)[1]), schedule)
    return times
