#!/usr/bin/env bash
# The program `emulsion` and model programs: what they print, where, and with which exit code. Golden texts of the
# example networks are in tests/golden; --update-golden rewrites them.
set -uo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$folder/../.." && pwd)
binary=${EMULSION_BINARY_DIR:-$root/build}
emulsion=$binary/bin/emulsion
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
update=${1:-}

fault() { echo "FAULT: $*"; failed=1; }

# expect CODE STDOUT STDERR COMMAND...: runs the command and compares all three, whole.
expect() {
    local code=$1 out=$2 err=$3 got=0; shift 3
    "$@" >out.txt 2>err.txt || got=$?
    [ $got = "$code" ] || fault "$* ended with $got, expected $code: $(cat err.txt)"
    diff -u <(printf '%s' "$out") out.txt || fault "stdout of $*"
    diff -u <(printf '%s' "$err") err.txt || fault "stderr of $*"
}

# golden NAME FILE: compares with, or rewrites, tests/golden/NAME.
golden() {
    if [ "$update" = --update-golden ]; then cp "$2" "$root/tests/golden/$1"; fi
    [ -f "$root/tests/golden/$1" ] || { fault "tests/golden/$1 is missing; fix: program_test.sh --update-golden"; return; }
    diff -u "$root/tests/golden/$1" "$2" || fault "tests/golden/$1 differs; fix: program_test.sh --update-golden, then read it"
}

# Example networks
for net in mlp lenet resnet20 resnet18_cifar resnet18; do
    "$emulsion" show "$root/examples/networks/$net.cpp" --emit=graph >$net.emu || fault "show $net"
    golden $net.graph.txt $net.emu
    "$emulsion" show $net.emu >again.emu || fault "show $net.emu"
    cmp $net.emu again.emu || fault "$net.emu does not print as itself"
done
"$emulsion" summary "$root/examples/networks/lenet.cpp" >summary.txt
golden lenet.summary.txt summary.txt
# Parameters and multiply-adds of the same networks in PyTorch (tests/bench/peers/nets.py list).
for row in mlp,636,010,635,200 lenet,454,922,11,065,088 resnet20,272,474,40,813,184 \
    resnet18_cifar,11,173,962,555,422,720 resnet18,11,689,512,1,814,073,344; do
    net=${row%%,*}
    totals=$("$emulsion" summary $net.emu | awk '$1 == "total" { print $2 "," $3 }')
    [ "$net,$totals" = "$row" ] || fault "totals of $net are $totals, expected ${row#*,}"
done


# Updates at once: of a .emu file, and through the program that a .cpp file becomes
for file in $net.emu "$root/examples/networks/$net.cpp"; do
    "$emulsion" show "$file" --emit=plan --update=at-once >plan.txt || fault "show --update=at-once"
    grep -q "^plan $net training update=at-once" plan.txt || fault "the plan of $file does not update at once"
    "$emulsion" show "$file" --emit=plan --update=apart >plan.txt || fault "show --update=apart"
    ! grep -q "at-once" plan.txt || fault "the plan of $file updates at once"
done

