#!/usr/bin/env bash
# Installs what the build needs and this machine lacks: Debian packages (packages.txt) and a virtual environment
# .venv with pinned Halide, CMake and Ninja (requirements.txt), which never needs activation.
#
# Running it again is cheap: packages that are installed are not touched, and the environment carries a stamp
# with the hash of what it was made from. Usage: compiler/toolchain/setup.sh [--quiet] [--tests]
#   --tests  adds what the tests alone need: the assembler and disassembler for CUDA (test_requirements.txt)
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$folder/../.." && pwd)
quiet=0 tests=0
for argument in "$@"; do
    case "$argument" in
        --quiet) quiet=1 ;;
        --tests) tests=1 ;;
        --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) echo "setup: unknown argument '$argument'; fix: see compiler/toolchain/setup.sh --help" >&2; exit 2 ;;
    esac
done

say() { [ $quiet = 1 ] || echo "setup: $*" >&2; }
# fail WHAT FIX...: one message in the house form, then exit.
fail() { echo "setup: $1" >&2; shift; for line in "$@"; do echo "  fix: $line" >&2; done; exit 1; }

# check_space FOLDER MEGABYTES PURPOSE: refuses to start what would fill the disk.
check_space() {
    local free
    free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$2" ] || fail "too little disk space for $3: $1 has $free MB free, $2 MB are needed" \
        "free $(($2 - free)) MB on the file system of $1"
}

is_network_error() {
    local words='could not resolve|temporary failure|failed to fetch|unable to fetch|unable to connect'
    words+='|network is unreachable|connection (refused|timed out|broken)|newconnectionerror|max retries'
    words+='|no matching distribution|unable to locate package'
    grep -qiE "$words" "$1"
}

missing_packages() {
    local wanted format='${db:Status-Status} ${Package}\n${db:Status-Status} ${Provides}\n'
    mapfile -t wanted < <(grep -v '^#' "$folder/packages.txt")
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort) \
        <({ dpkg-query -W -f "$format" || true; } 2>/dev/null |
            sed -n 's/^installed //p' | tr ',' '\n' | sed 's/^ *//; s/ .*//' | sort -u)
}

check_system() {
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail \
        "this system is $(uname -s) on $(uname -m), but the build supports Linux on x86_64 only" \
        "use a Debian 12 machine or container on x86_64"
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || fail \
        "this system has no apt-get and dpkg, but packages are installed with them" \
        "use a Debian 12 machine or container (docker run -it debian:12)"
}

install_packages() {
    local missing=("$@") name log run=()
    name=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-}")
    [ "$name" = "debian 12" ] || fail \
        "this system is '$name' and lacks ${missing[*]}: only Debian 12 is set up automatically" \
        "install these packages, or their counterparts, by hand; or use a Debian 12 machine or container"
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            run=(sudo)
        else
            fail "${#missing[@]} Debian packages are missing, and installing them needs root or sudo" \
                "as root, run: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
        fi
    fi
    check_space / 2500 "Debian packages"
    say "installing ${#missing[@]} Debian packages: ${missing[*]}"
    log=$(mktemp)
    trap 'rm -f "$log"; trap - RETURN' RETURN
    if ! { "${run[@]}" apt-get update -q &&
           "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
         } >"$log" 2>&1 </dev/null; then
        tail -5 "$log" >&2
        if grep -qi 'no space left' "$log"; then
            fail "the disk filled up while Debian packages were installed" "free at least 2500 MB and run this again"
        elif is_network_error "$log"; then
            fail "Debian's package mirrors cannot be reached, or do not have the packages (last lines above)" \
                "check the network and /etc/apt/sources.list, then run this again"
        fi
        fail "apt-get failed (last lines above)" "run: apt-get update && apt-get install -y ${missing[*]}"
    fi
}

check_compiler() {
    local compiler version
    read -ra compiler <<<"${CXX:-c++}"  # "ccache g++" is two words
    command -v "${compiler[0]}" >/dev/null ||
        fail "the C++ compiler '${compiler[*]}' is not found" "install g++, or correct CXX"
    if "${compiler[@]}" --version | grep -qi clang; then return; fi
    version=$("${compiler[@]}" -dumpversion)
    [ "${version%%.*}" -ge 12 ] || fail "${compiler[*]} is version $version, but C++20 as used here needs g++ 12 or later" \
        "install g++-12 and run with CXX=g++-12 CC=gcc-12"
}

# install_pinned REQUIREMENTS: what the file pins, into the environment.
install_pinned() {
    local venv=$root/.venv log
    say "making $venv:" $(grep -o '^[a-z-]*==[0-9.]*' "$1")
    log=$(mktemp)
    trap 'rm -f "$log"; trap - RETURN' RETURN
    "$venv/bin/python3" -c '' 2>/dev/null && [ -x "$venv/bin/pip" ] ||
        /usr/bin/python3 -m venv --clear "$venv" >"$log" 2>&1 ||
        { tail -5 "$log" >&2; fail "python3 cannot make a virtual environment in $venv (last lines above)" \
            "check that python3-venv is installed and that $root is writable"; }
    if ! "$venv/bin/python3" -m pip install --disable-pip-version-check --no-deps --require-hashes --no-cache-dir \
            -q -r "$1" >"$log" 2>&1; then
        tail -5 "$log" >&2
        if grep -qi 'no space left' "$log"; then
            fail "the disk filled up while $venv was made" "free at least 800 MB and run this again"
        elif is_network_error "$log"; then
            fail "the Python package index cannot be reached, or lacks a package (last lines above)" \
                "check the network (and pip's settings: pip config list), then run this again"
        fi
        fail "pip failed (last lines above)" "remove $venv and run this again"
    fi
}

# make_environment REQUIREMENTS STAMP: nothing where the stamp says that it holds what the file pins.
make_environment() {
    local venv=$root/.venv stamp
    # The folder is part of the stamp: the environment's scripts hold its absolute path.
    stamp=$(echo "$venv $(/usr/bin/python3 --version) $(sha256sum <"$1")")
    [ "$(cat "$venv/$2" 2>/dev/null)" = "$stamp" ] && return
    check_space "$root" 800 "the virtual environment $venv"
    rm -f "$venv/$2"
    install_pinned "$1"
    echo "$stamp" >"$venv/$2"
}

# Two commands started at once take turns.
exec 9<"$root"
flock 9
check_system
mapfile -t missing < <(missing_packages)
[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
check_compiler
make_environment "$folder/requirements.txt" stamp
[ $tests = 0 ] || make_environment "$folder/test_requirements.txt" tests.stamp
say "ready"
