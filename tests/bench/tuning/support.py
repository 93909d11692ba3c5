"""What the rows of tests/bench/tune share: a row's verdict, its log, runs of the tuner, models of one layer."""
import contextlib
import datetime
import functools
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("EMULSION_BINARY_DIR", ROOT / "build"))
EMULSION = BUILD / "bin" / "emulsion"
NETWORKS = ROOT / "examples" / "networks"
TUNED = ROOT / "schedules" / "tuned"


share = 1.0  # of the minutes that rows take, by --share
only = ""  # parts whose names contain it are measured, by --only
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
    """What a row needs and this machine or this build does not have, or what did not work."""


def require_build():
    if not EMULSION.exists():
        raise SystemExit(f"tune: {EMULSION} is missing\n  fix: build it with tests/run, or set EMULSION_BINARY_DIR")


def load():
    return round(os.getloadavg()[0], 2)


class Log:
    """What rows say and measure, a JSON object a line with its time, in the file of --log; each line is on the disk before the
    next part begins. A part that it has of this build, this machine class and this share of the minutes is not measured
    again. Without a file it is what this run has measured."""

    def __init__(self, path=None):
        self.path = Path(path).resolve() if path else None
        self.results = {}  # entries, by row and part
        if self.path is None:
            return
        try:
            text = self.path.read_text(errors="replace") if self.path.exists() else ""
            self.path.open("a").close()
        except OSError as error:
            raise SystemExit(f"tune: the log '{path}' cannot be written: {error.strerror}\n"
                             "  fix: name a file in a folder that exists and that you may write to") from error
        self.identity = {"build": build_identity(), "machine": machine_class(), "share": share}
        for entry in events_of(text):
            if "result" in entry and all(entry.get(key) == value for key, value in self.identity.items()):
                self.results[entry["row"], entry["part"]] = entry

    def write(self, **entry):
        entry["time"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        if "result" in entry:
            self.results[entry["row"], entry["part"]] = entry
        if self.path is None:
            return
        torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n") and self.path.stat().st_size > 0
        with self.path.open("a") as file:
            file.write(("\n" if torn else "") + json.dumps({**self.identity, **entry}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def name_of(self, row, part):
        """Of a file or a folder that belongs to a part."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{self.identity['build']}_{share}_{row}_{part}")

    def keep(self, row, part, text):
        """Puts what a part has found beside the log: FILE.kept/…; nothing without a log."""
        if self.path is None:
            return
        folder = Path(f"{self.path}.kept")
        folder.mkdir(exist_ok=True)
        (folder / self.name_of(row, part)).write_text(text)

    @contextlib.contextmanager
    def folder(self, row, part):
        """To work in. With a log it lies beside that, so that a part which was ended goes on with the journal of its tuner;
        it is removed when the part is done, or where it cannot be."""
        if self.path is None:
            with tempfile.TemporaryDirectory() as name:
                yield Path(name)
            return
        path = Path(f"{self.path}.parts") / self.name_of(row, part)
        path.mkdir(parents=True, exist_ok=True)
        try:
            yield path
        except Missing:
            shutil.rmtree(path, ignore_errors=True)
            raise
        shutil.rmtree(path, ignore_errors=True)


log = Log()


class Row:
    def __init__(self, name, what):
        self.name, self.faults = name, []
        self.parts, self.left_out = [], []  # names
        processors = sorted(os.sched_getaffinity(0))
        print(f"\n{name}: {what}\n  machine {machine_class()}, processors {processors}, load {load():.1f}", flush=True)
        log.write(row=name, processors=processors, load=load())

    def say(self, text):
        print(f"  {text}", flush=True)
        log.write(row=self.name, say=text)

    def fail(self, text):
        self.faults.append(text)
        print(f"  FAIL: {text}", flush=True)
        log.write(row=self.name, fail=text)

    def part(self, name, measure, of=None):
        """What the log has of this part, else what measure(folder) returns (as JSON keeps it); None where --only leaves it out,
        and None and a failure in words where it cannot be measured. `of` names the row that has it, where that is another."""
        row = of or self.name
        self.parts.append(name)
        if (row, name) in log.results:
            entry = log.results[row, name]
            print(f"  {name}: taken from {log.path.name if log.path else 'this run'}, measured {entry.get('time', 'at some time')}",
                  flush=True)
            return entry["result"]
        if only not in name:
            self.left_out.append(name)
            return None
        load_before = load()
        try:
            with log.folder(row, name) as folder:
                result = json.loads(json.dumps(measure(folder)))
        except Missing as missing:
            self.fail(f"{name}: {missing}")
            return None
        except Exception as error:  # whatever it is, it costs this part alone
            traceback.print_exc()
            self.fail(f"{name}: {type(error).__name__}: {error}")
            return None
        log.write(row=row, part=name, load=load_before, result=result)
        return result

    def check(self, holds, text):
        """True, or a failure in these words."""
        if not holds:
            self.fail(text)
        return holds

    def conclude(self):
        """Says whether it holds, as far as it was measured."""
        if self.parts and not any(only in part for part in self.parts):
            self.fail(f"no part of it is named '{only}'; fix: choose from {'; '.join(self.parts)}")
        verdict = f"FAIL ({len(self.faults)})" if self.faults else "no fault so far" if self.left_out else "pass"
        print(f"  {verdict}" + (f"; left out: {'; '.join(self.left_out)}" if self.left_out else ""), flush=True)
        log.write(row=self.name, verdict=verdict, left_out=self.left_out)


def finished(command, minutes=60, **options):
    """A process that has ended, and did so in time."""
    try:
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60 * minutes, **options)
    except subprocess.TimeoutExpired as late:
        raise Missing(f"{Path(command[0]).name} did not end within {minutes:g} minutes") from late


def run(*words, folder=None, check=True, minutes=60):
    """A finished `emulsion`; one that fails is missing, unless check is False."""
    result = finished([EMULSION, *words], minutes, cwd=folder)
    if check and result.returncode:
        raise Missing(f"emulsion {' '.join(map(str, words))} ended with {result.returncode}: {result.stderr.strip()[-2000:]}")
    return result


@functools.cache
def build_identity():
    """Of the compiler: what it measured holds for it alone."""
    library = BUILD / "lib" / "libemulsion.so"
    return hashlib.sha256((library if library.exists() else EMULSION).read_bytes()).hexdigest()[:12]


@functools.cache
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
    events = events_of(run("tune", model, "--json", *words, folder=folder).stdout)
    if not events or events[-1]["event"] != "end":
        raise Missing(f"the tuner has printed no end: {events[-1:]}")
    return events


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


def times_of(events, journal):
    """Microseconds of the default and of the best record of the one kernel that was tuned; the default's alone, twice,
    where there is no record."""
    for kernel in events[-1]["kernels"]:
        if kernel["tuned"]:
            return kernel["default_us"], kernel["tuned_us"]
    with contextlib.closing(sqlite3.connect(journal)) as database:
        timed = [us for us, in database.execute("SELECT current_us FROM trials WHERE pairs > 0 ORDER BY current_us")]
    if not timed:
        raise Missing("no candidate was timed")
    return timed[len(timed) // 2], timed[len(timed) // 2]


def dropped(events):
    """Records that a measurement within the step has taken back."""
    return sum(e["event"] in ("step_check", "choice_check") and not e["accepted"] and not e["contended"] for e in events)


def program(net, mode, batch, threads, target, *options):
    """The command of a benchmark program (tests/bench/run), built with these options and moved to `target`."""
    made = finished([ROOT / "tests/bench/run", net, "--mode", mode, "--batch", batch, "--threads", threads, "--build-only", "--",
                     "--no-records", *options])
    if made.returncode:
        raise Missing(f"{net}: {made.stderr.strip()}")
    command = made.stdout.split()
    shutil.move(command[0], target)  # over one of a run that was ended
    return [target, *command[1:]]


def output_of(command, threads):
    """Its lines, pinned to as many processors as it has threads."""
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
    result = finished(["taskset", "-c", cpus, *command])
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
