"""Every code of an error[code] that the sources can print stands in some expected text under tests/."""
import re

from sources import ROOT, report, sources

CODE = re.compile(r'(?:\bfail\(|\.code\s*=|\bDiagnostic\s*[({]|\bmistake\(|\brecord\()\s*"([a-z][a-z0-9_-]*)"')

used = {}
files = sources(".h", ".cpp", folders=["compiler", "schedules", "dsl"])
for file in files:
    for code in CODE.findall((ROOT / file).read_text()):
        used.setdefault(code, file)
expected = set()
for path in sorted((ROOT / "tests").rglob("*")):
    if path.is_file() and path.suffix in (".cpp", ".h", ".txt", ".sh", ".py") and "style" not in path.parts:
        expected.update(re.findall(r"error\[([a-z][a-z0-9_-]*)\]", path.read_text(errors="replace")))
faults = [f"{file}: error[{code}] is in no expected text under tests/; fix: add a test of its whole message"
          for code, file in sorted(used.items()) if code not in expected]
report(f"error codes ({len(used)} codes)", faults, len(files))
