#!/usr/bin/env bash
# The benchmark programs compile, run and print what their users read. No figure is judged.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fail() { echo "FAULT: $1"; exit 1; }

peak=$("$folder/fma_peak" 1)
for line in '^1 threads$' ' FMA: best [0-9.]+, median [0-9.]+, worst [0-9.]+ GFLOP/s$' '^read: best .* GB/s$' '^write: best .* GB/s$'; do
    grep -qE "$line" <<<"$peak" || fail "fma_peak prints no '$line': $peak"
done
line=$("$folder/run" mlp --mode infer | tail -n 1)
grep -qE '^emulsion,[0-9.]+,mlp,infer,1,1,[a-z_]+,[0-9.]+,[^,]+,[0-9.]+$' <<<"$line" || fail "run prints '$line'"
if error=$(EMULSION_BINARY_DIR=/nonexistent "$folder/fma_peak" 2>&1); then fail "fma_peak needs no build"; fi
grep -q 'fix: build it' <<<"$error" || fail "fma_peak without a build says: $error"
echo "benchmarks run"
