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

# Example networks whose kernels are measured; tests/networks/parameters_test.sh has all of them
measured="densenet121 lenet mlp mobilenet_v1 mobilenet_v2 resnet18 resnet18_cifar resnet20 resnet50 squeezenet1_1 vgg16"
for net in $measured; do
    "$emulsion" show "$root/examples/networks/$net.cpp" --emit=graph >$net.emu || fault "show $net"
    golden $net.graph.txt $net.emu
    "$emulsion" show $net.emu >again.emu || fault "show $net.emu"
    cmp $net.emu again.emu || fault "$net.emu does not print as itself"
done
"$emulsion" summary "$root/examples/networks/lenet.cpp" >summary.txt
golden lenet.summary.txt summary.txt
# Parameters and multiply-adds of the same networks in PyTorch (tests/bench/peers/nets.py list).
for net in $measured; do
    printf '%s ' $net; "$emulsion" summary $net.emu | awk '$1 == "total" { print $2, $3 }'
done >totals.txt
diff -u - totals.txt <<'TEXT' || fault "parameters and multiply-adds of the networks"
densenet121 7,978,856 2,834,161,664
lenet 454,922 11,065,088
mlp 636,010 635,200
mobilenet_v1 4,231,976 568,740,352
mobilenet_v2 3,504,872 300,774,272
resnet18 11,689,512 1,814,073,344
resnet18_cifar 11,173,962 555,422,720
resnet20 272,474 40,813,184
resnet50 25,557,032 4,089,184,256
squeezenet1_1 1,235,496 349,151,936
vgg16 138,357,544 15,470,264,320
TEXT


# Updates at once: of a .emu file, and through the program that a .cpp file becomes
net=resnet18
for file in $net.emu "$root/examples/networks/$net.cpp"; do
    "$emulsion" show "$file" --emit=plan --update=at-once >plan.txt || fault "show --update=at-once"
    grep -q "^plan $net training update=at-once" plan.txt || fault "the plan of $file does not update at once"
    "$emulsion" show "$file" --emit=plan --update=apart >plan.txt || fault "show --update=apart"
    ! grep -q "at-once" plan.txt || fault "the plan of $file updates at once"
done

