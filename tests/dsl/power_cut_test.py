"""Whenever the power is cut while `emulsion build` writes, every product is wholly the former or the new one, and the next
build mends what else is left: temporary files, and the kernel cache, whose files are not forced to the disk.

Usage: power_cut_test.py [SEED]
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

from kill_test import ROOT, Work

sys.path.insert(0, str(ROOT / "tests" / "programs"))
import power_cut  # noqa: E402

faults = []


def check(is_good, text):
    if not is_good:
        faults.append(text)
        print(f"fault: {text}", flush=True)


def traced_build(work, version, output):
    """Builds into the folder; what it held before, and the log of all calls on it."""
    folder, log = work.folder / output, work.folder / f"log-{output}-{version}"
    before = work.read(output) if folder.exists() else {}
    log.mkdir()
    environment = {**work.environment, **power_cut.environment(work.folder, folder, log)}
    subprocess.run(work.command(version, output), env=environment, check=True, stdout=subprocess.DEVNULL)
    check(work.read(output) == work.expected[version], "watching the build changes its products")
    return before, log


def check_products(work, version, before, log):
    """Every state that a cut at any call may leave, for each product: the contents that it may have then."""
    count = len(power_cut.operations_of(log))
    check(count >= 5 * len(work.expected[version]), f"only {count} calls were noted")
    bad = {}
    for i in range(count + 1):
        for state in power_cut.Disk(before, log, i).states():
            for name, new in work.expected[version].items():
                former = [before[name]] if name in before else [None]
                allowed = [new] if i == count else [*former, new]
                found = state.get(name, [None])
                if not all(content in allowed for content in found):
                    bad.setdefault(name, i)
    for name, i in bad.items():
        check(False, f"{name}, cut behind call {i} of {count}: neither the former nor the new product")


def check_mending(work, version, before, log):
    """Cut at some calls, at the last that wrote among them; the next build leaves its products and nothing else."""
    operations = power_cut.operations_of(log)
    written = max(i for i, line in enumerate(operations) if line.startswith("write "))
    for count in [written + 1, *random.sample(range(len(operations)), 2)]:
        power_cut.Disk(before, log, count).write(work.folder / "out")
        work.build(version, "out")
        check(work.read("out") == work.expected[version], f"a cut behind call {count} is not mended: {sorted(work.read('out'))}")


def check_folders(work):
    """The folders that a build makes outlast the cut as well: each is forced to the disk with the one above it."""
    outer, log = work.folder / "outer", work.folder / "log-outer"
    outer.mkdir()
    log.mkdir()
    environment = {**work.environment, **power_cut.environment(work.folder, outer, log)}
    subprocess.run(work.command(0, "outer/inner/out"), env=environment, check=True, stdout=subprocess.DEVNULL)
    check("sync-folder" in power_cut.operations_of(log), "a new output folder is not forced to the disk")


def torn(data):
    """What a disk may hold of a file that was never forced to it: nothing, a part, or blocks that were not written."""
    at = random.randrange(len(data))
    block = at // 512 * 512
    return random.choice([b"", data[:at], data[:block] + bytes(len(data) - block), bytes(block) + data[block:]])


def check_cache(work):
    """Builds with a cache that a power cut has damaged: the same products, and the cache is whole again."""
    command = [word for word in work.command(0, "cached") if word != "--no-cache"]
    cache = work.folder / "cache" / "emulsion"
    subprocess.run(command, env=work.environment, check=True, stdout=subprocess.DEVNULL)
    whole = {path.name: path.read_bytes() for path in cache.iterdir()}
    check(len(whole) > 5, f"the cache holds {sorted(whole)}")
    for _ in range(3):
        for name, data in whole.items():
            way = random.randrange(4)
            if way == 0:
                (cache / name).rename(cache / f"{name}.tmp")  # the rename did not reach the disk
            elif way < 3:
                (cache / name).write_bytes(torn(data))
        subprocess.run(command, env=work.environment, check=True, stdout=subprocess.DEVNULL)
        check(work.read("cached") == work.expected[0], "a torn cache changes the products")
        left = {path.name: path.read_bytes() for path in cache.iterdir()}
        check(left == whole, f"a torn cache stays: {sorted(left)}")


def main(seed):
    random.seed(seed)
    print(f"seed {seed}")
    folder = tempfile.mkdtemp()
    try:
        work = Work(os.path.realpath(folder))
        power_cut.compile_library(work.folder)
        for version in (0, 1):  # into a folder that is new, and over products
            before, log = traced_build(work, version, "out")
            check_products(work, version, before, log)
        check_mending(work, version, before, log)
        check_folders(work)
        check_cache(work)
    finally:
        shutil.rmtree(folder)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)))
