"""tests/count_results.py counts what CTest ran test by test, and within its shards what GoogleTest ran."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(os.environ.get("EMULSION_SOURCE_DIR", Path(__file__).parents[2]))

CTEST = """<testsuite>
<testcase name="Graph.Prints" status="run"><system-out/></testcase>
<testcase name="a_test.sh" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/><system-out>no network
</system-out></testcase>
<testcase name="ops.0" status="{status}"><system-out>the last words</system-out></testcase>
</testsuite>
"""
SHARD = """<testsuites><testsuite name="Conv">
<testcase name="Odd" classname="Conv" status="run" result="completed"/>
<testcase name="OnCuda" classname="Conv" status="run" result="skipped"><skipped message="a.cpp:7&#x0A;no driver&#x0A;"/></testcase>
<testcase name="DISABLED_Print" classname="Conv" status="notrun" result="suppressed"/>
{more}</testsuite></testsuites>
"""
FAILED = '<testcase name="Wrong" classname="Conv" status="run" result="completed"><failure message="b">1 is not 2</failure></testcase>'


def count(status, more, broken="0"):
    """Exit code and lines for a run whose only shard has one more test."""
    with tempfile.TemporaryDirectory() as folder:
        junit, shard = Path(folder, "release.xml"), Path(folder, "ops.0.xml")
        junit.write_text(CTEST.format(status=status))
        if more is not None:
            shard.write_text(SHARD.format(more=more))
        done = subprocess.run([sys.executable, ROOT / "tests/count_results.py", broken, folder, junit],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()


def main():
    script, cuda = "skipped: a_test.sh (release): no network", "skipped: Conv.OnCuda (release): no driver"
    crash = ["failed: ops.0 (release)", "the last words"]
    for given, expected in [
            (("run", ""), (0, [script, cuda, "2 passed, 0 failed, 2 skipped"])),
            (("fail", FAILED), (1, [script, cuda, "failed: Conv.Wrong (release)", "1 is not 2",
                                    "2 passed, 1 failed, 2 skipped"])),
            (("fail", ""), (1, [script, cuda, *crash, "2 passed, 1 failed, 2 skipped"])),
            (("fail", None), (1, [script, *crash, "1 passed, 1 failed, 1 skipped"])),
            (("run", "", "1"), (1, [script, cuda, "failed: the build, or ctest itself (see above)",
                                    "2 passed, 1 failed, 2 skipped"]))]:
        found = count(*given)
        if found != expected:
            sys.exit(f"{given}: {found} instead of {expected}")


main()
