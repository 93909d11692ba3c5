#!/usr/bin/env bash
# Networks as they ship whose pictures are augmented: runs that are killed at any moment and resumed end as whole ones,
# whatever the number of readers; the preview is drawn; validation and inference see pictures as they are; masks are
# refused.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build augment_net.cpp --batch 8
build augment_pixels_net.cpp --batch 4
cd "$work"

# A folder of pictures of another size in each class.
python3 - <<'PYTHON'
import os, random, struct, zlib
random.seed(3)
for label in range(3):
    os.makedirs(f"data/{label}")
    for i in range(30):
        rows = bytes(200 if (x + y + i) % 3 == label else random.randrange(60) for y in range(15) for x in range(14))
        open(f"data/{label}/{i:02}.pgm", "wb").write(b"P5\n14 15\n255\n" + rows)
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
os.makedirs("pixels/images"), os.makedirs("pixels/masks")
for name in "ab":
    open(f"pixels/images/{name}.pgm", "wb").write(b"P5\n6 6\n255\n" + bytes(range(36)))
    open(f"pixels/masks/{name}.png", "wb").write(b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">2I5B", 6, 6, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes([0, 0, 1, 0, 1, 0, 1] * 6))) + chunk(b"IEND", b""))
PYTHON

run() { ./augment-train --data data --validation 0.2 --epochs 8 --quiet --checkpoint "$@"; }
run whole --readers 1 >/dev/null || fault "a whole run"
run readers --readers 4 >/dev/null || fault "a run of four readers"
same_weights whole readers
run plain --no-augment >/dev/null || fault "a run without augmentation"
cmp -s whole/weights.safetensors plain/weights.safetensors && fault "augmentation changes nothing"

# Killed some times within the first steps, then left alone.
for moment in 0.02 0.04 0.07 0.03 0.11; do
    {
        timeout -s KILL "$moment" ./augment-train --data data --validation 0.2 --epochs 8 --quiet --checkpoint killed \
            --resume=auto --checkpoint-minutes 0.00001 --readers 3
    } >/dev/null 2>&1
done
run killed --resume=auto >/dev/null || fault "the last of the killed runs"
same_weights whole killed

./augment-train --data data --augment-preview a.png 2>err.txt || fault "preview: $(cat err.txt)"
./augment-train --data data --augment-preview b.png --quiet || fault "second preview"
cmp a.png b.png || fault "two previews differ"
python3 - <<'PYTHON' || fault "the preview's size"
import struct
width, height = struct.unpack(">2I", open("a.png", "rb").read()[16:24])
assert (width, height) == (9 * (12 * 6 + 2) + 2, 8 * (12 * 6 + 2) + 2), (width, height)
PYTHON

grep -q '"kind": "elastic"' augment_train.json || fault "the manifest of training says nothing of it"
grep -q augmentation augment_infer.json && fault "the manifest of inference says something of it"

./augment_pixels-train --data pixels --steps 1 --quiet 2>err.txt && fault "an augmentation that masks do not follow passes"
diff -u err.txt - <<'TEXT' || fault "an augmentation that masks do not follow"
error: augment_pixels: its augmentation moves pixels, but the values of each pixel that it is trained towards stay where they are
  fix: leave flips, turns, crops and the like out of augment({...}), or add --no-augment
TEXT
./augment_pixels-train --data pixels --steps 1 --no-augment --quiet >/dev/null || fault "masks without augmentation"
finish
