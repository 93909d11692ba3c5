"""The records that are shipped with the compiler: a build finds and takes them, for the class of machines that it is for,
behind its user's own; and those in schedules/tuned/ are sorted and legal."""
import json
import re
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from tuning import BINARY, ROOT, Work, check, faults

OTHERS = ["Other-1-1-l1.1-l2.1-l3.1-fma.1", "Other-1-10-l1.1-l2.1-l3.1-fma.1"]


class Installation(Work):
    """A model and an installation: the libraries of the build beside records of its own."""

    def __init__(self, folder):
        libraries = Path(folder) / "emulsion" / "lib"
        libraries.mkdir(parents=True)
        for file in (BINARY / "lib").iterdir():
            (libraries / file.name).symlink_to(file)
        self.shipped = Path(folder) / "emulsion" / "share" / "emulsion" / "tuned"
        self.shipped.mkdir(parents=True)
        super().__init__(folder, EMULSION_LIBRARIES=str(libraries))

    def plan(self, *words, model="tiny.emu"):
        result = self.run("show", model, "--batch", "2", "--emit=plan", *words)
        check(result.returncode == 0, f"show {' '.join(words)}: {result.stderr}")
        return result

    def write(self, path, *lines):
        path.write_text("\n".join(["emulsion records 1", *lines]) + "\n")

    def records(self):
        """Two lines for the kernel that a search visits first, with tilings that are legal."""
        tuned = self.run("tune", "tiny.emu", "--batch", "2", "--threads", "1", "--trials", "12", "--no-records", "--json",
                         "--records", "first.records", "--journal", "first.journal")
        check(tuned.returncode == 0, f"tune: {tuned.stderr}")
        trials = [event for event in map(json.loads, tuned.stdout.splitlines()) if event["event"] == "trial"]
        query = """SELECT machine, isa, threads, signature, recipe, version, tiling FROM trials JOIN kernels ON
                   trials.kernel = kernels.id WHERE outcome IN ('slower', 'faster') ORDER BY signature, recipe, tiling"""
        rows = sqlite3.connect(self.folder / "first.journal").execute(query).fetchall()
        first = next(row for row in rows if (row[4], row[6]) == (trials[0]["recipe"], trials[0]["tiling"]))
        rows = [row for row in rows if (row[3], row[4]) == (first[3], first[4])]
        check(len(rows) >= 2, f"two tilings of one kernel are needed: {rows}")
        self.machine, self.isa = rows[0][0], rows[0][1]
        return [f'machine={machine} isa={isa} threads={threads} recipe={recipe}@{version} tiling="{tiling}" '
                f"default_us=20 tuned_us=10 spread=0.01 group={signature}"
                for machine, isa, threads, signature, recipe, version, tiling in rows[:2]]


def has(plan, name, line):
    return f"by the record {name}:{line}\n" in plan.stdout


def check_classes(work, lines):
    """What --machine and --target say of whose records hold."""
    target = ["--target", work.isa]
    shipped = "schedules/tuned/tiny.records"
    check(has(work.plan(), shipped, 2), "a default build takes no shipped record")
    check(has(work.plan(model="tiny.cpp"), shipped, 2), "a model program takes no shipped record")
    check(work.plan().stderr == "", "something is said of shipped records")
    for words in (["--no-records"], ["--machine", "none"], target, [*target, "--machine", "none"], ["--target", "portable"]):
        for model in ("tiny.emu", "tiny.cpp"):
            check("by the record" not in work.plan(*words, model=model).stdout, f"{words} takes a record, {model}")
    for words, line in ((["--machine", "native"], 2), ([*target, "--machine", "native"], 2),
                        (["--machine", OTHERS[0]], 3), (["--machine", "Other-1-1"], 3), (["--machine", "Other-1-10"], 4),
                        (["--machine", work.machine, "--target", "portable"], 2)):
        check(has(work.plan(*words), shipped, line), f"{words} does not take line {line}")
        check(has(work.plan(*words, model="tiny.cpp"), shipped, line), f"{words} does not take line {line} of tiny.cpp")
    check(work.plan(*target).stdout == work.plan("--machine", "none").stdout, "a target is not as for no machine")
    check(work.plan(*target, "--machine", "native", "--no-records").stdout == work.plan("--no-records").stdout,
          "a target is not as without records")
    unheard = work.plan("--machine", "Unheard-1-1-l1.1-l2.1-l3.1-fma.1")
    check("by the record" not in unheard.stdout, "a machine class takes records of others")
    for name, message in (("Other-1", "'Other-1' is the beginning of 2 machine classes"),
                          ("Other-2", "no record is of a machine class that begins with 'Other-2'"),
                          ("Other-1-1-l1.1-l2.1-l3.1-fma.x", "'Other-1-1-l1.1-l2.1-l3.1-fma.x' is no machine class")):
        result = work.run("show", "tiny.emu", "--emit=plan", "--machine", name)
        check(result.returncode == 1 and message in result.stderr and "fix: " in result.stderr, f"{name}: {result.stderr}")
    exported = work.run("records", "export", str(work.shipped / "tiny.records"), "--machine", "Other-1-1").stdout
    check(exported == f"emulsion records 1\n{lines[2]}\n", f"export of a class by its beginning: {exported}")


