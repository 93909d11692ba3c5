#!/usr/bin/env bash
# A trained network's bits depend on nothing but its settings: equal weights and checkpoints for any number of threads,
# on any instruction set with fused multiply-add, and in a locale whose decimal point is a comma.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build networks/lenet.cpp --batch 16 --target portable
cd "$work"
write_pictures data 10 28 150 40

# train NAME OPTION...: ten epochs of ten steps, the last of an epoch with 6 pictures, into the folder NAME. The words
# of `with` stand before the program.
with=()
train() {
    local name=$1; shift
    "${with[@]}" ./lenet-train --data data --epochs 10 --checkpoint "$name" --json "$@" >"$name.out" 2>"$name.err" ||
        fault "training $name: $(cat "$name.err")"
}

train one --threads 1
for threads in 2 3 4; do
    train threads$threads --threads $threads
    same_weights one threads$threads
    cmp one/checkpoint threads$threads/checkpoint || fault "checkpoints depend on the number of threads"
done

# A comma for a decimal point, in the trainer and in the compiler.
mkdir -p locale/comma
python3 - "$source_dir/tests/support/comma_locale.cpp" <<'PYTHON'
import re, sys
numbers = re.findall(r"0x([0-9a-f]{2})\b", open(sys.argv[1]).read())
open("locale/comma/LC_NUMERIC", "wb").write(bytes.fromhex("".join(numbers)))
PYTHON
with=(env LOCPATH="$work/locale" LC_NUMERIC=comma)
[ "$("${with[@]}" bash -c 'printf %.2f 0,05')" = 0,05 ] || fault "the locale with a decimal comma does not work"
train comma --threads 1 --learning-rate 0.05
same_weights one comma
results() { grep '"epoch"' "$1.out" | sed 's/"seconds".*//'; }
diff <(results one) <(results comma) || fault "results depend on the locale"
"$binary_dir/bin/emulsion" show "$source_dir/examples/networks/lenet.cpp" --emit=graph >lenet.emu
"$binary_dir/bin/emulsion" show lenet.emu --emit=plan --batch 16 >plain.plan || fault "the plan of lenet"
"${with[@]}" "$binary_dir/bin/emulsion" show lenet.emu --emit=plan --batch 16 >comma.plan
cmp plain.plan comma.plan || fault "a decimal comma changes the plan"
with=()

# Instruction sets: the best one trained above.
if grep -q avx512f /proc/cpuinfo && ./lenet-train --data data --dry-run --variant avx512 >dry.txt 2>&1; then
    train avx2 --threads 2 --variant avx2
    same_weights one avx2
else
    skip "weights of AVX2 and AVX-512: this processor lacks AVX-512"
fi
finish
