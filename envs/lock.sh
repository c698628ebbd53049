#!/usr/bin/env bash
# Write every lock anew, with the newest versions that fit the *.in files. Usage: envs/lock.sh
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uv

# uv does not read pip's settings.
index=${PIP_INDEX_URL:-$(pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ]; then export UV_DEFAULT_INDEX=$index; fi

# CPU builds of torch come from PyTorch's index; where that cannot be reached, from where pip is told to look.
if timeout 15 "$work/venv/bin/python" -c \
    'import urllib.request as u; u.urlopen("https://download.pytorch.org/whl/cpu/torch/", timeout=5)' 2>/dev/null; then
    torch=(--torch-backend cpu)
else
    torch=()
    for place in ${PIP_FIND_LINKS:-$(pip config get global.find-links 2>/dev/null || true)}; do
        torch+=(--find-links "$place")
    done
fi

compile() {
    local name=$1
    shift
    "$work/venv/bin/uv" pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --no-header --no-emit-index-url --no-emit-find-links --annotation-style line --override overrides.txt "$@" \
        --output-file "$work/$name.lock" "$name.in" >/dev/null
    {
        echo "# Made by \`make lock\` from envs/$name.in; not edited by hand. Installed with pip install --no-deps."
        # The build of torch is the installer's choice; paths of this machine say nothing elsewhere.
        sed -E 's/^(torch==[0-9.]+)\+cpu/\1/; s#, -c [^, ]+##; s#-c [^, ]+, ##' "$work/$name.lock"
        if [ "$name" != light ]; then grep '^[a-z]' files-only.txt; fi
    } >"$work/$name.ready"
    echo "locked $name: $(grep -c '^[a-z0-9]' "$work/$name.ready") packages"
}

compile cpu --override cpu-overrides.txt "${torch[@]}"
# The light lock takes the cpu lock's versions; the gpu lock those of the packages that the *.in files name, and of
# setuptools, which vLLM bounds from Python 3.12 on.
{ sed -nE 's/^([a-z0-9-]+).*/^\1==/p' light.in base.in; echo '^setuptools=='; } | grep -f - "$work/cpu.ready" | sed 's/ .*//' >"$work/top.txt"
grep -E '^[a-z0-9]' "$work/cpu.ready" | sed 's/ .*//' >"$work/all.txt"
compile light --constraint "$work/all.txt"
compile gpu --constraint "$work/top.txt"
for name in cpu light gpu; do mv "$work/$name.ready" "$name.lock"; done
