# Shared by the tests of this folder: builds networks into a temporary folder, $work.
source_dir=${EMULSION_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
binary_dir=${EMULSION_BINARY_DIR:-$source_dir/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0

fault() { echo "fault: $*"; faults=$((faults + 1)); }

# build FILE OPTIONS...: libraries and programs of one network into $work.
build() {
    local file=$1; shift
    "$binary_dir/bin/emulsion" build "$source_dir/examples/$file" -o "$work" "$@" >"$work/build.log" 2>&1 ||
        { cat "$work/build.log"; echo "fault: $file could not be built"; exit 1; }
}
