"""The lessons on pictures, fine-tuning, readers and optimizers: each of their commands runs as it stands there, in one folder."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(os.environ.get("EMULSION_SOURCE_DIR", Path(__file__).resolve().parents[2]))
EMULSION = Path(os.environ.get("EMULSION_BINARY_DIR", ROOT / "build")) / "bin" / "emulsion"
faults = []


def check(condition, text):
    if not condition:
        faults.append(text)
        print("FAULT:", text)


def is_inside(shape, x, y):
    if shape == "disc":
        return x * x + y * y <= 1
    if shape == "square":
        return abs(x) <= 0.9 and abs(y) <= 0.9
    return min(abs(x), abs(y)) <= 0.3 and max(abs(x), abs(y)) <= 1


def write_picture(path, shape):
    """A PPM of 20 to 40 pixels a side with a shape somewhere in it."""
    side = random.randrange(20, 40)
    radius = random.uniform(0.25, 0.4) * side
    cx, cy = (random.uniform(radius, side - radius) for _ in range(2))
    inner, outer = [random.randrange(150, 256) for _ in range(3)], [random.randrange(0, 80) for _ in range(3)]
    pixels = bytes(v for y in range(side) for x in range(side)
                   for v in (inner if is_inside(shape, (x - cx) / radius, (y - cy) / radius) else outer))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"P6 {side} {side} 255\n".encode() + pixels)


def commands_of(lesson):
    """The indented lines that are commands, each with the indented lines that go on behind it."""
    commands = []
    for line in lesson.read_text().splitlines():
        text = line[len("//     "):] if line.startswith("//     ") else ""
        if text.split(" ")[0].split("/")[0] in ("emulsion", "out", "tuned", "c++", "cc", "."):
            commands.append(text.split())
        elif text.startswith("--") or text.startswith("paths/"):
            commands[-1] += text.split()
    return commands


def run(words, folder):
    words = [str(EMULSION) if word == "emulsion" else str(ROOT) if word == "EMULSION" else word for word in words]
    result = subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=300,
                            env=dict(os.environ, XDG_CACHE_HOME=str(folder / "cache")))
    check(result.returncode == 0, f"{' '.join(words)} ends with {result.returncode}: {result.stderr}")
    return result.stdout



def main():
    random.seed(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for lesson in ROOT.glob("examples/lesson_0[5-8]*"):
            shutil.copy(lesson, folder)
        for shape in ("disc", "square", "cross"):
            for i in range(24):
                if shape != "cross":
                    write_picture(folder / "pictures" / shape / f"{i}.ppm", shape)
                write_picture(folder / "more" / shape / f"{i}.ppm", shape)
        five = commands_of(folder / "lesson_05_your_pictures.cpp")
        check(len(five) == 7, f"lesson 5 has {len(five)} commands")
        outputs = [run(words, folder) for words in five]
        epochs = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
        found = [line["validation"]["accuracy"] for line in epochs if line["event"] == "epoch"]
        check(max(found) >= 0.8, f"lesson 5 learns nothing: {found}")
        check(outputs[2].count("disc/") == 24, f"the table: {outputs[2]}")
        check(all(len(json.loads(line)["outputs"]["features"]) == 16 for line in outputs[3].splitlines()), "the features")
        check((folder / "filters.png").exists() and len(list((folder / "why").iterdir())) == 24, "the pictures")
        check(outputs[6].count("/") == 24 * 4, f"the nearest: {outputs[6]}")
        six = commands_of(folder / "lesson_06_fine_tuning.cpp")
        check(len(six) == 5, f"lesson 6 has {len(six)} commands")
        last = [run(words, folder) for words in six[2:]][-1]  # the first two are those of lesson 5
        check(last.count("cross  ") >= 16, f"lesson 6 learns nothing: {last}")
        seven = commands_of(folder / "lesson_07_reader.cpp")
        check(len(seven) == 2, f"lesson 7 has {len(seven)} commands")
        for words in seven:
            run(words, folder)
        epochs = [json.loads(line) for line in (folder / "stripes" / "log.jsonl").read_text().splitlines()]
        found = [line["validation"]["accuracy"] for line in epochs if line["event"] == "epoch"]
        check(max(found) >= 0.9, f"lesson 7 learns nothing: {found}")
        eight = commands_of(folder / "lesson_08_optimizers.cpp")
        check(len(eight) == 5, f"lesson 8 has {len(eight)} commands")
        ends = {line.split()[0]: float(line.split()[-1]) for line in [run(words, folder) for words in eight][-1].splitlines()}
        check(list(ends) == ["sgd", "momentum", "adam"], f"the paths: {ends}")
        check(max(ends.values()) < 0.5 and min(ends.values()) < 1e-3, f"the heights where the paths end: {ends}")
        check((folder / "paths.png").read_bytes()[:4] == b"\x89PNG", "the picture of the paths")
    return 1 if faults else 0


sys.exit(main())
