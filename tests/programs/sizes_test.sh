#!/usr/bin/env bash
# Programs stay small: lenet-train below 5 MB stripped and needing nothing beyond glibc's own libraries; the C99 program
# of the examples, static, with lenet's inference library below 1.0 MB, weights apart, in units of 1,000,000 bytes. It
# classifies what lenet-infer classifies.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build networks/lenet.cpp

# at_most FILE BYTES: the size of the stripped file.
at_most() {
    strip -o "$work/stripped" "$1"
    local bytes
    bytes=$(stat -c %s "$work/stripped")
    echo "$(basename "$1"): $bytes bytes stripped, at most $2"
    [ "$bytes" -le "$2" ] || fault "$(basename "$1") has $bytes bytes, more than $2"
}

for program in lenet-train lenet-infer; do
    at_most "$work/$program" 5000000
    others=$(readelf -d "$work/$program" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
             grep -vE '^(libc|libm|libpthread|libdl|librt)\.so\.[0-9]+$|^ld-linux-x86-64\.so\.2$')
    [ -z "$others" ] || fault "$program needs shared libraries beyond glibc's: $others"
done

# The C99 program of the examples, as its first lines say to build it.
build_classify() {  # of the libraries in a folder
    cc -std=c99 -pedantic -Wall -Wextra -Werror -O2 -I"$1" "$source_dir/examples/classify.c" "$1/lenet_infer.a" \
        -static -lpthread -lm -o "$1/classify" || { fault "the C99 program does not build"; finish; }
}
build_classify "$work"
at_most "$work/classify" 1000000

# It says what lenet-infer says, picture by picture.
cd "$work"
write_pictures data 10 28 150 40
./lenet-train --data data --epochs 2 --checkpoint run >train.out 2>train.err || fault "training: $(cat train.err)"
./lenet-infer --weights run/weights.safetensors --data data --take 40 --top 1 --json 2>infer.err | python3 -c '
import json, sys
for line in sys.stdin:
    result = json.loads(line)
    if "class" in result: print(result["picture"] + ": " + result["class"])' >expected.txt
./classify run/weights.safetensors data/t10k-images-idx3-ubyte >output.txt || fault "the C99 program fails"
[ "$(wc -l <expected.txt)" = 40 ] || fault "lenet-infer says $(cat expected.txt infer.err)"
diff expected.txt <(sed 's/ [0-9.]*$//' output.txt) || fault "the C99 program sees other classes than lenet-infer"

# refused TEXT ARGUMENT...: it fails, and says TEXT.
refused() {
    local text=$1; shift
    ./classify "$@" >refused.out 2>refused.err && fault "classify $* succeeds"
    grep -qF -- "$text" refused.err || fault "classify $* says $(cat refused.err), expected $text"
}
images=data/t10k-images-idx3-ubyte
refused "none: cannot be opened" none $images
head -c 5000 run/weights.safetensors >cut.safetensors
refused "has other bytes than the library expects" cut.safetensors $images
head -c 5000 $images >cut.idx
refused "cut.idx: holds fewer pictures than it says" run/weights.safetensors cut.idx
refused "is no IDX file" run/weights.safetensors data/t10k-labels-idx1-ubyte

# Weights that would mean something else: other digits of the signature, other classes, normalized pictures
sed 's/"signature":"./"signature":"x/' run/weights.safetensors >other.safetensors
refused "other.safetensors: belongs to another network" other.safetensors $images
sed 's/pullover/overpull/' run/weights.safetensors >other.safetensors
refused "other.safetensors: was trained with other classes" other.safetensors $images
mkdir normalized
sed 's/m.classify/m.normalize({0.3}, {0.4}); m.classify/' "$source_dir/examples/networks/lenet.cpp" >normalized.cpp
"$binary_dir/bin/emulsion" build normalized.cpp -o normalized >build.log 2>&1 || fault "$(cat build.log)"
build_classify normalized
normalized/lenet-train --data data --steps 1 --quiet --weights normalized.safetensors
refused "normalized.safetensors: was trained with another normalization" normalized.safetensors $images
normalized/classify normalized.safetensors $images >output.txt || fault "the program refuses weights of its own"
normalized/classify run/weights.safetensors $images >refused.out 2>refused.err && fault "other weights pass"
grep -qF "was trained with another normalization" refused.err || fault "classify says $(cat refused.err)"
finish
