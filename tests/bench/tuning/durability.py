"""Rows on what a tuner keeps however it ends, and what it makes of other work beside it."""
import contextlib
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tuning import support

MODEL = support.Layer("small", 3, 12, "dense(flatten(relu(conv(x, 32, {.kernel = 3, .padding = same}))), 10)", "", 0)
TUNE = ["tune", "layer.emu", "--threads", "1", "--no-records", "--json", "--journal", "layer.journal", "--records",
        "layer.records"]


def start(folder, *words):
    return subprocess.Popen([support.EMULSION, *TUNE, *map(str, words)], cwd=folder, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)


def end(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def records_of(folder):
    """Gains by all of a line that says what it answers."""
    path = folder / "layer.records"
    if not path.exists():
        return {}
    lines = support.run("records", "show", path).stdout.splitlines()[1:]
    number = lambda line, name: float(line.split(f" {name}=")[1].split()[0])
    key = lambda line: re.sub(r" (recipe|choice)=.* (group|node)=", " ", line)
    return {key(line): number(line, "default_us") / number(line, "tuned_us") for line in lines}


def check_kept(row, what, before, after, seen, events):
    """What a run measured is new, and no record is lost or worse, but those that it took back itself: what a kill kept it
    from printing is one at most. A winner replaces a record by beating it, so its gain may be less within noise."""
    new = support.trials(events)
    row.check(not set(new) & seen, f"{what}: measured again: {sorted(set(new) & seen)[:3]}")
    row.check(len(set(new)) == len(new), f"{what}: measured twice by one run")
    lost = len(before.keys() - after.keys())
    row.check(lost <= support.dropped(events) + 1, f"{what}: {lost} records are lost")
    for key in before.keys() & after.keys():
        row.check(after[key] >= 0.97 * before[key], f"{what}: a record gains {after[key]:.3f}, {before[key]:.3f} before")
    seen.update(new)


def kills(row, count=20):
    seed = random.randrange(1 << 30)
    row.say(f"seed {seed}")
    chance = random.Random(seed)
    seen, finished = set(), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        MODEL.write(folder)
        for i in range(count):
            before = records_of(folder)
            process = start(folder, "--minutes", 60)
            try:
                time.sleep(chance.uniform(0.2, 6))
            finally:  # Ctrl-C leaves no tuner behind
                end(process)
            output, _ = process.communicate()
            events = support.events_of(output)
            finished += len(support.trials(events))
            check_kept(row, f"kill {i + 1}", before, records_of(folder), seen, events)
        spent = support.events_of(support.run(*TUNE, "--trials", 1, folder=folder).stdout)[-1]
        row.say(f"{count} kills; {finished} trials were printed, the journal has {spent['spent_trials']}, "
                f"{len(records_of(folder))} records")
        row.check(finished > 0, "no run lived long enough to finish a trial")
        row.check(finished <= spent["spent_trials"] <= finished + count,
                  "the journal lacks trials that were finished")  # a kill may stand between journal and print


def cuts(row, count=20):
    seed = random.randrange(1 << 30)
    row.say(f"seed {seed}")
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        MODEL.write(folder)
        first = support.events_of(support.run(*TUNE, "--trials", 60, folder=folder).stdout)
        measured = set(support.trials(first))
        for extra in folder.glob("layer.journal-*"):
            extra.unlink()
        whole = (folder / "layer.journal").read_bytes()
        records = records_of(folder)
        kept = []
        for i in range(count):
            for old in folder.glob("layer.journal*"):
                old.unlink()
            length = chance.randrange(len(whole))
            (folder / "layer.journal").write_bytes(whole[:length])
            result = support.run(*TUNE, "--trials", 62, folder=folder, check=False)
            what = f"a cut at {length} of {len(whole)} bytes"
            if not row.check(result.returncode == 0, f"{what}: the next run ends with {result.returncode}: {result.stderr}"):
                continue
            events = support.events_of(result.stdout)
            left = next(e["spent_trials"] for e in events if e["event"] == "begin")
            kept.append(left)
            notes = " ".join(e["text"] for e in events if e["event"] == "note") + result.stderr
            row.check(length == 0 or left == len(measured) or "lost" in notes, f"{what}: {left} trials are left, nothing is said")
            again = set(support.trials(events)) & measured
            row.check(len(again) <= len(measured) - left, f"{what}: {len(again)} are measured again, {left} were kept")
            lost = len(records.keys() - records_of(folder).keys())
            row.check(lost <= support.dropped(events), f"{what}: {lost} records are lost")
            row.check(events[-1]["spent_trials"] == 62, f"{what}: it does not go on: {events[-1]['spent_trials']} trials")
        row.say(f"{count} cuts of a journal of {len(measured)} trials; kept: {sorted(kept)}")


def misbehaving(row):
    """The tests of the tuner inject them; this runs those."""
    program = support.BUILD / "bin" / "test_tune"
    if not program.exists():
        raise support.Missing(f"{program} is missing; fix: build it with tests/run")
    result = support.finished([program, "--gtest_filter=MisbehavingCandidates.*"])
    for line in result.stdout.splitlines():
        if line.startswith(("[       OK ]", "[  FAILED  ]")):
            row.say(line)
    row.check(result.returncode == 0 and "[  PASSED  ] 0 tests" not in result.stdout, "a candidate cost more than itself")


def four_tuners(row, count=60):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        MODEL.write(folder)
        processes = [start(folder, "--trials", count, "--seed", seed) for seed in range(1, 5)]
        measured = []
        try:
            for process in processes:
                output, errors = process.communicate(timeout=1200)
                row.check(process.returncode == 0, f"a tuner ends with {process.returncode}: {errors}")
                measured += support.trials(support.events_of(output))
        except subprocess.TimeoutExpired as late:
            raise support.Missing(f"four tuners did not end within {late.timeout:g} seconds") from late
        finally:
            for process in processes:
                if process.returncode is None:
                    end(process)
        spent = support.events_of(support.run(*TUNE, "--trials", 1, folder=folder).stdout)[-1]["spent_trials"]
        row.say(f"{len(measured)} trials by four tuners, of which {spent} are in the journal; {len(records_of(folder))} records")
        row.check(len(set(measured)) == len(measured), f"{len(measured) - len(set(measured))} were measured twice")
        row.check(spent == len(measured), "measurements are lost")
        row.check(count <= spent <= count + 4 * os.cpu_count(), f"a budget of {count} trials became {spent}")


def spin():
    while True:
        pass


def busy(row):
    """Each record that is found beside other work is the first that an idle run tries."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        MODEL.write(folder)
        hogs = [multiprocessing.Process(target=spin, daemon=True) for _ in range(len(os.sched_getaffinity(0)))]
        for hog in hogs:
            hog.start()
        try:
            events = support.events_of(support.run(*TUNE, "--minutes", support.minutes(2), folder=folder).stdout)
        finally:
            for hog in hogs:
                hog.kill()
        accepted = {kernel["kernel"]: kernel for kernel in events[-1]["kernels"] if kernel["tuned"]}
        contended = sum(e["contended"] for e in events if e["event"] in ("trial", "confirmation"))
        row.say(f"beside {len(hogs)} busy processes: {len(support.trials(events))} trials, {contended} times contention was "
                f"seen, {len(accepted)} records")
        for kernel, record in accepted.items():
            shutil.copy(folder / "layer.records", folder / "again.records")
            again = support.tune("layer.emu", "--threads", 1, "--no-records", "--kernel", kernel, "--trials", 1, "--journal",
                                 f"{len(list(folder.iterdir()))}.journal", "--records", "again.records", folder=folder)
            timed = [e for e in again if e["event"] == "trial" and e["pairs"] > 0
                     and f"{e['recipe']} {e['tiling']}".strip() == record["tuned"]]
            if row.check(timed, f"{kernel}: the record is not the first that is tried"):
                gain = timed[0]["current_us"] / timed[0]["us"]
                row.say(f"{kernel}: {record['default_us'] / record['tuned_us']:.3f} beside other work, {gain:.3f} idle")
                row.check(gain >= 0.99, f"{kernel} is slower than its default")
