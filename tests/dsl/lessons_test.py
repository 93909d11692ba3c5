"""The lessons on pictures, fine-tuning and readers: each of their commands runs as it stands there, in one folder, and
learns what it says."""
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from lessons import ROOT, check, commands_of, faults, run

COUNT = 24  # pictures of each shape


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


def accuracies(folder):
    """Of each validation of a run."""
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [event["validation"]["accuracy"] for event in events if event["event"] == "epoch"]


def share(table, name):
    """Of the lines of a table of the inference program that begin a picture, those whose first class is this one."""
    firsts = [line.split()[1] for line in table.splitlines() if "/" in line]
    check(len(firsts) == COUNT, f"the table: {table}")
    return firsts.count(name) / COUNT


def lesson_5(folder):
    commands = commands_of(folder / "lesson_05_your_pictures.cpp")
    check(len(commands) == 8, f"lesson 5 has {len(commands)} commands")
    _, _, _, table, lines, _, _, nearest = [run(words, folder) for words in commands]
    found = accuracies(folder / "run")
    check(max(found[-40:]) >= 0.9, f"lesson 5 learns nothing: {found}")
    check(share(table, "disc") >= 0.9, f"lesson 5 learns no discs: {table}")
    check(all(len(json.loads(line)["outputs"]["features"]) == 16 for line in lines.splitlines()), "the features")
    for name in ("preview.png", "filters.png"):
        check((folder / name).read_bytes()[:4] == b"\x89PNG", name)
    check(len(list((folder / "why").iterdir())) == COUNT, "the pictures of occlusion")
    # Of each picture three lines: the first of them is the picture itself.
    rows = [line.split() for line in nearest.splitlines() if "/" in line]
    check(len(rows) == 3 * COUNT, f"the nearest: {nearest}")
    check(all(row[0] == row[1] and float(row[2]) < 1e-4 for row in rows[::3]), f"the nearest is another: {nearest}")
    near = [row[-2].split("/")[1] for i, row in enumerate(rows) if i % 3]
    check(near.count("disc") >= 0.8 * len(near), f"what is near to discs: {nearest}")


def lesson_6(folder):
    five, six = (commands_of(next(folder.glob(f"lesson_0{number}*"))) for number in (5, 6))
    check(len(six) == 5, f"lesson 6 has {len(six)} commands")
    check(six[:2] == [five[0], five[2]], "lesson 6 begins otherwise than lesson 5")
    table = [run(words, folder) for words in six[2:]][-1]
    found = accuracies(folder / "more_run")
    check(found[-1] >= 0.85, f"lesson 6 learns nothing: {found}")
    check(share(table, "cross") >= 0.85, f"lesson 6 learns no crosses: {table}")


def lesson_7(folder):
    seven = commands_of(folder / "lesson_07_reader.cpp")
    check(len(seven) == 2, f"lesson 7 has {len(seven)} commands")
    for words in seven:
        run(words, folder)
    found = accuracies(folder / "stripes")
    check(max(found) >= 0.9, f"lesson 7 learns nothing: {found}")


def main():
    random.seed(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for lesson in ROOT.glob("examples/lesson_0[5-7]*"):
            shutil.copy(lesson, folder)
        for shape in ("disc", "square", "cross"):
            for i in range(COUNT):
                if shape != "cross":
                    write_picture(folder / "pictures" / shape / f"{i}.ppm", shape)
                write_picture(folder / "more" / shape / f"{i}.ppm", shape)
        lesson_5(folder)
        lesson_6(folder)
        lesson_7(folder)
    return 1 if faults else 0


sys.exit(main())
