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

# One allowed CPU: one thread.
taskset -c 0 ./lenet-train --data data --dry-run >dry.txt 2>&1 || fault "dry run: $(cat dry.txt)"
grep -qE '^threads +1$' dry.txt || fault "with one allowed CPU the trainer says: $(grep -i thread dry.txt)"
taskset -c 0 ./lenet-infer --weights run/weights.safetensors --benchmark >benchmark.txt 2>&1 || fault "$(cat benchmark.txt)"
grep -q '^lenet, 1 thread$' benchmark.txt || fault "with one allowed CPU the inference program says: $(cat benchmark.txt)"
finish
