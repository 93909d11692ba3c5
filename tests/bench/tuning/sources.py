"""Rows on records: where they hold, and which are shipped."""
import tempfile
from pathlib import Path

from tuning import support

NETWORKS = ["lenet", "resnet20", "resnet18_cifar", "resnet18", "resnet50", "squeezenet1_1", "vgg16"]
OTHER = "Other-1-1-l1.1-l2.1-l3.1-fma.1"
LAYER = support.Layer("small", 16, 14, "conv(x, 32, {.padding = same})", "conv1", 0)


def fields_of(events):
    return next(({"recipe": e["recipe"], "tiling": e["tiling"]} for e in events
                 if e["event"] == "trial" and e["outcome"] in ("slower", "faster")), None)


def across(row):
    """A record by hand, of the slowest candidate's tiling, for another instruction set and another class in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layer, *words = LAYER.write(folder)
        events = support.tune(layer, *words, "--threads", 1, "--trials", 4, "--no-records", folder=folder)
        begin, tried = events[0], fields_of(events)
        if tried is None:
            raise support.Missing("no candidate was timed")
        plan = support.run("show", layer, *words[:2], "--emit=plan", "--no-records", folder=folder).stdout
        signature = signature_of(folder)
        foreign = "avx512" if begin["isa"] == "avx2" else "avx2"
        for what, isa, machine in (("another instruction set", foreign, begin["machine"]), ("another class", begin["isa"], OTHER)):
            file = folder / f"{isa}-{machine}.records"
            file.write_text(f"emulsion records 1\nmachine={machine} isa={isa} threads=1 recipe={tried['recipe']}@1 "
                            f"tiling=\"{tried['tiling']}\" default_us=20 tuned_us=10 spread=0.01 group={signature}\n")
            target = ["--target", begin["isa"], "--machine", "native"]
            shown = support.run("show", layer, *words[:2], *target, "--emit=plan", "--records", file, "--no-records",
                                folder=folder)
            # Of another instruction set the order of sums is kept, so that variants agree, and nothing else.
            row.check(f"tiling=\"{tried['tiling']}\"" not in shown.stdout or shown.stdout == plan or isa != begin["isa"],
                      f"of {what}: it is applied as it stands")
            if machine == OTHER:
                row.check(shown.stdout == plan, f"of {what}: the plan is another one")
                row.check("are of other machines than" in shown.stderr, f"of {what}: nothing is said: {shown.stderr}")
            starts = [start for e in support.tune(layer, *words, "--threads", 1, "--trials", 1, "--no-records", "--records", file,
                                                  "--journal", f"{isa}-{machine}.journal", folder=folder)
                      if e["event"] == "kernel" for start in e["starts"]]
            row.say(f"of {what}: a search begins with " + "; ".join(f"{s['recipe']} {s['tiling']} ({s['why']})" for s in starts))
            row.check(any((isa if isa != begin["isa"] else "another machine") in start["why"] for start in starts),
                      f"of {what}: no search begins there")


def signature_of(folder):
    import sqlite3
    query = "SELECT signature FROM kernels JOIN trials ON trials.kernel = kernels.id LIMIT 1"
    return sqlite3.connect(folder / "layer.journal").execute(query).fetchone()[0]


def shipped(row):
    machine = support.machine_class()
    for network in NETWORKS:
        file = support.TUNED / f"{network}.records"
        lines = file.read_text().splitlines() if file.exists() else []
        for isa in ("avx512", "avx2"):
            count = sum(f"machine={machine} isa={isa} " in line for line in lines)
            row.say(f"{network:16}{isa:8}{count} records")
            row.check(count > 0, f"{network} has none for {isa}"
                      + ("" if (support.NETWORKS / f"{network}.cpp").exists() else ", and is no example network yet"))
