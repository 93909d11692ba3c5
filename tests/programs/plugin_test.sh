#!/usr/bin/env bash
# Libraries of two networks inside a shared object (two_networks.c as a plugin): it links without text relocations, shows
# its own function alone, and can be loaded, called and unloaded again and again, two copies at once, without leaving a
# thread or a mapping. Its results are those of the static program.
set -uo pipefail
source "$(dirname "$0")/programs_support.sh"
build networks/mlp.cpp --batch 16
build small_net.cpp --batch 16
cp "$source_dir"/tests/programs/{two_networks.c,plugin_host.c} "$work"
cd "$work"

archives=(mlp_train.a mlp_infer.a small_train.a small_infer.a)
flags=(-std=c99 -D_GNU_SOURCE -pedantic -Wall -Wextra -Werror -O1 -I .)
echo '{ global: plugin_main; local: *; };' >plugin.map
cc "${flags[@]}" -fPIC -shared -Dmain=plugin_main -Wl,-z,defs -Wl,-z,text -Wl,--version-script=plugin.map \
    two_networks.c "${archives[@]}" -lpthread -lm -o plugin.so >link.log 2>&1 ||
    { fault "the plugin does not link: $(cat link.log)"; finish; }
[ "$(nm -D --defined-only plugin.so | awk '{ print $3 }')" = plugin_main ] || fault "the plugin shows $(nm -D --defined-only plugin.so)"
cc "${flags[@]}" two_networks.c "${archives[@]}" -lpthread -lm -o program || fault "the program does not link"
cc "${flags[@]}" plugin_host.c -ldl -o host || { fault "the host does not build"; finish; }

./program 3 >expected.txt || fault "the program fails"
cp plugin.so copy.so
./host ./plugin.so ./copy.so >host.txt 2>host.err || fault "loading and unloading: $(cat host.err)"
for ((i = 0; i < 6; i++)); do cat expected.txt; done | diff - host.txt || fault "the plugin gives other results"
finish
