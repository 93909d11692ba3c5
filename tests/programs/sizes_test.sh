#!/usr/bin/env bash
# Programs stay small: lenet-train below 5 MB stripped and needing nothing beyond glibc's own libraries; a static C
# program with lenet's inference library below 1.0 MB, weights apart. Sizes are in units of 1,000,000 bytes.
set -u
source "$(dirname "$0")/programs_support.sh"
build networks/lenet.cpp

# at_most FILE BYTES: the size of the stripped file.
at_most() {
    strip -o "$work/stripped" "$1"
    local bytes
    bytes=$(stat -c %s "$work/stripped")
    echo "$(basename "$1"): $bytes bytes stripped, at most $2"
    [ "$bytes" -le "$2" ] || fault "$(basename "$1") has $bytes bytes, more than $2"
}

for program in lenet-train lenet-infer; do
    at_most "$work/$program" 5000000
    others=$(readelf -d "$work/$program" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
             grep -vE '^(libc|libm|libpthread|libdl|librt)\.so\.[0-9]+$|^ld-linux-x86-64\.so\.2$')
    [ -z "$others" ] || fault "$program needs shared libraries beyond glibc's: $others"
done

cc -std=c99 -Os -static -I"$work" "$source_dir/tests/programs/smallest.c" "$work/lenet_infer.a" \
    -o "$work/smallest" -lpthread -lm || fault "the static program does not link"
at_most "$work/smallest" 1000000

# The program says what lenet-infer's library says: with weights of zero every class is equal, and the first wins.
head -c 4000000 /dev/zero >"$work/weights"
head -c 3136 /dev/zero >"$work/picture"
[ "$("$work/smallest" "$work/weights" "$work/picture")" = "0 0.100" ] || fault "the static program does not run"
finish
