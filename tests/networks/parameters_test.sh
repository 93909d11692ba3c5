#!/usr/bin/env bash
# The networks of examples/networks/, members of families too, as graphs: each model file compiles without a warning, prints
# text that reads as itself, and has as many parameters as the literature or PyTorch says. tests/dsl/program_test.sh has those
# whose kernels are measured, with multiply-adds.
set -uo pipefail

root=${EMULSION_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
binary=${EMULSION_BINARY_DIR:-$root/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
fault() { echo "FAULT: $*"; failed=1; }

# All of them become one program, each in a namespace of its own, which runs the one that is its first word: so the header is
# compiled once.
networks=()
for file in "$root"/examples/networks/*.cpp; do networks+=("$(basename "$file" .cpp)"); done
{
    sed -n 's/^#include <.*>$/&/p' "$root"/examples/networks/*.cpp | sort -u
    printf '#include "examples/networks/blocks.h"\n#include <string_view>\n'
    for net in "${networks[@]}"; do printf 'namespace net_%s {\n#include "examples/networks/%s.cpp"\n}\n' "$net" "$net"; done
    printf 'int main(int, char** argv) {\n    int argc = 0;\n    while (argv[argc + 1] != nullptr) argc++;\n'
    for net in "${networks[@]}"; do printf '    if (std::string_view(argv[1]) == "%s") return net_%s::main(argc, argv + 1);\n' "$net" "$net"; done
    printf '}\n'
} >all.cpp
c++ -std=c++20 -O0 -Wall -Wextra -Wshadow -Wconversion -Wpedantic -Werror -I "$root" all.cpp -o all "$binary/lib/libemulsion.so" -Wl,-rpath,"$binary/lib" ||
    { fault "the networks do not compile"; exit 1; }

# FILE [--set NAME=VALUE...] PARAMETERS. What the literature does not say: LeNet-5 has 840 fixed values of codes beside its 60,000;
# Inception v2 is 11,295,240 with biases in front of its batch norms.
table() {
    cat <<'TABLE'
alexnet 60,965,224
alexnet groups=1 62,378,344
alphago_zero 22,827,877
ciresan_mlp 12,115,010
convnetjs_cifar10 22,466
deep_belief 43,291
deep_belief stage=2 46,970
densenet121 7,978,856
efficientnet 5,288,548
efficientnet form=B1 7,794,184
efficientnet form=B2 9,109,994
efficientnet form=B3 12,233,232
efficientnet form=B4 19,341,616
efficientnet form=B5 30,389,784
efficientnet form=B6 43,040,704
efficientnet form=B7 66,347,960
efficientnet form=Lite0 4,652,008
enet 377,758
face_finder 951
googlenet 13,378,280
googlenet auxiliary=false 6,998,552
graph_classifier 8,962
graph_classifier vertices=true 642
highway 141,760
image_filters 0
image_filters classify=true 1,970
inception_v2 11,285,224
inception_v3 23,834,568
inception_v3 auxiliary=true 27,161,264
inception_v4 42,679,816
kim_sentences 11,619,902
lenet 454,922
lenet5 60,840
lenet_family 61,706
lenet_family convolutions=3 dense=1 20,574
mlp 636,010
mobilenet_v1 4,231,976
mobilenet_v2 3,504,872
nin 7,595,176
openpose 52,311,446
overfeat 145,920,872
resnet 25,557,032
resnet depth=18 11,689,512
resnet depth=34 21,797,672
resnet depth=101 44,549,160
resnet depth=152 60,192,808
resnet depth=34 plain=true 21,623,848
resnet18 11,689,512
resnet18_cifar 11,173,962
resnet18_fashion 11,172,810
resnet20 272,474
resnet50 25,557,032
speech_commands 926,860
speech_commands spectrogram=true 926,860
squeezenet1_0 1,248,424
squeezenet1_1 1,235,496
vgg 138,357,544
vgg form=A 132,863,336
vgg form=A-LRN 132,863,336
vgg form=B 133,047,848
vgg form=C 133,638,952
vgg form=E 143,667,240
vgg16 138,357,544
zfnet 62,357,608
zipcode1989 9,760
TABLE
}

seen=" "
while read -r net words; do
    expected=${words##* } settings=()
    for word in $words; do [ "$word" = "$expected" ] || settings+=(--set "$word"); done
    seen+="$net "
    found=$(./all "$net" summary "${settings[@]}" | awk '$1 == "total" { print $2 }')
    [ "$found" = "$expected" ] || fault "$net ${settings[*]} has ${found:-no} parameters, not $expected"
done < <(table)

for net in "${networks[@]}"; do
    [[ $seen == *" $net "* ]] || fault "$net.cpp has no row in the table"
    ./all "$net" show >text.emu && "$binary/bin/emulsion" show text.emu | cmp - text.emu || fault "the text of $net does not read as itself"
done
[ $failed = 0 ] && echo "all as expected"
exit $failed
