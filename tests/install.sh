#!/usr/bin/env bash
# Install Debian packages: tests/install.sh PACKAGE...; needs root. Suites that run side by side wait for each other.
set -euo pipefail
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing: $*; only root on Debian or Ubuntu can install them: do so and call this again" >&2
    exit 1
fi
exec 9>"${TMPDIR:-/tmp}/isheep-apt.lock"
flock 9
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends "$@" >/dev/null
