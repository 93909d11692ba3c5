#!/usr/bin/env bash
# Two builds of one network in two folders, each with a cache of its own, give the same bytes of library, header and
# manifest, with any number of compiling processes.
set -u
source "$(dirname "$0")/programs_support.sh"
mkdir "$work/a" "$work/b"
cp "$source_dir/examples/networks/lenet.cpp" "$work/a/lenet.cpp"
cp "$source_dir/examples/networks/lenet.cpp" "$work/b/lenet.cpp"
(cd "$work/a" && export XDG_CACHE_HOME=$work/a/cache && on_one_processor "$binary_dir/bin/emulsion" build lenet.cpp -o out --threads 2) >/dev/null 2>&1 ||
    fault "the first build failed"
XDG_CACHE_HOME=$work/b/cache "$binary_dir/bin/emulsion" build "$work/b/lenet.cpp" -o "$work/b/out" --threads 2 >/dev/null 2>&1 ||
    fault "the second build failed"
for file in lenet_train.a lenet_infer.a lenet_train.h lenet_infer.h lenet_train.json lenet_infer.json; do
    cmp "$work/a/out/$file" "$work/b/out/$file" || fault "$file differs between the two folders"
done
finish
