"""The log of tests/bench/tune: what it keeps of a part, that it is not measured again, and what --only leaves out. No figure is
judged."""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH))
from tuning import networks, proof, support  # noqa: E402

PARTS = ["one", "two", "another one"]
faults = []


def check(holds, text):
    if not holds:
        faults.append(text)
        print("FAULT:", text)


def run_row(log, only=""):
    """The row, what its parts gave, which of them were measured, and what was printed."""
    support.log, support.only = support.Log(log), only
    measured, printed = [], io.StringIO()
    with contextlib.redirect_stdout(printed):
        row = support.Row("row", "some parts")
        results = [row.part(name, lambda _, name=name: measured.append(name) or {"name": name}) for name in PARTS]
        row.conclude()
    return row, results, measured, printed.getvalue()


def check_parts(folder):
    log = folder / "row.log"
    row, results, measured, text = run_row(log, "one")
    check(measured == ["one", "another one"] and results == [{"name": "one"}, None, {"name": "another one"}], f"--only: {results}")
    check(row.left_out == ["two"] and "  no fault so far; left out: two\n" in text, f"what is left out: {text}")
    row, results, measured, text = run_row(log)
    check(measured == ["two"] and results == [{"name": name} for name in PARTS], f"the rest: {measured}, {results}")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    time = next(entry["time"] for entry in entries if entry.get("part") == "one")
    check(f"  one: taken from row.log, measured {time}\n" in text and text.endswith("  pass\n"), f"what is kept: {text}")
    check(all(entry["time"] and entry["build"] and entry["machine"] for entry in entries), f"{entries}")
    check(all(entry["load"] >= 0 for entry in entries if "result" in entry or "processors" in entry)
          and sum("processors" in entry for entry in entries) == 2, f"{entries}")
    row, _, measured, _ = run_row(folder / "other.log", "three")
    check(row.faults == ["no part of it is named 'three'; fix: choose from one; two; another one"] and not measured, f"{row.faults}")
    support.log.keep("row", "one, of 2", "text")
    kept = list((folder / "other.log.kept").iterdir())
    check(len(kept) == 1 and kept[0].name.endswith("_row_one_of_2") and kept[0].read_text() == "text", f"{kept}")


def refused(*words, **environment):
    result = subprocess.run([BENCH / "tune", *words], capture_output=True, text=True, env={**os.environ, **environment})
    check(result.returncode == 1 and result.stdout == "", f"{words} ended with {result.returncode}: {result.stdout}")
    return result.stderr


def check_refusals(folder):
    log = folder / "none" / "row.log"
    error = refused("shipped", "--log", str(log))
    check(error == f"tune: the log '{log}' cannot be written: No such file or directory\n"
          "  fix: name a file in a folder that exists and that you may write to\n", error)
    error = refused("shipped", "--log", str(folder / "x.log"), EMULSION_BINARY_DIR=str(folder))
    check(error == f"tune: {folder}/bin/emulsion is missing\n  fix: build it with tests/run, or set EMULSION_BINARY_DIR\n", error)


def check_proof():
    """Which kernels of a network a gain is missing of, by what its tuner said."""
    kernel = lambda name, share, tuned: {"kernel": name, "tuned": tuned, "shares": {"training": share}}
    found = {"kernels": [kernel("small", 0.01, ""), kernel("tuned", 0.5, "direct kw=16"), kernel("a", 0.1, ""), kernel("b", 0.2, "")]}
    check(proof.untuned(found, "train") == [("b", 0.2), ("a", 0.1)] and proof.untuned(found, "infer") == [], "kernels to prove")
    check(proof.is_shown([0.99] + [1.01] * 8) and not proof.is_shown([0.99] * 2 + [1.01] * 7) and not proof.is_shown([]), "gains")
    choice = "machine=m isa=i threads=1 choice=direct node=n"
    text = f"emulsion records 1\n{choice}\nmachine=m isa=i threads=1 recipe=r@1\n"
    check(networks.choices_of(text) == f"emulsion records 1\n{choice}\n" and networks.choices_of("") == "", "choices of records")


def main():
    with tempfile.TemporaryDirectory() as name:
        check_parts(Path(name))
        check_refusals(Path(name))
    check_proof()
    return 1 if faults else 0


sys.exit(main())
