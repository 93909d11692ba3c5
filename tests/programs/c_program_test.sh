#!/usr/bin/env bash
# Both libraries of two networks in one static C99 program (two_networks.c): it compiles without a warning, links
# without a C++ runtime, trains and classifies. The libraries keep to themselves: no visible symbol beyond their
# interface, nothing undefined beyond libc, libm and pthread.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build networks/mlp.cpp --batch 16
build small_net.cpp --batch 16
cp "$source_dir/tests/programs/two_networks.c" "$work"
cd "$work"

archives=(mlp_train.a mlp_infer.a small_train.a small_infer.a)
echo 'int main(void) { return 0; }' >empty.c
for archive in "${archives[@]}"; do
    foreign=$(nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' | grep -v "^${archive%.a}_")
    [ -z "$foreign" ] || fault "$archive shows $foreign"
    [ "$(nm -g --defined-only "$archive" | grep -c " ${archive%.a}_")" -ge 7 ] || fault "$archive lacks functions"
    # Whatever the library leaves undefined must be in libc, libm or libpthread.
    cc empty.c -Wl,--whole-archive "$archive" -Wl,--no-whole-archive -o whole -lpthread -lm >link.log 2>&1 ||
        fault "$archive needs more than libc, libm and pthread: $(cat link.log)"
done

cc -std=c99 -pedantic -Wall -Wextra -Werror -O1 -I . two_networks.c "${archives[@]}" -static -lpthread -lm \
    -o two_networks || { fault "two_networks.c does not build"; finish; }
! nm -C two_networks | grep -E 'std::|__cxa_throw|__gxx_personality' || fault "the program has a C++ runtime"
for threads in 1 2; do
    ./two_networks $threads >out$threads.txt 2>err.txt ||
        fault "two_networks $threads: $(cat out$threads.txt err.txt)"
done
diff out1.txt out2.txt || fault "two threads give other results than one"
[ "$(wc -l <out1.txt)" = 4 ] || fault "two_networks prints $(cat out1.txt)"

# The order of the archives does not matter, nor does a shared C library.
cc -std=c99 -O1 -I . two_networks.c small_infer.a mlp_infer.a small_train.a mlp_train.a -lpthread -lm -o shared ||
    fault "the program does not link in another order"
if readelf -d shared | grep -q 'libstdc++\|libgcc_s'; then fault "the C99 program needs the C++ runtime"; fi
./shared 1 >out3.txt && diff out1.txt out3.txt || fault "another order gives other results"

# C++ takes the headers too.
printf '#include "mlp_train.h"\n#include "small_infer.h"\nint main() { return mlp_train_info()->batch != 16; }\n' >main.cpp
c++ -std=c++20 -Wall -Wextra -Werror main.cpp "${archives[@]}" -lpthread -lm -o cpp && ./cpp ||
    fault "C++ cannot use the headers"
finish
