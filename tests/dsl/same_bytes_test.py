"""What is compiled depends on the network and the options alone: plans and bytes are the same on one processor and on two,
and the part of a batch is the same whatever other batches are built beside it. Tuned records hold for a class of machines,
which is an option; none for a target that is named.

Every build has a cache of its own, so that nothing is equal because it was compiled once. Exit code 77 where the process
may use one processor only.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EMULSION = Path(os.environ.get("EMULSION_BINARY_DIR", ROOT / "build")) / "bin" / "emulsion"
NETWORKS = ROOT / "examples" / "networks"
# Networks whose plans are compared: plain and residual convolutions, concatenation, depthwise convolutions.
PLANNED = ("lenet", "resnet20", "squeezenet1_1", "mobilenet_v2")
# A network that comes out otherwise where the choice of a recipe knows more than it should. A filter gradient over three
# samples is cut into an odd number of parts, which two threads do not share evenly. One picture runs the last convolution
# directly, sixteen by Winograd's method.
TWO_WAYS = """#include "dsl/emulsion.h"
using namespace emulsion;
int main(int argc, char** argv) {
    Model m("two-ways");
    Tensor x = m.input("image", {16, 14, 14});
    x = relu(batch_norm(conv(x, 48, {.padding = same})));
    x = relu(conv(x, 512, {.stride = 2, .padding = same}));
    x = relu(conv(x, 512, {.padding = same}));
    m.classify(dense(global_average_pool(x), 10));
    return compile(m, argc, argv);
}
"""

faults = []


def check(is_good, text):
    if not is_good:
        faults.append(text)
        print(f"fault: {text}", flush=True)


def run(words, processors, cache=None):
    environment = dict(os.environ) if cache is None else dict(os.environ, XDG_CACHE_HOME=str(cache))
    result = subprocess.run([EMULSION, *map(str, words)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, preexec_fn=lambda: os.sched_setaffinity(0, processors))
    if result.returncode != 0:
        sys.exit(f"fault: emulsion {' '.join(map(str, words))} ends with {result.returncode}: {result.stderr}")
    return result.stdout


def read(folder, pattern):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob(pattern))}


def check_equal(one, other, what):
    check(one.keys() == other.keys() and len(one) > 0, f"{what}: {sorted(one)} and {sorted(other)}")
    for name in one.keys() & other.keys():
        check(one[name] == other[name], f"{what}: {name} differs")


class Build:
    """Libraries, headers and manifests of one build, and the kernels that it compiled, by their cache key."""

    def __init__(self, work, name, words, processors):
        cache, output = work / name / "cache", work / name / "out"
        run(["build", *words, "-o", output], processors, cache)
        self.products = {name: data for kind in ("a", "h", "json") for name, data in read(output, f"*.{kind}").items()}
        self.kernels = read(cache, "*.kernel")


def calls_of(plan):
    """The calls of each stage and batch of a plan of inference, with the kernels and buffers in place of their numbers."""
    words, calls, batch = {}, {}, None
    plan = plan[plan.index("plan two-ways inference"):]
    for line in plan.splitlines():
        if line.startswith("  variant "):
            words, variant = {}, line.split()[1]
        elif found := re.match(r"    ([bk]\d+) (.*)", line):
            words[found[1]] = re.sub(r" at \d+, \d+ bytes$", "", found[2])
        elif found := re.match(r"   batch (\d+): ", line):
            batch = int(found[1])
        elif found := re.match(r"    (prepare|forward) ", line):
            key = (variant, found[1], batch if found[1] == "forward" else None)
            calls.setdefault(key, []).append(re.sub(r"\b[bk]\d+\b", lambda number: words[number[0]], line))
    return calls


def check_processors(work, one, two):
    for path in [NETWORKS / f"{name}.cpp" for name in PLANNED]:
        words = ["show", path, "--emit=plan", "--target", "portable", "--batch", 5, "--infer-batch", 1, "--infer-batch", 16]
        plans = [run(words, processors) for processors in (one, two)]
        check(plans[0] == plans[1] and len(plans[0]) > 1000, f"the plan of {path.stem} depends on the processors")
    for name, words in {"lenet": [NETWORKS / "lenet.cpp"],
                        "two-ways": [work / "two-ways.cpp", "--batch", 3, "--infer-batch", 1, "--infer-batch", 16]}.items():
        builds = [Build(work, f"{name}-{len(processors)}", words, processors) for processors in (one, two)]
        check_equal(builds[0].products, builds[1].products, f"{name} on one and on two processors")
        check_equal(builds[0].kernels, builds[1].kernels, f"kernels of {name} on one and on two processors")
    return builds[1]


def check_batches(work, both, processors):
    """`both` is the build for batches of 1 and 16."""
    path = work / "two-ways.cpp"
    show = ["show", path, "--emit=plan", "--batch", 3]
    together = run([*show, "--infer-batch", 1, "--infer-batch", 16], processors)
    check(together == run([*show, "--infer-batch", 16, "--infer-batch", 1], processors), "the order of --infer-batch counts")
    kernels = {}
    for batch in (1, 16):
        calls, alone = calls_of(together), calls_of(run([*show, "--infer-batch", batch], processors))
        for key in alone:
            if key[1] == "forward":
                check(alone[key] == calls[key], f"calls of {key} depend on the other batch: {alone[key]}, {calls[key]}")
            else:
                check(set(alone[key]) <= set(calls[key]), f"calls of {key} of batch {batch} depend on the other")
        kernels[batch] = Build(work, f"batch-{batch}", [path, "--batch", 3, "--infer-batch", batch], processors).kernels
        for name, data in kernels[batch].items():
            check(both.kernels.get(name) == data, f"kernel {name} of batch {batch} depends on the other batch")
    check(both.kernels.keys() == kernels[1].keys() | kernels[16].keys(), "two batches together need other kernels")
    for batch, recipe in ((1, "direct"), (16, "winograd")):
        conv3 = [call for key, calls in calls_of(together).items() if key[2] == batch for call in calls if "conv3" in call]
        check(conv3 and all(f"recipe={recipe}." in call for call in conv3), f"conv3 of batch {batch} is not {recipe}: {conv3}")


def check_machines(processors):
    """What is compiled for an instruction set is the same on every machine, and for a class of machines too."""
    record = next(line for line in (ROOT / "schedules/tuned/lenet.records").read_text().splitlines() if "isa=avx512" in line)
    machine = record.split()[0].removeprefix("machine=")
    show = ["show", NETWORKS / "lenet.cpp", "--emit=plan"]
    for target in ("portable", "avx512", "avx2"):
        plan = run([*show, "--target", target], processors)
        check(plan == run([*show, "--target", target, "--no-records"], processors), f"--target {target} depends on the machine")
        plan = run([*show, "--target", target, "--machine", machine], processors)
        check("by the record schedules/tuned/lenet.records:" in plan, f"--target {target} --machine {machine} takes no record")
    if subprocess.run(["grep", "-q", "avx512dq", "/proc/cpuinfo"]).returncode == 0:
        plan = run([*show, "--machine", machine], processors)
        check(plan == run([*show, "--target", "avx512", "--machine", machine], processors), "the target native is another one")


def main():
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        print("skipped: one processor is all that this process may use")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "two-ways.cpp").write_text(TWO_WAYS)
        both = check_processors(work, set(processors[:1]), set(processors[:2]))
        check_batches(work, both, set(processors[:2]))
        check_machines(processors)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
