"""Tunes example networks on this machine, merges what is found into the shipped records, and fits the cost model to it."""
import shutil
import time

from tuning import support

# The batches that users compile for most: README's.
OPTIONS = {"lenet": ["--batch", 64], "resnet20": ["--batch", 128], "resnet18_cifar": ["--batch", 64],
           "resnet18": ["--batch", 16, "--infer-batch", 1, "--infer-batch", 16],
           "resnet50": ["--batch", 16, "--infer-batch", 1, "--infer-batch", 16], "vgg16": ["--batch", 8],
           "squeezenet1_1": ["--batch", 16], "densenet121": ["--batch", 8]}
THREADS = 2


def journal_of(network, folder):
    return folder / f"{network}.journal"


def merge(network, found):
    """Puts what was found in the place of the shipped records."""
    target = support.TUNED / f"{network}.records"
    pruned = support.run("records", "prune", found).stdout.strip()
    target.parent.mkdir(exist_ok=True)
    shutil.copy(found, target)
    print(f"{target.relative_to(support.ROOT)}: {pruned.rpartition(': ')[2]}", flush=True)


def tune(network, isa, minutes, folder):
    """Writes what was found into the shipped records, however it ends. Whether it ended well."""
    target, found = support.TUNED / f"{network}.records", folder / f"{network}.records"
    if target.exists() and not found.exists():
        shutil.copy(target, found)
    begin = time.monotonic()
    try:
        result = support.run("tune", support.NETWORKS / f"{network}.cpp", "--target", isa, "--threads", THREADS, "--minutes", minutes,
                             "--records", found, "--journal", journal_of(network, folder), *OPTIONS.get(network, []), check=False,
                             minutes=30 + 3 * minutes)
    finally:
        if found.exists():
            merge(network, found)
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


def fit(networks, folder):
    """The class's cost model, to what was measured of these networks; where too little was, it stays as it is."""
    journals = [word for network in networks if journal_of(network, folder).exists()
                for word in ("--journal", journal_of(network, folder))]
    if journals:
        made = support.run("records", "model", "--fit", *journals, "-o", support.TUNED / f"{support.machine_class()}.model", check=False)
        print(f"{made.stdout}{made.stderr}".rstrip(), flush=True)


def ship(networks, minutes):
    for network in networks:
        if not (support.NETWORKS / f"{network}.cpp").exists():
            raise SystemExit(f"tune: there is no network {support.NETWORKS / network}.cpp")
    is_well = True
    with support.log.folder("ship", " ".join([*networks, f"{minutes:g}"])) as folder:
        for network in networks:
            for isa in ("avx512", "avx2"):  # in this order: sums of AVX2 follow those of AVX-512
                try:
                    is_well &= tune(network, isa, minutes, folder) and in_force(network, isa)
                except support.Missing as missing:  # the other networks are tuned all the same
                    print(f"{network} {isa}: {missing}", flush=True)
                    is_well = False
        fit(networks, folder)
    return 0 if is_well else 1
