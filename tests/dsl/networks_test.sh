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

# CMake compiles a model anew when what it includes changes, and says which name it expects
mkdir project && cat >project/CMakeLists.txt <<TEXT
cmake_minimum_required(VERSION 3.28)
project(user LANGUAGES CXX C)
add_executable(emulsion IMPORTED)
set_target_properties(emulsion PROPERTIES IMPORTED_LOCATION $emulsion)
foreach(library libemulsion emulsion_data emulsion_program emulsion_train emulsion_infer)
    add_library(\${library} INTERFACE)
endforeach()
include($root/compiler/toolchain/add_network.cmake)
emulsion_add_network(my-net net.cpp BATCH 2)
emulsion_add_network(other net.cpp BATCH 2)
TEXT
echo 'constexpr int kUnits = 3;' >"project/units of.h"
cat >project/net.cpp <<TEXT
#include "dsl/emulsion.h"
#include "units of.h"
using namespace emulsion;
int main(int argc, char** argv) {
    Model m("my-net");
    m.classify(dense(m.input("x", {4}), kUnits));
    return compile(m, argc, argv);
}
TEXT
cmake() { "$root/.venv/bin/cmake" "$@" >cmake.txt 2>&1; }
cmake -G Ninja -S project -B project/build -DCMAKE_MAKE_PROGRAM="$root/.venv/bin/ninja" || fault "configure: $(cat cmake.txt)"
cmake --build project/build --target my-net-train || fault "my-net-train: $(cat cmake.txt)"
cp project/build/my-net/my_net_train.json three.json
cmake --build project/build --target my-net-train && grep -q "no work to do" cmake.txt || fault "it is built again: $(cat cmake.txt)"
echo 'constexpr int kUnits = 5;' >"project/units of.h"
cmake --build project/build --target my-net-infer || fault "my-net-infer: $(cat cmake.txt)"
cmp -s three.json project/build/my-net/my_net_train.json && fault "a header changed, and the network did not"
cmake --build project/build --target other-train && fault "a model of another name is taken"
grep -q "error\[name\]: the model is called 'my-net', but 'other' is expected" cmake.txt || fault "other: $(cat cmake.txt)"

# train builds and runs; what build does not know reaches the trainer, as does its exit code
"$emulsion" train "$lesson" -o trained --batch 16 --data fashion-mnist --steps 20 --threads 1 >out.txt 2>err.txt ||
    fault "train: $(cat err.txt)"
[ -x trained/one-conv-train ] || fault "train leaves no trainer"
grep -q 20 out.txt err.txt || fault "train prints $(cat out.txt err.txt)"
# It updates at once where its trainer needs no gradients: those of batches in parts, which a run that it resumes may have
update_of_train() {  # update_of_train STEPS OPTIONS...: what train builds with them
    "$emulsion" train "$lesson" -o trained --batch 16 --data fashion-mnist --threads 1 --steps "$@" >out.txt 2>err.txt ||
        fault "train $*: $(cat err.txt)"
    sed -n 's/^ *"update": "\(.*\)",$/\1/p' trained/one_conv_train.json
}
[ "$(update_of_train 2)" = at-once ] || fault "train does not update at once"
[ "$(update_of_train 2 --update=apart)" = apart ] || fault "train --update=apart updates at once"
[ "$(update_of_train 2 -- --batch 32)" = apart ] || fault "train updates batches in parts at once"
rm -rf parts
[ "$(update_of_train 2 --checkpoint parts -- --batch=32)" = apart ] || fault "train updates batches in parts at once"
[ "$(update_of_train 4 --checkpoint parts --resume)" = apart ] || fault "train resumes a run in parts at once"
code=0
"$emulsion" train "$lesson" -o trained --batch 16 --no-such-option 3 >out.txt 2>err.txt || code=$?
[ $code = 2 ] && grep -q -- --no-such-option err.txt || fault "train with a wrong option ended with $code: $(cat err.txt)"

