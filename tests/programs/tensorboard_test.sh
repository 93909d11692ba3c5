#!/usr/bin/env bash
# TensorBoard's own package reads the event files of --tensorboard, of a run that was resumed from an older checkpoint.
# Skipped where python3 has no package `tensorboard`.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
python3 -c "import tensorboard" 2>/dev/null || { skip "python3 has no package tensorboard"; finish; }
build report_net.cpp --batch 16
cd "$work"
write_pictures data 5 12 150 60

train() { ./report-train --data data --threads 1 --checkpoint run --tensorboard events "$@" >>train.out 2>train.err ||
    fault "training: $(cat train.err)"; }
train --epochs 1 --validation 0.2 --learning-rate 0.002
cp -r run kept
train --resume --epochs 4
rm -r run
mv kept run
train --resume --epochs 3
python3 - <<'PYTHON' || fault "TensorBoard reads something else than the log says"
import json
import struct
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]

def expect(found, wanted, what):
    assert found == wanted, f"{what}: found {found}, expected {wanted}"

events = [json.loads(line) for line in open("run/log.jsonl")]
epochs = [event for event in events if event["event"] == "epoch"]
expect([event["epoch"] for event in epochs], [1, 2, 3], "epochs of the log")
parts = {part: EventAccumulator(f"events/{part}", size_guidance={"scalars": 0, "histograms": 0, "images": 0}).Reload()
         for part in ("train", "validation", "test")}
for tag in ("loss", "accuracy", "learning_rate"):
    expect([(each.step, each.value) for each in parts["train"].Scalars(tag)],
           [(event["step"], single(event[tag])) for event in epochs], tag)
expect([(each.step, each.value) for each in parts["validation"].Scalars("loss")],
       [(event["step"], single(event["validation"]["loss"])) for event in epochs], "validation")
test = [event for event in events if event["event"] == "test"][-1]
expect(parts["test"].Scalars("accuracy")[-1].value, single(test["accuracy"]), "test")
tags = parts["train"].Tags()
expect(sorted(tags["histograms"]), [f"weights/{name}" for name in ("conv1.b", "conv1.w", "dense1.b", "dense1.w")], "histograms")
found = parts["train"].Histograms("weights/conv1.w")[-1].histogram_value
expect((found.num, sum(found.bucket)), (72, 72), "values of conv1.w")
expect(tags["images"], ["filters/conv1.w"], "images")
image = parts["train"].Images("filters/conv1.w")[-1]
assert image.encoded_image_string.startswith(b"\x89PNG") and (image.height, image.width) == (13, 13), "filters"
graph = [(node.name, list(node.input)) for node in parts["train"].Graph().node]
expect(graph[:3], [("image", []), ("conv1", ["image"]), ("relu1", ["conv1"])], "graph")
shape = parts["train"].Graph().node[1].attr["_output_shapes"].list.shape[0]
expect([dim.size for dim in shape.dim], [-1, 8, 12, 12], "shape of conv1")
mistakes = parts["test"].Tags()["images"]
assert mistakes and all(tag.startswith("mistakes/") for tag in mistakes), f"mistakes: {mistakes}"
PYTHON
finish
