"""Tunes example networks on this machine and merges what is found into the shipped records."""
import shutil
import tempfile
import time
from pathlib import Path

from tuning import support

# The batches that users compile for most: README's.
OPTIONS = {"lenet": ["--batch", 64], "resnet20": ["--batch", 128], "resnet18_cifar": ["--batch", 64],
           "resnet18": ["--batch", 16, "--infer-batch", 1, "--infer-batch", 16],
           "resnet50": ["--batch", 16, "--infer-batch", 1, "--infer-batch", 16], "vgg16": ["--batch", 8],
           "squeezenet1_1": ["--batch", 16], "densenet121": ["--batch", 8]}
THREADS = 2


def tune(network, isa, minutes, folder):
    """Writes what was found into the shipped records, however it ends. Whether it ended well."""
    target, found = support.TUNED / f"{network}.records", folder / "found.records"
    if target.exists():
        shutil.copy(target, found)
    begin = time.monotonic()
    try:
        result = support.run("tune", support.NETWORKS / f"{network}.cpp", "--target", isa, "--threads", THREADS, "--minutes", minutes,
                             "--records", found, "--journal", folder / "journal", *OPTIONS.get(network, []), check=False)
    finally:
        if found.exists():
            pruned = support.run("records", "prune", found).stdout.strip()
            target.parent.mkdir(exist_ok=True)
            shutil.copy(found, target)
            print(f"{target.relative_to(support.ROOT)}: {pruned.rpartition(': ')[2]}", flush=True)
    if result.returncode:
        print(f"{network} {isa}: {result.stderr.strip()}")
        return False
    print(f"{network} {isa}, {(time.monotonic() - begin) / 60:.1f} minutes: {result.stdout.strip().splitlines()[-2]}", flush=True)
    return True


def in_force(network, isa):
    """Says how many of the records a build for this machine takes, and what it says of them. Whether it can be built."""
    shown = support.run("show", support.NETWORKS / f"{network}.cpp", "--emit=plan", "--target", isa, "--machine", "native",
                        *OPTIONS.get(network, []), check=False)
    taken = shown.stdout.count("by the record schedules/tuned/")
    print(f"{network} {isa}: a build takes {taken} of all shipped records\n{shown.stderr}".rstrip(), flush=True)
    return shown.returncode == 0


def ship(networks, minutes):
    for network in networks:
        if not (support.NETWORKS / f"{network}.cpp").exists():
            raise SystemExit(f"tune: there is no network {support.NETWORKS / network}.cpp")
    is_well = True
    for network in networks:
        with tempfile.TemporaryDirectory() as name:
            for isa in ("avx512", "avx2"):  # in this order: sums of AVX2 follow those of AVX-512
                is_well &= tune(network, isa, minutes, Path(name)) and in_force(network, isa)
    return 0 if is_well else 1
