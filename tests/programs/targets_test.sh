#!/usr/bin/env bash
# Networks that are trained towards masks and numbers: what their programs learn, report and write is what counting by
# hand gives.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build pixels_net.cpp --batch 8
build numbers_net.cpp --batch 8
build voxels_net.cpp --batch 8
cd "$work"

# Pictures 12 wide and 8 high whose mask says which pixels are light; a border is not counted.
python3 - <<'PYTHON'
import os, random, struct, zlib
random.seed(1)
def png(path, width, height, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
                           + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
for part, count in (("train", 32), ("test", 8)):
    for folder in ("images", "masks"):
        os.makedirs(f"data/{part}/{folder}")
    for i in range(count):
        left, top = random.randrange(1, 6), random.randrange(1, 4)
        light = [[left <= x < left + 5 and top <= y < top + 4 for x in range(12)] for y in range(8)]
        png(f"data/{part}/images/{i:02}.png", 12, 8, [[200 if v else 40 for v in row] for row in light])
        png(f"data/{part}/masks/{i:02}.png", 12, 8, [[255 if y == 0 else int(v) for v in row] for y, row in enumerate(light)])
with open("rows.csv", "w") as file:
    for i in range(64):
        x = [random.random() for _ in range(4)]
        file.write(f"{x[0] + x[1]:.6f},{x[2] - 2 * x[3]:.6f}," + ",".join(f"{v:.6f}" for v in x) + "\n")
# Volumes of 3x4x5 whose light voxels are the class 1; the first plane is not counted.
def npy(path, kind, shape, content):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    open(path, "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + content)
scans = [random.random() for _ in range(40 * 60)]
npy("scans.npy", "<f4", (40, 1, 3, 4, 5), struct.pack(f"<{len(scans)}f", *scans))
npy("voxels.npy", "|u1", (40, 3, 4, 5), bytes(255 if i % 60 < 20 else int(v > 0.5) for i, v in enumerate(scans)))
PYTHON

./pixels-train --data data --resize nearest --epochs 12 --validation test --checkpoint run --confusion --json >train.out 2>train.err ||
    fault "training towards masks: $(cat train.err)"
./pixels-infer --weights run/weights.safetensors --data data --json >total.out || fault "inference over masks"
./pixels-infer --weights run/weights.safetensors data/test/images --save-masks masks --save-outputs outputs >/dev/null || fault "masks"
./pixels-infer --weights run/weights.safetensors data/test/images/00.png --feature-maps maps >/dev/null || fault "feature maps"
./pixels-infer --weights run/weights.safetensors --filters filters.png >/dev/null || fault "filters"
./pixels-infer --weights run/weights.safetensors data/test/images/00.png >out.txt 2>err.txt && fault "a table of no classes passes"
diff -u err.txt - <<'TEXT' || fault "a table of no classes"
error: pixels: has no output that is one vector of scores a picture
  fix: add --save-outputs FOLDER, --save-masks FOLDER, or --json --output NAME
TEXT
./pixels-train --data fashion-mnist --steps 1 >out.txt 2>err.txt && fault "classes pass for masks"
grep -q 'holds no masks, but the network classifies each pixel' err.txt || fault "$(cat err.txt)"

./pixels-train --data data --top 2 --validation test 2>err.txt && fault "--top passes"
diff -u err.txt - <<'TEXT' || fault "--top"
error: --top: counts classes of pictures, but the network classifies each pixel
  fix: leave the option out
TEXT

./numbers-train --data rows.csv --epochs 300 --validation 0.25 --checkpoint line --json >line.out 2>line.err ||
    fault "training towards numbers: $(cat line.err)"
./numbers-infer --weights line/weights.safetensors --data rows.csv --json >numbers.out || fault "inference of numbers"
./numbers-infer --weights line/weights.safetensors --data rows.csv --csv --output prediction --take 3 >rows.out || fault "rows of numbers"
./numbers-train --data rows.csv --validation 0.25 --best accuracy --checkpoint b --steps 1 2>err.txt && fault "--best accuracy passes"
diff -u err.txt - <<'TEXT' || fault "--best accuracy"
error: --best: counts classes, but the network is trained towards numbers
  fix: leave the option out
TEXT
./numbers-train --data rows.csv --validation 0.25 --best recall --checkpoint b --steps 1 2>err.txt && fault "--best recall passes"
diff -u err.txt - <<'TEXT' || fault "--best recall"
error: --best: counts classes, but the network is trained towards numbers
  fix: leave the option out
TEXT

# Of volumes: the same by two files
./voxels-train --images scans.npy --labels voxels.npy --epochs 60 --validation 0.2 --checkpoint scan --json >voxels.out 2>err.txt ||
    fault "training towards voxels: $(cat err.txt)"
./voxels-infer --weights scan/weights.safetensors --images scans.npy --labels voxels.npy --json >scan.out 2>err.txt ||
    fault "inference of voxels: $(cat err.txt)"
./voxels-train --data data --steps 1 >out.txt 2>err.txt && fault "pictures pass for volumes"
diff -u err.txt - <<'TEXT' || fault "pictures for volumes"
error: data: holds no maps, but the network classifies each position
  fix: give two files, --images FILE.npy --labels FILE.npy, or a reader of your own
TEXT

python3 - <<'PYTHON' || fault "the programs count otherwise than by hand"
import json, struct, zlib

def png(path):
    """Width, height and the rows of a PNG of one byte a pixel, of any filter."""
    data, place, parts = open(path, "rb").read(), 8, b""
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place:place + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">2I2B", data[place + 8:place + 18])
        if kind == b"IDAT":
            parts += data[place + 8:place + 8 + length]
        place += 12 + length
    raw, bits = zlib.decompress(parts), depth
    stride, rows, former = (width * bits + 7) // 8, [], None
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        former = former or bytearray(stride)
        for x in range(stride):
            a, b, c = (line[x - 1] if x else 0), former[x], (former[x - 1] if x else 0)
            p = a + b - c
            paeth = min((a, b, c), key=lambda v: (abs(p - v), (a, b, c).index(v)))
            line[x] = line[x] + (0, a, b, (a + b) // 2, paeth)[kind] & 255
        former = line
        rows.append([line[i * bits // 8] >> (8 - bits - i * bits % 8) & (1 << bits) - 1 for i in range(width)])
    return width, height, rows

def array(path):
    data = open(path, "rb").read()
    shape = eval(data[10:256].decode())["shape"]
    return shape, struct.unpack(f"<{(len(data) - 256) // 4}f", data[256:])

lines = [json.loads(line) for line in open("train.out")]
epochs = [line for line in lines if line["event"] == "epoch"]
assert 0 < epochs[0]["accuracy"] <= 1 and epochs[-1]["loss"] < 0.5 * epochs[0]["loss"], epochs
last = epochs[-1]["validation"]
shape, probabilities = array("outputs/probabilities.npy")
assert shape == (8, 2, 8, 8) and array("outputs/maps.npy")[0] == (8, 6, 8, 8), shape
names = open("outputs/pictures.txt").read().split()
assert [name.split("/")[-1] for name in names] == [f"{i:02}.png" for i in range(8)]
right = counted = 0
for i in range(8):
    _, _, stored = png(f"data/test/masks/{i:02}.png")
    width, height, mask = png(f"masks/{i:05}-{i:02}.png")
    assert (width, height) == (8, 8)
    for y in range(8):
        for x in range(8):
            label = stored[y][int((x + 0.5) * 12 / 8)]
            dark, light = (probabilities[((i * 2 + c) * 8 + y) * 8 + x] for c in range(2))
            assert mask[y][x] == (light > dark), (i, x, y)
            counted += label != 255
            right += label == mask[y][x]
total = json.load(open("total.out"))
assert total["pixels"] == counted == 8 * 56 and total["correct"] == right, (total, counted, right)
assert total["accuracy"] > 0.95 and abs(total["accuracy"] - last["accuracy"]) < 1e-9, (total, last)
assert sum(map(sum, last["confusion"])) == counted, last

values = [[float(v) for v in line.split(",")] for line in open("rows.csv")]
total = json.load(open("numbers.out"))
assert total["pictures"] == 64 and "accuracy" not in total and total["loss"] < 1e-3, total
rows = [line.rstrip("\n").split(",") for line in open("rows.out")]
assert rows[0][-2:] == ["prediction.0", "prediction.1"] and len(rows) == 4, rows
for row, wanted in zip(rows[1:], values):
    assert all(abs(float(a) - b) < 0.1 for a, b in zip(row[-2:], wanted)), (row, wanted)
epochs = [json.loads(line) for line in open("line.out")]
last = [line["validation"] for line in epochs if line["event"] == "epoch"][-1]
errors = last["errors"]
assert abs(errors["rmse"] ** 2 - last["loss"]) < 1e-9 and 0 < errors["mae"] <= errors["rmse"] and 0.9 < errors["r2"] < 1, last
found = [line["validation"]["loss"] for line in epochs if line["event"] == "epoch"]
assert found[-1] < 1e-2 * found[0], found

total = json.load(open("scan.out"))
assert total["pixels"] == 40 * 40 and total["accuracy"] > 0.9, total
epochs = [line for line in map(json.loads, open("voxels.out")) if line["event"] == "epoch"]
assert epochs[-1]["validation"]["accuracy"] > 0.9 and epochs[-1]["loss"] < 0.5 * epochs[0]["loss"], epochs[-1]
PYTHON
finish
