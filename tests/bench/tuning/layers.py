"""Rows on single layers: against MetaSchedule, against random search, and how fast candidates are tried."""
import json
from pathlib import Path

from tuning import support
from tuning.support import Layer

THREADS = 2
CLASS_A = "GenuineIntel-6-207"  # on which MetaSchedule was run


def conv(name, batch, channels, size, filters, kernel, kernels="conv1", trains=False):
    body = f"conv(x, {filters}, {{.kernel = {kernel}, .padding = same, .bias = false}})"
    gflop = 2e-9 * batch * filters * size * size * channels * kernel * kernel
    return Layer(name, channels, size, body, kernels, gflop, batch, trains)


def dense(name, batch, inputs, outputs, kernels="dense1", trains=False):
    body = f"dense(x, {outputs}, {{.bias = false}})"
    return Layer(name, inputs, 0, body, kernels, 2e-9 * batch * inputs * outputs, batch, trains)


# With MetaSchedule's GFLOP/s after 4 minutes on 2 threads of class A, and the words of metaschedule_layer.py.
METASCHEDULE = [
    (conv("conv 3x3 1,64,56,64", 1, 64, 56, 64, 3), 387, ("conv", 1, 64, 56, 64, 3)),
    (conv("conv 1x1 1,1024,14,256", 1, 1024, 14, 256, 1), 270, ("conv", 1, 1024, 14, 256, 1)),
    (Layer("depthwise 3x3 1,128,56", 128, 56, "conv(x, 128, {.kernel = 3, .padding = same, .groups = 128, .bias = false})",
           "conv1", 2e-9 * 128 * 56 * 56 * 9), 100, ("depthwise", 1, 128, 56, 1, 3)),
    (conv("filter gradient of the first", 1, 64, 56, 64, 3, "conv1.dw", trains=True), 94, ("filter_gradient", 1, 64, 56, 64, 3)),
    (dense("dense 64x3136x128", 64, 3136, 128), 207, ("dense", 64, 3136, 1, 128, 1)),
]

RANDOM = [
    conv("conv 3x3 1,64,56,64", 1, 64, 56, 64, 3),
    conv("conv 1x1 16,256,56,64", 16, 256, 56, 64, 1),
    conv("conv 3x3 1,512,7,512", 1, 512, 7, 512, 3),
    conv("conv 5x5 64,32,14,64", 64, 32, 14, 64, 5),
    conv("filter gradient 16,128,28,128", 16, 128, 28, 128, 3, "conv1.dw", trains=True),
    conv("filter gradient 128,16,32,16", 128, 16, 32, 16, 3, "conv1.dw", trains=True),
    dense("dense 64x3136x128", 64, 3136, 128),
    dense("dense gradient 64x3136x128", 64, 3136, 128, "dense1.dw", trains=True),
]
LOG = Path(__file__).with_name("random_search.jsonl")


def tune(row, what, layer, *words):
    """Default and tuned microseconds, the number of trials and their seconds; None where it was not measured."""
    def measure(folder):
        events = support.tune(*layer.write(folder), "--threads", THREADS, "--no-records", *words, folder=folder)
        return *support.times_of(events, folder / "layer.journal"), events[-1]["spent_trials"], events[-1]["spent_seconds"]
    return row.part(f"{layer.name}, {what}", measure)


def metaschedule_gflops(row, layer, words, figure, minutes=4):
    """The bar: the figure of class A, or what MetaSchedule reaches here, measured again."""
    if support.machine_class().startswith(CLASS_A):
        return figure

    def measure(_):
        script = Path(__file__).with_name("metaschedule_layer.py")
        made = support.finished([support.tvm_python(), script, *words, "--minutes", support.minutes(minutes), "--threads",
                                 THREADS])
        if made.returncode:
            raise support.Missing(f"MetaSchedule fails: {made.stderr[-500:]}")
        result = json.loads(made.stdout.splitlines()[-1])
        if result["gflops"] == 0:
            raise support.Missing(f"MetaSchedule has finished no batch of trials in {minutes} minutes")
        return result["gflops"]
    return row.part(f"{layer.name}, MetaSchedule", measure)


def metaschedule(row):
    for layer, figure, words in METASCHEDULE:
        times = tune(row, "1 minute", layer, "--minutes", support.minutes(1))
        bar = metaschedule_gflops(row, layer, words, figure)
        if times is None:
            continue
        default, tuned, trials, _ = times
        before, after = layer.gflop / default * 1e6, layer.gflop / tuned * 1e6
        row.say(f"{layer.name}: default {before:.0f} GFLOP/s, after 1 minute and {trials} trials {after:.0f}")
        if bar is None:
            continue
        row.check(before >= bar, f"{layer.name}: the default has {before:.0f} GFLOP/s, MetaSchedule {bar:.0f}")
        row.check(after >= 1.2 * bar, f"{layer.name}: tuned has {after:.0f} GFLOP/s, the bar is {1.2 * bar:.0f}")


def random_search(row):
    """Gains over the default, which is timed in pairs with each, are compared: the machine's pace divides out."""
    log = []
    for layer in RANDOM:
        searched = tune(row, "2 minutes", layer, "--minutes", support.minutes(2))
        other = tune(row, "random for 15", layer, "--minutes", support.minutes(15), "--draw")
        if searched is None or other is None:
            continue
        default, tuned, trials, _ = searched
        other_default, best, drawn, _ = other
        gain, most = default / tuned, other_default / best
        row.say(f"{layer.name}: {gain:.3f} after {trials} trials in 2 minutes, random search {most:.3f} after {drawn} in 15")
        row.check(gain >= 0.95 * most, f"{layer.name}: {gain / most:.3f} of what random search finds")
        log.append({"layer": layer.name, "machine": support.machine_class(), "default_us": default, "tuned_us": tuned,
                    "trials": trials, "random_default_us": other_default, "random_us": best, "random_trials": drawn})
    if support.share == 1 and len(log) == len(RANDOM):
        LOG.write_text("".join(json.dumps(entry) + "\n" for entry in log))
        row.say(f"written: {LOG.relative_to(support.ROOT)}")
    else:
        row.say("no log is written of a share of the time, or of some of the layers")


def trials_per_minute(row):
    times = tune(row, "1 minute", METASCHEDULE[0][0], "--minutes", support.minutes(1))
    if times is None:
        return
    trials, seconds = times[2:]
    per_minute = 60 * trials / seconds
    row.say(f"conv 3x3 1,64,56,64: {trials} trials in {seconds:.1f} seconds of measuring")
    row.check(per_minute >= 150, f"{per_minute:.0f} trials per minute, the bar is 150")
