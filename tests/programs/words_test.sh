#!/usr/bin/env bash
# A network that reads words: it learns made-up rows, reads rows of .npy and CSV, and refuses words that it does not know.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build words_net.cpp --batch 16
cd "$work"
./words-train --data synthetic:400 --epochs 6 --json --threads 1 --checkpoint run >train.out || fault "training"
./words-train --data synthetic:400 --epochs 6 --threads 2 --checkpoint again >/dev/null || fault "training with two threads"
same_weights run again

python3 - <<'PYTHON' || fault "what the trainer printed"
import json, random, struct
epochs = [line for line in map(json.loads, open("train.out")) if line["event"] == "epoch"]
assert epochs[-1]["loss"] < 0.5 * epochs[0]["loss"], epochs
def write(name, kind, shape, numbers):
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    size = struct.pack("<H", len(header))
    data = struct.pack(f"<{len(numbers)}{'i' if kind == '<i4' else 'B'}", *numbers)
    open(name, "wb").write(b"\x93NUMPY\x01\x00" + size + header.encode() + data)
random.seed(1)
write("rows.npy", "<i4", (3, 12), [random.randrange(-1, 200) for _ in range(36)])
write("bad.npy", "<i4", (1, 12), [0] * 11 + [200])
open("rows.csv", "w").write("3," + ",".join(str(i) for i in range(12)) + "\n")
PYTHON
infer() { ./words-infer --weights run/weights.safetensors "$@"; }
infer --data synthetic:100 --part test >text.out || fault "inference"
grep -q '^accuracy [89][0-9]\|^accuracy 100' text.out || fault "made-up rows are not told apart: $(cat text.out)"
[ "$(infer --images rows.npy --json | grep -c class)" = 3 ] || fault "rows of an array"
infer --data rows.csv --part train >/dev/null || fault "rows of a CSV file"
infer --images bad.npy 2>bad.err && fault "an unknown word is read"
grep -q 'row 0 holds the index 200 at 11, but the network knows 0 to 199, or -1 for none' bad.err || fault "$(cat bad.err)"
infer rows.png 2>bad.err && fault "a picture is read"
grep -q 'are no input of a network that reads indices' bad.err || fault "$(cat bad.err)"
./words-infer --benchmark >/dev/null || fault "a benchmark"
finish
