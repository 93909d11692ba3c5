#!/usr/bin/env bash
# tests/gpu/run where there is no GPU: on a device of OpenCL (PoCL's) each of its items passes, with nothing at hand but
# what it has prepared; without a driver it says so, and skips.
set -uo pipefail
source "$(dirname "$0")/../programs/programs_support.sh"
run=$source_dir/tests/gpu/run
export EMULSION_BINARY_DIR=$work/none
EMULSION_BINARY_DIR=$binary_dir "$run" --prepare --networks lenet --folder "$work/gpu" --batch 16 --target native,cuda,opencl ||
    fault "--prepare fails"

for arguments in "--device gpu" "--device" "--nothing"; do
    # shellcheck disable=SC2086
    "$run" $arguments 2>"$work/out.txt"
    [ $? = 2 ] && grep -q '^gpu: .*; fix: see tests/gpu/run --help$' "$work/out.txt" || fault "$arguments: $(cat "$work/out.txt")"
done
EMULSION_NO_DEVICE=1 "$run" --folder "$work/gpu" --networks lenet >"$work/out.txt" 2>&1
[ $? = 77 ] || fault "without a device it ends with another code"
[ "$(cat "$work/out.txt")" = "skipped: there is no device of cuda: EMULSION_NO_DEVICE is set" ] || fault "$(cat "$work/out.txt")"

# The tests' driver of CUDA carries bytes, but runs no kernel.
LD_LIBRARY_PATH=$binary_dir/tests/driver EMULSION_CUDA_STAND_IN=1 "$run" --folder "$work/gpu" --networks lenet --batch 16 >"$work/out.txt" 2>&1
[ $? = 1 ] || fault "where no kernel runs it ends with another code"
for line in 'passed: the runtime of cuda: ' 'FAILED: lenet: losses differ' 'FAILED: lenet: inference'; do
    grep -q "^$line" "$work/out.txt" || fault "no line '$line' where no kernel runs: $(cat "$work/out.txt")"
done

# The runtime of Vulkan (on lavapipe, which takes too long for the rest).
"$work/gpu/gpu_device_check" vulkan >"$work/out.txt" 2>&1
case $? in
    0) ;;
    77) skip "the runtime of Vulkan: $(cat "$work/out.txt")" ;;
    *) fault "the runtime of Vulkan: $(cat "$work/out.txt")" ;;
esac

"$run" --folder "$work/gpu" --networks lenet --batch 16 --device opencl:0 >"$work/out.txt" 2>&1
code=$?
if [ $code = 77 ]; then
    skip "all on a device: $(cat "$work/out.txt")"
    finish
fi
[ $code = 0 ] || fault "it ends with $code: $(cat "$work/out.txt")"
for line in 'device: opencl:0 ' 'passed: the runtime of opencl: ' 'passed: lenet: losses differ by .* after 20$' \
    'passed: lenet: 20 steps twice are the same bits$' 'passed: lenet: 8 steps and 12 resumed are the same bits$' \
    "passed: lenet: classes of 300 pictures are the processor's$" 'lenet on opencl:0: training, batch 16: [0-9][0-9.]* img/s$' \
    'lenet on opencl:0: [0-9][0-9]* bytes planned on the device' 'lenet on opencl:0: inference: [0-9][0-9.]* ms for one picture, [0-9][0-9.]* img/s' \
    'skipped: .*DeviceLibrary.*: the compiler is not on this machine$'; do
    grep -q "^$line" "$work/out.txt" || fault "no line '$line': $(cat "$work/out.txt")"
done

# tests/gpu/bench: programs that are built elsewhere, and a made-up PyTorch whose fastest variant is known.
bench=$source_dir/tests/gpu/bench
rows="lenet:train:16 lenet:infer:1"
EMULSION_BINARY_DIR=$binary_dir "$bench" --prepare --rows "$rows" --target native,cuda,opencl --folder "$work/gpu" ||
    fault "bench --prepare fails"
cat >"$work/python" <<'SCRIPT'
#!/usr/bin/env bash
# SCRIPT NET MODE BATCH VARIANT TF32
[ "$6" = tf32_off ] || { echo "ModuleNotFoundError: No module named 'torch'" >&2; exit 1; }
declare -A speeds=([eager]=4 [graphs]=8)
metric=throughput_median unit=img/s value=${speeds[$5]}
[ "$3" = train ] || { metric=latency_median unit=ms; value=$((16 / value)); }
echo "torch_$5_$6,1.0,$2,$3,$4,0,$metric,$value,$unit,1"
SCRIPT
chmod +x "$work/python"
bench() { "$bench" --folder "$work/gpu" --rows "$rows" --rounds 2 --seconds 0.1 --variants eager,graphs --python "$work/python" "$@" >"$work/out.txt" 2>&1; }
EMULSION_NO_DEVICE=1 bench
[ $? = 77 ] || fault "without a device bench ends with another code"
grep -q '^skipped: there is no device cuda:0: .*EMULSION_NO_DEVICE is set' "$work/out.txt" || fault "$(cat "$work/out.txt")"
bench --rows lenet:train
[ $? = 2 ] && grep -q "^gpu bench: the row 'lenet:train' is none; fix: " "$work/out.txt" || fault "$(cat "$work/out.txt")"
LD_LIBRARY_PATH=$binary_dir/tests/driver EMULSION_CUDA_STAND_IN=1 bench --rows lenet:infer:1
[ $? = 1 ] && grep -q "^FAILED: lenet, inference, one picture: it computes something else than the processor" "$work/out.txt" ||
    fault "bench where no kernel runs: $(cat "$work/out.txt")"
bench --device opencl:0 || fault "bench ends with $?: $(cat "$work/out.txt")"
for line in 'checked: lenet, training, batch 16 on opencl:0: 18 results are the .*' 'checked: lenet, inference, batch 1 on opencl:0: .*' \
    "left out: lenet, training, batch 16, PyTorch, TF32 on, graphs: ModuleNotFoundError: No module named 'torch'" \
    'kernels of lenet, training, batch 16: [0-9]*, .*' ' .* us .* %  forward conv1 gpu_product .*' \
    '| lenet | training, batch 16 | .* img/s | graphs: 8 img/s | .* (.*-.*) | not measured: graphs: .* | - |' \
    '| lenet | inference, one picture | .* ms | graphs: 2 ms | .* | - |' 'geometric mean against PyTorch, TF32 off: .* of 2 rows'; do
    grep -qx "$line" "$work/out.txt" || fault "bench has no line '$line': $(cat "$work/out.txt")"
done
"$bench" --table "$work/gpu/results.json" | diff - <(sed -n '/^| network/,$p' "$work/out.txt") || fault "bench --table"
finish
