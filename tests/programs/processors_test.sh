#!/usr/bin/env bash
# A portable program on processors of several kinds: one without AVX (qemu-user) sees the classes that this machine
# sees, refuses instruction sets it lacks by name, and a program uses no more threads than it may use CPUs.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build networks/lenet.cpp --batch 16 --infer-batch 1 --infer-batch 8 --target portable
cd "$work"
write_pictures data 10 28 150 12
./lenet-train --data data --epochs 2 --checkpoint run >train.out 2>train.err || fault "training: $(cat train.err)"

# classes COMMAND...: the class of each picture that the inference program prints.
classes() {
    "$@" --weights run/weights.safetensors --data data --take 12 --threads 1 --top 1 --json >json.txt 2>json.err ||
        { fault "$*: $(tail -3 json.err)"; return; }
    python3 -c '
import json
for line in open("json.txt"):
    result = json.loads(line)
    if "class" in result: print(result["class"])'
}

classes ./lenet-infer >native.txt
[ "$(wc -l <native.txt)" = 12 ] && [ "$(sort -u native.txt | wc -l)" -ge 3 ] || fault "classes: $(cat native.txt json.txt)"
classes ./lenet-infer --variant x86-64 >baseline.txt
diff native.txt baseline.txt || fault "the kernels without AVX see other classes"
./lenet-train --data data --steps 3 --variant x86-64 --threads 2 >train.out 2>train.err || fault "without AVX: $(cat train.err)"

if command -v qemu-x86_64 >/dev/null; then
    for cpu in Nehalem Westmere; do
        classes qemu-x86_64 -cpu $cpu ./lenet-infer >qemu.txt
        diff native.txt qemu.txt || fault "$cpu sees other classes"
    done
    qemu-x86_64 -cpu Westmere ./lenet-train --data data --steps 2 --batch 3 --threads 1 >train.out 2>train.err ||
        fault "training on a Westmere: $(cat train.err)"
    qemu-x86_64 -cpu Westmere ./lenet-infer --weights run/weights.safetensors --data data --take 1 --variant avx2 \
        >refused.out 2>refused.err && fault "AVX2 runs on a Westmere"
    grep -qx "error: lenet bind: this processor cannot run variant avx2" refused.err || fault "refused: $(cat refused.err)"
else
    skip "a processor without AVX: qemu-x86_64 (package qemu-user) is not installed"
fi

# A build takes from the cache what was compiled for its own instruction set alone: one on a processor without AVX-512
# that finds the entries of this machine uses none of their instructions.
cat >one.emu <<'MODEL'
network one
graph one {
  %image = input() : f32[n,3,12,12]
  %w = parameter() {init="he", fan_in=27} : f32[16,3,3,3]
  %y = conv2d(%image, %w) {padding=[1,1,1,1]} : f32[n,16,12,12]
  output "map" %y
}
MODEL
one() {  # one FOLDER COMMAND...: builds into the folder, with a cache of this test's own
    local folder=$1; shift
    XDG_CACHE_HOME=$work/cache "$@" "$binary_dir/bin/emulsion" build one.emu -o $folder >one.txt 2>one.err || fault "one: $(tail -3 one.err)"
}
registers() { objdump -d $1/one_infer.a | grep -c "%$2"; }
one native env
entries=$(find cache -type f | wc -l)
[ "$entries" -ge 1 ] || fault "a build leaves nothing in the cache"
if command -v qemu-x86_64 >/dev/null; then
    one haswell qemu-x86_64 -cpu Haswell
    [ "$(registers haswell zmm)" = 0 ] && [ "$(registers haswell ymm)" -gt 0 ] || fault "a build on a Haswell uses other instructions than AVX2"
fi
if grep -q avx512f /proc/cpuinfo; then
    [ "$(registers native zmm)" -gt 0 ] || fault "a build on this machine does without AVX-512"
    command -v qemu-x86_64 >/dev/null && [ "$(find cache -type f | wc -l)" -le "$entries" ] &&
        fault "a build for another processor makes no entry of its own"
fi

# One allowed CPU: one thread.
on_one_processor ./lenet-train --data data --dry-run >dry.txt 2>&1 || fault "dry run: $(cat dry.txt)"
grep -qE '^threads +1$' dry.txt || fault "with one allowed CPU the trainer says: $(grep -i thread dry.txt)"
on_one_processor ./lenet-infer --weights run/weights.safetensors --benchmark >benchmark.txt 2>&1 || fault "$(cat benchmark.txt)"
grep -q '^lenet, 1 thread$' benchmark.txt || fault "with one allowed CPU the inference program says: $(cat benchmark.txt)"
finish
