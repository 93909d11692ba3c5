#!/usr/bin/env bash
# The program in README.md is examples/networks/lenet.cpp, the table below it is what `summary` prints for it, its
# roofline has the columns that `show` prints, every folder and file it names exists, and it stays within 200 lines.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
failed=0
fault() { echo "FAULT: $*"; failed=1; }

# block N: the text between the N-th pair of ``` lines.
block() { awk -v wanted="$1" '/^```/ { fence++; next } fence == 2 * wanted - 1' README.md; }

diff -u <(grep -v '^//' examples/networks/lenet.cpp) <(block 1) || fault "the program in README.md"
diff -u tests/golden/lenet.summary.txt <(block 2) || fault "the table in README.md"
header=$(grep -m1 '^ *gain ' README.md | tr -s ' ')
[ "$header" = "$(grep -m1 '^ *gain ' tests/golden/mlp.roofline.txt | tr -s ' ')" ] || fault "the roofline in README.md"
for path in $(grep -o '`[a-z_]*/[a-z_/.]*`' README.md | tr -d '`' | sort -u); do
    [ -e "$path" ] || fault "README.md names $path, which does not exist"
done
[ "$(wc -l <README.md)" -le 200 ] || fault "README.md has more than 200 lines"

[ $failed = 0 ] && echo "all as expected"
exit $failed
