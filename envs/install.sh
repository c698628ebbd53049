#!/usr/bin/env bash
# Make a virtual environment that holds what a lock says, and nothing else. Safe to call again after an interruption.
# Usage: envs/install.sh cpu|gpu|light FOLDER          (PYTHON=... chooses the interpreter)
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:?cpu, gpu or light}
venv=${2:?folder of the environment}
lock=envs/$kind.lock
torch_index=${TORCH_CPU_INDEX-https://download.pytorch.org/whl/cpu}

say() { echo "install: $*" >&2; }
fail() { say "$@"; exit 1; }

[ -f "$lock" ] || fail "there is no $lock; the kinds are cpu, gpu and light"

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
        if is_new_enough "$name"; then echo "$name"; return; fi
    done
    fail "no Python 3.11 or later (tried ${PYTHON:-python3, python3.11 to python3.13});" \
        "install one (Debian, Ubuntu: apt install python3 python3-venv) or name it: make env PYTHON=/path/to/python3.11"
}

# An environment made for other hardware, or with a Python that has gone, is made anew.
if [ "$(cat "$venv/.kind" 2>/dev/null)" != "$kind" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" || fail "$python cannot make an environment;" \
        "install its venv module (Debian, Ubuntu: apt install python3-venv) and call this again"
    echo "$kind" >"$venv/.kind"
fi
"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    say "note: the locks were made and tested with Python 3.11, this is $("$venv/bin/python" --version)"

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }
quiet_pip() { PIP_PROGRESS_BAR=off pip -qq "$@"; }

reachable() {
    [ -n "$1" ] && timeout 15 "$venv/bin/python" - "$1/torch/" 2>/dev/null <<'PROBE'
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="HEAD"), timeout=5)
PROBE
}

# PyPI's torch for Linux on x86_64 is built for CUDA, so a CPU build is looked for first: in PyTorch's own index, then
# wherever pip is told to look. --no-deps keeps the CUDA libraries out in any case.
install_cpu_torch() {
    local wanted
    wanted=$(grep '^torch==' "$lock" | cut -d' ' -f1)
    if [ "torch==$(pip show torch 2>/dev/null | sed -n 's/^Version: //p')" = "$wanted+cpu" ]; then return; fi
    if reachable "$torch_index"; then
        say "torch for CPU from $torch_index"
        quiet_pip install --no-deps --index-url "$torch_index" "$wanted+cpu" && return
    fi
    say "PyTorch's index of CPU builds cannot be reached; taking torch from where pip looks"
    quiet_pip install --no-deps "$wanted+cpu" 2>/dev/null || quiet_pip install --no-deps "$wanted"
}

say "$(grep -c '^[a-z0-9]' "$lock") packages from $lock into $venv (a few minutes)"
if [ "$kind" = cpu ]; then install_cpu_torch; fi
quiet_pip install --no-deps -r "$lock"

# What an earlier lock had and this one has not, goes.
normalised() { tr 'A-Z_.' 'a-z--' | sort; }
mapfile -t extra < <(comm -23 <(pip list --format=freeze 2>/dev/null | sed 's/[=@ ].*//' | normalised) \
    <({ sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' "$lock"; printf 'pip\nsetuptools\n'; } | normalised))
if [ ${#extra[@]} -gt 0 ]; then
    say "removing what the lock does not hold: ${extra[*]}"
    quiet_pip uninstall --yes "${extra[@]}"
fi

built_for=none
if [ "$kind" != light ]; then
    built_for=$("$venv/bin/python" -c 'import torch; print(torch.version.cuda or "none")') || built_for=broken
fi
case $kind:$built_for in
cpu:none | light:none | gpu:[0-9]*) ;;
cpu:*) fail "torch in $venv is no CPU build that imports (CUDA: $built_for). Where PyTorch's index cannot be reached, put" \
    "the wheel torch-...+cpu of https://download.pytorch.org/whl/cpu into a folder: PIP_FIND_LINKS=FOLDER make env" ;;
gpu:*) fail "torch in $venv is no CUDA build that imports (CUDA: $built_for); remove $venv and call this again without" \
    "PIP_FIND_LINKS or an index that offers CPU builds" ;;
esac
say "$venv is ready"
