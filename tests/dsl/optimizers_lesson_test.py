"""The lesson on optimizers and the library in a C program: its commands run as they stand there, and the paths end where
they should."""
import shutil
import sys
import tempfile
from pathlib import Path

from lessons import ROOT, check, commands_of, faults, run


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for lesson in ROOT.glob("examples/lesson_08*"):
            shutil.copy(lesson, folder)
        commands = commands_of(folder / "lesson_08_optimizers.cpp")
        check(len(commands) == 5, f"the lesson has {len(commands)} commands")
        text = [run(words, folder) for words in commands][-1]
        heights = {line.split()[0]: float(line.split()[-1]) for line in text.splitlines()}
        check(list(heights) == ["sgd", "momentum", "adam"], f"the paths: {text}")
        check(max(heights.values()) < 0.5 and min(heights.values()) < 1e-3, f"where the paths end: {text}")
        check((folder / "paths.png").read_bytes()[:4] == b"\x89PNG", "the picture of the paths")
    return 1 if faults else 0


sys.exit(main())