# A user's own file is free of warnings, and its header is light.
for file in "$root"/examples/networks/*.cpp "$root"/examples/*.cpp "$folder/every_layer.cpp"; do
    c++ -std=c++20 -fsyntax-only -Wall -Wextra -Wshadow -Wconversion -Wpedantic -Werror -I "$root" "$file" ||
        fault "$file has warnings"
done
"$emulsion" build "$folder/every_layer.cpp" --batch 4 -o every >every.txt 2>&1 || fault "every_layer.cpp does not build: $(cat every.txt)"
TIMEFORMAT='%U %S'
seconds=$({ time c++ -std=c++20 -O0 -c -I "$root" "$root/examples/networks/lenet.cpp" -o lenet.o 2>/dev/null; } 2>&1)
awk '{ exit !($1 + $2 < 1.5) }' <<<"$seconds" || fault "compiling lenet.cpp takes $seconds s of CPU time (user system)"

# Wrong usage
net=lenet.emu
expect 2 "" $'emulsion: error[usage]: A subcommand is required\n  fix: see emulsion --help\n' "$emulsion"
expect 2 "" $'emulsion: error[usage]: FILE is required\n  fix: see emulsion --help\n' "$emulsion" build
expect 2 "" $'emulsion: error[usage]: --batch is 0, but a training step takes 1 to 65536\n  fix: choose a number from 1 to 65536\n' \
    "$emulsion" build $net --batch 0
expect 2 "" $'emulsion: error[usage]: --infer-batch is -1, but an inference takes 1 to 65536\n  fix: choose a number from 1 to 65536\n' \
    "$emulsion" build $net --infer-batch 4 --infer-batch -1
expect 2 "" $'emulsion: error[usage]: --threads is 0, but a network runs on 1 to 256\n  fix: choose a number from 1 to 256\n' \
    "$emulsion" build $net --threads 0
expect 2 "" $'emulsion: error[usage]: \'sse9\' is no target\n  fix: choose one of native, portable, x86-64, avx2, avx512\n' \
    "$emulsion" build $net --target sse9
expect 2 "" $'emulsion: error[usage]: \'tree\' is no stage\n  fix: choose one of graph, optimized, plan, loops, stmt, llvm, asm, roofline\n' \
    "$emulsion" show $net --emit=tree
expect 2 "" $'emulsion: error[usage]: --emit=roofline needs a profile\n  fix: write one with NET-train --profile=FILE or NET-infer --profile=FILE, then add --profile=FILE\n' \
    "$emulsion" show $net --emit=roofline
expect 2 "" $'emulsion: error[usage]: --profile belongs to the stage roofline, not to plan\n  fix: add --emit=roofline, or leave --profile out\n' \
    "$emulsion" show $net --emit=plan --profile=p.json
expect 2 "" $'emulsion: error[usage]: --batch stands in the profile already\n  fix: leave it out\n' \
    "$emulsion" show $net --emit=roofline --profile=p.json --batch 64
expect 2 "" $'emulsion: error[usage]: \'lenet.py\' is no model file\n  fix: name a .cpp or .emu file\n' "$emulsion" build lenet.py

expect 2 "" $'emulsion: error[usage]: --update is \'later\', but must be apart or at-once\n  fix: choose one of the two\n' \
    "$emulsion" build $net --update=later

# What this build lacks is refused by name
expect 2 "" $'emulsion: error[unsupported]: the target \'cuda\' is not in this build\n  fix: choose one of native, portable, x86-64, avx2, avx512\n' \
    "$emulsion" build $net --target cuda
expect 2 "" $'emulsion: error[unsupported]: the command \'tune\' is not in this build\n  fix: use build, show, summary or train\n' \
    "$emulsion" tune $net --minutes 10
expect 2 "" $'emulsion: error[unsupported]: --memory-budget is not in this build\n  fix: leave it out\n' \
    "$emulsion" build $net --memory-budget 100M
expect 2 "" $'emulsion: error[unsupported]: \'net.onnx\' is an ONNX file, and this build reads none\n  fix: write the model as a .cpp file\n' \
    "$emulsion" build net.onnx

# Failures
expect 1 "" $'emulsion: error[file]: \'none.cpp\' cannot be read: No such file or directory\n  fix: name a model file that exists and that you may read\n' \
    "$emulsion" summary none.cpp
cp "$root/examples/networks/lenet.cpp" .
mkdir nothing
expect 1 "" $'emulsion: error[compiler]: no C++ compiler is found, and one compiles the model file and links the programs (c++, g++ and clang++ are not on the PATH)\n  fix: install g++ (Debian: apt-get install g++), or set CXX to the compiler\'s path\n' \
    env -u CXX PATH="$work/nothing" "$emulsion" summary lenet.cpp
expect 1 "" $'emulsion: error[compiler]: the C++ compiler \'no-such-c++\' named by CXX cannot be run\n  fix: set CXX to a C++20 compiler, or unset it\n' \
    env CXX=no-such-c++ "$emulsion" summary lenet.cpp
touch file
expect 1 "" $'emulsion: error[output]: files cannot be written to the output folder \'file/out\': Not a directory\n  fix: name a folder that you may write to with -o\n' \
    "$emulsion" build $net -o file/out
expect 1 "" $'emulsion: error[output]: files cannot be written to the output folder \'/proc\': No such file or directory\n  fix: name a folder that you may write to with -o\n' \
    "$emulsion" build $net -o /proc
expect 1 "" $'emulsion: error[temporary]: no temporary folder can be made in \'/proc\': No such file or directory\n  fix: set TMPDIR to a folder that you may write to\n' \
    env TMPDIR=/proc "$emulsion" summary lenet.cpp

expect 1 "" $'emulsion: error[profile]: \'p.json\' cannot be read: No such file or directory\n  fix: write one with NET-train --profile=FILE or NET-infer --profile=FILE, where NET is the network\n' \
    "$emulsion" show $net --emit=roofline --profile=p.json

# Help and version go to stdout
"$emulsion" --version >out.txt 2>err.txt || fault "--version"
grep -q '^emulsion [0-9.]*$' out.txt && [ ! -s err.txt ] || fault "--version prints $(cat out.txt err.txt)"
for command in "" build show summary train; do
    "$emulsion" $command --help >out.txt 2>err.txt || fault "$command --help"
    grep -q '^Usage: emulsion' out.txt && [ ! -s err.txt ] || fault "$command --help prints $(cat out.txt err.txt)"
done

# The model program itself
c++ -std=c++20 -O0 -I "$root" lenet.cpp -o lenet "$binary/lib/libemulsion.so" -Wl,-rpath,"$binary/lib" || fault "link"
./lenet summary >out.txt && cmp out.txt summary.txt || fault "./lenet summary"
./lenet show >again.emu && cmp again.emu lenet.emu || fault "./lenet show"
expect 2 "" $'lenet: error[usage]: --batch is 0, but a training step takes 1 to 65536\n  fix: choose a number from 1 to 65536\n' \
    ./lenet build --batch 0

[ $failed = 0 ] && echo "all as expected"
exit $failed
