#!/usr/bin/env bash
# `emulsion sweep`: candidates under a limit are trained, each in its folder; a second call does what is left alone.
set -uo pipefail
root=${EMULSION_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
emulsion=${EMULSION_BINARY_DIR:-$root/build}/bin/emulsion
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
fault() { echo "FAULT: $*"; failed=1; }

cat >net.cpp <<'CPP'
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int width = settings.integer("width", 4);
    Model m("swept");
    m.classify(dense(relu(dense(flatten(m.input("image", {1, 4, 4})), width)), 3));
    m.optimizer(adam({.learning_rate = 0.02}));
    return compile(m, settings);
}
CPP
python3 - <<'PYTHON'
import random, struct
random.seed(1)
for part, count in (("train", 60), ("t10k", 30)):
    labels = bytes(i % 3 for i in range(count))
    pixels = bytes(random.randrange(60) + (180 if i % 3 == label else 0) for label in labels for i in range(16))
    open(f"{part}-images-idx3-ubyte", "wb").write(struct.pack(">4i", 2051, count, 4, 4) + pixels)
    open(f"{part}-labels-idx1-ubyte", "wb").write(struct.pack(">2i", 2049, count) + labels)
PYTHON

sweep() { "$emulsion" sweep net.cpp --set width=8,1000 --limit-macs 10k --batch 16 "$@" >out.txt 2>err.txt; }
sweep --data "$work" --epochs 20 --validation test || fault "sweep: $(cat out.txt err.txt)"
head -2 out.txt | diff -u - <(printf '%s\n' '1 of 2: width=8' '2 of 2: width=1000') || fault "lines of candidates"
cut -d, -f1-4 sweep/sweep.csv | diff -u - <(printf '%s\n' 'width,multiply_adds,parameters,state' \
    '8,152,163,done' '1000,19000,20003,over the limit') || fault "the table"
awk -F, 'NR == 2 && !($8 > 0.9) { exit 1 }' sweep/sweep.csv || fault "width 8 does not learn: $(cat sweep/sweep.csv)"
[ -f sweep/width=8/run/weights.safetensors ] && [ ! -e sweep/width=1000/run ] || fault "the folders of the candidates"

# The second call trains nothing.
rm -rf sweep/width=8/run
sweep --data "$work" --epochs 20 --validation test || fault "again: $(cat out.txt err.txt)"
grep -q '^1 of 2: width=8: is done$' out.txt && [ ! -e sweep/width=8/run ] || fault "a done candidate is trained again"

sweep --data "$work" --epochs 21 && fault "other options pass"
grep -q "^emulsion: error\[sweep\]: the table in 'sweep' is of a sweep with other options: '--batch=16 -- --data $work --epochs 20 --validation test' there, '--batch=16 -- --data $work --epochs 21' here$" err.txt ||
    fault "$(cat err.txt)"
"$emulsion" sweep net.cpp --data x 2>err.txt && fault "no settings pass"
diff -u err.txt - <<'TEXT' || fault "without --set"
emulsion: error[usage]: there is nothing to sweep over
  fix: add --set NAME=VALUE,VALUE for a setting of the model file
TEXT
"$emulsion" sweep net.cpp --set width=2 --checkpoint run 2>err.txt && fault "--checkpoint passes"
grep -q '^emulsion: error\[usage\]: --checkpoint is given, but each candidate has its own$' err.txt || fault "$(cat err.txt)"

# A candidate that fails leaves the others alone.
"$emulsion" sweep net.cpp --set width=0,1000 --limit-macs 10k -o other --data "$work" >out.txt 2>err.txt && fault "a failed candidate ends with 0"
cut -d, -f1,4 other/sweep.csv | diff -u - <(printf '%s\n' 'width,state' '0,failed' '1000,over the limit') || fault "a failed candidate"
grep -q "the setting 'width' is '0'" err.txt || fault "the reason of a failure: $(cat err.txt)"
[ $failed = 0 ] && echo "all as expected"
exit $failed
