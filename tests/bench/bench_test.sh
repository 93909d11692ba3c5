#!/usr/bin/env bash
# The benchmark programs compile, run and print what their users read, and those example networks that compile in seconds
# run in one: their kernels are larger than those of other tests, and a loss that is not finite ends the program. No
# figure is judged.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fail() { echo "FAULT: $1"; exit 1; }

peak=$("$folder/fma_peak" 1)
for line in '^1 threads$' ' FMA: best [0-9.]+, median [0-9.]+, worst [0-9.]+ GFLOP/s$' '^read: best .* GB/s$' '^write: best .* GB/s$'; do
    grep -qE "$line" <<<"$peak" || fail "fma_peak prints no '$line': $peak"
done
# runs NET MODE BATCH
runs() {
    local line
    line=$("$folder/run" "$1" --mode "$2" --batch "$3" | tail -n 1)
    grep -qE "^emulsion,[0-9.]+,$1,$2,$3,1,[a-z_]+,[0-9.]+,[^,]+,[0-9.]+$" <<<"$line" || fail "run $* prints '$line'"
}
runs mlp infer 1
kernels=$("$folder/run" mlp --mode infer --batch 1 --kernels)
grep -qE '^kernel,forward dense1 [a-z]+ [a-z0-9= ]*,[0-9.]+$' <<<"$kernels" || fail "run --kernels prints '$kernels'"
runs resnet18 train 4
runs squeezenet1_1 infer 1
uncovered=$("${EMULSION_BINARY_DIR:-$folder/../../build}/bin/bench_ops" uncovered)
[ "$uncovered" = keep_old ] || fail "ops that no case of ops_cases.txt reaches, beside keep_old, which is of devices: $uncovered"
rows=$("$folder/ops" --no-peer --only '^relu 64' --rounds 1 --seconds 0.001)
for mode in forward both; do
    grep -qE "^\*relu 64, 56x56 +$mode +[0-9.]+$" <<<"$rows" || fail "ops prints no line of $mode: $rows"
done
if error=$("$folder/ops" --only 'no such op' 2>&1); then fail "ops runs a case that does not exist"; fi
grep -q "no case matches 'no such op'" <<<"$error" || fail "ops without a case says: $error"
if error=$(EMULSION_BINARY_DIR=/nonexistent "$folder/fma_peak" 2>&1); then fail "fma_peak needs no build"; fi
grep -q 'fix: build it' <<<"$error" || fail "fma_peak without a build says: $error"
rows=$("$folder/tune" --help)
for row in metaschedule random networks proof halide trials kills cuts misbehaving busy four across shipped; do
    grep -qE "^    $row  +[^ ].*\([0-9]+ min\)$" <<<"$rows" || fail "tune --help has no row $row: $rows"
done
if error=$("$folder/tune" nothing 2>&1); then fail "tune runs a row that does not exist"; fi
grep -q "there is no row 'nothing'; fix: choose from metaschedule, " <<<"$error" || fail "tune nothing: $error"
"$folder/tune" across >across.txt 2>&1 || fail "tune across: $(cat across.txt)"
rm across.txt
echo "benchmarks run"
