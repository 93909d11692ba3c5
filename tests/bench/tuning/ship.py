"""Tunes example networks on this machine and merges what is found into the shipped records."""
import shutil
import tempfile
from pathlib import Path

from tuning import support

# The batches that users compile for most: README's.
OPTIONS = {"lenet": ["--batch", 64], "resnet20": ["--batch", 128], "resnet18_cifar": ["--batch", 64],
           "resnet18": ["--batch", 16, "--infer-batch", 1, "--infer-batch", 16],
           "resnet50": ["--batch", 16, "--infer-batch", 1, "--infer-batch", 16], "vgg16": ["--batch", 8],
           "squeezenet1_1": ["--batch", 16], "densenet121": ["--batch", 8]}
THREADS = 2


def ship(networks, minutes):
    for network in networks:
        source = support.NETWORKS / f"{network}.cpp"
        if not source.exists():
            raise SystemExit(f"tune: there is no network {source}")
        target = support.TUNED / f"{network}.records"
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            found = folder / "found.records"
            if target.exists():
                shutil.copy(target, found)
            for isa in ("avx512", "avx2"):  # in this order: sums of AVX2 follow those of AVX-512
                result = support.run("tune", source, "--target", isa, "--threads", THREADS, "--minutes", minutes, "--records",
                                     found, "--journal", folder / "journal", *OPTIONS.get(network, []), check=False)
                if result.returncode:
                    print(f"{network} {isa}: {result.stderr.strip()}")
                    continue
                print(f"{network} {isa}: {result.stdout.strip().splitlines()[-2]}")
            if found.exists():
                print(support.run("records", "prune", found).stdout.strip())
                shutil.copy(found, target)
                print(f"written: {target.relative_to(support.ROOT)}", flush=True)
    return 0
