"""Names skipped and failed tests of CTest's JUnit files, then prints "N passed, N failed, N skipped".

Usage: count_results.py FAILED SHARDS FILE...; FAILED other than 0 says that something beyond the files' tests went wrong,
such as a build. Where SHARDS holds NAME.xml for a test of CTest, its tests are those that GoogleTest names there. Exit
status 1 if any test failed, if FAILED says so, or if no test ran.
"""
import re
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def reason_in(text):
    """Why a test was skipped: the line that GTEST_SKIP or a script printed last."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    said = [line for line in lines if not re.match(r"\[|Note:|Running|\S+:\d+(: Skipped)?$", line)]
    return said[-1] if said else "no reason given"


def cases_of_ctest(case):
    """(name, passed | failed | skipped, what was printed) of a test of CTest."""
    status, printed = case.get("status"), case.findtext("system-out")
    skipped = status == "disabled" or (status == "notrun" and case.find("skipped") is not None)
    yield case.get("name"), "skipped" if skipped else "passed" if status == "run" else "failed", printed


def cases_of_shard(case, results):
    """The same of each test that the test of CTest ran. One that ended before it could say so is a failure of its own."""
    seen = set()
    for each in xml.parse(results).getroot().iter("testcase"):
        name = f"{each.get('classname')}.{each.get('name')}"
        failures = [failure.text for failure in each.iter("failure")]
        if failures:
            seen.add("failed")
            yield name, "failed", "\n".join(text or "" for text in failures)
        elif each.get("result") == "skipped":
            yield name, "skipped", "".join(skip.get("message") or "" for skip in each.iter("skipped"))
        elif each.get("status") == "run":
            yield name, "passed", ""
    if case.get("status") != "run" and "failed" not in seen:
        yield case.get("name"), "failed", case.findtext("system-out")


def main():
    broken, shards = sys.argv[1] != "0", Path(sys.argv[2])
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for file in map(Path, sys.argv[3:]):
        if not file.is_file():
            continue
        for case in xml.parse(file).getroot().iter("testcase"):
            results = shards / f"{case.get('name')}.xml"
            for name, outcome, printed in cases_of_shard(case, results) if results.is_file() else cases_of_ctest(case):
                counts[outcome] += 1
                if outcome == "skipped":
                    print(f"skipped: {name} ({file.stem}): {reason_in(printed)}")
                elif outcome == "failed":
                    print(f"failed: {name} ({file.stem})")
                    print("\n".join((printed or "").splitlines()[-40:]))
    if broken and counts["failed"] == 0:
        counts["failed"] = 1
        print("failed: the build, or ctest itself (see above)")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    sys.exit(1 if counts["failed"] or counts["passed"] == 0 else 0)


main()
