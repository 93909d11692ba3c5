#!/usr/bin/env bash
# From the text of a model to a program that runs, in each of the three ways: the CMake function, `emulsion build` with
# a .cpp or a .emu file, and `train`, which builds and runs. The lesson takes part in all of them.
set -uo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$folder/../.." && pwd)
binary=${EMULSION_BINARY_DIR:-$root/build}
emulsion=$binary/bin/emulsion
lesson=$root/examples/lesson_01_one_conv.cpp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
fault() { echo "FAULT: $*"; failed=1; }

# What the lesson says of itself
"$emulsion" summary "$lesson" >out.txt 2>err.txt || fault "the lesson does not run: $(cat err.txt)"
diff -u - err.txt <<'TEXT' || fault "the lesson's own words"
eight maps of 24x24
with a border: 28x28
TEXT
diff -u - out.txt <<'TEXT' || fault "the lesson's table"
one-conv: layers of one sample
layer                 op       output       parameters  multiply-adds  receptive field     memory
image                 input    1 x 28 x 28                             1 every 1 from 0   3.1 KiB
conv1                 conv2d   8 x 24 x 24         208        115,200  5 every 1 from 0  36.0 KiB
relu1                 relu     8 x 24 x 24                             5 every 1 from 0  18.0 KiB
global_average_pool1  reduce   8                                                          0.0 KiB
dense1                dense    10                   90             80                     0.1 KiB
classify1             softmax  10                                                         0.0 KiB
total                                              298        115,280                    57.2 KiB
TEXT

# Products of a build: listed on stdout, all there; the same bytes from the model's text
"$emulsion" build "$lesson" -o built --batch 16 --infer-batch 4 --infer-batch 1 >list.txt 2>err.txt ||
    fault "build: $(cat err.txt)"
[ "$(sort list.txt | tr '\n' ' ')" = "built/one-conv-infer built/one-conv-train built/one_conv_infer.a \
built/one_conv_infer.h built/one_conv_infer.json built/one_conv_train.a built/one_conv_train.h built/one_conv_train.json " ] ||
    fault "build lists $(cat list.txt)"
while read -r file; do [ -s "$file" ] || fault "$file is missing"; done <list.txt
"$emulsion" show "$lesson" >one-conv.emu 2>/dev/null
"$emulsion" build one-conv.emu -o text --batch 16 --infer-batch 1 --infer-batch 4 >/dev/null 2>err.txt || fault "build of the text: $(cat err.txt)"
for product in one_conv_{train,infer}.{a,h,json}; do
    cmp "built/$product" "text/$product" || fault "$product differs between .cpp and .emu"
done

# The CMake function makes the same
"$root/.venv/bin/cmake" --build "$binary" --target one-conv-infer >cmake.txt 2>&1 || fault "cmake: $(tail -20 cmake.txt)"
for product in one_conv_{train,infer}.{a,h,json}; do
    cmp "built/$product" "$binary/examples/one-conv/$product" || fault "$product differs from that of CMake"
done

# train builds and runs; what build does not know reaches the trainer, as does its exit code
if [ -d /usr/share/dataset-fashion-mnist ]; then
    "$emulsion" train "$lesson" -o trained --batch 16 --data fashion-mnist --steps 20 --threads 1 >out.txt 2>err.txt ||
        fault "train: $(cat err.txt)"
    [ -x trained/one-conv-train ] || fault "train leaves no trainer"
    grep -q 20 out.txt err.txt || fault "train prints $(cat out.txt err.txt)"
    code=0
    "$emulsion" train "$lesson" -o trained --batch 16 --no-such-option 3 >out.txt 2>err.txt || code=$?
    [ $code = 2 ] && grep -q -- --no-such-option err.txt || fault "train with a wrong option ended with $code: $(cat err.txt)"
fi

# What the programs measure, `show` explains, from the model file and from its text
if [ -d /usr/share/dataset-fashion-mnist ]; then
    built/one-conv-train --data fashion-mnist --steps 5 --threads 1 --quiet --profile=train.json >out.txt 2>err.txt ||
        fault "train --profile: $(cat err.txt)"
    "$emulsion" show "$lesson" --emit=roofline --profile=train.json >table.txt 2>err.txt || fault "roofline: $(cat err.txt)"
    grep -q '^one-conv, training of 16 samples on [a-z0-9-]*, 1 thread: medians of 4 calls after 1 to warm up$' table.txt ||
        fault "roofline says $(head -1 table.txt)"
    grep -q ' conv1 .*tx=' table.txt || fault "the table of the training lacks conv1: $(cat table.txt)"
    "$emulsion" show one-conv.emu --emit=roofline --profile=train.json | cmp - table.txt || fault "roofline of the text differs"
    code=0
    "$emulsion" show "$root/examples/networks/mlp.cpp" --emit=roofline --profile=train.json >out.txt 2>err.txt || code=$?
    [ $code = 1 ] && grep -q "was measured on the network 'one-conv' of signature" err.txt || fault "a foreign profile: $code $(cat err.txt)"
fi
built/one-conv-infer --profile=infer.json --threads 1 2>err.txt || fault "infer --profile: $(cat err.txt)"
"$emulsion" show one-conv.emu --emit=roofline --profile=infer.json >table.txt 2>err.txt || fault "roofline: $(cat err.txt)"
for samples in "1 sample" "4 samples"; do
    grep -q "^one-conv, inference of $samples on " table.txt || fault "no table of $samples: $(cat table.txt)"
done

[ $failed = 0 ] && echo "all as expected"
exit $failed