# A signal for `emulsion train` is for the trainer: it keeps its work and ends, and nothing runs on
for file in "$lesson" one-conv.emu; do
    rm -rf run
    "$emulsion" train "$file" -o trained --batch 16 --data fashion-mnist --epochs 1000 --checkpoint run --threads 1 \
        >out.txt 2>err.txt &
    trainer=$!
    until [ -f run/checkpoint ]; do
        kill -0 $trainer 2>/dev/null || { fault "train ended early: $(cat err.txt)"; break; }
        sleep 0.1
    done
    kill -TERM $trainer
    code=0
    wait $trainer || code=$?
    [ $code = 143 ] || fault "train after SIGTERM ends with $code: $(cat err.txt)"
    grep -qs "$work/trained" /proc/[0-9]*/cmdline && fault "a trainer runs on"
    trained/one-conv-train --data fashion-mnist --checkpoint run --resume --dry-run --threads 1 >out.txt 2>err.txt ||
        fault "resume after SIGTERM: $(cat err.txt)"
done

# A model without a loss: inference alone, from the model file and from its text
cat >features.cpp <<TEXT
#include "dsl/emulsion.h"
using namespace emulsion;
int main(int argc, char** argv) {
    Model m("features");
    Tensor x = relu(batch_norm(conv(m.input("image", {1, 6, 6}), 4)));
    m.output("features", global_average_pool(dropout(x)));
    return compile(m, argc, argv);
}
TEXT
"$emulsion" show features.cpp >features.emu || fault "show features"
for file in features.cpp features.emu; do
    "$emulsion" build $file -o alone >list.txt 2>err.txt || fault "$file: $(cat err.txt)"
    [ "$(tr '\n' ' ' <list.txt)" = "alone/features_infer.a alone/features_infer.h alone/features_infer.json alone/features-infer " ] ||
        fault "$file lists $(cat list.txt)"
    [ "$(ls alone | wc -l)" = 4 ] || fault "$file makes $(ls alone)"
    [ "$(cat err.txt)" = "note: the model 'features' has no loss, so there is nothing to train: the inference library and program alone are built" ] ||
        fault "$file says $(cat err.txt)"
    alone/features-infer --benchmark --threads 1 >out.txt 2>err.txt || fault "features-infer: $(cat err.txt)"
    rm -r alone
    code=0
    "$emulsion" train $file -o alone >out.txt 2>err.txt || code=$?
    [ $code = 1 ] && grep -q "error\[loss\]: the model 'features' has no loss, so there is nothing to train" err.txt ||
        fault "train $file: $code $(cat err.txt)"
done
"$emulsion" show features.cpp --emit=plan >plan.txt && ! grep -q training plan.txt || fault "plan of features: $(cat plan.txt)"

# In CMake it is declared so, and is then built once
mkdir alone && { grep -v emulsion_add_network project/CMakeLists.txt
    echo 'emulsion_add_network(features ../features.cpp ${purpose})'; } >alone/CMakeLists.txt
for generator in Ninja "Unix Makefiles"; do
    [ "$generator" = Ninja ] || command -v make >/dev/null || continue
    rm -rf alone/build
    configure=(cmake -G "$generator" -S alone -B alone/build)
    [ "$generator" = Ninja ] && configure+=("-DCMAKE_MAKE_PROGRAM=$root/.venv/bin/ninja")
    "${configure[@]}" -Dpurpose=INFERENCE || fault "$generator, configure: $(cat cmake.txt)"
    cmake --build alone/build --target features-infer || fault "$generator, features-infer: $(cat cmake.txt)"
    [ -x alone/build/features/features-infer ] || fault "$generator builds no features-infer"
    cmake --build alone/build --target features-infer && ! grep -q "Compiling the network" cmake.txt ||
        fault "$generator builds features again: $(cat cmake.txt)"
    cmake --build alone/build --target features-train && fault "$generator has a target features-train"
    "${configure[@]}" -Dpurpose= || fault "$generator, configure again: $(cat cmake.txt)"
    cmake --build alone/build --target features-infer && fault "$generator: a model without a loss is trained"
    grep -q "error\[loss\]: the model 'features' has no loss, but its training is expected" cmake.txt &&
        grep -q "fix: add INFERENCE to emulsion_add_network" cmake.txt || fault "$generator: $(cat cmake.txt)"
