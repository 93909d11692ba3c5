"""The source files of the project, for the checks in this folder."""
import os
import sys
from pathlib import Path

ROOT = Path(os.environ.get("EMULSION_SOURCE_DIR", Path(__file__).resolve().parents[2]))
LAYERS = ["runtime", "compiler", "schedules", "dsl", "examples", "tests"]


def sources(*suffixes, folders=LAYERS):
    """Paths relative to ROOT of every file with one of the suffixes, sorted."""
    found = []
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in suffixes and path.is_file():
                found.append(path.relative_to(ROOT))
    return sorted(found)


def report(name, faults, checked):
    """Prints the faults and ends the program: 1 if there are any, or if nothing was checked."""
    for fault in faults:
        print(fault)
    print(f"{name}: {checked} files checked, {len(faults)} faults")
    sys.exit(1 if faults or checked == 0 else 0)
