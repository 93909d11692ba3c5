#!/usr/bin/env bash
# A network with a variant for CUDA, from the command line: without a driver it runs on the processor and says why, and
# with the tests' stand-in for one, which runs no kernel, whole runs go through the programs.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build networks/lenet.cpp --batch 16 --target native,cuda
cd "$work"
[ "$(stat -c %s lenet-train)" -lt 4000000 ] || fault "lenet-train has $(stat -c %s lenet-train) bytes"

# expect_line PATTERN COMMAND...: prints a line like it, and ends as --fails or not says.
expect_line() {
    local pattern=$1 code=0 wanted=0; shift
    [ "$1" = --fails ] && { wanted=1; shift; }
    "$@" >out.txt 2>&1 || code=$?
    [ $code = $wanted ] || fault "'$*' ends with $code: $(cat out.txt)"
    grep -q -- "$pattern" out.txt || fault "'$*' prints no line like '$pattern': $(cat out.txt)"
    ! grep -q 'Failure$' out.txt || fault "'$*' misuses the driver: $(cat out.txt)"
}
train="./lenet-train --data synthetic:32"

# There may be a driver on the machine that runs the tests.
./lenet-train --list-devices >devices.txt || fault "--list-devices fails"
if ! grep -q '^cuda:0 ' devices.txt; then
    missing='no driver of CUDA: libcuda.so.1: cannot open shared object file'
    expect_line "^no other device: $missing" ./lenet-infer --list-devices
    expect_line "^device  *cpu, as $missing" $train --device auto
    for device in gpu cuda cuda:1; do
        expect_line "^error: --device $device: there is no device: $missing" --fails $train --device $device
    done
    grep -q '^  fix: --list-devices shows what there is; --device cpu runs on the processor$' out.txt || fault "$(cat out.txt)"
else
    skip "no driver, as there is one: $(grep '^cuda:0' devices.txt)"
fi

export LD_LIBRARY_PATH=$binary_dir/tests/driver
expect_line '^no other device: the driver of CUDA offers no device$' ./lenet-train --list-devices
export EMULSION_CUDA_STAND_IN=1
expect_line '^cuda:0  *1024.0 MiB  toy$' ./lenet-train --list-devices
expect_line '^device  *cuda:0, toy$' $train --device gpu --checkpoint run
expect_line '"device":"cuda:0"' $train --device auto --json
expect_line 'there is no such device, but 1 other$' --fails $train --device cuda:1
expect_line '^error: --device: .opencl. is none of those that the program runs on: cpu, cuda$' \
    env bash -c "$train --device opencl || [ \$? = 2 ]"
expect_line '^device  *cpu, as EMULSION_NO_DEVICE is set$' env EMULSION_NO_DEVICE=1 $train --device auto
# No kernel has run, so the weights have gone up and down as the seed makes them.
expect_line '^device' $train --device gpu --checkpoint again --epochs 1
values() { tail -c $((454922 * 4)) "$1/weights.safetensors"; }
cmp <(values run) <(values again) || fault "weights change on the way"
expect_line '^device' $train --device gpu --checkpoint other --seed 2
! cmp -s <(values run) <(values other) || fault "weights do not reach the device and come back"
expect_line '"class"' ./lenet-infer --weights run/weights.safetensors --data synthetic:16 --device cuda --take 1 --json
finish
