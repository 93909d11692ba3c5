"""The row on whole networks: the step of a tuned build against that of a default one, and its kernels within it."""
import math
import statistics

from tuning import support

ROUNDS = 9
LEAST_EACH, LEAST_INFERENCE = 0.99, 1.08
MOST_CHANCE_WINS = 1  # of nine rounds: with no more, being slower is no accident (p <= 0.02)

# Network, mode, batch, instruction set, threads; inference first, as the bar with a mean is of it.
CASES = [*((net, "infer", 1, "avx512", 2) for net in ("resnet18", "resnet50", "squeezenet1_1")),
         *((net, "train", batch, "avx512", 2) for net, batch in
           (("lenet", 64), ("resnet20", 128), ("resnet18", 16), ("squeezenet1_1", 16))),
         ("lenet", "train", 64, "avx2", 1), ("resnet18", "train", 16, "avx2", 1)]


def name_of(net, mode, batch, isa, threads):
    return f"{net} {mode} batch {batch}, {isa}, {threads} threads"


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
    """Of a file's text, those that are choices above the kernels, as the text of a file; empty where there are none."""
    lines = records.splitlines()
    choices = [line for line in lines if " choice=" in line]
    return "\n".join([lines[0], *choices]) + "\n" if choices else ""


def kernel_gains(default, tuned, threads):
    """Of each call whose kernel a record changes, in the step, against its default there: how many times as fast, in each
    round. Both make the same choices above them."""
    pairs = alternate(lambda command: support.kernel_times(command, threads), default, tuned)
    changed = [name for name, (_, schedule) in pairs[0][0].items() if pairs[0][1][name][1] != schedule]
    return {name: [one[name][0] / other[name][0] for one, other in pairs] for name in changed}


def run_tuner(folder, case, minutes, *words):
    """The tuner's last event: of this direction alone, without shipped records, into tuned.records."""
    net, mode, batch, isa, threads = case
    source = support.NETWORKS / f"{net}.cpp"
    if not source.exists():
        raise support.Missing(f"{net}: there is no example network of this name yet")
    batches = ["--batch", batch] if mode == "train" else ["--batch", 1, "--infer-batch", batch]
    return support.tune(
        source, "--no-records", "--mode", mode, "--target", isa, "--threads", threads, "--minutes", support.minutes(minutes), *batches,
        "--records", "tuned.records", "--journal", "journal", *words, folder=folder)[-1]


def tune(row, case, minutes):
    """What the tuner found, as a part of its own: trials, kernels, and the text of its records, which also is kept beside the
    log. None where it was not measured."""
    name = f"{name_of(*case)}, tuning"

    def search(folder):
        end = run_tuner(folder, case, minutes)
        records = folder / "tuned.records"
        text = records.read_text() if records.exists() else ""
        support.log.keep("networks", f"{name_of(*case)}.records", text)
        return {"trials": end["spent_trials"], "kernels": end["kernels"], "records": text}
    return row.part(name, search, of="networks")


def measure(folder, case, found):
    net, mode, batch, isa, threads = case

    def program(name, records):
        file = folder / f"{name}.records"
        file.write_text(records)
        words = ["--records", file, "--machine", "native"] if records else []
        return support.program(net, mode, batch, threads, folder / name, "--target", isa, *words)
    default, tuned = program("default", ""), program("tuned", found["records"])
    result = {"trials": found["trials"], "records": sum(kernel["tuned"] != "" for kernel in found["kernels"]), "gains": [],
              "kernels": {}, "fault": ""}
    if default[0].read_bytes() == tuned[0].read_bytes():
        return result
    result["gains"] = sorted(other / one for one, other in alternate(lambda command: speed(command, threads), default, tuned))
    choices = choices_of(found["records"])
    result["choices"] = choices != ""
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


def compare(row, case, found):
    """The tuned build against the default one, of what was found; None where that was not measured."""
    return row.part(name_of(*case), lambda folder: measure(folder, case, found), of="networks") if found else None


def networks(row, minutes=10):
    inference = []
    for case in CASES:
        result = compare(row, case, tune(row, case, minutes))
        if result is None:
            continue
        median = judge(row, name_of(*case), result)
        if case[1] == "infer":
            inference.append(median)
    if inference:
        mean = math.exp(statistics.fmean(map(math.log, inference)))
        row.say(f"inference: {mean:.3f} on the geometric mean of {len(inference)} networks")
    if len(inference) == sum(mode == "infer" for _, mode, *_ in CASES):
        row.check(mean >= LEAST_INFERENCE, f"inference gains {mean:.3f} on the geometric mean, the bar is {LEAST_INFERENCE}")
