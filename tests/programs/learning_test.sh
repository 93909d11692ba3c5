#!/usr/bin/env bash
# The example networks for photographs, cut to a few small layers, learn made-up pictures: the loss falls, and inference
# knows the pictures again.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
cd "$work"

# learns NET EXPRESSION...: NET with what the expressions of sed change, for pictures of 32x32 in ten classes; by $rate and $seed.
rate=0.01 seed=1
learns() {
    local net=$1; shift
    local cuts=(-e 's/224, 224/32, 32/; s/1000/10/'); for cut in "$@"; do cuts+=(-e "$cut"); done
    sed "${cuts[@]}" "$source_dir/examples/networks/$net.cpp" >$net.cpp
    "$binary_dir/bin/emulsion" build $net.cpp -o "$work" --batch 16 --infer-batch 16 >build.log 2>&1 ||
        { fault "$net could not be built: $(cat build.log)"; return; }
    ./$net-train --data synthetic:80 --epochs 100 --learning-rate $rate --seed $seed --weights $net.weights --json >$net.out 2>train.err ||
        fault "$net: $(cat train.err)"
    ./$net-infer --data synthetic:80 --part train --weights $net.weights --json >>$net.out || fault "$net-infer"
    python3 - $net <<'PYTHON' || fault "$net does not learn"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1] + ".out")]
losses = [line["loss"] for line in lines if line.get("event") == "epoch"]
print(sys.argv[1], losses[::9], lines[-1])
assert len(losses) == 100 and losses[-1] < 0.75 * losses[0] and lines[-1]["accuracy"] > 0.3
PYTHON
}

learns resnet50 's/Stage{64.*2}})/Stage{8, 1, 1}, {16, 2, 2}})/'
learns vgg16 's/Stage{64.*3}})/Stage{16, 1}, {32, 2}})/; s/4096/64/'
# Without normalisation; at higher rates rounding decides whether it learns.
rate=0.004 seed=5 learns squeezenet1_1 '/{48, 64}/,/}/d'
learns densenet121 's/dense_block(x, 6)/dense_block(x, 2)/; s/{12, 24, 16}/{3}/'
learns mobilenet_v1 '/{512, 1}/d; /{512, 2}/d; /{256, 1}/d; /{1024, 2}/d'
learns mobilenet_v2 '/{6, 96, 3, 1}/d; /{6, 160, 3, 2}/d; /{6, 64, 4, 2}/d'
finish