# A user's own file is free of warnings, and its header is light.
halide=$(echo "$root"/.venv/lib/python3*/site-packages/halide/include)  # of files with ops of their own
for file in "$root"/examples/*.cpp "$folder/every_layer.cpp"; do
    c++ -std=c++20 -fsyntax-only -Wall -Wextra -Wshadow -Wconversion -Wpedantic -Werror -I "$root" -isystem "$halide" -DFMT_HEADER_ONLY "$file" ||
        fault "$file has warnings"
done
"$emulsion" build "$folder/every_layer.cpp" --batch 4 -o every >every.txt 2>&1 || fault "every_layer.cpp does not build: $(cat every.txt)"
lines=$(c++ -std=c++20 -E -P -I "$root" "$root/examples/networks/lenet.cpp" | wc -l)
[ "$lines" -gt 1000 ] && [ "$lines" -lt 60000 ] || fault "lenet.cpp is $lines lines with what it includes"

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
expect 2 "" $'emulsion: error[usage]: \'sse9\' is no target\n  fix: choose one of native, portable, x86-64, avx2, avx512, with ,cuda or ,opencl or ,vulkan behind it for devices\n' \
    "$emulsion" build $net --target sse9
expect 2 "" $'emulsion: error[usage]: \'\' is no target\n  fix: choose one of native, portable, x86-64, avx2, avx512, with ,cuda or ,opencl or ,vulkan behind it for devices\n' \
    "$emulsion" build $net --target native,
expect 2 "" $'emulsion: error[usage]: --target \'native,opencl,opencl\' names opencl twice\n  fix: name each once\n' \
    "$emulsion" build $net --target native,opencl,opencl
expect 2 "" $'emulsion: error[usage]: --target \'avx2,opencl,avx512\' names avx2 and avx512, but a library is of one target of processors\n  fix: choose one of them, or portable, which holds all instruction sets\n' \
    "$emulsion" build $net --target avx2,opencl,avx512
expect 2 "" $'emulsion: error[usage]: --target \'cuda,opencl\' names devices alone, but a library runs on processors too\n  fix: write native,cuda,opencl\n' \
    "$emulsion" build $net --target cuda,opencl
expect 2 "" $'emulsion: error[usage]: --target \'opencl\' names devices alone, but a library runs on processors too\n  fix: write native,opencl\n' \
    "$emulsion" build $net --target opencl
expect 1 "" $'emulsion: error[usage]: --target names opencl, but kernels of devices are not tuned yet\n  fix: write --target avx2\n' \
    "$emulsion" tune $net --target avx2,opencl
for target in native,cuda,opencl,vulkan vulkan,opencl,native,cuda; do  # variants have an order of their own
    "$emulsion" show $net --emit=plan --target $target >$target.txt || fault "show --target $target"
done
cmp native,cuda,opencl,vulkan.txt vulkan,opencl,native,cuda.txt || fault "the order of --target changes the plan"
expect 2 "" $'emulsion: error[usage]: \'tree\' is no stage\n  fix: choose one of graph, optimized, plan, choices, loops, stmt, llvm, asm, roofline\n' \
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

expect 2 "" $'emulsion: error[usage]: Could not convert: --infer-batch = one\n  fix: see emulsion --help\n' \
    "$emulsion" build --infer-batch one $net
expect 2 "" $'emulsion: error[usage]: --infer-batch is -1, but an inference takes 1 to 65536\n  fix: choose a number from 1 to 65536\n' \
    "$emulsion" build --infer-batch -1 $net

# A memory budget: its size, what it costs, and where it does nothing
for size in 100M 0B -1kB 1e3 "1 GB" inf 9999999999GiB; do
    expect 2 "" "emulsion: error[usage]: --memory-budget is '$size', but must be an amount of memory"$'\n  fix: write --memory-budget=512MiB or --memory-budget=1.5GB; units are B, kB, MB, GB, KiB, MiB and GiB\n' \
        "$emulsion" build $net "--memory-budget=$size"
done
"$emulsion" show resnet20.emu --emit=plan --batch 32 --memory-budget=20.5MiB >plan.txt 2>err.txt || fault "show --memory-budget: $(cat err.txt)"
grep -q "# memory budget of 21495808 bytes: " plan.txt || fault "the plan does not say what the budget costs"
grep -q "# again, for the memory budget; " plan.txt || fault "the plan does not say what runs again"

# What has no part in a stage is refused, not ignored
expect 2 "" $'emulsion: error[usage]: The following arguments were not expected: file.emu -o\n  fix: see emulsion --help\n' \
    "$emulsion" show $net -o file.emu
refuse_at() {  # refuse_at STAGE OPTIONS...: each is refused beside the stage
    local stage=$1 option; shift
    for option in "$@"; do
        expect 2 "" "emulsion: error[usage]: ${option%%=*} has no part in the stage $stage"$'\n  fix: name another stage with --emit, or leave it out\n' \
            "$emulsion" show $net --emit=$stage $option
    done
}
compiled=(--jobs=1 --no-cache --checked)
planned=(--memory-budget=1GB --threads=1 --target=avx2 --machine=none --records=my.records --no-records)
refuse_at graph --batch=2 --infer-batch=2 --exact --update=apart "${planned[@]}" "${compiled[@]}"
refuse_at optimized "${planned[@]}" "${compiled[@]}"
for stage in plan loops stmt asm; do refuse_at $stage "${compiled[@]}"; done
expect 2 "" $'emulsion: error[usage]: --jobs has no part in the stage roofline\n  fix: name another stage with --emit, or leave it out\n' \
    "$emulsion" show $net --emit=roofline --profile=p.json --jobs 1
for option in --no-cache --checked; do
    expect 2 "" "emulsion: error[usage]: The following argument was not expected: $option"$'\n  fix: see emulsion --help\n' \
        "$emulsion" tune $net $option
done
expect 2 "" $'emulsion: error[usage]: The following arguments were not expected: out -o\n  fix: see emulsion --help\n' \
    "$emulsion" tune $net -o out
# What has a part reaches a model program, which is given what `emulsion` is.
for stage in optimized plan loops; do
    "$emulsion" show "$root/examples/networks/mlp.cpp" --emit=$stage --batch 3 >stage.txt 2>err.txt || fault "show --emit=$stage: $(cat err.txt)"
    [ -s stage.txt ] || fault "show --emit=$stage prints nothing"
done

# What this build lacks is refused by name
expect 2 "" $'emulsion: error[unsupported]: the target \'aarch64\' is not in this build\n  fix: choose one of native, portable, x86-64, avx2, avx512, with ,cuda or ,opencl or ,vulkan behind it for devices\n' \
    "$emulsion" build $net --target aarch64
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
mkfifo pipe.emu
expect 1 "" $'emulsion: error[file]: \'pipe.emu\': expected a model, but this is no plain file\n  fix: give the path of a .emu file that you may read\n' \
    timeout -s KILL 20 "$emulsion" show pipe.emu
touch file
expect 1 "" $'emulsion: error[output]: files cannot be written to the output folder \'file/out\': cannot make the folder: a part of the path is no folder\n  fix: name a folder that you may write to with -o\n' \
    "$emulsion" build $net -o file/out
# The list of dependencies has a place of its own, tried before the build.
cp $net own.emu
expect 1 "" $'emulsion: error[output]: --depfile \'own.emu\' would replace own.emu\n  fix: give it a file of its own\n' \
    "$emulsion" build own.emu -o list --depfile own.emu
expect 1 "" $'emulsion: error[file]: \'file/list\': cannot write the file: a part of the path is no folder\n  fix: choose another path\n' \
    "$emulsion" build own.emu -o list --depfile file/list
[ ! -e list ] || fault "a build whose list has no place has begun"
"$emulsion" build own.emu -o list --depfile list/lenet.d >/dev/null || fault "a list in a folder that the build makes"
"$emulsion" build own.emu -o list --depfile list/lenet_train.a >/dev/null 2>list.err && fault "a list in the place of a product"
grep -q "^emulsion: error\[output\]: --depfile 'list/lenet_train.a' would replace list/lenet_train.a" list.err || fault "$(cat list.err)"
[ "$(head -c 7 list/lenet_train.a)" = '!<arch>' ] || fault "the list has replaced a product"
cmp $net own.emu || fault "the list has replaced the model"
expect 1 "" $'emulsion: error[output]: files cannot be written to the output folder \'/proc\': No such file or directory\n  fix: name a folder that you may write to with -o\n' \
    "$emulsion" build $net -o /proc
expect 1 "" $'emulsion: error[temporary]: no temporary folder can be made in \'/proc\': No such file or directory\n  fix: set TMPDIR to a folder that you may write to, on a disk with free space\n' \
    env TMPDIR=/proc "$emulsion" summary lenet.cpp

expect 1 "" $'emulsion: error[temporary]: no temporary folder can be made in \'/nope\': No such file or directory\n  fix: set TMPDIR to a folder that you may write to, on a disk with free space\n' \
    env TMPDIR=/nope "$emulsion" summary lenet.cpp
mkdir temporary
for folder in "" temporary; do
    TMPDIR=$folder "$emulsion" summary lenet.cpp 2>&1 | cmp - summary.txt || fault "TMPDIR='$folder'"
done
[ -z "$(ls temporary)" ] || fault "left in the temporary folder: $(ls temporary)"

# Output that does not arrive is a failure
for command in "summary lenet.cpp" "show lenet.cpp" "show $net" "build $net" "build lenet.cpp" "--help" "build --help" "--version"; do
    expect_lost() {
        local reason=$1 code=0; shift
        "$@" 2>err.txt || code=$?
        [ $code = 1 ] && grep -q "error\[output\]: standard output cannot be written: $reason" err.txt ||
            fault "$command with its output lost ends with $code: $(cat err.txt)" >&2
    }
    # shellcheck disable=SC2086
    expect_lost "\(No space left on device\|a write failed\)" "$emulsion" $command >/dev/full
    # shellcheck disable=SC2086
    expect_lost "\(it is closed\|a write failed\)" "$emulsion" $command >&-
done

# A pipe that does not block and is full for a moment is waited for
python3 - "$emulsion" show resnet18.emu >pipe.out 2>err.txt <<'PYTHON' || fault "a pipe that does not block: $(cat err.txt)"
import os, subprocess, sys, time
reader, writer = os.pipe()
os.set_blocking(writer, False)
filled = 0
try:
    while True:
        filled += os.write(writer, bytes(4096))
except BlockingIOError:
    pass
process = subprocess.Popen(sys.argv[1:], stdout=writer)
os.close(writer)
asleep = 0
while asleep < 20 and process.poll() is None:  # it sleeps when it has met the full pipe
    time.sleep(0.01)
    with open(f"/proc/{process.pid}/stat") as stat:
        asleep = asleep + 1 if stat.read().rpartition(")")[2].split()[0] == "S" else 0
text = b""
while data := os.read(reader, 1 << 16):
    text += data
sys.stdout.buffer.write(text[filled:])
sys.exit(process.wait())
PYTHON
cmp pipe.out resnet18.emu || fault "a pipe that does not block loses something"

# Names that look like options, a compiler behind another program
cp lenet.cpp ./-dash.cpp && cp lenet.cpp ./@file.cpp
"$emulsion" summary -- -dash.cpp | cmp - summary.txt || fault "-dash.cpp"
"$emulsion" summary @file.cpp | cmp - summary.txt || fault "@file.cpp"
CXX="env -u NOTHING c++" "$emulsion" summary lenet.cpp | cmp - summary.txt || fault "CXX of several words"
rm ./-dash.cpp ./@file.cpp

# Products of two networks, of one name for C
sed 's/lenet/le-net/' $net >le-net.emu && sed 's/lenet/le_net/' $net >le_net.emu
"$emulsion" build le-net.emu -o shared >/dev/null || fault "le-net"
expect 1 "" $'emulsion: error[output]: \'shared/le_net_train.json\' is of the network "le-net", and the products of \'le_net\' would have the same names\n  fix: name another folder with -o, or give one of the networks another name\n' \
    "$emulsion" build le_net.emu -o shared
"$emulsion" build le-net.emu -o shared >/dev/null || fault "le-net again"

# A manifest that is none of ours is not read whole, nor waited for
mkdir foreign && truncate -s 17M foreign/le_net_train.json
expect 1 "" $'emulsion: error[output]: \'foreign/le_net_train.json\': the manifest has 17825792 bytes; the limit is 16777216\n  fix: name another folder with -o, or move this file away\n' \
    "$emulsion" build le-net.emu -o foreign
rm foreign/* && mkfifo foreign/le_net_train.json
expect 1 "" $'emulsion: error[output]: \'foreign/le_net_train.json\': cannot write the file: it is a pipe\n  fix: choose the path of a plain file\n' \
    timeout -s KILL 100 "$emulsion" build le-net.emu -o foreign

# A build that fails leaves the former products whole: a limit on the size of files, a full disk
sums() { (cd shared && sha256sum *); }
sums >sums.txt
sed -i 's/dense1\.b/dense1.bias/g' le-net.emu
(ulimit -f 200; "$emulsion" build le-net.emu -o shared >out.txt 2>err.txt) && fault "a build with limited files passes"
grep -q 'fix: raise the limit' err.txt || fault "a limit on the size of files: $(cat err.txt)"
sums | diff sums.txt - || fault "a build that failed changed the products"
(ulimit -f 4; "$emulsion" summary lenet.cpp >out.txt 2>err.txt) && fault "a model compiled with limited files passes"
grep -q 'fix: raise the limit of file sizes (ulimit -f), which is 4096 bytes' err.txt ||
    fault "a model compiled with limited files: $(cat err.txt)"
full_disk() {  # in a name space of mounts of its own
    mount -t tmpfs -o size=4m none "$1" && cp shared/* "$1"/ || return 77
    "$emulsion" build le-net.emu -o "$1" >out.txt 2>err.txt && return 1
    (cd "$1" && sha256sum *) | diff sums.txt -
}
export -f full_disk && export emulsion
mkdir disk && unshare -m true 2>/dev/null && {
    code=0
    unshare -m bash -c 'full_disk disk' >out2.txt 2>&1 || code=$?
    [ $code = 77 ] || { [ $code = 0 ] || fault "a full disk: $(cat out2.txt)"
        grep -q 'fix: free some space' err.txt || fault "a full disk: $(cat err.txt)"; }
}

expect 1 "" $'emulsion: error[profile]: \'p.json\': cannot open the profile: no such file or folder\n  fix: write one with NET-train --profile=FILE or NET-infer --profile=FILE, where NET is the network\n' \
    "$emulsion" show $net --emit=roofline --profile=p.json

# Help and version go to stdout
"$emulsion" --version >out.txt 2>err.txt || fault "--version"
grep -q '^emulsion [0-9.]*$' out.txt && [ ! -s err.txt ] || fault "--version prints $(cat out.txt err.txt)"
for command in "" build show summary train; do
    "$emulsion" $command --help >out.txt 2>err.txt || fault "$command --help"
    grep -q '^Usage: emulsion' out.txt && [ ! -s err.txt ] || fault "$command --help prints $(cat out.txt err.txt)"
done

# Settings of a model file
cat >family.cpp <<'CPP'
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int width = settings.integer("width", 4);
    Model m("family" + std::to_string(width));
    m.classify(dense(relu(dense(m.input("x", {3}), width)), 2));
    return compile(m, settings);
}
CPP
"$emulsion" summary family.cpp >out.txt || fault "a model with settings"
[ "$(head -1 out.txt) $(tail -1 out.txt)" = "family4: layers of one sample settings: width=4" ] || fault "settings by default: $(cat out.txt)"
"$emulsion" summary family.cpp --set width=6 >out.txt || fault "--set"
[ "$(head -1 out.txt) $(tail -1 out.txt)" = "family6: layers of one sample settings: width=6" ] || fault "--set width=6: $(cat out.txt)"
expect 1 "" $'family.cpp:6: error[setting]: the setting \'width\' is \'x\', which is not a whole number from 1 to 1048576\n  fix: write --set width=VALUE with a whole number from 1 to 1048576\n' \
    "$emulsion" build family.cpp --set width=x
expect 1 "" $'error[setting]: the model file has no setting \'width\'\n  fix: leave --set out, or ask for the setting with Settings::integer(), number(), boolean() or word(), and call compile(model, settings)\n' \
    "$emulsion" show lenet.cpp --set=width=3
expect 2 "" $'emulsion: error[usage]: --set is given, but \'lenet.emu\' has no settings\n  fix: name a model file in C++, or leave --set out\n' \
    "$emulsion" show lenet.emu --set width=3

# The model program itself
c++ -std=c++20 -O0 -I "$root" lenet.cpp -o lenet "$binary/lib/libemulsion.so" -Wl,-rpath,"$binary/lib" || fault "link"
./lenet summary >out.txt && cmp out.txt summary.txt || fault "./lenet summary"
./lenet show >again.emu && cmp again.emu lenet.emu || fault "./lenet show"
expect 2 "" $'lenet: error[usage]: --batch is 0, but a training step takes 1 to 65536\n  fix: choose a number from 1 to 65536\n' \
    ./lenet build --batch 0

[ $failed = 0 ] && echo "all as expected"
exit $failed
