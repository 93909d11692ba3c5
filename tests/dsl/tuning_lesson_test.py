"""The lesson on tuning: each of its commands runs as it stands there, but for the minutes."""
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from tuning import EMULSION, ROOT, check, faults

LESSON = ROOT / "examples" / "lesson_02_tuning.cpp"
RECORDS = "lesson_02_tuning.records"


def ensure_records(folder):
    """A busy machine gives no record: then the fastest candidate of each kernel that was timed is one by hand."""
    path = folder / RECORDS
    if path.exists():
        return
    rows = sqlite3.connect(folder / "lesson_02_tuning.journal").execute(
        "SELECT machine, isa, threads, recipe, version, tiling, min(candidate_us), signature FROM trials "
        "JOIN kernels ON trials.kernel = kernels.id WHERE candidate_us > 0 AND signature LIKE 'batch=%' GROUP BY kernel")
    lines = [f'machine={m} isa={i} threads={t} recipe={r}@{v} tiling="{tiling}" default_us={2 * us} tuned_us={us} '
             f"spread=0.01 group={signature}" for m, i, t, r, v, tiling, us, signature in rows]
    path.write_text("\n".join(["emulsion records 1", *lines, ""]))


def main():
    commands = [line[len("//     "):].split() for line in LESSON.read_text().splitlines() if line.startswith("//     ")]
    check(len(commands) == 11, f"the lesson has {len(commands)} commands")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(LESSON, folder)
        environment = dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))
        for words in commands:
            if words[0] == "emulsion":
                words = [str(EMULSION), *words[1:]]
            if "tune" in words:
                place = words.index("--minutes")
                words[place:place + 2] = ["--trials", "8"]
            result = subprocess.run(words, cwd=folder, env=environment, text=True, capture_output=True, timeout=300)
            what = " ".join(words)
            check(result.returncode == 0, f"{what} ends with {result.returncode}: {result.stderr}")
            if "tune" in words:
                check("8 trials in " in result.stdout, f"{what}: {result.stdout}")
                ensure_records(folder)
            if "list" in words:
                check("conv2d" in result.stdout or "dense" in result.stdout, f"{what}: {result.stdout}")
            if "show" in words:
                check(f"{RECORDS}:2" in result.stdout, f"no kernel follows a record: {result.stdout}")
            if "export" in words or "merge" in words:
                check(f"{words[-1]}: " in result.stdout and ": 0 records" not in result.stdout, f"{what}: {result.stdout}")
        same = (folder / "after" / "tuning_infer.a").read_bytes() == (folder / "ship" / "tuning_infer.a").read_bytes()
        check(same, "the shipped records give another library than those beside the model")
    return 1 if faults else 0


sys.exit(main())
