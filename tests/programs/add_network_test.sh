#!/usr/bin/env bash
# The CMake function emulsion_add_network makes the libraries and the programs of a network, and targets to link.
set -u
source "$(dirname "$0")/programs_support.sh"
ninja=$source_dir/.venv/bin/ninja
timeout 600 "$ninja" -C "$binary_dir" one-conv-train one-conv-infer >"$work/log" 2>&1 ||
    { tail -20 "$work/log"; fault "ninja one-conv-train failed"; }
for file in one_conv_train.a one_conv_infer.a one_conv_train.h one_conv_infer.h; do
    [ -f "$binary_dir/examples/one-conv/$file" ] || fault "$file is missing in examples/one-conv"
done
"$binary_dir/examples/one-conv/one-conv-infer" --version >/dev/null || fault "one-conv-infer --version failed"
"$ninja" -C "$binary_dir" -n one-conv-train one-conv-infer | grep -q 'Compiling the network' &&
    fault "nothing changed, but the network would be compiled again"
exit $((faults > 0))
