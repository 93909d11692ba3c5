# Shared by the tests of this folder: builds networks into a temporary folder, $work.
source_dir=${EMULSION_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
binary_dir=${EMULSION_BINARY_DIR:-$source_dir/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0 skips=0

fault() { echo "fault: $*"; faults=$((faults + 1)); }
skip() { echo "skipped: $*"; skips=$((skips + 1)); }

# on_one_processor COMMAND...: runs it on the first processor that this process may use.
on_one_processor() {
    local allowed
    allowed=$(taskset -cp $BASHPID) && allowed=${allowed##*: }
    taskset -c "${allowed%%[,-]*}" "$@"
}

# The exit code of a test: 1 after a fault, 77 where a part was skipped.
finish() {
    if [ $faults -gt 0 ]; then exit 1; fi
    if [ $skips -gt 0 ]; then exit 77; fi
    exit 0
}

# build FILE OPTIONS...: libraries and programs of one network, of examples/ or this folder, into $work.
build() {
    local file=$1; shift
    [ -f "$source_dir/examples/$file" ] && file=examples/$file || file=tests/programs/$file
    "$binary_dir/bin/emulsion" build "$source_dir/$file" -o "$work" "$@" >"$work/build.log" 2>&1 ||
        { cat "$work/build.log"; echo "fault: $file could not be built"; exit 1; }
}

# write_pictures FOLDER CLASSES SIDE TRAIN TEST: IDX files of so many square pictures, noise with stripes for each class.
write_pictures() {
    mkdir -p "$1"
    python3 - "$@" <<'PYTHON'
import random, struct, sys
folder, (classes, side, *counts) = sys.argv[1], map(int, sys.argv[2:])
random.seed(1)
for part, count in zip(("train", "t10k"), counts):
    labels = bytes(random.randrange(classes) for _ in range(count))
    pixels = bytes(random.randrange(60) + (180 if (i // side + i) % classes == label else 0)
                   for label in labels for i in range(side * side))
    with open(f"{folder}/{part}-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">4i", 2051, count, side, side) + pixels)
    with open(f"{folder}/{part}-labels-idx1-ubyte", "wb") as file:
        file.write(struct.pack(">2i", 2049, count) + labels)
PYTHON
}

# same_weights RUN RUN: the folders of two runs hold the same bytes.
same_weights() {
    cmp "$1/weights.safetensors" "$2/weights.safetensors" || fault "$1 and $2 have other weights"
}
