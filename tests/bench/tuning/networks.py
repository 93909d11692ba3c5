"""The row on whole networks: the step of a tuned build against that of a default one, and its kernels within it."""
import math
import statistics
import tempfile
from pathlib import Path

from tuning import support

ROUNDS = 9
LEAST_EACH, LEAST_INFERENCE = 0.99, 1.08
MOST_CHANCE_WINS = 1  # of nine rounds: with no more, being slower is no accident (p <= 0.02)

# Network, mode, batch, instruction set, threads.
CASES = [*((net, "train", batch, "avx512", 2) for net, batch in
           (("lenet", 64), ("resnet20", 128), ("resnet18", 16), ("squeezenet1_1", 16))),
         *((net, "infer", 1, "avx512", 2) for net in ("resnet18", "resnet50", "squeezenet1_1")),
         ("lenet", "train", 64, "avx2", 1), ("resnet18", "train", 16, "avx2", 1)]


def speed(command, threads):
    """Units of work a second by the CSV line of tests/bench/driver.cpp."""
    fields = support.output_of(command, threads)[-1].split(",")
    value, unit = float(fields[7]), fields[8]
    return 1000 / value if unit == "ms" else value


def alternate(measure, one, other):
    """What is measured of both in as many rounds, which begin with each in turn."""
    pairs = []
    for i in range(ROUNDS):
        if i % 2 == 0:
            pairs.append((measure(one), measure(other)))
        else:
            pairs.append((measure(other), measure(one))[::-1])
    return pairs


def choices_of(records):
    """A file of those of the records that are choices above the kernels, or None."""
    lines = records.read_text().splitlines() if records.exists() else []
    choices = [line for line in lines if " choice=" in line]
    if not choices:
        return None
    file = records.with_name("choices.records")
    file.write_text("\n".join([lines[0], *choices]) + "\n")
    return file


def check_kernels(row, what, default, tuned, threads):
    """Each kernel that a record changes, in the step, against its default there. Both make the same choices above them."""
    pairs = alternate(lambda command: support.kernel_times(command, threads), default, tuned)
    changed = [name for name, (_, schedule) in pairs[0][0].items() if pairs[0][1][name][1] != schedule]
    gains = {name: [one[name][0] / other[name][0] for one, other in pairs] for name in changed}
    for name, ratios in gains.items():
        median, wins = statistics.median(ratios), sum(ratio > 1 for ratio in ratios)
        row.check(median >= LEAST_EACH or wins > MOST_CHANCE_WINS,
                  f"{what}: {name} is {median:.3f} times as fast as its default in the step, {wins} of {ROUNDS} rounds won")
    if gains:
        medians = sorted(map(statistics.median, gains.values()))
        row.say(f"{what}: {len(gains)} calls of tuned kernels in the step, {medians[0]:.3f} to {medians[-1]:.3f} times as fast, "
                f"{statistics.median(medians):.3f} at the median")


def gain(net, mode, batch, isa, threads, minutes, row):
    source = support.NETWORKS / f"{net}.cpp"
    if not source.exists():
        raise support.Missing(f"{net}: there is no example network of this name yet")
    batches = ["--batch", batch] if mode == "train" else ["--batch", 1, "--infer-batch", batch]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = support.tune(
            source, "--no-records", "--target", isa, "--threads", threads, "--minutes", support.minutes(minutes), *batches,
            "--records", "tuned.records", "--journal", "journal", folder=folder)

        def program(target, records):
            words = ["--records", records, "--machine", "native"] if records is not None and records.exists() else []
            return support.program(net, mode, batch, threads, folder / target, "--target", isa, *words)

        default, tuned = program("default", None), program("tuned", folder / "tuned.records")
        what = f"{net} {mode} batch {batch}, {isa}, {threads} threads"
        if default[0].read_bytes() == tuned[0].read_bytes():
            row.say(f"{what}: the same program as without records, of {events[-1]['spent_trials']} trials")
            return 1
        choices = choices_of(folder / "tuned.records")
        pairs = alternate(lambda command: speed(command, threads), default, tuned)
        gains = sorted(other / one for one, other in pairs)
        records = sum(kernel["tuned"] != "" for kernel in events[-1]["kernels"])
        row.say(f"{what}: {statistics.median(gains):.3f} ({gains[2]:.3f}-{gains[6]:.3f}); {records} records, "
                f"{'some' if choices else 'no'} choices, {events[-1]['spent_trials']} trials")
        check_kernels(row, what, program("choices", choices) if choices else default, tuned, threads)
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
