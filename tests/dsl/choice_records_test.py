"""Records of choices above the kernels, written by hand: the build takes them, names what it cannot use by file and line,
and `emulsion records` handles them like those of kernels."""
import json
import re
import sys
import tempfile

from tuning import Work, check, faults

MACHINE = "Other-1-1-l1.1-l2.1-l3.1-fma.1"
PLANNED = ["tiny.emu", "--batch", "2", "--threads", "1", "--target", "avx2", "--machine", MACHINE]


def line_of(word, node, default_us=20, lock=""):
    return (f"machine={MACHINE} isa=avx512 threads=1 choice={word} default_us={default_us} tuned_us=10 spread=0.01"
            f"{lock} node={node}")


def write(work, name, *lines):
    (work.folder / name).write_text("\n".join(["emulsion records 1", *lines, ""]))


def choices_of(work):
    """By name, of training: the word, the others, the node."""
    text = work.run("show", *PLANNED[:-2], "--emit=choices").stdout.split("choices tiny inference\n")[0]
    found = re.findall(r"^  (\S+) (\w+)(?:, or ([\w, ]+))?\n    node=(.*)$", text, re.M)
    return {name: (word, others.split(", "), node) for name, word, others, node in reversed(found)}


def check_taken(work, name, word, node):
    write(work, "hand.records", line_of(word, node))
    plan = work.run("show", *PLANNED, "--emit=plan", "--records", "hand.records")
    check(f"  choice {name} {word}  # by the record hand.records:2\n" in plan.stdout, f"{plan.stdout}{plan.stderr}")
    shown = work.run("show", *PLANNED, "--emit=choices", "--records", "hand.records").stdout
    check(f"  {name} {word}" in shown and "by the record hand.records:2" in shown, f"--emit=choices: {shown}")
    built = work.run("build", *PLANNED, "--records", "hand.records", "-o", "with")
    check(built.returncode == 0 and built.stderr.count("left out") == 0, f"build: {built.stderr}")
    manifest = json.loads((work.folder / "with" / "tiny_train.json").read_text())
    check(manifest["choices"] == [{"node": name, "batch": 2, "choice": word, "record": "hand.records:2"}],
          f"the manifest: {manifest.get('choices')}")
    work.run("build", *PLANNED, "-o", "without")
    manifest = json.loads((work.folder / "without" / "tiny_train.json").read_text())
    check("choices" not in manifest, "a manifest without records tells choices")
    foreign = [other if other != MACHINE else "Another-1-1-l1.1-l2.1-l3.1-fma.1" for other in PLANNED]
    plan = work.run("show", *foreign, "--emit=plan", "--records", "hand.records")
    check("hand.records" not in plan.stdout, "a choice of another machine is taken")


def check_bad(work, word, node):
    for bad, reason in ((line_of("magic", node), "'choice' is magic, but must be one of direct, winograd2,"),
                        (line_of("winograd4", node), "cannot be 'winograd4' here"),
                        (line_of(word, node).replace(" node=", " group="), "'node=' is expected"),
                        (line_of(word, "batch=2 nonsense"), "its node is not of this version: "),
                        (line_of(word, node, default_us=10), "it is no faster than the default")):
        write(work, "bad.records", bad)
        plan = work.run("show", *PLANNED, "--emit=plan", "--records", "bad.records", "--records", "hand.records")
        check(plan.returncode == 0 and "bad.records:2: error[record]: " in plan.stderr and reason in plan.stderr
              and "\n  fix: " in plan.stderr and "the line is left out" in plan.stderr, f"{reason}: {plan.stderr}")
        check("by the record hand.records:2" in plan.stdout, f"{reason}: the other record is not used")


def check_impossible(work):
    """What the line does not tell: the dense layer reads what no pass made, so it has no kernel to join."""
    write(work, "no.records", line_of("join", "batch=2 dense(f32[n,4608]{32,12,12}, f32[10,4608]{32,12,12}) : f32[n,10] "
                                              "from flatten, parameter for add"))
    built = work.run("build", *PLANNED, "--records", "no.records", "-o", "no")
    check(built.returncode == 0 and "the record no.records:2 is left out: 'dense1' can pass, but not join"
          in built.stderr + built.stdout, f"an impossible choice: {built.stdout}{built.stderr}")


def check_files(work, word, other, node):
    listed = work.run("records", "list", "hand.records").stdout
    check(listed.startswith("2.000x") and f" {word}  batch=2 " in listed, f"list: {listed}")
    write(work, "better.records", line_of(other, node, 30))
    merged = work.run("records", "merge", "better.records", "-o", "hand.records")
    check(merged.stdout == "hand.records: 1 records\n", f"merge: {merged.stdout}{merged.stderr}")
    text = (work.folder / "hand.records").read_text()
    check(f"choice={other} " in text and f"choice={word} " not in text, "the better choice is not the one that stays")
    write(work, "locked.records", line_of(word, node, 5, lock=" lock"))
    work.run("records", "merge", "locked.records", "-o", "hand.records")
    text = (work.folder / "hand.records").read_text()
    check(f"choice={word} " in text and " lock node=" in text, "a locked choice is lost")
    check(work.run("records", "show", "hand.records").stdout == text, "show prints something else")
    check(work.run("records", "export", "hand.records", "--machine", MACHINE).stdout == text, "export leaves it out")
    check(work.run("records", "prune", "hand.records").stdout == "hand.records: 1 records\n", "prune drops a locked choice")
    write(work, "hand.records", line_of("winograd4", node))
    pruned = work.run("records", "prune", "hand.records").stdout
    check(pruned.startswith("dropped hand.records:2: ") and "cannot be 'winograd4' here" in pruned, f"prune: {pruned}")


def check_tuned(work):
    """The tuner tries choices in the step, each once; the next run goes on."""
    tune = ["tune", "tiny.emu", "--batch", "2", "--threads", "1", "--json", "--journal", "own.journal", "--records", "own.records"]
    tried = []
    for trials in ("20", "40"):
        run = work.run(*tune, "--trials", trials)
        check(run.returncode == 0, f"tune: {run.stderr}")
        events = [json.loads(line) for line in run.stdout.splitlines()]
        check(events[-1]["spent_trials"] == int(trials), f"choices count as trials: {events[-1]['spent_trials']}")
        tried += [(e["node"], e["choice"]) for e in events if e["event"] == "choice"]
        won = {(e["node"], e["choice"]) for e in events if e["event"] == "choice_confirmation" and e["accepted"]}
        text = (work.folder / "own.records").read_text() if won else ""
        check(all(f" choice={word} " in text and f" node={node}\n" in text for node, word in won), f"{won} are no records: {text}")
    check(tried and len(set(tried)) == len(tried), f"the choices that were tried: {tried}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = Work(folder)
        name, (own, others, node) = next(
            (name, choice) for name, choice in choices_of(work).items() if choice[0] == "join")
        check(others == ["pass"], f"what could be otherwise: {others}")
        check_taken(work, name, "pass", node)
        check_bad(work, "pass", node)
        check_impossible(work)
        check_files(work, "pass", own, node)
        check_tuned(work)
    return 1 if faults else 0


sys.exit(main())
