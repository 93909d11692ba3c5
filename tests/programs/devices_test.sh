#!/usr/bin/env bash
# A network on devices of OpenCL and Vulkan (PoCL's and lavapipe, where nothing else is there), from the command line: it
# learns as on the processor, a run that is stopped or killed and resumed there has the bits of one that ran through, and
# checkpoints go on elsewhere and back.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build networks/lenet.cpp --batch 16 --target native,opencl,vulkan
cd "$work"
write_pictures data 10 28 150 40

./lenet-train --list-devices >devices.txt || fault "--list-devices fails"
if ! grep -q '^opencl:0 ' devices.txt; then
    skip "training on a device: $(tail -n 1 devices.txt)"
    finish
fi

# train NAME OPTION...: into the folder NAME; the lines of a run that goes on follow the former ones.
train() {
    local name=$1; shift
    ./lenet-train --data data --seed 5 --checkpoint "$name" --schedule constant --json "$@" >>"$name.out" 2>"$name.err" ||
        fault "training $name: $(cat "$name.err")"
}
# losses NAME: of every epoch.
losses() { sed -n 's/^{"event":"epoch".*"loss":\([^,]*\),"accuracy".*/\1/p' "$1.out"; }

# near NAME NAME [EPOCHS]: two epochs each, unless said, whose losses differ by less than 1e-3 of themselves.
near() {
    paste <(losses "$1") <(losses "$2") | awk -v epochs="${3:-2}" '
        NF != 2 || ($1 - $2) ^ 2 > (1e-3 * $1) ^ 2 { bad = 1 } END { exit bad || NR != epochs }' ||
        fault "losses of $1 and $2: $(losses "$1") and $(losses "$2")"
}

# Two epochs of ten steps; later, as sums round otherwise, the course is another: with some seeds in the first step, where a
# rectifier is next to zero.
train cpu --epochs 2
train device --epochs 2 --device gpu
near cpu device
losses device | awk 'NR == 1 { first = $1 } END { exit !($1 < first) }' || fault "the loss does not fall"
grep -q '"device":"opencl:0"' device.out || fault "the settings do not name the device"

# Stopped, killed, resumed.
for signal in TERM KILL; do
    ./lenet-train --data data --seed 5 --epochs 2 --schedule constant --device opencl:0 --checkpoint $signal \
        --checkpoint-minutes 0.0001 >$signal.out 2>$signal.err & pid=$!
    while kill -0 $pid 2>/dev/null && [ ! -s $signal/checkpoint ]; do sleep 0.01; done
    kill -$signal $pid 2>/dev/null || fault "the run ended before SIG$signal reached it"
    wait $pid 2>/dev/null
    ! grep -q '^weights written' $signal.out || fault "SIG$signal came too late"
    train $signal --resume --device opencl:0
    same_weights device $signal
done

# form RUN: tensors and bytes of a weights file.
form() {
    python3 - "$1/weights.safetensors" <<'PYTHON'
import json, sys
data = open(sys.argv[1], "rb").read()
size = int.from_bytes(data[:8], "little")
header = json.loads(data[8:8 + size])
header.pop("__metadata__")  # which tells of the losses
print(header, len(data) - size)
PYTHON
}

# Gone on elsewhere, and ended elsewhere; the files are of one form.
train there --epochs 1
train there --epochs 2 --resume --device opencl
train back --epochs 1 --device opencl
train back --epochs 2 --resume --device cpu
for run in there back; do
    near cpu $run
    [ "$(form $run)" = "$(form cpu)" ] || fault "weights of another form"
done

# On Vulkan, where lavapipe takes a second for a step.
if grep -q '^vulkan:0 ' devices.txt; then
    train few --steps 2
    train vulkan --steps 2 --device vulkan
    near few vulkan 1
    grep -q '"device":"vulkan:0"' vulkan.out || fault "the settings do not name the device of Vulkan"
    train resumed --steps 1 --device vulkan:0
    train resumed --steps 2 --resume --device vulkan:0
    same_weights vulkan resumed
else
    skip "training on Vulkan: $(tail -n 1 devices.txt)"
fi

# Inference there.
accuracy() { ./lenet-infer --data data --weights device/weights.safetensors --device "$1" --json; }
classes_on() { accuracy "$1" | sed 's/,"loss".*//'; }
for interface in opencl vulkan; do
    grep -q "^$interface:0 " devices.txt || continue
    [ "$(classes_on $interface)" = "$(classes_on cpu)" ] || fault "other classes on $interface"
done

# Times of each launch, and a roofline of them.
./lenet-infer --profile=p.json --trace t.json --device gpu 2>err.txt || fault "--profile: $(cat err.txt)"
python3 "$source_dir/tests/programs/check_trace.py" t.json 'launches on opencl:0' "20 run of 1 sample" || fault "the trace"
grep -q '"device": "opencl:0"' p.json || fault "the profile does not name the device"
"$binary_dir/bin/emulsion" show "$source_dir/examples/networks/lenet.cpp" --emit=roofline --profile=p.json >table.txt 2>err.txt ||
    fault "roofline: $(cat err.txt)"
for line in '^lenet, inference of 1 sample on opencl:0: medians of ' '^peak .* GFLOP/s; a launch .* us; GB/s' '  conv2 '; do
    grep -q "$line" table.txt || fault "the roofline has no '$line': $(cat table.txt)"
done

# "emulsion train" builds for the device that the trainer is asked for, unless a target says otherwise.
emulsion_train() { "$binary_dir/bin/emulsion" train "$source_dir/examples/networks/lenet.cpp" -o trained --batch 16 "$@" >out.txt 2>err.txt; }
emulsion_train --data data --steps 1 --device gpu || fault "emulsion train --device gpu: $(cat err.txt)"
grep -q '^device  *\(cuda\|opencl\):0' err.txt || fault "emulsion train --device gpu: $(cat err.txt)"
emulsion_train --target native --data data --steps 1 --device gpu && fault "a device that the trainer is not built for"
grep -q -- '--target native,cuda,opencl,vulkan' err.txt || fault "$(cat err.txt)"
if grep -q '^vulkan:0 ' devices.txt; then
    emulsion_train --data data --steps 1 --device=vulkan:0 || fault "emulsion train --device vulkan: $(cat err.txt)"
    grep -q '^device  *vulkan:0' err.txt || fault "emulsion train --device vulkan: $(cat err.txt)"
fi

# Software, auto leaves to the processor.
if ! grep -v ', software$' devices.txt | grep -q '^[a-z]*:'; then
    ./lenet-train --data data --dry-run --device auto 2>/dev/null |
        grep -q '^device  *cpu, as there is no device but software (opencl:0)' || fault "auto takes software"
fi

# Hidden, it is not there.
EMULSION_NO_DEVICE=1 ./lenet-train --data data --dry-run --device auto 2>/dev/null | grep -q '^device  *cpu, as EMULSION_NO_DEVICE is set' ||
    fault "EMULSION_NO_DEVICE hides nothing"
finish
