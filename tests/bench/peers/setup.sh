#!/usr/bin/env bash
# Makes build/peers-venv, the environment of the peers' scripts. On request only: PyTorch's wheel brings 5 GB.
#
# Usage: tests/bench/peers/setup.sh [PACKAGE...]; without packages everything in requirements.txt.
# `setup.sh torch onnx onnxscript onnxruntime numpy` is enough for tests/bench/compare.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$folder/../../.." && pwd)
venv=$root/build/peers-venv
mkdir -p "$root/build"
free=$(df -Pm "$root/build" | awk 'NR == 2 { print $4 }')
if [ "$free" -lt 9000 ]; then
    echo "peers: $root/build has $free MB free, 9000 MB are needed" >&2
    echo "  fix: free $((9000 - free)) MB on that file system" >&2
    exit 1
fi
[ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv "$venv"
pins=$folder/requirements.txt
if [ $# -gt 0 ]; then
    pins=$venv/selected.txt
    for package in "$@"; do
        # A pin is two lines, the second ends with "# " and those who need it.
        sed 'N;s/\\\n *//' < <(sed '/^#/d' "$folder/requirements.txt") | grep -E "# (.* )?$package( |\$)" || {
            echo "peers: '$package' has no pin in requirements.txt" >&2
            echo "  fix: choose from: $(sed -n 's/.*  # //p' "$folder/requirements.txt" | tr ' ' '\n' | sort -u | tr '\n' ' ')" >&2
            exit 2
        }
    done | sort -u >"$pins"
fi
"$venv/bin/pip" install --disable-pip-version-check --no-cache-dir --no-deps --require-hashes -r "$pins"
