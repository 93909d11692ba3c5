#!/usr/bin/env bash
# A network whose loss reads its own values alone: it is built and trained from pictures without labels, of whatever source,
# with the same bits for all of them that hold the same pictures.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build unlabelled_net.cpp --batch 16
cd "$work"
write_pictures data 3 8 64 16

train() { ./unlabelled-train --epochs 40 --quiet "$@" >out.txt 2>err.txt || fault "training with $*: $(cat err.txt)"; }
train --data data --json --checkpoint run
cp out.txt train.json
train --images data/train-images-idx3-ubyte --checkpoint alone
same_weights run alone
train --data data --threads 1 --checkpoint one
same_weights run one
./unlabelled-train --data data --epochs 20 --quiet --checkpoint part >out.txt 2>err.txt || fault "the first half: $(cat err.txt)"
./unlabelled-train --data data --epochs 40 --quiet --checkpoint part --resume >out.txt 2>err.txt || fault "resume: $(cat err.txt)"
./unlabelled-infer --weights run/weights.safetensors --images data/train-images-idx3-ubyte --save-outputs outputs >out.txt 2>err.txt ||
    fault "inference: $(cat err.txt)"

./unlabelled-train --data data --validation 0.2 >out.txt 2>err.txt && fault "a validation without labels passes"
diff -u err.txt - <<'TEXT' || fault "a validation without labels"
error: --validation: compares with labels or numbers, but the network is trained towards nothing that data hold
  fix: leave the option out; the loss of each epoch is shown
TEXT

python3 - <<'PYTHON' || fault "what is drawn is not what is learnt"
import json, struct
epochs = [line for line in map(json.loads, open("train.json")) if line["event"] == "epoch"]
assert epochs[-1]["loss"] < 0.5 * epochs[0]["loss"], epochs
assert all(epoch["accuracy"] is None for epoch in epochs), epochs[0]
data = open("outputs/drawn.npy", "rb").read()
drawn = struct.unpack("<4096f", data[-4 * 64 * 64:])
pixels = open("data/train-images-idx3-ubyte", "rb").read()[16:]
loss = sum((value - pixel / 255) ** 2 for value, pixel in zip(drawn, pixels)) / len(drawn)
assert loss < epochs[-1]["loss"] * 1.2, (loss, epochs[-1]["loss"])
PYTHON
finish
