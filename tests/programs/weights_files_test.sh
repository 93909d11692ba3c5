#!/usr/bin/env bash
# Weights files of the programs: batch norm stays unfolded in them, by name, so that training can go on; files that are
# cut, missing or of another network are refused.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build small_net.cpp --batch 8
build networks/lenet.cpp --batch 16
cd "$work"
write_pictures small 5 12 20 10
write_pictures data 10 28 20 10

./small-train --data small --steps 5 --checkpoint norm >norm.out 2>norm.err || fault "training: $(cat norm.err)"
python3 - <<'PYTHON' || fault "the weights of the batch norm"
import json, struct
data = open("norm/weights.safetensors", "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
for part, initial in (("gamma", 1), ("beta", 0), ("running_mean", 0), ("running_variance", 1)):
    entry = header[f"batch_norm1.{part}"]
    assert entry["shape"] == [8] and entry["dtype"] == "F32", entry
    begin, end = entry["data_offsets"]
    values = struct.unpack("<8f", data[8 + size + begin:8 + size + end])
    assert all(abs(value - initial) > 1e-6 for value in values), (part, values)
PYTHON

# refused CODE TEXT COMMAND...: the command ends with CODE and says TEXT.
refused() {
    local code=$1 text=$2 got=0; shift 2
    "$@" >refused.out 2>refused.err || got=$?
    [ $got = "$code" ] || fault "$* ends with $got: $(cat refused.err)"
    grep -qF -- "$text" refused.err || fault "$* says $(cat refused.err), expected $text"
}
weights=norm/weights.safetensors
refused 1 "belong to the network 'small'" ./lenet-infer --weights $weights --data data
head -c 5000 $weights >cut.safetensors
refused 1 "cut.safetensors" ./small-infer --weights cut.safetensors --data small
refused 1 "none.safetensors" ./small-infer --weights none.safetensors --data small
mkdir broken && head -c 1000 norm/checkpoint >broken/checkpoint
refused 1 "broken/checkpoint" ./small-train --data small --checkpoint broken --resume
refused 1 "belong" ./lenet-train --data data --checkpoint norm --resume
# Momentum and decay that are given make another run, which goes on with them.
./small-train --data small --steps 5 --momentum 0.5 --weight-decay 0.25 --checkpoint given >given.out 2>given.err ||
    fault "training: $(cat given.err)"
grep -qF "; given: momentum 0.5, weight decay 0.25" given.err || fault "the settings are $(cat given.err)"
if cmp -s norm/weights.safetensors given/weights.safetensors; then fault "momentum and decay change nothing"; fi
refused 2 "is 0.9, but the run of the checkpoint has 0.5" ./small-train --checkpoint given --resume --momentum 0.9
./small-train --checkpoint given --resume --steps 6 --momentum 0.5 >given.out 2>given.err ||
    fault "training on: $(cat given.err)"
touch file
refused 1 "file/run" ./small-train --data small --checkpoint file/run
refused 2 "--threads" ./small-train --data small --threads 0
# A momentum that goes from 0.9 to 0.9 is that of the model; another one makes another run, which goes on as it began.
cycle() { ./small-train --data small --batch 4 --steps 10 --schedule one_cycle --quiet "$@" >/dev/null || fault "cycle: $*"; }
cycle --weights constant
cycle --weights cycled --cycle-momentum 0.9:0.9
cmp constant cycled || fault "a cycle without a height changes the run"
cycle --checkpoint whole --cycle-momentum 0.1:0.95
cmp -s constant whole/weights.safetensors && fault "the momentum does not move"
for moment in 0.01 0.02 0.03; do
    timeout -s TERM $moment ./small-train --data small --batch 4 --steps 10 --schedule one_cycle --quiet --checkpoint killed \
        --resume=auto --checkpoint-minutes 0.00001 --cycle-momentum 0.1:0.95 >/dev/null 2>&1
done
cycle --checkpoint killed --resume=auto --cycle-momentum 0.1:0.95
same_weights whole killed
refused 2 "error: --cycle-momentum: is 0.2:0.95, but the run of the checkpoint has 0.1:0.95" \
    ./small-train --data small --checkpoint whole --resume --cycle-momentum 0.2:0.95
finish
