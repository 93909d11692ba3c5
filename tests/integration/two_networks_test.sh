#!/usr/bin/env bash
# Both libraries of two networks in one static C99 program (two_networks.c): it compiles without a warning, links
# without a C++ runtime, trains and classifies; each archive shows its own prefix alone.
set -uo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$folder/../.." && pwd)
binary=${EMULSION_BINARY_DIR:-$root/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
fault() { echo "FAULT: $*"; failed=1; }

for model in "$root/examples/networks/mlp.cpp" "$folder/small_net.cpp"; do
    "$binary/bin/emulsion" build "$model" -o . --batch 16 >out.txt 2>err.txt || { cat err.txt; exit 1; }
done
rm -f ./*-train ./*-infer

archives=(mlp_train.a mlp_infer.a small_train.a small_infer.a)
for archive in "${archives[@]}"; do
    foreign=$(nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' | grep -v "^${archive%.a}_")
    [ -z "$foreign" ] || fault "$archive shows $foreign"
    [ "$(nm -g --defined-only "$archive" | grep -c " ${archive%.a}_")" -ge 7 ] || fault "$archive lacks functions"
done

cc -std=c99 -pedantic -Wall -Wextra -Werror -O1 -I . "$folder/two_networks.c" "${archives[@]}" \
    -static -lpthread -lm -o two_networks || { echo "FAULT: two_networks.c does not build"; exit 1; }
! nm -C two_networks | grep -E 'std::|__cxa_throw|__gxx_personality' || fault "the program has a C++ runtime"
for threads in 1 2; do
    ./two_networks $threads >"out$threads.txt" 2>err.txt || fault "two_networks $threads: $(cat "out$threads.txt" err.txt)"
done
diff out1.txt out2.txt || fault "two threads give other results than one"
[ "$(wc -l <out1.txt)" = 4 ] || fault "two_networks prints $(cat out1.txt)"
cat out1.txt

# The order of the archives does not matter, nor does a shared C library.
cc -std=c99 -O1 -I . "$folder/two_networks.c" small_infer.a mlp_infer.a small_train.a mlp_train.a -lpthread -lm \
    -o shared || fault "the program does not link in another order"
./shared 1 >out3.txt && diff out1.txt out3.txt || fault "another order gives other results"

# C++ takes the headers too.
printf '#include "mlp_train.h"\n#include "small_infer.h"\nint main() { return mlp_train_info()->batch != 16; }\n' >main.cpp
c++ -std=c++20 -Wall -Wextra -Werror main.cpp "${archives[@]}" -lpthread -lm -o cpp && ./cpp || fault "C++ cannot use the headers"

# Inference alone: a static program of at most 1.0 MB.
printf '#include "small_infer.h"\nint main(void) { static emulsion_sizes sizes; return small_infer_sizes(1, &sizes); }\n' >one.c
cc -std=c99 -Os one.c small_infer.a -static -lpthread -lm -s -o one && ./one || fault "inference alone does not link"
bytes=$(stat -c %s one)
echo "a static program with the inference library: $bytes bytes"
[ "$bytes" -le 1000000 ] || fault "a static program with the inference library has $bytes bytes, at most 1000000 are allowed"

[ $failed = 0 ] && echo "all as expected"
exit $failed
