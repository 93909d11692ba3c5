"""The row on whole networks: the step of a tuned build against that of a default one, and its kernels within it."""
import math
import statistics

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


def kernel_gains(default, tuned, threads):
    """Of each call whose kernel a record changes, in the step, against its default there: how many times as fast, in each
    round. Both make the same choices above them."""
    pairs = alternate(lambda command: support.kernel_times(command, threads), default, tuned)
    changed = [name for name, (_, schedule) in pairs[0][0].items() if pairs[0][1][name][1] != schedule]
    return {name: [one[name][0] / other[name][0] for one, other in pairs] for name in changed}


def tuned_in(folder, net, mode, batch, isa, threads, minutes):
    """Writes tuned.records. What the tuner says of it, and how a benchmark program is built here."""
    source = support.NETWORKS / f"{net}.cpp"
    if not source.exists():
        raise support.Missing(f"{net}: there is no example network of this name yet")
    batches = ["--batch", batch] if mode == "train" else ["--batch", 1, "--infer-batch", batch]
    end = support.tune(
        source, "--no-records", "--mode", mode, "--target", isa, "--threads", threads, "--minutes", support.minutes(minutes), *batches,
        "--records", "tuned.records", "--journal", "journal", folder=folder)[-1]

    def program(target, records):
        words = ["--records", records, "--machine", "native"] if records is not None and records.exists() else []
        return support.program(net, mode, batch, threads, folder / target, "--target", isa, *words)
    return end, program


def measure(folder, net, mode, batch, isa, threads, minutes):
    end, program = tuned_in(folder, net, mode, batch, isa, threads, minutes)
    records = folder / "tuned.records"
    default, tuned = program("default", None), program("tuned", records)
    result = {"trials": end["spent_trials"], "records": sum(kernel["tuned"] != "" for kernel in end["kernels"]), "gains": [],
              "kernels": {}, "fault": ""}
    if default[0].read_bytes() == tuned[0].read_bytes():
        return result
    result["gains"] = sorted(other / one for one, other in alternate(lambda command: speed(command, threads), default, tuned))
    choices = choices_of(records)
    result["choices"] = choices is not None
    try:
        result["kernels"] = kernel_gains(program("choices", choices) if choices else default, tuned, threads)
    except support.Missing as missing:  # the gains stay
        result["fault"] = str(missing)
    return result


def judge_kernels(row, what, gains):
    for name, ratios in gains.items():
        median, wins = statistics.median(ratios), sum(ratio > 1 for ratio in ratios)
        row.check(median >= LEAST_EACH or wins > MOST_CHANCE_WINS,
                  f"{what}: {name} is {median:.3f} times as fast as its default in the step, {wins} of {ROUNDS} rounds won")
    if gains:
        medians = sorted(map(statistics.median, gains.values()))
        row.say(f"{what}: {len(gains)} calls of tuned kernels in the step, {medians[0]:.3f} to {medians[-1]:.3f} times as fast, "
                f"{statistics.median(medians):.3f} at the median")


def judge(row, what, result):
    """The gain, of what was measured."""
    if not result["gains"]:
        row.say(f"{what}: the same program as without records, of {result['trials']} trials")
        return 1
    gains = result["gains"]
    median = statistics.median(gains)
    row.say(f"{what}: {median:.3f} ({gains[2]:.3f}-{gains[6]:.3f}); {result['records']} records, "
            f"{'some' if result['choices'] else 'no'} choices, {result['trials']} trials")
    row.check(median >= LEAST_EACH, f"{what} is slower when tuned: {median:.3f}")
    judge_kernels(row, what, result["kernels"])
    row.check(not result["fault"], f"{what}: its kernels cannot be timed in the step: {result['fault']}")
    return median


def networks(row, minutes=10):
    inference = []
    for case in CASES:
        net, mode, batch, isa, threads = case
        what = f"{net} {mode} batch {batch}, {isa}, {threads} threads"
        result = row.part(what, lambda folder, case=case: measure(folder, *case, minutes))
        if result is None:
            continue
        median = judge(row, what, result)
        if mode == "infer":
            inference.append(median)
    if inference:
        mean = math.exp(statistics.fmean(map(math.log, inference)))
        row.check(mean >= LEAST_INFERENCE, f"inference gains {mean:.3f} on the geometric mean, the bar is {LEAST_INFERENCE}")
        row.say(f"inference: {mean:.3f} on the geometric mean of {len(inference)} networks")
