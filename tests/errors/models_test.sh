#!/usr/bin/env bash
# Every model in this folder has mistakes; the file of the same name with the ending .txt holds all
# that is printed for it. `emulsion` must print exactly that and end with 1.
#
# Usage: models_test.sh [--update]; --update writes what is printed into the .txt files.
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
emulsion=${EMULSION_BINARY_DIR:-$folder/../../build}/bin/emulsion
printed=$(mktemp -d)
trap 'rm -rf "$printed"' EXIT
cd "$folder"

# print_of FILE: what emulsion prints, and its exit code. The C++ compiler's own messages are left out.
print_of() {
    local code=0
    "$emulsion" summary "$1" >"$printed/$1.out" 2>"$printed/$1.err" || code=$?
    sed -n '/error\[/,$p' "$printed/$1.err" >"$printed/${1%.*}.txt"
    echo "exit $code" >>"$printed/${1%.*}.txt"
    [ ! -s "$printed/$1.out" ] || echo "on stdout: $(cat "$printed/$1.out")" >>"$printed/${1%.*}.txt"
}

failed=0 count=0
for model in *.cpp *.emu; do
    [[ "$model" != good.emu && "$model" != *_test.cpp ]] || continue
    print_of "$model"
    expected=${model%.*}.txt
    if [ "${1:-}" = --update ]; then cp "$printed/$expected" "$expected"; fi
    [ -f "$expected" ] || { echo "$model has no $expected; fix: models_test.sh --update, then read it"; failed=1; continue; }
    diff -u "$expected" "$printed/$expected" || failed=1
    count=$((count + 1))
done
"$emulsion" summary good.emu >/dev/null || { echo "good.emu is refused"; failed=1; }
[ $count -ge 30 ] || { echo "only $count models were checked"; failed=1; }
echo "$count models checked"
exit $failed
