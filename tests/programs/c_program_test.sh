#!/usr/bin/env bash
# A C99 program links the libraries of two networks with the C compiler alone, and the libraries keep to themselves:
# no visible symbol beyond their interface, nothing undefined beyond libc, libm and pthread.
set -u
source "$(dirname "$0")/programs_support.sh"
build lesson_01_one_conv.cpp --batch 16 --infer-batch 1 --infer-batch 4
build networks/mlp.cpp

for mode in train infer; do
    library=$work/one_conv_$mode.a
    strangers=$(nm -g --defined-only "$library" | awk 'NF == 3 { print $3 }' | grep -v "^one_conv_${mode}_")
    [ -z "$strangers" ] || fault "one_conv_$mode.a shows symbols that are not of its interface: $strangers"
    # Whatever the library leaves undefined must be in libc, libm or libpthread.
    echo 'int main(void) { return 0; }' >"$work/empty.c"
    cc "$work/empty.c" -Wl,--whole-archive "$library" -Wl,--no-whole-archive -o "$work/whole" -lpthread -lm \
        >"$work/link.log" 2>&1 || fault "one_conv_$mode.a needs more than libc, libm and pthread: $(cat "$work/link.log")"
done

cc -std=c99 -pedantic -Wall -Wextra -Werror -O1 -I"$work" "$source_dir/tests/programs/two_networks.c" \
    "$work/one_conv_train.a" "$work/one_conv_infer.a" "$work/mlp_infer.a" -o "$work/two_networks" -lpthread -lm ||
    fault "the C99 program does not compile and link"
if readelf -d "$work/two_networks" | grep -q 'libstdc++\|libgcc_s'; then fault "the C99 program needs the C++ runtime"; fi
timeout 120 "$work/two_networks" || fault "the C99 program failed"
exit $((faults > 0))
