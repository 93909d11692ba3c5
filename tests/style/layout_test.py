"""Every C and C++ source is laid out as the pinned clang-format does it (.clang-format)."""
import subprocess
import sys

from sources import ROOT, report, sources

FORMAT = ROOT / ".venv/bin/clang-format"


def faults_of(arguments, text=None):
    run = subprocess.run([FORMAT, "--dry-run", "-Werror", *arguments], input=text, cwd=ROOT, text=True,
                         capture_output=True)
    return [line for line in run.stderr.splitlines() if "error:" in line or run.returncode > 1]


if not FORMAT.exists():
    sys.exit(f"layout: {FORMAT} is missing; fix: run compiler/toolchain/setup.sh")
files = sources(".h", ".cpp", ".c")
faults = faults_of(files)
if not faults_of(["--assume-filename=a.cpp"], "int  x;\n"):
    faults.append("planted fault not found: two blanks")
report("layout", faults, len(files))
