"""One layer by Halide's Adams2019 autoscheduler, for tests/bench/tune halide: searches for some minutes, measures the best again.

Usage: .venv/bin/python adams2019_layer.py DIRECTION BATCH CHANNELS SIZE FILTERS KERNEL --minutes M --threads T
DIRECTION is forward, data or filter; a dense layer has SIZE and KERNEL 1. Prints a line of JSON: seconds measured again (0:
no attempt came to an end), those of the search, the best attempt's options, how many attempts there were.

Adams2019 is driven as its own autotune loop does it: a whole beam search, then greedy ones that leave out choices at
random. What suits it is given to it: shapes are known, operands are padded already and lie as it likes them, and a call
finds its tensors where the last one left them.
"""
import argparse
import itertools
import json
import multiprocessing
import os
import resource
import statistics
import time

MOST_BYTES = 12 << 30  # of an attempt
GREEDY = {"beam_size": "1"}
WHOLE = {"beam_size": "32"}


def shapes(direction, batch, channels, size, filters, kernel):
    """Of both operands and of the result, innermost first, and how many products each result sums."""
    image = (channels, size + kernel - 1, size + kernel - 1, batch)
    if direction == "filter":
        return image, (filters, size, size, batch), (filters, channels, kernel, kernel), batch * size * size
    return image, (filters, channels, kernel, kernel), (filters, size, size, batch), channels * kernel * kernel


def fix(tensor, shape):
    """Bounds and strides, which Adams2019 makes much of."""
    stride = 1
    for i, extent in enumerate(shape):
        tensor.dim(i).set_bounds(0, extent)
        tensor.dim(i).set_stride(stride)
        stride *= extent


def operand(halide, name, shape):
    parameter = halide.ImageParam(halide.Float(32), len(shape), name)
    fix(parameter, shape)
    for i, extent in enumerate(shape):
        parameter.dim(i).set_estimate(0, extent)
    return parameter


def layer(halide, direction, first, second, shape):
    """The last stage of the layer's plain definition, and its operands."""
    a, b = operand(halide, "a", first), operand(halide, "b", second)
    i = [halide.Var(name) for name in "wxyz"]
    r = halide.RDom([(0, extent) for extent in second[1:]])
    if direction == "filter":
        product = a[i[1], i[2] + r[0], i[3] + r[1], r[2]] * b[i[0], r[0], r[1], r[2]]
    else:
        product = a[r[0], i[1] + r[1], i[2] + r[2], i[3]] * b[i[0], r[0], r[1], r[2]]
    sums, result = halide.Func("sums"), halide.Func("result")
    sums[i] = 0.0
    sums[i] += product
    result[i] = sums[i]  # so that sums may stay in registers
    for index, extent in zip(i, shape):
        result.bound(index, 0, extent)
    result.set_estimates([(0, extent) for extent in shape])
    fix(result.output_buffer(), shape)
    return result, [a, b]


def measure(call):
    """Seconds of a call: the median of nine runs."""
    call()
    begin = time.perf_counter()
    call()
    count = max(1, round(0.02 / (time.perf_counter() - begin)))
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        for _ in range(count):
            call()
        times.append((time.perf_counter() - begin) / count)
    return statistics.median(times)


def attempt(pipe, words, threads, options):
    """In a process of its own: schedules, checks and measures, and measures again when it is told to."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    os.environ["HL_NUM_THREADS"] = str(threads)
    import halide
    halide.load_plugin(os.path.join(os.path.dirname(halide.__file__), "lib64", "libautoschedule_adams2019.so"))
    *extents, products = shapes(*words)
    result, operands = layer(halide, words[0], *extents)
    pipeline, target = halide.Pipeline(result), halide.get_jit_target_from_environment()
    pipeline.apply_autoscheduler(target, halide.AutoschedulerParams("Adams2019", {"parallelism": str(threads), **options}))
    function = pipeline.compile_to_callable(operands, target)
    tensors = [halide.Buffer(halide.Float(32), list(shape)) for shape in extents]
    for tensor in tensors:
        tensor.fill(1.0)
    seconds = measure(lambda: function(*tensors))
    if not tensors[-1].all_equal(float(products)):
        raise RuntimeError(f"a result is not {products}")
    pipe.send(seconds)
    while pipe.recv():
        pipe.send(measure(lambda: function(*tensors)))


class Attempt:
    def __init__(self, words, threads, options, seconds):
        """Waits that long at most."""
        self.options, self.seconds = options, None
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=attempt, args=(other, words, threads, options), daemon=True)
        self.process.start()
        other.close()
        try:
            if self.pipe.poll(max(0, seconds)):
                self.seconds = self.pipe.recv()
        except EOFError:  # it failed, and has said why
            pass
        if self.seconds is None:
            self.end()

    def measure_again(self):
        self.pipe.send(True)
        return self.pipe.recv()

    def end(self):
        self.process.kill()
        self.process.join()


def search(words, threads, minutes):
    """The best attempt, its process still there, or None; and how many came to an end."""
    end = time.monotonic() + 60 * minutes
    best, finished = None, 0
    for number in itertools.count():
        left = end - time.monotonic()
        if left <= 0:
            return best, finished
        options = [GREEDY, WHOLE][number] if number < 2 else {**GREEDY, "random_dropout": "1", "random_dropout_seed": str(number)}
        other = Attempt(words, threads, options, left / 2 if options is WHOLE else left)
        if other.seconds is None:
            continue
        finished += 1
        if best is not None and best.seconds <= other.seconds:
            other.end()
            continue
        if best is not None:
            best.end()
        best = other


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("direction", choices=["forward", "data", "filter"])
    parser.add_argument("sizes", nargs=5, type=int, metavar="NUMBER")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    batch, channels, size, filters, kernel = options.sizes
    if options.direction == "data":  # a convolution of the gradient with filters that are turned round
        channels, filters = filters, channels
    best, finished = search((options.direction, batch, channels, size, filters, kernel), options.threads, options.minutes)
    found = {"seconds": 0, "attempts": finished}
    if best is not None:
        found |= {"seconds": best.measure_again(), "searched_seconds": best.seconds, "options": best.options}
        best.end()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
