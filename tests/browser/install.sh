#!/usr/bin/env bash
# Install Debian's Chromium and its driver, and a font; needs root.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends chromium chromium-driver fonts-dejavu-core >/dev/null
