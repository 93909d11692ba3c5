"""What the tests of lessons share: the commands that a lesson names, and how they run."""
import os
import subprocess
from pathlib import Path

ROOT = Path(os.environ.get("EMULSION_SOURCE_DIR", Path(__file__).resolve().parents[2]))
EMULSION = Path(os.environ.get("EMULSION_BINARY_DIR", ROOT / "build")) / "bin" / "emulsion"
faults = []


def check(condition, text):
    if not condition:
        faults.append(text)
        print("FAULT:", text)


def commands_of(lesson):
    """The indented lines that are commands, each with the indented lines that go on behind it."""
    commands = []
    for line in lesson.read_text().splitlines():
        text = line[len("//     "):] if line.startswith("//     ") else ""
        if text.split(" ")[0].split("/")[0] in ("emulsion", "out", "tuned", "c++", "cc", "."):
            commands.append(text.split())
        elif text.startswith(("--", "paths/")):
            commands[-1] += text.split()
    return commands


def run(words, folder):
    words = [str(EMULSION) if word == "emulsion" else str(ROOT) if word == "EMULSION" else word for word in words]
    result = subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=300,
                            env=dict(os.environ, XDG_CACHE_HOME=str(folder / "cache")))
    check(result.returncode == 0, f"{' '.join(words)} ends with {result.returncode}: {result.stderr}")
    return result.stdout