def check_own(work, lines):
    """Records of the user are in force where there are some, even for another instruction set."""
    hand = work.folder / "hand.records"
    work.write(hand, lines[1])
    plan = work.plan("--records", "hand.records")
    check(has(plan, "hand.records", 2) and "schedules/tuned" not in plan.stdout, f"a record by hand: {plan.stdout}")
    check(has(work.plan("--records", "hand.records", "--no-records"), "hand.records", 2), "--no-records leaves out --records")
    plan = work.plan("--records", "hand.records", "--target", work.isa)
    check("1 records are not used: --target " in plan.stderr and "--machine native" in plan.stderr, plan.stderr)
    check("by the record" not in plan.stdout, "a record holds for no machine")
    signature = lines[1].split(" group=")[1]
    own = re.search(re.escape(signature) + r" recipe=(\w+)\.(\d+) tiling=\[([^]]*)\]", work.plan("--target", "x86-64").stdout)
    work.write(hand, f'machine={work.machine} isa=x86-64 threads=1 recipe={own[1]}@{own[2]} tiling="{own[3]}" default_us=20 '
                     f"tuned_us=10 spread=0.01 group={signature}")
    plan = work.plan("--records", "hand.records")
    check("schedules/tuned" not in plan.stdout and plan.stderr == "", f"a shipped record beside one by hand: {plan.stderr}")
    work.write(hand, lines[1])


def check_build(work):
    result = work.run("build", "tiny.emu", "--batch", "2", "-o", "out", "--depfile", "tiny.d",
                      "--records", "hand.records")
    check(result.returncode == 0 and result.stderr == "", f"build: {result.stderr}")
    listed = (work.folder / "tiny.d").read_text()
    check("tiny.emu" in listed and " hand.records" in listed and str(work.shipped / "tiny.records") in listed, listed)
    records = []
    for records_words, record in (([], "schedules/tuned/tiny.records:2"), (["--records", "hand.records"], "hand.records:2")):
        work.run("build", "tiny.emu", "--batch", "2", "-o", "out", *records_words)
        records = [kernel.get("record") for name in ("train", "infer")
                   for variant in json.loads((work.folder / "out" / f"tiny_{name}.json").read_text())["variants"]
                   for batch in variant["batches"] for kernel in batch["kernels"]]
        check(record in records, f"the manifests do not name {record}: {records}")


def check_searches(work):
    """A search begins with shipped records, and the class's cost model ranks it; no build reads that."""
    plan = work.plan().stdout
    model = work.shipped / f"{work.machine}.model"
    line = 'recipe=matmul@1 kernels=4 candidates=96 before=0 after=0.5 constants="arithmetic=1 bytes=1 fixed=1"'
    model.write_text(f"emulsion model 1\n{line}\nrecipe=winograd@1 nonsense\n")
    built = work.plan()
    check(built.stdout == plan and built.stderr == "", f"a build follows the cost model: {built.stderr}")
    for words, begins, reads in (([], True, True), (["--no-records"], False, True), (["--no-records", "--no-model"], False, False)):
        result = work.run("tune", "tiny.emu", "--batch", "2", "--threads", "1", "--trials", "1", "--json", "--records",
                          f"own{len(words)}.records", "--journal", f"own{len(words)}.journal", *words)
        check(result.returncode == 0, f"tune {words}: {result.stderr}")
        starts = [start["origin"] for event in map(json.loads, result.stdout.splitlines()) if event["event"] == "kernel"
                  for start in event["starts"]]
        check(any("schedules/tuned/tiny.records:" in origin for origin in starts) == begins, f"tune {words}: {starts}")
        said = f"schedules/tuned/{model.name}:3: error[model]: " in result.stderr
        check(said == reads, f"a broken model, {words}: {result.stderr}")
    model.unlink()


