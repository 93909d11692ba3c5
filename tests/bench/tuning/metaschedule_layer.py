"""One layer by TVM's MetaSchedule, for tests/bench/tune metaschedule: tunes for some minutes, measures the best again.

Usage: build/tvm-venv/bin/python metaschedule_layer.py KIND BATCH CHANNELS SIZE FILTERS KERNEL --minutes M --threads T
KIND is conv, depthwise, filter_gradient or dense (SIZE and KERNEL are 1). Prints a line of JSON: GFLOP/s measured again,
GFLOP/s on record, trials. MetaSchedule's budgets count trials, so it runs in a process that is ended when the time is up;
what it has written by then counts.
"""
import argparse
import json
import multiprocessing
import os
import signal
import statistics
import tempfile
import time

import numpy
import tvm
from tvm import te, topi
from tvm.s_tir import Schedule, meta_schedule

TRIALS = 16  # a batch, after which MetaSchedule writes what it found
FAILED_SECONDS = 1e9  # what it records where a candidate fails
BUILD_SECONDS = 120  # a worker's start included, which takes half a minute on a busy machine


def workload(kind, n, channels, size, filters, kernel):
    """The function and its multiply-adds; channels are innermost."""
    x = te.placeholder((n, size, size, channels), name="x")
    if kind == "dense":
        x, w = te.placeholder((n, channels), name="x"), te.placeholder((channels, filters), name="w")
        i = te.reduce_axis((0, channels), name="i")
        y = te.compute((n, filters), lambda b, o: te.sum(x[b, i] * w[i, o], axis=i), name="y")
        return te.create_prim_func([x, w, y]), n * channels * filters
    padded = topi.nn.pad(x, (0, kernel // 2, kernel // 2, 0), (0, kernel // 2, kernel // 2, 0))
    ky, kx = (te.reduce_axis((0, kernel), name=name) for name in ("ky", "kx"))
    if kind == "depthwise":
        w = te.placeholder((kernel, kernel, channels), name="w")
        y = te.compute(x.shape, lambda b, h, v, c: te.sum(padded[b, h + ky, v + kx, c] * w[ky, kx, c], axis=[ky, kx]), name="y")
        return te.create_prim_func([x, w, y]), n * size * size * channels * kernel * kernel
    products = n * size * size * channels * filters * kernel * kernel
    if kind == "conv":
        w = te.placeholder((kernel, kernel, channels, filters), name="w")
        i = te.reduce_axis((0, channels), name="i")
        y = te.compute((n, size, size, filters), lambda b, h, v, o: te.sum(
            padded[b, h + ky, v + kx, i] * w[ky, kx, i, o], axis=[ky, kx, i]), name="y")
        return te.create_prim_func([x, w, y]), products
    dy = te.placeholder((n, size, size, filters), name="dy")
    b, h, v = (te.reduce_axis((0, extent), name=name) for extent, name in ((n, "b"), (size, "h"), (size, "v")))
    dw = te.compute((kernel, kernel, channels, filters), lambda y, z, i, o: te.sum(
        padded[b, h + y, v + z, i] * dy[b, h, v, o], axis=[b, h, v]), name="dw")
    return te.create_prim_func([x, dy, dw]), products


def tune(folder, module, target, threads):
    os.setsid()
    builder = meta_schedule.builder.LocalBuilder(max_workers=threads, timeout_sec=BUILD_SECONDS)
    meta_schedule.tune_tir(module, target, folder, max_trials_global=1_000_000, num_trials_per_iter=TRIALS, builder=builder,
                           num_tuning_cores=threads)


def measure(module, target, shapes):
    """Seconds of a call: the median of nine runs."""
    device = tvm.cpu()
    function = tvm.compile(module, target).jit()
    tensors = [tvm.runtime.tensor(numpy.random.rand(*shape).astype("float32"), device) for shape in shapes]
    times = function.time_evaluator("main", device, number=10, repeat=9)(*tensors)
    return statistics.median(times.results)


def recorded_seconds(record):
    return statistics.median(float(seconds) for seconds in record.run_secs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["conv", "depthwise", "filter_gradient", "dense"])
    parser.add_argument("sizes", nargs=5, type=int)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    function, products = workload(options.kind, *options.sizes)
    module = tvm.IRModule({"main": function})
    target = tvm.target.Target({"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu(), "num-cores": options.threads})
    os.environ["TVM_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        process = multiprocessing.get_context("spawn").Process(target=tune, args=(folder, module, target, options.threads))
        process.start()
        process.join(60 * options.minutes)
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        time.sleep(0.5)
        database = meta_schedule.database.JSONDatabase(work_dir=folder)
        result = {"trials": len(database), "gflops": 0, "recorded_gflops": 0}
        records = [record for record in database.get_all_tuning_records() if record.run_secs]
        best = min(records, key=recorded_seconds, default=None)
        if best is not None and recorded_seconds(best) < FAILED_SECONDS:
            schedule = Schedule(best.workload.mod)
            best.trace.apply_to_schedule(schedule, remove_postproc=False)
            operands = meta_schedule.arg_info.ArgInfo.from_prim_func(function)
            shapes = [[int(extent) for extent in operand.shape] for operand in operands]
            seconds = measure(schedule.mod, target, shapes)
            result["gflops"] = 2e-9 * products / seconds
            result["recorded_gflops"] = 2e-9 * products / recorded_seconds(best)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
