#!/usr/bin/env bash
# setup.sh says clearly what is wrong on a machine that it cannot set up. Each case runs it in a copy of its folder,
# with programs of the system replaced by fakes in front of PATH.
set -u
source=${EMULSION_SOURCE_DIR:?set by ctest}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/project/compiler" "$work/fakes"
cp -r "$source/compiler/toolchain" "$work/project/compiler/"
faults=0 arguments=()

fake() { printf '#!/bin/bash\n%s\n' "$2" >"$work/fakes/$1"; chmod +x "$work/fakes/$1"; }
reset() { rm -rf "$work/fakes" "$work/project/.venv"; mkdir "$work/fakes"; }
# The Debian packages count as installed.
all_installed() { fake dpkg-query "sed -n 's/^[a-z]/installed &/p' '$source/compiler/toolchain/packages.txt'"; }

# expect NAME STATUS TEXT: setup.sh ends with STATUS and says exactly TEXT.
expect() {
    local said status setup=$work/project/compiler/toolchain/setup.sh
    said=$(PATH="$work/fakes:$PATH" "$setup" "${arguments[@]}" 2>&1); status=$?
    said=${said//$work/WORK}
    if [ "$status" != "$2" ] || [ "$said" != "$3" ]; then
        printf '%s: status %s, expected %s\n-- said:\n%s\n-- expected:\n%s\n' "$1" "$status" "$2" "$said" "$3"
        faults=$((faults + 1))
    fi
}

reset
fake uname 'case $1 in -s) echo Linux;; -m) echo aarch64;; esac'
expect "another processor" 1 "setup: this system is Linux on aarch64, but the build supports Linux on x86_64 only
  fix: use a Debian 12 machine or container on x86_64"

reset
fake dpkg-query "sed -n 's/^[a-z]/installed &/p' '$source/compiler/toolchain/packages.txt' | grep -v -e g++ -e git"
fake id 'echo 1000'
fake sudo 'exit 1'
expect "neither root nor sudo" 1 "setup: 2 Debian packages are missing, and installing them needs root or sudo
  fix: as root, run: apt-get update && apt-get install -y --no-install-recommends g++ git" </dev/null

fake id 'echo 0'
fake df 'echo Filesystem; echo /dev/vda 1000 900 100 90% /'
expect "disk full before packages" 1 \
"setup: too little disk space for Debian packages: / has 100 MB free, 2500 MB are needed
  fix: free 2400 MB on the file system of /"

rm "$work/fakes/df"
fake df 'echo Filesystem; echo /dev/vda 9000 900 8100 90% /'
fake apt-get 'echo "E: Failed to fetch http://deb.debian.org/x  Could not resolve host" >&2; exit 100'
expect "no network for packages" 1 "setup: installing 2 Debian packages: g++ git
E: Failed to fetch http://deb.debian.org/x  Could not resolve host
setup: Debian's package mirrors cannot be reached, or do not have the packages (last lines above)
  fix: check the network and /etc/apt/sources.list, then run this again"

reset
all_installed
fake c++ 'case $1 in --version) echo "c++ (Debian) 10.2.1";; -dumpversion) echo 10;; esac'
expect "old compiler" 1 "setup: c++ is version 10, but C++20 as used here needs g++ 12 or later
  fix: install g++-12 and run with CXX=g++-12 CC=gcc-12"

export CXX="fake-cache fake-g++ -m64"
expect "a compiler behind a cache that is missing" 1 "setup: the C++ compiler 'fake-cache fake-g++ -m64' is not found
  fix: install g++, or correct CXX"
fake fake-cache '[ "$1 $2" = "fake-g++ -m64" ] && case $3 in --version) echo "c++";; -dumpversion) echo 11;; esac'
expect "an old compiler behind a cache" 1 "setup: fake-cache fake-g++ -m64 is version 11, but C++20 as used here needs g++ 12 or later
  fix: install g++-12 and run with CXX=g++-12 CC=gcc-12"
unset CXX

reset
all_installed
fake df 'echo Filesystem; echo /dev/vda 1000 900 100 90% /'
expect "disk full before the environment" 1 "setup: too little disk space for the virtual environment \
WORK/project/.venv: WORK/project has 100 MB free, 800 MB are needed
  fix: free 700 MB on the file system of WORK/project"

reset
all_installed
mkdir -p "$work/project/.venv/bin"
printf '#!/bin/bash\n[ "$1" = -c ] && exit 0\necho "NewConnectionError: no route"\nexit 1\n' \
    >"$work/project/.venv/bin/python3"
touch "$work/project/.venv/bin/pip"
chmod +x "$work/project/.venv/bin/"*
fake df 'echo Filesystem; echo /dev/vda 9000 900 8100 90% /'
expect "no network for the environment" 1 \
"setup: making WORK/project/.venv: clang-format==19.1.7 cmake==3.31.10 halide==21.0.0 ninja==1.13.0
NewConnectionError: no route
setup: the Python package index cannot be reached, or lacks a package (last lines above)
  fix: check the network (and pip's settings: pip config list), then run this again"

# A second run on a machine that is set up neither installs nor downloads.
reset
all_installed
fake apt-get 'echo "apt-get was called" >&2; exit 1'
mkdir -p "$work/project/.venv"
echo "$work/project/.venv $(/usr/bin/python3 --version) $(sha256sum <"$source/compiler/toolchain/requirements.txt")" \
    >"$work/project/.venv/stamp"
expect "second run" 0 "setup: ready"

# What the tests alone need is asked for, and installed into the same environment.
mkdir -p "$work/project/.venv/bin"
printf '#!/bin/bash\n[ "$1" = -c ] || [[ "$*" == *test_requirements.txt ]]\n' >"$work/project/.venv/bin/python3"
touch "$work/project/.venv/bin/pip"
chmod +x "$work/project/.venv/bin/"*
arguments=(--tests)
expect "what tests need" 0 \
"setup: making WORK/project/.venv: nvidia-cuda-nvcc==13.5.37 nvidia-cuda-nvdisasm==13.5.37
setup: ready"
expect "tests, a second run" 0 "setup: ready"
arguments=(--test)
expect "an unknown argument" 2 \
"setup: unknown argument '--test'; fix: see compiler/toolchain/setup.sh --help"

[ $faults = 0 ] && echo "setup: all messages are as expected"
exit $((faults > 0))
