"""The lesson on devices: each of its commands runs as it stands there, on a driver of OpenCL (PoCL's)."""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tuning import EMULSION, ROOT, check, faults

LESSON = ROOT / "examples" / "lesson_03_devices.cpp"
SKIPPED = 77


def losses_of(text):
    """Of every epoch."""
    events = [json.loads(line) for line in text.splitlines()]
    return [event["loss"] for event in events if event.get("event") == "epoch"]


def main():
    commands = [line[len("//     "):].split() for line in LESSON.read_text().splitlines() if line.startswith("//     ")]
    check(len(commands) == 9, f"the lesson has {len(commands)} commands")
    losses, accuracies = [], []
    with tempfile.TemporaryDirectory() as name:
        shutil.copy(LESSON, name)
        for words in commands:
            what = " ".join(words)
            if words[0] == "emulsion":
                words = [str(EMULSION), *words[1:]]
            else:
                words = [*words, "--json"]
            result = subprocess.run(words, cwd=name, text=True, capture_output=True, timeout=300)
            check(result.returncode == 0, f"{what} ends with {result.returncode}: {result.stderr}")
            if "--list-devices" in words and '"opencl:0"' not in result.stdout:
                print(f"skipped: there is no device of OpenCL: {result.stdout}")
                return SKIPPED
            if "--dry-run" in words:
                check('"device_bytes"' in result.stdout, f"{what} states no bytes of the device: {result.stdout}")
            if "--checkpoint" in words:
                losses += losses_of(result.stdout)
            if "--weights" in words:
                accuracies.append(json.loads(result.stdout.splitlines()[-1])["accuracy"])
            if words[-2].startswith("--profile"):
                check((Path(name) / "profile.json").exists(), f"{what} writes no profile")
    check(len(losses) == 4 and losses[3] < losses[0], f"losses of four epochs: {losses}")
    check(len(accuracies) == 2 and accuracies[0] == accuracies[1], f"accuracies on both: {accuracies}")
    return 1 if faults else 0


sys.exit(main())
