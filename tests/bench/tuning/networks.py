"""The row on whole networks: the step of a tuned build against that of a default one."""
import math
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from tuning import support

ROUNDS = 9
LEAST_EACH, LEAST_INFERENCE = 0.99, 1.08

# Network, mode, batch, instruction set, threads.
CASES = [*((net, "train", batch, "avx512", 2) for net, batch in
           (("lenet", 64), ("resnet20", 128), ("resnet18", 16), ("squeezenet1_1", 16))),
         *((net, "infer", 1, "avx512", 2) for net in ("resnet18", "resnet50", "squeezenet1_1")),
         ("lenet", "train", 64, "avx2", 1), ("resnet18", "train", 16, "avx2", 1)]


def program(net, mode, batch, isa, threads, target, *options):
    """A benchmark program built with these options, moved to `target`; its command."""
    made = subprocess.run([support.ROOT / "tests/bench/run", net, "--mode", mode, "--batch", str(batch), "--threads",
                           str(threads), "--build-only", "--", "--target", isa, "--no-records", *map(str, options)],
                          capture_output=True, text=True)
    if made.returncode:
        raise support.Missing(f"{net}: {made.stderr.strip()}")
    command = made.stdout.split()
    shutil.move(command[0], target)
    return [target, *command[1:]]


def speed(command, cpus):
    """Units of work a second by the CSV line of tests/bench/driver.cpp."""
    result = subprocess.run(["taskset", "-c", cpus, *map(str, command)], capture_output=True, text=True, check=True)
    fields = result.stdout.strip().splitlines()[-1].split(",")
    value, unit = float(fields[7]), fields[8]
    return 1000 / value if unit == "ms" else value


def gain(net, mode, batch, isa, threads, minutes, row):
    source = support.NETWORKS / f"{net}.cpp"
    if not source.exists():
        raise support.Missing(f"{net}: there is no example network of this name yet")
    batches = ["--batch", batch] if mode == "train" else ["--batch", 1, "--infer-batch", batch]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = support.events_of(support.run(
            "tune", source, "--json", "--no-records", "--target", isa, "--threads", threads, "--minutes", support.minutes(minutes),
            *batches,
            "--records", folder / "tuned.records", "--journal", folder / "journal").stdout)
        default = program(net, mode, batch, isa, threads, folder / "default")
        with_records = ["--records", folder / "tuned.records", "--machine", "native"]
        if not (folder / "tuned.records").exists():
            with_records = []
        tuned = program(net, mode, batch, isa, threads, folder / "tuned", *with_records)
        cpus = ",".join(str(cpu) for cpu in range(threads))
        gains = []
        for i in range(ROUNDS):
            pair = (default, tuned) if i % 2 == 0 else (tuned, default)
            one, other = (speed(command, cpus) for command in pair)
            gains.append(other / one if i % 2 == 0 else one / other)
        gains.sort()
        records = sum(kernel["tuned"] != "" for kernel in events[-1]["kernels"])
        row.say(f"{net} {mode} batch {batch}, {isa}, {threads} threads: {statistics.median(gains):.3f} "
                f"({gains[2]:.3f}-{gains[6]:.3f}); {records} records, {events[-1]['spent_trials']} trials")
        return statistics.median(gains)


def networks(row, minutes=10):
    inference = []
    for net, mode, batch, isa, threads in CASES:
        try:
            median = gain(net, mode, batch, isa, threads, minutes, row)
        except support.Missing as missing:
            row.fail(str(missing))
            continue
        row.check(median >= LEAST_EACH, f"{net} {mode} is slower when tuned: {median:.3f}")
        if mode == "infer":
            inference.append(median)
    if inference:
        mean = math.exp(statistics.fmean(map(math.log, inference)))
        row.check(mean >= LEAST_INFERENCE, f"inference gains {mean:.3f} on the geometric mean, the bar is {LEAST_INFERENCE}")
    row.fail("single kernels within a step are not compared yet (none below 0.99 of its default)")
