"""`emulsion tune` and `emulsion records` as a user runs them: what they print, what they leave behind however they end,
and that a build takes the records."""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from pages import Page, seen_in_browser  # noqa: E402
from processes import processes_of  # noqa: E402
from tuning import EMULSION, Work, check, faults  # noqa: E402


class TuningWork(Work):
    def __init__(self, folder):
        self.temporary = Path(folder) / "tmp"
        self.temporary.mkdir()
        super().__init__(folder, TMPDIR=str(self.temporary))

    def start(self, *words):
        return subprocess.Popen([str(EMULSION), *words], cwd=self.folder, env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def refuses(self, code, error, *words):
        result = self.run(*words)
        check(result.returncode == code and error in result.stderr and "fix: " in result.stderr,
              f"{' '.join(words)} ended with {result.returncode} and {result.stderr!r}, expected {error!r}")


TUNE = ["tune", "tiny.emu", "--batch", "2", "--threads", "1", "--json", "--no-choices"]  # which choice_records_test.py tries


CHOICES = "Choices above the kernels"  # a heading of the page


def trials_of(lines):
    return [(e["kernel"], e["recipe"], e["tiling"]) for e in map(json.loads, lines) if e["event"] == "trial"]


def gain_of(kernels, direction):
    """Of a step in this direction, by its kernels' shares, which add up to it."""
    shares = [(kernel["shares"].get(direction, 0), kernel) for kernel in kernels]
    check(abs(sum(share for share, _ in shares) - 1) < 1e-9, f"shares of {direction}: {shares}")
    return 1 / sum(share * (kernel["tuned_us"] / kernel["default_us"] if kernel["tuned"] else 1) for share, kernel in shares)


def gains_text(kernels):
    training, inference = gain_of(kernels, "training"), gain_of(kernels, "inference")
    return f"a step of training {training:.3f}, an inference {inference:.3f} times as fast"


def check_budget(work, seen):
    first = work.run(*TUNE, "--trials", "6")
    check(first.returncode == 0, f"tune fails: {first.stderr}")
    lines = first.stdout.splitlines()
    events = [json.loads(line) for line in lines]
    check(events[0]["event"] == "begin" and events[-1]["event"] == "end", "the events are not from begin to end")
    check(events[-1]["spent_trials"] == 6 and len(trials_of(lines)) == 6, "6 trials were asked for")
    check(any(e["event"] == "kernel" and e["fault"] == "" for e in events), "no kernel was confirmed")
    steps = [(e["training"], e["default_us"] > 0) for e in events if e["event"] == "step"]
    check(steps == [(True, True), (False, True)], f"the steps that were timed: {steps}")
    check(all(kernel["step_us"] > 0 for kernel in events[-1]["kernels"]), f"defaults in the step: {events[-1]}")
    stays = {(e["kernel"], e["tiling"]) for e in events if e["event"] == "confirmation" and e["accepted"]}
    checked = {(e["kernel"], e["tiling"]) for e in events if e["event"] == "step_check"}
    check(checked <= stays and len(checked) == len({kernel for kernel, _ in stays}), f"{stays} confirmed, {checked} checked")
    seen.update(trials_of(lines))
    again = work.run(*TUNE, "--trials", "6")
    check('"step"' not in again.stdout, "what the journal knows was timed again")
    check(not trials_of(again.stdout.splitlines()), "a spent budget was spent again")
    plain = work.run(*[word for word in TUNE if word != "--json"], "--trials", "6")
    check("6 trials in " in plain.stdout and "the budget is spent" in plain.stdout, f"plain lines: {plain.stdout}")
    end = json.loads(again.stdout.splitlines()[-1])
    for direction in ("training", "inference"):
        check(abs(end["gains"][direction] - gain_of(end["kernels"], direction)) < 1e-9, f"{direction}: {end}")
    check(gains_text(end["kernels"]) in plain.stdout, f"no '{gains_text(end['kernels'])}': {plain.stdout}")


def end_while_tuning(work, seen, how, whom, model="tiny.emu"):
    """Ends a run after some trials; what it measured is new, and is not measured by the next."""
    process = work.start("tune", model, *TUNE[2:], "--minutes", "30")
    lines = []
    while len(trials_of(lines)) < 3:
        line = process.stdout.readline()
        if not line:
            check(False, f"tune ended early: {process.stderr.read()}")
            return
        lines.append(line)
    begin = time.time()
    if whom == "all":
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    rest, errors = process.communicate(timeout=60)
    seconds = time.time() - begin
    lines += [line for line in rest.splitlines() if line.endswith("}")]
    check(process.returncode == -how, f"{how.name} ended it with {process.returncode}: {errors}")
    check(seconds < 5, f"{how.name} took {seconds:.1f} s")
    check(errors == "", f"{how.name} makes it say {errors!r}")
    for _ in range(100):
        if not processes_of(process.pid):
            break
        time.sleep(0.05)
    check(not processes_of(process.pid), f"processes stay after {how.name}")
    if how != signal.SIGKILL:
        check(not list(work.temporary.iterdir()), f"{how.name} leaves {list(work.temporary.iterdir())}")
        check(json.loads(lines[-1])["why"] == "interrupted", f"the last line after {how.name}: {lines[-1]}")
    measured = trials_of(lines)
    check(not seen & set(measured), f"measured twice: {seen & set(measured)}")
    seen.update(measured)


def end_at_once(work, wait, delay, is_locked=False):
    """SIGTERM `delay` seconds after `wait` lines, whatever runs then, ends it within the bound (2 s with room for a busy
    machine), even where somebody else holds the journal."""
    process = work.start(*TUNE, "--minutes", "30")
    for _ in range(wait):
        process.stdout.readline()
    time.sleep(delay)
    holder = None
    if is_locked:
        holder = sqlite3.connect(work.folder / "tiny.journal", isolation_level=None, timeout=30)
        holder.execute("BEGIN IMMEDIATE")
        time.sleep(1)  # until the tuner waits for it, or later
    begin = time.time()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    seconds = time.time() - begin
    if holder:
        holder.execute("ROLLBACK")
        holder.close()
    what = f"SIGTERM {delay} s after {wait} lines{' and a locked journal' if is_locked else ''}"
    check(process.returncode == -signal.SIGTERM and errors == "", f"{what}: {process.returncode}, {errors!r}")
    check(seconds < 5, f"{what} takes {seconds:.1f} s")
    check(not processes_of(process.pid), f"{what} leaves processes")
    check(not list(work.temporary.iterdir()), f"{what} leaves {list(work.temporary.iterdir())}")


def check_ends(work):
    for wait, delay in ((0, 0.2), (1, 0), (2, 0), (2, 0.3), (2, 0.7), (4, 0)):
        end_at_once(work, wait, delay)
    end_at_once(work, 3, 0, is_locked=True)


def check_page_text(text, kernels, timed, with_loops):
    page = Page(text)
    check(not page.faults, f"the page: {page.faults}")
    cells = page.texts("td")
    rows = [cells[i:i + 12] for i in range(0, len(cells), 12)]
    check([row[0] for row in rows] == [kernel["kernel"] for kernel in kernels], f"rows of the page: {rows}")
    for row, kernel in zip(rows, kernels):
        check(row[1:4] == [f"{100 * kernel['share']:.1f} %", str(kernel["trials"]), str(kernel["failures"])], f"{row}, {kernel}")
        gain = f"{kernel['default_us'] / kernel['tuned_us']:.3f}" if kernel["tuned"] else ""
        check(row[10] == gain and row[11] == (kernel["tuned"] or kernel["default"]), f"{row}, {kernel}")
        changes = []
        for name in ("peak", "memory"):
            before, after = (f"{100 * kernel[f'{which}_{name}']:.0f} %" for which in ("default", "tuned"))
            changes.append(f"{before} to {after}" if kernel["tuned"] and kernel[f"tuned_{name}"] > 0 else "")
        check(row[8:10] == changes, f"{row}, {kernel}")
        check((kernel["tuned"] != "") == (kernel["tuned_memory"] > 0), f"{kernel}")
        check(abs(kernel["default_memory"] * kernel["default_us"] - kernel["tuned_memory"] * kernel["tuned_us"]) < 1e-6, f"{kernel}")
    check(gains_text(kernels) in page.texts("p")[0], f"no '{gains_text(kernels)}': {page.texts('p')[0]}")
    parts = [text for text in page.texts("h2") if text != CHOICES]
    check(parts == [kernel["kernel"] for kernel in kernels], "a part for each kernel")
    check(len(page.texts("circle")) == timed, f"{timed} trials were timed, the curves show {len(page.texts('circle'))}")
    loops = page.texts("pre")
    check(len(loops) == (sum(2 if kernel["tuned"] else 1 for kernel in kernels) if with_loops else 0), f"loops: {loops}")
    check(all("\nproduce " in loop for loop in loops), f"loops: {loops}")
    shown = [loop.partition("\n")[0] for loop in loops]
    for kernel in kernels if with_loops else []:
        check(f"default: {kernel['default']}" in shown, f"no loops of {kernel['default']}: {shown}")
        check(not kernel["tuned"] or f"chosen: {kernel['tuned']}" in shown, f"no loops of {kernel['tuned']}: {shown}")
    check(not any(key in ("src", "href") for _, attributes, _ in page.found for key in attributes), "it needs other files")


def check_page(work):
    words = ["tune", "tiny.emu", "--batch", "2", "--threads", "1", "--json", "--journal", "page.journal", "--records",
             "page.records", "--report", "page.html"]
    result = work.run(*words, "--trials", "10")
    check(result.returncode == 0, f"--report: {result.stderr}")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    timed = sum(e["event"] == "trial" and e["pairs"] > 0 for e in events)
    path = work.folder / "page.html"
    check_page_text(path.read_text(), events[-1]["kernels"], timed, True)
    check((CHOICES in path.read_text()) == any(e["event"] == "choice" for e in events), "the choices are not on the page")
    seen = seen_in_browser(path)
    if seen is not None:
        check_page_text(seen, events[-1]["kernels"], timed, True)
    journal = sqlite3.connect(work.folder / "page.journal")
    journal.execute("INSERT INTO confirmations SELECT kernel, recipe, version, max(tiling), 20, 10, 0.1, 0, 1 FROM trials "
                    "WHERE owner = '' AND candidate_us > 0 GROUP BY kernel")
    journal.commit()
    again = work.run(*words, "--trials", "10")  # which are spent
    kernels = json.loads(again.stdout.splitlines()[-1])["kernels"]
    check(any(kernel["tuned_us"] == 10 for kernel in kernels), f"the confirmation is not shown: {kernels}")
    check_page_text(path.read_text(), kernels, 0, True)
    process = work.start(*words, "--minutes", "30")
    lines = []
    while len(trials_of(lines)) < 2:
        lines.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    events = [json.loads(line) for line in lines + rest.splitlines()]
    timed = sum(e["event"] == "trial" and e["pairs"] > 0 for e in events)
    check_page_text(path.read_text(), events[-1]["kernels"], timed, False)


def check_records(work):
    """A record by hand, of what the journal knows, is what the next build runs."""
    journal = sqlite3.connect(work.folder / "tiny.journal")
    query = """SELECT machine, isa, threads, signature, recipe, version, tiling FROM trials JOIN kernels
               ON trials.kernel = kernels.id WHERE outcome IN ('slower', 'faster') ORDER BY signature, tiling"""
    machine, isa, threads, signature, recipe, version, tiling = journal.execute(query).fetchone()
    line = (f'machine={machine} isa={isa} threads={threads} recipe={recipe}@{version} tiling="{tiling}" '
            f"default_us=20 tuned_us=10 spread=0.01 group={signature}")
    path = work.folder / "hand.records"
    path.write_text(f"emulsion records 1\n{line}\n")
    plan = work.run("show", "tiny.emu", "--batch", "2", "--threads", "1", "--emit=plan", "--records", "hand.records")
    check("hand.records:2" in plan.stdout and tiling in plan.stdout, f"the plan takes no record: {plan.stdout}")
    built = work.run("build", "tiny.emu", "--batch", "2", "--threads", "1", "--records", "hand.records")
    check(built.returncode == 0, f"the build with a record fails: {built.stderr}")
    own = work.folder / "tiny.records"
    own.write_text(path.read_text())
    plan = work.run("show", "tiny.emu", "--batch", "2", "--threads", "1", "--emit=plan")
    check("tiny.records:2" in plan.stdout, "the records beside the model are not taken")
    plan = work.run("show", "tiny.emu", "--batch", "2", "--threads", "1", "--emit=plan", "--no-records")
    check("tiny.records" not in plan.stdout, "--no-records takes records")
    own.unlink()
    foreign = path.read_text().replace(machine, "Other-1-1-l1.1-l2.1-l3.1-fma.1")
    (work.folder / "foreign.records").write_text(foreign)
    plan = work.run("show", "tiny.emu", "--batch", "2", "--emit=plan", "--records", "foreign.records")
    check("1 of 1 records are of other machines than" in plan.stderr, f"nothing is said: {plan.stderr}")
    check("foreign.records" not in plan.stdout, "a record of another machine is taken")
    check_bad_records(work, line, tiling)
    check_record_files(work, path, line)


def check_bad_records(work, line, tiling):
    """What a build cannot use is named by file, line and reason, and the other records are used."""
    worse = line.replace("default_us=20", "default_us=10")
    field = tiling.split()[0].split("=")[0]
    for bad, reason in ((line.replace("recipe=", "recipe=un"), "there is no recipe 'un"),
                        (line.replace(tiling, tiling.replace(tiling.split()[0], f"{field}=12345")), f"': {field}=12345, but it is"),
                        (worse, "it is no faster than the default"), ("nonsense", "'machine=' is expected"),
                        (line.replace("group=batch=", "group=batch=x"), "its group is not of this version: ")):
        (work.folder / "bad.records").write_text(f"emulsion records 1\n{bad}\n")
        plan = work.run("show", "tiny.emu", "--batch", "2", "--threads", "1", "--emit=plan", "--records", "bad.records",
                        "--records", "hand.records")
        check(plan.returncode == 0 and "bad.records:2: error[record]: " in plan.stderr and reason in plan.stderr
              and "\n  fix: " in plan.stderr and "the line is left out" in plan.stderr, f"{reason}: {plan.stderr}")
        check("hand.records:2" in plan.stdout, f"{reason}: the other record is not used: {plan.stdout}")
    other = work.folder / "later.records"
    other.write_text(f"emulsion records 1\n{line.replace('@1 ', '@9 ')}\n")
    plan = work.run("show", "tiny.emu", "--batch", "2", "--threads", "1", "--emit=plan", "--records", "later.records")
    check("later.records:2" in plan.stdout and plan.stderr == "", f"a legal line of another version: {plan.stderr}")
    (work.folder / "bad.records").write_text(f"emulsion records 1\nnonsense\n{line}\n")
    work.refuses(1, "bad.records:2: error[record]: ", *TUNE, "--trials", "1", "--records", "bad.records", "--journal", "bad.journal")
    (work.folder / "bad.records").write_text("emulsion records 7\n")
    for words in (["show", "tiny.emu", "--emit=plan"], ["records", "list", "bad.records"]):
        work.refuses(1, "error[record]: 'bad.records' is no file of records of this version", *words,
                     *([] if words[0] == "records" else ["--records", "bad.records"]))


def check_full_disk(work):
    """Where no more can be written, the run ends with a message, and what is there is whole."""
    for kib in (8, 40):
        limited = ["bash", "-c", f"ulimit -f {kib}; exec \"$@\"", "-", str(EMULSION), *TUNE, "--trials", "40", "--records",
                   f"full{kib}.records", "--journal", f"full{kib}.journal"]
        result = subprocess.run(limited, cwd=work.folder, env=work.environment, text=True, capture_output=True, timeout=300)
        check(result.returncode == 1 and f"full{kib}.journal" in result.stderr and "error[" in result.stderr
              and "\n  fix: " in result.stderr, f"{kib} KiB of disk: {result.returncode}, {result.stderr}")
        again = work.run(*TUNE, "--trials", "1", "--records", f"full{kib}.records", "--journal", f"full{kib}.journal")
        check(again.returncode == 0, f"after {kib} KiB of disk: {again.stderr}")
        check(not list(work.temporary.iterdir()), f"a full disk leaves {list(work.temporary.iterdir())}")


def check_only(work):
    """--kernel tunes what it names; --draw begins with no record and follows no ranking."""
    words = ["--journal", "only.journal", "--records", "only.records", "--kernel", "dense1"]
    result = work.run(*TUNE, "--trials", "20", "--draw", *words)
    events = [json.loads(line) for line in result.stdout.splitlines()]
    named = {e["kernel"] for e in events if e["event"] in ("trial", "kernel")}
    check(result.returncode == 0 and named and all("dense1" in name for name in named), f"--kernel: {named}, {result.stderr}")
    check(all(e["starts"] == [] for e in events if e["event"] == "kernel"), "--draw begins with a record")
    result = work.run(*TUNE, "--trials", "21", *words, "--mode", "infer")
    names = {e["kernel"] for e in map(json.loads, result.stdout.splitlines()) if e["event"] == "kernel"}
    check(result.returncode == 0 and not any(name.startswith("training") for name in names), f"--mode: {names}, {result.stderr}")
    # All options reach the program of a model that is C++.
    result = work.run("tune", "tiny.cpp", *TUNE[2:], "--trials", "1", "--mode", "infer", "--journal", "cpp.journal", "--records", "cpp.records")
    names = {e["kernel"] for e in map(json.loads, result.stdout.splitlines()) if e["event"] == "kernel"}
    check(result.returncode == 0 and names and not any(name.startswith("training") for name in names),
          f"--mode of a .cpp: {names}, {result.stderr}")
    none = work.run(*TUNE, "--trials", "1", "--kernel", "conv9", "--journal", "none.journal")
    check(none.returncode == 1 and "error[kernel]: no kernel's name contains 'conv9'" in none.stderr, f"--kernel: {none.stderr}")


def check_record_files(work, path, line):
    better = line.replace("default_us=20", "default_us=30")
    (work.folder / "better.records").write_text(f"emulsion records 1\nbroken\n{better}\n")
    listed = work.run("records", "list", "hand.records", "better.records")
    check(listed.returncode == 1 and "better.records:2: error[record]: " in listed.stderr, f"list: {listed.stderr}")
    check(listed.stdout.startswith("3.000x") and listed.stdout.endswith("\n1 records\n"), f"list: {listed.stdout}")
    merged = work.run("records", "merge", "better.records", "-o", "hand.records")
    check(merged.stdout == "hand.records: 1 records\n", f"merge: {merged.stdout}{merged.stderr}")
    check(path.read_text() == f"emulsion records 1\n{better}\n", "the merged file")
    check(work.run("records", "show", "hand.records").stdout == path.read_text(), "show prints something else")
    check(work.run("records", "export", "hand.records").stdout == path.read_text(), "export leaves this machine out")
    other = work.run("records", "export", "hand.records", "--machine", "Other-1-1-l1.1-l2.1-l3.1-fma.1")
    check(other.stdout == "emulsion records 1\n", "export of another machine")
    path.write_text(path.read_text().replace("default_us=30", "default_us=10"))
    pruned = work.run("records", "prune", "hand.records")
    check(pruned.stdout == "dropped hand.records:2: it is no faster than the default\nhand.records: 0 records\n",
          f"prune: {pruned.stdout}{pruned.stderr}")


def check_model(work):
    """The correlation of a kernel whose candidates have been given the times 1, 2, … in the order of their names is
    that of the model's costs with this order: at most 1, and its negative where the order is reversed."""
    def rows():
        result = work.run("records", "model", "--journal", "model.journal", "--json")
        check(result.returncode == 0, f"records model fails: {result.stderr}")
        return {row["recipe"]: row for row in map(json.loads, result.stdout.splitlines())}
    source = sqlite3.connect(work.folder / "tiny.journal")
    copy = sqlite3.connect(work.folder / "model.journal")
    source.backup(copy)
    copy.execute("UPDATE trials SET candidate_us = ("
                 "SELECT count(*) FROM trials AS t WHERE t.kernel = trials.kernel AND t.recipe || t.tiling <= "
                 "trials.recipe || trials.tiling) WHERE candidate_us > 0")
    copy.commit()
    counts = copy.execute("SELECT count(*) FROM trials WHERE owner = '' AND candidate_us > 0 GROUP BY kernel").fetchall()
    first = rows()
    check(first[""]["candidates"] == sum(n for n, in counts if n >= 3), f"{first}, {counts}")
    rounding = 1e-9  # of a weighted mean
    check(all(-1 <= row["least"] <= row["correlation"] + rounding <= 1 + 2 * rounding for row in first.values()), f"{first}")
    copy.execute("UPDATE trials SET candidate_us = 1 / candidate_us WHERE candidate_us > 0")
    copy.commit()
    second = rows()
    check(any(abs(row["correlation"]) > 0.01 for row in first.values()), f"{first}")
    for recipe, row in first.items():
        check(abs(row["correlation"] + second[recipe]["correlation"]) < 1e-9, f"{recipe}: {row}, {second[recipe]}")
    plain = work.run("records", "model", "--journal", "model.journal").stdout
    check("rank correlation" in plain and "all, within a kernel" in plain, plain)
    work.refuses(1, "error[journal]: 'no.journal' is no journal: there is no such file", "records", "model",
                 "--journal", "no.journal")
    (work.folder / "text.journal").write_text("this is no database " * 100)
    work.refuses(1, "error[journal]: 'text.journal' is no journal: file is not a database", "records", "model",
                 "--journal", "text.journal")


def check_refusals(work):
    work.refuses(2, "error[usage]: --minutes is 0, but a tuner needs time to measure", "tune", "tiny.emu", "--minutes", "0")
    work.refuses(2, "error[usage]: --trials is 0, but must be 1 to", "tune", "tiny.emu", "--trials", "0")
    work.refuses(1, "/none/x.html", "tune", "tiny.emu", "--report", "/none/x.html")
    work.refuses(2, "error[usage]: --report names 'tiny.emu', which the run reads", "tune", "tiny.emu", "--report", "tiny.emu")
    work.refuses(1, "error[usage]: --target is portable", "tune", "tiny.emu", "--target", "portable")
    work.refuses(2, "error[usage]: --records names 2 files, but tune writes one", "tune", "tiny.emu", "--records", "a",
                 "--records", "b")
    untrained = (work.folder / "tiny.emu").read_text().splitlines(keepends=True)
    of_training = ('output "loss"', 'output "correct"')
    (work.folder / "untrained.emu").write_text(
        "".join(line for line in untrained if not line.strip().startswith(of_training)))
    work.refuses(1, "has no loss, so there is no training to tune", "tune", "untrained.emu", "--mode", "train",
                 "--minutes", "1")
    work.refuses(1, "error[journal]: the journal '/proc/j' cannot be opened", "tune", "tiny.emu", "--journal", "/proc/j")
    work.refuses(1, "error[record]: 'none.records'", "records", "list", "none.records")
    (work.folder / "bad.cpp").write_text("int main( {")
    work.refuses(1, "error[model]: 'bad.cpp' does not compile", "tune", "bad.cpp", "--minutes", "1")


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = TuningWork(folder)
        seen = set()
        check_budget(work, seen)
        end_while_tuning(work, seen, signal.SIGTERM, "first", "tiny.cpp")
        end_while_tuning(work, seen, signal.SIGINT, "all")
        end_while_tuning(work, seen, signal.SIGKILL, "all")
        end_while_tuning(work, seen, signal.SIGTERM, "first")
        check_ends(work)
        check_page(work)
        check_records(work)
        check_model(work)
        check_refusals(work)
        check_full_disk(work)
        check_only(work)
    return 1 if faults else 0


sys.exit(main())
