#!/usr/bin/env bash
# A network of two named classifiers: the accuracies that its programs print are those that counting by hand gives.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build heads_net.cpp --batch 16
cd "$work"
write_pictures data 5 12 150 60

# After one epoch the trained classifier has a part of the pictures right, after twelve all.
train() { ./heads-train --data data --json --checkpoint run "$@" >>train.out 2>train.err || fault "training: $(cat train.err)"; }
train --epochs 1 --validation test
./heads-infer --weights run/weights.safetensors --data data --take 60 --json >rows.out || fault "inference over the test part"
./heads-train --data data --epochs 12 --checkpoint long >table.out 2>train.err || fault "training: $(cat train.err)"
./heads-infer --weights long/weights.safetensors --data data >text.out || fault "inference in text"

python3 - <<'PYTHON' || fault "the programs count otherwise than by hand"
import json

def labels(part):
    return open(f"data/{part}-labels-idx1-ubyte", "rb").read()[8:]

def share_of_first(part):
    return labels(part).count(0) / len(labels(part))

def expect(found, wanted, what):
    assert found == wanted, f"{what}: found {found}, by hand {wanted}"

lines = [json.loads(line) for line in open("train.out")]
epoch, test = (next(line for line in lines if line["event"] == event) for event in ("epoch", "test"))
*rows, total = [json.loads(line) for line in open("rows.out")]
assert len(rows) == 60 and [int(row["label"]) for row in rows] == list(labels("t10k"))
right = sum(row["class"] == row["label"] for row in rows) / len(rows)
assert 0.2 < right < 1, f"{right} of the test part is no accuracy that could be mistaken"
heads = {"stripe": right, "first": share_of_first("t10k")}
for found, what in ((epoch["validation"], "validation"), (test, "test"), (total, "inference")):
    expect(found["accuracy"], right, what)
    expect(found["heads"], heads, what)
expect(epoch["heads"]["first"], share_of_first("train"), "training")
expect(epoch["accuracy"], epoch["heads"]["stripe"], "training")

header, *epochs, weights, end = open("table.out").read().splitlines()
expect(header.split(), "epoch loss accuracy stripe first stripe loss first loss rate img/s time".split(), "columns")
first = f"{100 * share_of_first('train'):.2f}"
expect(epochs[-1].split()[2:8], f"100.00 % 100.00 % {first} %".split(), "last epoch")
wanted = f", stripe 100.00 %, first {100 * heads['first']:.2f} %"
for line in (end, open("text.out").read().splitlines()[-1]):
    assert "accuracy 100.00 % (60 of 60), loss " in line and line.endswith(wanted), line
PYTHON
finish