def check_fit(work):
    """To a kernel's candidates, as if it had them at so many batches, whose times follow a field of their tilings."""
    written = []
    for name, power in (("up", 1), ("down", -1)):
        shutil.copy(work.folder / "first.journal", work.folder / f"{name}.journal")
        journal = sqlite3.connect(work.folder / f"{name}.journal")
        kernel, recipe, count = journal.execute(
            "SELECT kernel, recipe, count(*) FROM trials WHERE candidate_us > 0 GROUP BY kernel, recipe ORDER BY count(*)").fetchall()[-1]
        signature, = journal.execute("SELECT signature FROM kernels WHERE id = ?", (kernel,)).fetchone()
        tilings = [tiling for tiling, in journal.execute("SELECT tiling FROM trials WHERE kernel = ? AND recipe = ? AND candidate_us > 0",
                                                         (kernel, recipe))]
        fields = [[int(field.split("=")[1]) for field in tiling.split()] for tiling in tilings]
        varied = max(range(len(fields[0])), key=lambda i: len({values[i] for values in fields}))
        for i in range(40 // count + 3):
            journal.execute("INSERT INTO kernels SELECT NULL, build, machine, isa, threads, ?, 0 FROM kernels WHERE id = ?",
                            (re.sub("^batch=[0-9]+", f"batch={3 + i}", signature), kernel))
            clone = journal.execute("SELECT max(id) FROM kernels").fetchone()[0]
            for tiling, values in zip(tilings, fields):
                journal.execute("INSERT INTO trials SELECT ?, recipe, version, tiling, owner, outcome, note, current_us, ?, ratio, pairs, "
                                "wins, 0, seconds FROM trials WHERE kernel = ? AND recipe = ? AND tiling = ?",
                                (clone, 100.0 * (1 + values[varied]) ** power, kernel, recipe, tiling))
        journal.execute("UPDATE trials SET contended = 1 WHERE kernel = ?", (kernel,))
        journal.commit()
        words = ["records", "model", "--fit", "--journal", f"{name}.journal"]
        result = work.run(*words, "-o", f"{name}.model")
        if result.returncode == 0:
            written.append(name)
            text = (work.folder / f"{name}.model").read_text()
            check(text.startswith("emulsion model 1\n") and f"recipe={recipe}@" in text, text)
            check(f"{name}.model: 1 recipes, 1 of them fitted" in result.stdout, result.stdout)
            rows = map(json.loads, work.run(*words, "--json", "-o", f"{name}.model").stdout.splitlines())
            row = next(row for row in rows if row["recipe"] == recipe)
            check(row["after"] > row["before"] and row["refusal"] == "" and row["constants"], f"{row}")
            (work.folder / f"{name}.model").write_text(text.replace("model 1\n", "model 1\nrecipe=winograd@1 nonsense\n"))
            mended = work.run(*words, "-o", f"{name}.model")
            check(mended.returncode == 0 and f"{name}.model:2: error[model]: " in mended.stderr
                  and (work.folder / f"{name}.model").read_text() == text, f"a line that cannot be used: {mended.stderr}")
            check(work.run(*words).returncode == 0 and (work.shipped / f"{work.machine}.model").read_text() == text,
                  "the class's own file is another one")
            (work.shipped / f"{work.machine}.model").unlink()
    check(written, "times that follow a field are fitted neither way")
    few = work.run("records", "model", "--fit", "--journal", "first.journal", "-o", "few.model")
    check(few.returncode == 1 and "error[model]: no recipe gets constants" in few.stderr and "too few" in few.stdout
          and not (work.folder / "few.model").exists(), f"a fit to little: {few.stdout}{few.stderr}")


def check_broken(work, lines):
    work.write(work.shipped / "tiny.records", "nonsense", lines[0])
    plan = work.plan()
    check("schedules/tuned/tiny.records:2: error[record]: " in plan.stderr, f"a broken line: {plan.stderr}")
    check(has(plan, "schedules/tuned/tiny.records", 3), "what stands behind a broken line is lost")
    shutil.rmtree(work.shipped.parent)
    check(work.plan().returncode == 0, "a compiler without records does not build")


def check_tree(work):
    """The files of the source tree are as `records` writes them, and each of their lines can be used."""
    files = sorted((ROOT / "schedules" / "tuned").glob("*.records"))
    check(files, "nothing is shipped")
    for file in files:
        check(work.run("records", "show", str(file)).stdout == file.read_text(), f"{file.name} is not sorted")
        copy = work.folder / file.name
        shutil.copy(file, copy)
        pruned = work.run("records", "prune", file.name)
        check(pruned.returncode == 0 and "dropped" not in pruned.stdout, f"{file.name}: {pruned.stdout}{pruned.stderr}\n"
              f"  fix: emulsion records prune schedules/tuned/{file.name}, and tune what is lost")
        check(copy.read_text() == file.read_text(), f"{file.name} is of other versions of recipes: prune it")


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = Installation(folder)
        lines = work.records()
        lines += [lines[1].replace(work.machine, other) for other in OTHERS]
        work.write(work.shipped / "tiny.records", lines[0], lines[2], lines[3])
        check_classes(work, lines)
        check_own(work, lines)
        check_build(work)
        check_searches(work)
        check_fit(work)
        check_broken(work, lines)
        check_tree(work)
    return 1 if faults else 0


sys.exit(main())
