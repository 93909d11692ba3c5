"""The row on Halide's Adams2019 autoscheduler: layers in three directions, in the same minutes."""
import json
import math
import os
import statistics
from pathlib import Path

from tuning import support

THREADS = 2
MINUTES = 2  # each, of Emulsion and of Adams2019
ROUNDS = 5
LEAST_SHARE, LEAST_MEAN = 0.95, 1.3  # of what is as fast at least, of the geometric mean; but filter gradients
INTERPRETER = support.ROOT / ".venv/bin/python"
PEERS = support.BUILD / "peers-venv/bin/python"

# Batch, channels, size, filters, kernel: of those in peers/conv_bench.py. One pixel is a dense layer.
SHAPES = [(1, 64, 56, 64, 3), (16, 64, 56, 64, 3), (16, 128, 28, 128, 3), (16, 256, 14, 256, 3), (16, 512, 7, 512, 3),
          (16, 64, 56, 256, 1), (16, 1024, 14, 256, 1), (128, 16, 32, 16, 3), (64, 32, 14, 64, 5), (64, 3136, 1, 128, 1)]
DIRECTIONS = {"forward": "forward", "data": "backward_data", "filter": "backward_weights"}  # with conv_bench's words


def layer_of(direction, batch, channels, size, filters, kernel):
    """A network where the layer in this direction is a kernel: a gradient by the data needs parameters before the layer."""
    is_dense = size == 1
    kind = "dense" if is_dense else "conv"
    before = f"{kind}(x, {channels}, {{{'' if is_dense else '.kernel = 1, '}.bias = false}})" if direction == "data" else "x"
    options = ".bias = false" if is_dense else f".kernel = {kernel}, .padding = same, .bias = false"
    suffix = {"forward": "1", "data": "2.dx", "filter": "1.dw"}[direction]
    gflop = 2e-9 * batch * filters * size * size * channels * kernel * kernel
    name = f"{direction} {batch},{channels},{size},{filters} kernel {kernel}"
    return support.Layer(name, 16 if direction == "data" else channels, 0 if is_dense else size,
                         f"{kind}({before}, {filters}, {{{options}}})", kind + suffix, gflop, batch, direction != "forward")


def kernel_us(command, kernel):
    """Of the kernel and of what is called for it alone, such as a filter's transform."""
    return sum(us for name, (us, _) in support.kernel_times(command, THREADS).items()
               if name.split()[1] == kernel or name.split()[1].startswith(f"{kernel}."))


def emulsion_us(folder, layer):
    """In the network's step: default and tuned, medians of alternating rounds."""
    support.tune(*layer.write(folder), "--threads", THREADS, "--no-records", "--minutes", support.minutes(MINUTES), "--records",
                 "layer.records", folder=folder)
    mode = "train" if layer.trains else "infer"
    made = [support.program(folder / "layer.emu", mode, layer.batch, THREADS, folder / "default")]
    if (folder / "layer.records").exists():
        made.append(support.program(folder / "layer.emu", mode, layer.batch, THREADS, folder / "tuned", "--records",
                                    folder / "layer.records"))
    times = [[kernel_us(command, layer.kernel) for command in made] for _ in range(ROUNDS)]
    return statistics.median(t[0] for t in times), statistics.median(t[-1] for t in times)


def adams_us(direction, shape):
    made = support.finished([INTERPRETER, Path(__file__).with_name("adams2019_layer.py"), direction, *shape, "--minutes",
                             support.minutes(MINUTES), "--threads", THREADS])
    if made.returncode:
        raise support.Missing(f"Adams2019 cannot be driven: {made.stderr[-500:]}")
    found = json.loads(made.stdout.splitlines()[-1])
    if found["attempts"] == 0:
        raise support.Missing(f"Adams2019 finds nothing in {support.minutes(MINUTES):g} minutes: {made.stderr[-500:]}")
    return 1e6 * found["seconds"], found["attempts"]


def onednn_gflops():
    """GFLOP/s by "CASE METRIC" of conv_bench."""
    script = support.ROOT / "tests/bench/peers/conv_bench.py"
    if not PEERS.exists():
        raise support.Missing(f"there is no {PEERS}; fix: tests/bench/peers/setup.sh torch numpy")
    made = support.finished([PEERS, script, THREADS], env={**os.environ, "OMP_NUM_THREADS": str(THREADS)})
    if made.returncode:
        raise support.Missing(made.stderr.strip()[-300:])
    fields = (line.split(",") for line in made.stdout.splitlines())
    return {f"{field[2]} {field[6]}": float(field[7]) for field in fields}


def case_of(batch, channels, size, filters, kernel):
    if size == 1:
        return f"linear {batch}x{channels}->{filters}"
    return f"conv {batch}x{channels}x{size}x{size} k{filters} {kernel}x{kernel} s1 g1"


def compare(row, direction, shape, onednn):
    """How many times as fast as Adams2019; None where a part fails."""
    layer = layer_of(direction, *shape)
    own = row.part(layer.name, lambda folder: emulsion_us(folder, layer))
    found = row.part(f"{layer.name}, Adams2019", lambda _: adams_us(direction, shape))
    if own is None and found is None:
        return None
    peer = onednn.get(f"{case_of(*shape)} {DIRECTIONS[direction]}_median")
    speed = lambda us: f"{layer.gflop / us * 1e6:.0f}"
    row.say(f"{layer.name}: GFLOP/s "
            + ("tuned not measured, " if own is None else f"default {speed(own[0])}, tuned {speed(own[1])}, ")
            + ("Adams2019 not measured, " if found is None else f"Adams2019 {speed(found[0])} of {found[1]} attempts, ")
            + ("oneDNN not measured" if peer is None else f"oneDNN {peer:.0f}"))
    return None if own is None or found is None else found[0] / own[1]


def adams2019(row):
    onednn = row.part("oneDNN's times", lambda _: onednn_gflops()) or {}
    gains = []
    for shape in SHAPES:
        for direction in DIRECTIONS:
            gain = compare(row, direction, shape, onednn)
            if gain is not None and direction != "filter":  # which are shown
                gains.append(gain)
    if not gains:
        return
    as_fast = sum(gain >= 1 for gain in gains) / len(gains)
    mean = math.exp(statistics.fmean(map(math.log, gains)))
    row.say(f"forward and by the data: {as_fast:.0%} of {len(gains)} are as fast at least, {mean:.2f} times on the geometric mean")
    if row.left_out:
        return
    row.check(as_fast >= LEAST_SHARE, f"{as_fast:.0%} are as fast as Adams2019's, the bar is {LEAST_SHARE:.0%}")
    row.check(mean >= LEAST_MEAN, f"{mean:.2f} times on the geometric mean, the bar is {LEAST_MEAN}")
