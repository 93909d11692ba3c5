"""Names skipped and failed tests of CTest's JUnit files, then prints "N passed, N failed, N skipped".

Usage: count_results.py FAILED FILE...; FAILED other than 0 says that something beyond the files' tests went wrong,
such as a build. Exit status 1 if any test failed, if FAILED says so, or if no test ran.
"""
import re
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def reason_of(case):
    """Why a test was skipped: the line that GTEST_SKIP or a script printed last."""
    lines = [line.strip() for line in (case.findtext("system-out") or "").splitlines() if line.strip()]
    said = [line for line in lines if not re.match(r"\[|Note:|Running|\S+:\d+: Skipped$", line)]
    return said[-1] if said else "no reason given"


def main():
    broken = sys.argv[1] != "0"
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for file in sys.argv[2:]:
        if not Path(file).is_file():
            continue
        for case in xml.parse(file).getroot().iter("testcase"):
            name = f"{case.get('name')} ({Path(file).stem})"
            status = case.get("status")
            if status == "run":
                counts["passed"] += 1
            elif status == "disabled" or (status == "notrun" and case.find("skipped") is not None):
                counts["skipped"] += 1
                print(f"skipped: {name}: {reason_of(case)}")
            else:
                counts["failed"] += 1
                print(f"failed: {name}")
                print("\n".join((case.findtext("system-out") or "").splitlines()[-40:]))
    if broken and counts["failed"] == 0:
        counts["failed"] = 1
        print("failed: the build, or ctest itself (see above)")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    sys.exit(1 if counts["failed"] or counts["passed"] == 0 else 0)


main()