done
code=0
"$emulsion" build one-conv.emu -o alone --expect-purpose inference >out.txt 2>err.txt || code=$?
[ $code = 1 ] && grep -q "error\[loss\]: the model 'one-conv' has a loss, but inference alone is expected" err.txt ||
    fault "one-conv for inference alone: $code $(cat err.txt)"

# Outputs that no input has a part in are no inference
sed -e 's/^  output "features".*/  output "filters" %conv1.w/' features.emu >filters.emu
code=0
"$emulsion" build filters.emu -o alone >/dev/null 2>err.txt || code=$?
[ $code = 1 ] && grep -q "error\[output\]: no output of network 'features' depends on an input" err.txt ||
    fault "the build of filters: $code $(cat err.txt)"

# That is said before the training of such a network is compiled, too
sed -e '/output "scores"/d; s/output "probabilities".*/output "filters" %conv1.w/' one-conv.emu >untold.emu
code=0
XDG_CACHE_HOME=$work/unused "$emulsion" build untold.emu -o untold >/dev/null 2>err.txt || code=$?
[ $code = 1 ] && grep -q "error\[output\]: no output of network 'one-conv' depends on an input" err.txt ||
    fault "the build of untold: $code $(cat err.txt)"
[ ! -e unused ] || fault "kernels were compiled for a network without inference: $(find unused)"

# Sums of parameters have a recipe, too: no kernel is said to be slow
sed -e 's/^  output "features".*/  %sums = reduce_axes(%conv1.w) {axes=[0]} : f32[1,1,3,3]\n  output "sums" %sums\n&/' features.emu >sums.emu
"$emulsion" build sums.emu -o alone >/dev/null 2>err.txt || fault "sums: $(cat err.txt)"
! grep -q 'is slow' err.txt || fault "the build of sums says $(cat err.txt)"

# What the programs measure, `show` explains, from the model file and from its text
built/one-conv-train --data synthetic --steps 5 --threads 1 --quiet --profile=train.json --trace trace.json >out.txt 2>err.txt ||
    fault "train --profile: $(cat err.txt)"
trace_is_good() { python3 "$root/tests/programs/check_trace.py" trace.json "$@" >out.txt || fault "the trace: $(cat out.txt)"; }
trace_is_good 'kernels on [a-z0-9-]*, 1 thread' "4 step of 16 samples"
"$emulsion" show "$lesson" --emit=roofline --profile=train.json >table.txt 2>err.txt || fault "roofline: $(cat err.txt)"
grep -q '^one-conv, training of 16 samples on [a-z0-9-]*, 1 thread: medians of 4 calls after 1 to warm up$' table.txt ||
    fault "roofline says $(head -1 table.txt)"
grep -q ' conv1 .*tx=' table.txt || fault "the table of the training lacks conv1: $(cat table.txt)"
"$emulsion" show one-conv.emu --emit=roofline --profile=train.json | cmp - table.txt || fault "roofline of the text differs"
code=0
"$emulsion" show "$root/examples/networks/mlp.cpp" --emit=roofline --profile=train.json >out.txt 2>err.txt || code=$?
[ $code = 1 ] && grep -q "was measured on the network 'one-conv' of signature" err.txt || fault "a foreign profile: $code $(cat err.txt)"
built/one-conv-infer --profile=infer.json --trace trace.json --threads 1 2>err.txt || fault "infer --profile: $(cat err.txt)"
trace_is_good 'kernels on [a-z0-9-]*, 1 thread' "20 run of 1 sample" "20 run of 4 samples"
"$emulsion" show one-conv.emu --emit=roofline --profile=infer.json >table.txt 2>err.txt || fault "roofline: $(cat err.txt)"
for samples in "1 sample" "4 samples"; do
    grep -q "^one-conv, inference of $samples on " table.txt || fault "no table of $samples: $(cat table.txt)"
done

[ $failed = 0 ] && echo "all as expected"
exit $failed
