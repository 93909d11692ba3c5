#!/usr/bin/env bash
# A network with three inputs: it learns from each of them, out of the records of examples/reader.c, and its programs say
# which data have them.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build inputs_net.cpp --batch 16
cd "$work"
cc -std=c99 -O2 -shared -fPIC -I "$source_dir" "$source_dir/examples/reader.c" -o reader.so || fault "the reader"

# The class has a bit of the picture (light), one of the numbers (their sign) and one of the words (their second is odd).
python3 - <<'PYTHON'
import random, struct
random.seed(1)
def record():
    light, sign, odd = (random.randrange(2) for _ in range(3))
    picture = bytes(random.randrange(100) + 150 * light for _ in range(24))
    sizes = [random.uniform(0.5, 1) * (2 * sign - 1), random.uniform(-1, 1)]
    words = [random.randrange(-1, 8), 2 * random.randrange(4) + odd, random.randrange(-1, 8)]
    return bytes([4 * light + 2 * sign + odd]) + picture + struct.pack("<2f3i", *sizes, *words)
open("records", "wb").write(b"".join(record() for _ in range(400)))
bad = bytearray(record() + record())
bad[45 + 41:45 + 45] = struct.pack("<i", 8)
open("bad", "wb").write(bad)
PYTHON

train() {
    ./inputs-train --data reader.so:records --validation 0.2 --schedule constant "$@" 2>err.txt || fault "training: $(cat err.txt)"
}
train --epochs 12 --threads 1 --checkpoint run --json >train.out
train --epochs 12 --threads 2 --checkpoint again >/dev/null
same_weights run again
# Steps of two compiled batches, whose gradients are those of one of 32 apart from rounding.
train --epochs 24 --batch 32 --checkpoint parts --json >parts.out
train --steps 60 --checkpoint stopped >/dev/null
train --epochs 12 --resume --checkpoint stopped >/dev/null
same_weights run stopped
python3 - <<'PYTHON' || fault "what the trainer printed"
import json
for name in ("train.out", "parts.out"):
    epochs = [line for line in map(json.loads, open(name)) if line["event"] == "epoch"]
    assert epochs[-1]["validation"]["accuracy"] > 0.95, epochs[-1]
PYTHON

infer() { ./inputs-infer --weights run/weights.safetensors "$@"; }
infer --data reader.so:records --part train >text.out || fault "inference"
grep -q '^accuracy \(9[5-9]\|100\)' text.out || fault "rows are not told apart: $(cat text.out)"
infer --data reader.so:records --part train --take 3 --json | grep -c class | grep -qx 3 || fault "three rows"
./inputs-infer --benchmark >/dev/null || fault "a benchmark"
./inputs-train --data synthetic:160 --validation test --epochs 8 --json >synthetic.out 2>err.txt || fault "made-up rows"
infer --data reader.so:bad --part train >bad.out 2>bad.err && fault "an unknown word is read"
grep -q "input 'words' of row 1 holds the index 8 at 2, but the network knows 0 to 7, or -1 for none" bad.err || fault "$(cat bad.err)"
infer some.png 2>bad.err && fault "a picture is read"
diff -u bad.err - <<'TEXT' || fault "a picture for three inputs"
error: pictures: are not all that the network reads: it also reads 'sizes'
  fix: give rows of all its inputs, --data READER.so
TEXT
infer --occlusion maps some.png 2>bad.err && fault "a picture is occluded"
diff -u bad.err - <<'TEXT' || fault "a mode that reads pictures"
error: --occlusion: reads pictures, which are not all that the network reads: it also reads 'sizes'
  fix: give rows of all its inputs, --data READER.so
TEXT
printf '0,%s\n' "$(seq -s, 24)" >rows.csv
./inputs-train --data rows.csv --steps 1 2>bad.err && fault "rows of one input are read"
diff -u bad.err - <<'TEXT' || fault "rows of one input"
error: rows.csv: has rows of one input, but the network also reads 'sizes' of shape [2]
  fix: give a reader of your own (see examples/reader.c), or synthetic
TEXT
finish
